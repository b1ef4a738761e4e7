"""Parquet, CSV and JSON Lines as one stream of record batches, read as often as asked."""

from collections.abc import Iterator, Mapping
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from linkage.errors import InputError, MissingInputError, SchemaError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_batches", "read_texts"]

_ROWS: Final = 65_536  # of a batch, at most

_FORMATS: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


def read_batches(
    path: str, columns: Mapping[str, str], *, optional: Mapping[str, str], what: str
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file, a folder or a glob.

    Parameters
    ----------
    path : str
        Files of one kind: Parquet, CSV or JSON Lines.
    columns, optional : mapping of name -> column in the files
        Those that must be there, and those that may be missing.
    what : str
        What the files hold, for messages.

    Yields
    ------
    pyarrow.RecordBatch
        With the names given; at most 65,536 rows.

    Raises
    ------
    MissingInputError
        If the path names no file.
    InputError
        If the files are of several kinds or of an unknown one, or cannot be read.
    SchemaError
        If a column is missing.
    """
    dataset = _open(path, what)
    there = dataset.schema.names
    missing = [source for source in columns.values() if source not in there]
    if missing:
        raise SchemaError(f"{path} lacks the columns {missing}; it has {there}")
    used = {**columns, **{name: source for name, source in optional.items() if source in there}}
    try:
        for fragment in dataset.get_fragments():
            yield from _read_fragment(fragment, dataset.schema, used)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _read_fragment(
    fragment: Any, schema: pa.Schema, used: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Read one file; a Parquet file of that schema takes the short way, a third cheaper."""
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    wanted = pa.schema([schema.field(source) for source in used.values()])
    own, is_parquet = fragment.physical_schema, isinstance(fragment, ds.ParquetFileFragment)
    if (
        is_parquet
        and all(own.get_field_index(f.name) >= 0 for f in wanted)
        and all(own.field(f.name).type == f.type for f in wanted)
    ):
        with pq.ParquetFile(fragment.path, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS, columns=wanted.names, use_threads=False):
                yield pa.record_batch([batch.column(name) for name in wanted.names], [*used])
        return
    yield from fragment.to_batches(
        schema=schema,
        columns={name: ds.field(source) for name, source in used.items()},
        batch_size=_ROWS,
        batch_readahead=4,
        # a Parquet file's bytes are not kept until it is read to its end
        fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False)
        if is_parquet
        else None,
    )


def read_texts(path: str | Path, what: str) -> "pd.DataFrame":
    """Read a small table that a person made, ids as they are written: 007 stays 007.

    Parameters
    ----------
    path : str or Path
        A ``.parquet`` or ``.csv`` file.
    what : str
        What it holds, for messages.

    Returns
    -------
    pandas.DataFrame
        Columns of a CSV file are text, null where empty.

    Raises
    ------
    MissingInputError
        Where there is no such file.
    InputError
        Where it is of another type or cannot be parsed.
    """
    import pandas as pd

    path = Path(path)
    if not path.is_file():
        raise MissingInputError(f"no {what} at {path}; name a .parquet or .csv file")
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(f"the {what} is read from .parquet or .csv; got {path.name}")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype="string", keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from error


def _open(path: str, what: str) -> Any:
    import pyarrow.dataset as ds
    from pyarrow import csv

    files = _list_files(path, what)
    suffixes = {_suffix(file) for file in files}
    formats = {_FORMATS.get(suffix) for suffix in suffixes}
    if len(formats) != 1 or None in formats:
        raise InputError(
            f"{path} must be Parquet, CSV or JSON Lines, of one kind; it has {sorted(suffixes)}"
        )
    kind: Any = formats.pop()
    if kind == "csv":
        parse = csv.ParseOptions(
            delimiter="\t" if suffixes == {".tsv"} else ",", newlines_in_values=True
        )
        kind = ds.CsvFileFormat(parse_options=parse)
    try:
        return ds.dataset([str(file) for file in files], format=kind)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _suffix(file: Path) -> str:
    stem = file.with_suffix("") if file.suffix == ".gz" else file
    return stem.suffix.lower()


def _list_files(path: str, what: str) -> list[Path]:
    root = Path(path)
    if root.is_file():
        return [root]
    if root.is_dir():
        files = [file for file in sorted(root.rglob("*")) if _suffix(file) in _FORMATS]
    elif has_magic(path):
        files = sorted(Path(name) for name in glob(path, recursive=True))  # noqa: PTH207
    else:
        files = []
    if not files:
        raise MissingInputError(f"no file of {what} at {path}")
    return files
