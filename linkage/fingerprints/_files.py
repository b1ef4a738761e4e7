"""Reads prompts from Parquet, CSV and JSON Lines, batch by batch, as often as asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from linkage.errors import InputError, MissingInputError, SchemaError

__all__ = ["PromptFiles"]

_FORMATS: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_COLUMNS: Final = ("account_id", "prompt", "ts")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFiles:
    """Files of prompts; iterating reads them from the start.

    Raises
    ------
    MissingInputError
        If the path names no file.
    InputError
        If the files are of several kinds or of an unknown one.
    SchemaError
        If a column is missing.
    """

    path: str  # a file, a folder or a glob
    columns: dict[str, str] = field(default_factory=dict)  # account_id, prompt, ts: name in file

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches with the columns account_id, prompt and, where there is one, ts."""
        import pyarrow.dataset as ds

        dataset = _open(self.path)
        names = {name: self.columns.get(name, name) for name in _COLUMNS}
        there = dataset.schema.names
        missing = [
            source
            for name, source in names.items()
            if source not in there and (name != "ts" or "ts" in self.columns)
        ]
        if missing:
            raise SchemaError(f"{self.path} lacks the columns {missing}; it has {there}")
        wanted = {name: ds.field(source) for name, source in names.items() if source in there}
        try:
            yield from dataset.to_batches(columns=wanted, batch_size=65_536)
        except pa.ArrowInvalid as error:
            raise InputError(f"{self.path} cannot be read: {error}") from error


def _open(path: str) -> Any:
    import pyarrow.dataset as ds
    from pyarrow import csv

    files = _list_files(path)
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


def _list_files(path: str) -> list[Path]:
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
        raise MissingInputError(f"no file of prompts at {path}")
    return files
