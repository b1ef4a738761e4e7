"""The demo world: 3,000 accounts and eight operators, small enough to read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from linkage.errors import MissingInputError

__all__ = ["DemoWorld", "demo"]

_TABLES: Final = ("events", "payments", "accounts", "truth")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWorld:
    """Where the demo world lies; a table is read when it is asked for.

    Attributes
    ----------
    folder : Path
    events_path, payments_path, accounts_path, truth_path : Path
        One Parquet file for each table of the contract, and the truth.
    """

    folder: Path

    @property
    def events_path(self) -> Path:
        """One row a request."""
        return self.folder / "events.parquet"

    @property
    def payments_path(self) -> Path:
        """One row a payment."""
        return self.folder / "payments.parquet"

    @property
    def accounts_path(self) -> Path:
        """One row an account."""
        return self.folder / "accounts.parquet"

    @property
    def truth_path(self) -> Path:
        """One row an account: its operator, role and group."""
        return self.folder / "truth.parquet"

    @property
    def events(self) -> pd.DataFrame:
        """The events, read anew at every call."""
        return pd.read_parquet(self.events_path)

    @property
    def payments(self) -> pd.DataFrame:
        """The payments, read anew at every call."""
        return pd.read_parquet(self.payments_path)

    @property
    def accounts(self) -> pd.DataFrame:
        """The accounts, read anew at every call."""
        return pd.read_parquet(self.accounts_path)

    @property
    def truth(self) -> pd.DataFrame:
        """The truth, read anew at every call."""
        return pd.read_parquet(self.truth_path)


def demo() -> DemoWorld:
    """Return the demo world that ships with linkage.

    Returns
    -------
    DemoWorld
        Paths, and DataFrames read on demand.

    Raises
    ------
    MissingInputError
        If the package was installed without its data.

    Notes
    -----
    An installed package carries the world next to this module; a source checkout has it in
    ``datasets/demo``. It was made by ``linkage simulate --preset demo --seed 1``; its data card is
    the README in the folder.

    Examples
    --------
    >>> world = demo()
    >>> int(world.truth["operator_id"].nunique())
    8
    """
    here = Path(__file__).resolve().parent
    places = (here / "demo", here.parent.parent / "datasets" / "demo")
    for folder in places:
        if all((folder / f"{name}.parquet").is_file() for name in _TABLES):
            return DemoWorld(folder=folder)
    raise MissingInputError(
        "the demo world is not installed; make one with "
        "`linkage simulate --preset demo --seed 1 --out DIR`"
    )
