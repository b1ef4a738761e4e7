"""Reads prompts from Parquet, CSV and JSON Lines, batch by batch, as often as asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from linkage.datafiles import read_batches

__all__ = ["PromptFiles"]


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
        names = {name: self.columns.get(name, name) for name in ("account_id", "prompt")}
        time = {"ts": self.columns.get("ts", "ts")}
        if "ts" in self.columns:  # it was asked for
            names, time = names | time, {}
        yield from read_batches(self.path, names, optional=time, what="prompts")
