"""Block lists: accounts and identifiers to act on, as CSV for people and JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from linkage.export.files import replace_files
from linkage.export.spreadsheet import neutralise_formulas
from linkage.frames import to_records

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["write_blocklist"]


def write_blocklist(indicators: pd.DataFrame, path: str | PathLike[str]) -> Path:
    """Write a block list.

    Parameters
    ----------
    indicators : pandas.DataFrame
        As `list_indicators` returns them.
    path : path
        ``.json`` gives JSON, everything else CSV.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the file cannot be written.

    Notes
    -----
    In the CSV a text that a spreadsheet would run gets an apostrophe before it: programs should
    read the JSON, whose values are exact (and ASCII, with escapes).
    """
    target = Path(path)
    with replace_files(target) as (handle,):
        if target.suffix.lower() == ".json":
            text = json.dumps({"indicators": _list_rows(indicators)}, indent=1)
            handle.write(text.encode("ascii") + b"\n")
        else:
            csv.write_csv(pa.table(_spell_columns(indicators)), handle)
    return target


def _list_rows(indicators: pd.DataFrame) -> list[dict[str, Any]]:
    """Return indicators as plain dictionaries: times as ISO 8601 texts, null where unknown."""
    return to_records(indicators.assign(**_spell_times(indicators)))


def _spell_times(table: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    names = ("first_seen", "last_seen")
    return {name: table[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ").astype(object) for name in names}


def _spell_columns(table: pd.DataFrame) -> dict[str, Any]:
    spelled = table.assign(**_spell_times(table))
    columns = {}
    for name in spelled:
        values = spelled[name]
        if pd.api.types.is_numeric_dtype(values.dtype):
            columns[str(name)] = pa.array(values)
        else:
            texts = pa.array(values.astype(object), pa.large_string(), from_pandas=True)
            columns[str(name)] = neutralise_formulas(texts)
    return columns
