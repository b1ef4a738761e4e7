"""Reads prompts from whatever holds them: record batches, tables, frames, streams, files."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.errors import InputError, SchemaError

__all__ = ["NO_TIME", "BatchColumns", "TextBuffers", "iterate_batches", "read_columns", "view_text"]

NO_TIME = np.iinfo(np.int64).min  # stands for an absent timestamp, as in numpy's NaT

_ROWS = 65_536  # a batch is cut into pieces of at most so many rows
_BYTES = 64 << 20  # and about so many bytes of text


class BatchColumns(NamedTuple):
    """The columns of one batch, checked and cast."""

    accounts: pa.Array
    prompts: pa.Array  # large_string
    times_us: npt.NDArray[np.int64] | None  # microseconds since 1970, NO_TIME where null
    n_dropped: int  # rows without an account, left out


class TextBuffers(NamedTuple):
    """A string array's own memory."""

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]  # equal to starts where null


def iterate_batches(source: Any) -> Iterator[pa.RecordBatch]:
    """Yield record batches from an Arrow, pandas or polars table, a stream, or an iterable of them.

    Parameters
    ----------
    source : Table, RecordBatch, frame, object with ``__arrow_c_stream__``, or iterable of these
        Columns account_id, prompt and, optionally, ts.

    Yields
    ------
    pyarrow.RecordBatch

    Raises
    ------
    InputError
        If something else comes.
    """
    if isinstance(source, pa.RecordBatch):
        yield source
    elif isinstance(source, pa.Table):
        yield from _keep_columns(source).to_batches(max_chunksize=_ROWS)
    elif hasattr(source, "iloc"):
        columns = [name for name in ("account_id", "prompt", "ts") if name in source.columns]
        yield from iterate_batches(pa.Table.from_pandas(source[columns], preserve_index=False))
    elif hasattr(source, "__arrow_c_stream__"):
        yield from pa.RecordBatchReader.from_stream(source)
    elif isinstance(source, Iterable) and not isinstance(source, str | bytes | dict):
        for part in source:
            yield from iterate_batches(part)
    else:
        raise InputError(
            "prompts must come as a pyarrow, pandas or polars table, an Arrow stream or an "
            f"iterable of record batches, not as {type(source).__name__}"
        )


def _keep_columns(table: pa.Table) -> pa.Table:
    return table.select([n for n in ("account_id", "prompt", "ts") if n in table.column_names])


def read_columns(batch: pa.RecordBatch) -> Iterator[BatchColumns]:
    """Check and cast one batch and cut it into pieces of bounded size.

    Parameters
    ----------
    batch : pyarrow.RecordBatch

    Yields
    ------
    BatchColumns
        Rows in their order; together all of the batch that have an account.

    Raises
    ------
    SchemaError
        If a column is missing or of a type that cannot be read.
    """
    names = batch.schema.names
    missing = [name for name in ("account_id", "prompt") if name not in names]
    if missing:
        raise SchemaError(f"prompts lack the columns {missing}; there are {names}")
    accounts = _plain(batch.column("account_id"))
    if not (pa.types.is_integer(accounts.type) or _is_text(accounts.type)):
        raise SchemaError(f"account_id must be text or integers, not {accounts.type}")
    prompts = _plain(batch.column("prompt"))
    if pa.types.is_null(prompts.type):
        prompts = prompts.cast(pa.large_string())
    if not _is_text(prompts.type):
        raise SchemaError(f"prompt must be text, not {prompts.type}")
    prompts = prompts.cast(pa.large_string())
    times = _read_times(_plain(batch.column("ts"))) if "ts" in names else None
    n_dropped = accounts.null_count
    if n_dropped:
        is_owned = accounts.is_valid()
        accounts, prompts = accounts.filter(is_owned), prompts.filter(is_owned)
        times = None if times is None else times[is_owned.to_numpy(zero_copy_only=False)]
    for start, stop in _cut(prompts):
        yield BatchColumns(
            accounts[start:stop],
            prompts[start:stop],
            None if times is None else times[start:stop],
            n_dropped if start == 0 else 0,
        )


def _plain(column: pa.Array) -> pa.Array:
    """Return a column decoded from dictionary or view; Arrow cannot take from views."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _read_times(column: pa.Array) -> npt.NDArray[np.int64] | None:
    if pa.types.is_null(column.type):
        return None
    if _is_text(column.type):
        column = _parse_times(column)
    if not pa.types.is_timestamp(column.type):
        raise SchemaError(f"ts must be a timestamp, not {column.type}")
    micros = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(pa.int64())
    return np.asarray(micros.fill_null(int(NO_TIME)).to_numpy(zero_copy_only=False), np.int64)


def _parse_times(column: pa.Array) -> pa.Array:
    """Read ISO 8601, with or without an offset from UTC."""
    try:
        return column.cast(pa.timestamp("us", tz="UTC"))
    except pa.ArrowInvalid:
        try:
            return column.cast(pa.timestamp("us"))
        except pa.ArrowInvalid as error:
            raise SchemaError(f"ts must be a timestamp or ISO 8601: {error}") from error


def _cut(prompts: pa.Array) -> Iterator[tuple[int, int]]:
    """Yield row ranges of at most _ROWS rows and, unless one text is longer, _BYTES bytes."""
    offsets = _view_offsets(prompts)
    start, n = 0, len(prompts)
    if n == 0:
        yield 0, 0
    while start < n:
        stop = int(np.searchsorted(offsets, offsets[start] + _BYTES, side="right")) - 1
        stop = min(max(stop, start + 1), start + _ROWS, n)
        yield start, stop
        start = stop


def _view_offsets(texts: pa.Array) -> npt.NDArray[np.int64]:
    offsets = np.frombuffer(texts.buffers()[1] or bytes(8), np.int64)
    return offsets[texts.offset : texts.offset + len(texts) + 1]


def view_text(texts: pa.Array) -> TextBuffers:
    """View the memory of a large_string array without copying it.

    Parameters
    ----------
    texts : pyarrow.LargeStringArray
        May be a slice and may hold nulls.

    Returns
    -------
    TextBuffers
        Bytes of exactly these rows, and where each row lies in them.
    """
    offsets = _view_offsets(texts)
    buffer = texts.buffers()[2]
    data = np.frombuffer(buffer, np.uint8) if buffer is not None else np.empty(0, np.uint8)
    low, high = int(offsets[0]), int(offsets[-1])
    starts, ends = offsets[:-1] - low, offsets[1:] - low
    if texts.null_count:
        ends = np.where(texts.is_null().to_numpy(zero_copy_only=False), starts, ends)
    return TextBuffers(data[low:high], starts, ends)
