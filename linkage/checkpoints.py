"""Results of stages on disk, so that a run that was killed starts again where it was.

A checkpoint is a folder of Parquet files, made under another name and renamed when it is whole. Its
name carries a key: the digest of everything that its stage depends on. What has another key is out
of date, and goes when its stage has a new one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from linkage.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Checkpoints", "make_key", "place_checkpoints", "remove_checkpoints"]

META: Final = "stage.json"
DRAFT: Final = ".making-"
KEY_CHARS: Final = 32  # of 64 hexadecimal digits


def make_key(*parts: Any) -> str:
    """Return the digest of what a stage depends on.

    Parameters
    ----------
    *parts
        Anything that JSON can say.

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> make_key("read", 1) == make_key("read", 2)
    False
    """
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_CHARS]


def place_checkpoints(case: str | Path) -> Path:
    """Return the folder in which a case's checkpoints stand: beside it, ``CASE.checkpoints``."""
    place = Path(case).absolute()
    return place.with_name(f"{place.name}.checkpoints")


def remove_checkpoints(case: str | Path) -> None:
    """Remove a case's checkpoints, if there are any.

    Parameters
    ----------
    case : str or Path
        The case's folder.

    Raises
    ------
    CaseError
        If the folder holds something that is no checkpoint.
    """
    folder = place_checkpoints(case)
    if folder.is_dir():
        shutil.rmtree(Checkpoints(folder).folder)


class Checkpoints:
    """The checkpoints of one case.

    Parameters
    ----------
    folder : Path
        Made if it does not exist, readable by its owner only; what a run that was killed left
        half-made in it is removed.

    Raises
    ------
    CaseError
        If the folder cannot be made, or holds something that is no checkpoint.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as place:
    ...     kept = Checkpoints(Path(place) / "case.checkpoints")
    ...     kept.keep("read", make_key(1), {"x": pa.table({"n": [1]})}, {"rows": 1})
    ...     kept.recall("read", make_key(2)), kept.recall("read", make_key(1))[1]
    (None, {'rows': 1})
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise CaseError(
                f"cannot keep checkpoints in {str(folder)!r}: {error.strerror}; "
                "make room there, or run with --no-checkpoints"
            ) from error
        for entry in entries:
            if entry.name.startswith(DRAFT):
                shutil.rmtree(entry, ignore_errors=True)
            elif not (entry / META).is_file():
                raise CaseError(
                    f"{str(folder)!r} holds {entry.name!r}, which is no checkpoint; move it away"
                )
        self.folder = folder

    def recall(self, stage: str, key: str) -> tuple[dict[str, pa.Table], dict[str, Any]] | None:
        """Return what a stage has made, None where it has not, or from something else.

        Parameters
        ----------
        stage : str
        key : str
            From `make_key`.

        Returns
        -------
        tables : dict of pyarrow.Table
        said : dict
            What was kept beside them.
        """
        place = self.folder / f"{stage}-{key}"
        try:
            said = json.loads((place / META).read_text(encoding="utf-8"))
            tables = {name: pq.read_table(place / f"{name}.parquet") for name in said["tables"]}
        except (OSError, ValueError, KeyError, pa.ArrowException):  # damaged: as good as none
            return None
        return tables, said["said"]

    def read(self, stage: str, key: str, table: str, columns: Sequence[str]) -> pa.Table:
        """Return some columns of a table that a stage has made, and that was kept.

        Parameters
        ----------
        stage, key : str
        table : str
        columns : sequence of str

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        CaseError
            If it is not there any more.
        """
        file = self.folder / f"{stage}-{key}" / f"{table}.parquet"
        try:
            return pq.read_table(file, columns=list(columns))
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise CaseError(
                f"a checkpoint was removed or damaged while it was needed: {file.name} in "
                f"{str(self.folder)!r}; run again"
            ) from error

    def keep(
        self, stage: str, key: str, tables: Mapping[str, pa.Table], said: Mapping[str, Any]
    ) -> None:
        """Keep what a stage has made; older checkpoints of the stage go.

        Parameters
        ----------
        stage : str
        key : str
        tables : mapping of name -> pyarrow.Table
        said : mapping
            Anything that JSON can say.

        Raises
        ------
        CaseError
            If it cannot be written.
        """
        place = self.folder / f"{stage}-{key}"
        try:
            draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=self.folder))
            for name, table in tables.items():
                # Written to be read once or never: half the time of the usual, a quarter more room.
                file = draft / f"{name}.parquet"
                pq.write_table(table, file, compression="lz4", use_dictionary=False)
            text = json.dumps({"tables": list(tables), "said": dict(said)}, sort_keys=True)
            (draft / META).write_text(text, encoding="utf-8")
            shutil.rmtree(place, ignore_errors=True)  # damaged, or made again on purpose
            draft.rename(place)
        except OSError as error:
            raise CaseError(
                f"cannot keep a checkpoint in {str(self.folder)!r}: {error.strerror or error}; "
                "make room there, or run with --no-checkpoints"
            ) from error
        for older in self.folder.glob(f"{stage}-*"):
            if older != place:
                shutil.rmtree(older, ignore_errors=True)
