"""The worlds on which methods are compared: simulated ones, and real sets with a known truth."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pandas as pd

from linkage.evaluate import read_truth
from linkage.schema import INPUTS

__all__ = ["DATA", "World", "list_real_worlds", "make_observations", "simulate_world"]

DATA: Final = Path(
    os.environ.get("LINKAGE_DATA", Path(__file__).resolve().parents[1] / ".." / "shared" / "data")
)
REAL: Final = ("er_febrl3", "er_historical50k")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Input tables and the truth about them; or the reason why they are not there."""

    name: str
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)  # as linkage.link takes them
    truth: pd.DataFrame | None = None
    missing: str | None = None  # why the world cannot be used

    @property
    def observations(self) -> pd.DataFrame:
        """Return what the baselines take: account_id, kind, value."""
        return make_observations(self.tables)


def list_real_worlds(data: Path = DATA) -> Iterator[World]:
    """Read the real sets with a truth, or say why one is left out."""
    for name in REAL:
        folder = data / name
        if not folder.is_dir():
            yield World(name=name, missing=f"no folder {name} under LINKAGE_DATA")
            continue
        tables = {"observations": pd.read_parquet(folder / "observations.parquet")}
        yield World(name=name, tables=tables, truth=read_truth(folder / "truth.csv"))


def simulate_world(preset: str, *, seed: int, evasion: int, folder: Path) -> World:
    """Simulate a world, with prompts as fingerprints.

    Parameters
    ----------
    preset : str
        Name of a preset of the simulator.
    seed : int
    evasion : int
        0..5.
    folder : Path
        Where its tables are written.

    Returns
    -------
    World
    """
    from linkage.simulate import simulate  # noqa: PLC0415 (real sets need no simulator)

    simulate(preset, folder, seed=seed, evasion=evasion, prompts="fingerprints")
    return read_world(f"{preset}-{evasion}", folder)


def read_world(name: str, folder: Path) -> World:
    """Read a world that the simulator wrote."""
    files = ((table, folder / f"{table}.parquet") for table in INPUTS)
    tables = {table: pd.read_parquet(path) for table, path in files if path.is_file()}
    return World(name=name, tables=tables, truth=read_truth(folder / "truth.parquet"))


def make_observations(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Stack every identifier column of the input tables, as the baselines need them.

    Parameters
    ----------
    tables : dict of pandas.DataFrame
        Input tables by name.

    Returns
    -------
    pandas.DataFrame
        account_id, kind, value, without repetition.
    """
    parts = []
    for name, frame in tables.items():
        if name == "observations":
            parts.append(frame[["account_id", "kind", "value"]])
            continue
        for column in INPUTS[name].columns:
            if column.kind is not None and column.name in frame:
                values = frame[["account_id", column.name]].dropna()
                values = values.rename(columns={column.name: "value"}).explode("value")
                parts.append(values.assign(kind=column.kind)[["account_id", "kind", "value"]])
    stacked = pd.concat([part.astype(str) for part in parts], ignore_index=True)
    return stacked.drop_duplicates(ignore_index=True)
