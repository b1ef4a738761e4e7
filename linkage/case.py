"""The case folder: what a run leaves behind, written in one step and read back whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from linkage.errors import CaseError
from linkage.result import TABLES, Result

__all__ = ["check_place", "read_case", "write_case"]

MANIFEST: Final = "manifest.json"

_TIME: Final = pa.timestamp("us", tz="UTC")
_SPAN: Final = [("first_seen", _TIME), ("last_seen", _TIME)]
SCHEMAS: Final[dict[str, pa.Schema]] = {
    "clusters": pa.schema(
        [
            ("cluster_id", pa.int64()),
            ("tier", pa.string()),
            ("n_accounts", pa.int64()),
            ("confidence", pa.float64()),
            ("q_value", pa.float64()),
            ("risk", pa.float64()),
            ("families", pa.string()),
            *_SPAN,
            ("explanation", pa.string()),
            ("corroborated", pa.float64()),
        ]
    ),
    "members": pa.schema(
        [("account_id", pa.string()), ("cluster_id", pa.int64()), ("probability", pa.float64())]
    ),
    "evidence": pa.schema(
        [
            ("cluster_id", pa.int64()),
            ("account_id", pa.string()),
            ("kind", pa.string()),
            ("value", pa.string()),
            ("bits", pa.float64()),
            ("family", pa.string()),
            ("n_accounts", pa.int64()),
            ("count", pa.int64()),
            *_SPAN,
        ]
    ),
    "rejected": pa.schema(
        [
            ("source", pa.string()),
            ("row", pa.int64()),
            ("column", pa.string()),
            ("reason", pa.string()),
        ]
    ),
    "observations": pa.schema(
        [
            ("account_id", pa.string()),
            ("kind", pa.string()),
            ("value", pa.string()),
            ("family", pa.string()),
            ("count", pa.int64()),
            *_SPAN,
        ]
    ),
}


def check_place(path: str | Path) -> Path:
    """Refuse a place where a case folder cannot be written, before any work is done.

    Parameters
    ----------
    path : str or Path
        Where the folder is to stand. A case folder that stands there is replaced.

    Returns
    -------
    Path

    Raises
    ------
    CaseError
        If a file, or a folder that holds anything but a case, stands there, or the folder above
        it cannot be written to.
    """
    place = Path(path)
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise CaseError(f"{str(path)!r} is not a folder; name one that linkage may create")
    if place.is_dir():
        strange = sorted({entry.name for entry in place.iterdir()} - _list_files())
        if strange:
            raise CaseError(
                f"{str(path)!r} holds {strange[0]!r}, which no case has; name another folder"
            )
    parent = place.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CaseError(f"cannot create {str(parent)!r}: {error.strerror}") from error
    if not os.access(parent, os.W_OK):
        raise CaseError(f"cannot write to {str(parent)!r}; name another folder")
    return place


def write_case(result: Result, path: str | Path) -> Path:
    """Write a result as a case folder.

    Parameters
    ----------
    result : Result
    path : str or Path
        The folder; replaced if it is a case already.

    Returns
    -------
    Path

    Raises
    ------
    CaseError
        If the place cannot be written to. Nothing is left there then, or what was there before.

    Notes
    -----
    Everything is written to a folder beside it, which then takes its name: a reader sees the old
    case or the new one, never a part.
    """
    place = check_place(path)
    parent = place.absolute().parent
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=parent))
    except OSError as error:
        raise CaseError(f"cannot write to {str(parent)!r}: {error.strerror}") from error
    try:
        for name in TABLES:
            table = pa.Table.from_pandas(
                getattr(result, name), schema=SCHEMAS[name], preserve_index=False
            )
            pq.write_table(
                table.replace_schema_metadata(None), draft / f"{name}.parquet", compression="zstd"
            )
        text = json.dumps(result.manifest, indent=2, sort_keys=True, ensure_ascii=False)
        (draft / MANIFEST).write_text(text + "\n", encoding="utf-8")
        draft.chmod(0o755)
        _take_place(draft, place)
    except OSError as error:
        raise CaseError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def read_case(path: str | Path) -> Result:
    """Read a case folder.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Result

    Raises
    ------
    CaseError
        If there is no case there, or one of its files cannot be read.
    """
    place = Path(path)
    if not (place / MANIFEST).is_file():
        raise CaseError(
            f"{str(path)!r} is no case folder: it has no {MANIFEST}; "
            "make one with: linkage run ... --out " + str(path)
        )
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        tables = {name: _read_table(place / f"{name}.parquet") for name in TABLES}
    except (OSError, ValueError, pa.ArrowException) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CaseError(f"the case {str(path)!r} is damaged: {first_line}; run it again") from error
    return Result(manifest=manifest, **tables)


def _read_table(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame


def _list_files() -> set[str]:
    return {f"{name}.parquet" for name in TABLES} | {MANIFEST}


def _take_place(draft: Path, place: Path) -> None:
    """Give the draft the case's name; an older case makes way in one rename."""
    if not place.exists():
        draft.rename(place)
        return
    old: Any = tempfile.mkdtemp(prefix=f".{place.name}-old-", dir=place.absolute().parent)
    place.rename(Path(old) / "case")
    try:
        draft.rename(place)
    except OSError:
        (Path(old) / "case").rename(place)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
