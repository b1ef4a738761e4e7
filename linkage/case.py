"""The case folder: what a run leaves behind, written in one step and read back whole."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from linkage.errors import CaseError
from linkage.prompts import TEMPLATES
from linkage.result import TABLES, Result
from linkage.schema import CASE_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["SCHEMAS", "check_place", "read_case", "read_table", "write_case"]

MANIFEST: Final = "manifest.json"
GROUP_ROWS: Final = 1 << 20

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
            ("purpose", pa.float64()),
            ("infrastructure", pa.int64()),
        ]
    ),
    "members": pa.schema(
        [
            ("account_id", pa.string()),
            ("cluster_id", pa.int64()),
            ("probability", pa.float64()),
            ("cell", pa.int64()),
        ]
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
    "kinds": pa.schema(
        [
            ("kind", pa.string()),
            ("family", pa.string()),
            ("n_accounts", pa.int64()),
            ("n_values", pa.int64()),
            ("n_shared", pa.int64()),
            ("max_holders", pa.int64()),
            ("bits", pa.float64()),
            ("repeats", pa.string()),
            ("comes_with", pa.string()),
        ]
    ),
    "templates": TEMPLATES,
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


def write_case(
    result: Result, path: str | Path, *, observations: Iterable[pa.Table] | None = None
) -> Path:
    """Write a result as a case folder.

    Parameters
    ----------
    result : Result
    path : str or Path
        The folder; replaced if it is a case already.
    observations : iterable of pyarrow.Table, optional
        The table of this name, part by part, where the result does not hold it.

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
            frame = getattr(result, name)
            schema = _choose_schema(name, frame)
            parts = observations if name == "observations" and observations else None
            _write_table(parts or _split(frame, schema), schema, draft / f"{name}.parquet")
        text = json.dumps(result.manifest, indent=2, sort_keys=True, ensure_ascii=False)
        (draft / MANIFEST).write_text(text + "\n", encoding="utf-8")
        draft.chmod(0o755)
        _take_place(draft, place)
    except OSError as error:
        raise CaseError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _split(frame: pd.DataFrame, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield a table by groups of rows, so that no second copy of it stands in memory."""
    for start in range(0, max(len(frame), 1), GROUP_ROWS):
        rows = frame.iloc[start : start + GROUP_ROWS]
        table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
        yield table.replace_schema_metadata(None)


def _write_table(parts: Iterable[pa.Table], schema: pa.Schema, file: Path) -> None:
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in parts:
            writer.write_table(table)


def _choose_schema(name: str, frame: pd.DataFrame) -> pa.Schema:
    """Return a table's schema; texts of prompts are a column only where a run was to keep them."""
    if name == "templates" and "example" in frame:
        return TEMPLATES.append(pa.field("example", pa.string()))
    return SCHEMAS[name]


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
            f"make one with: linkage run ... --out {path}"
        )
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _call_damaged(place / MANIFEST, error) from error
    return Result(manifest=manifest, **{name: read_table(place, name) for name in TABLES})


def read_table(path: str | Path, name: str) -> pd.DataFrame:
    """Read one table of a case folder.

    Parameters
    ----------
    path : str or Path
        The folder.
    name : str
        The table, such as ``"members"``.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    CaseError
        If there is no such folder, or the table is missing, damaged or lacks a column.
    """
    place = Path(path)
    file = place / f"{name}.parquet"
    if not place.is_dir():
        raise CaseError(f"{place} is no case folder; name the one that `linkage run --out` wrote")
    if not file.is_file():
        raise CaseError(f"{place} has no {file.name}; run `linkage run --out {place}` again")
    try:
        frame: pd.DataFrame = pq.read_table(file).to_pandas()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _call_damaged(file, error) from error
    missing = [column for column in CASE_TABLES.get(name, ()) if column not in frame]
    if missing:
        raise CaseError(f"{file} lacks {missing}; was it written by another version of linkage?")
    return frame


def _call_damaged(file: Path, error: Exception) -> CaseError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CaseError(f"{file} is damaged: {said}; run `linkage run` again")


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
