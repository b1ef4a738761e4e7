"""Gets back to the texts of a few prompts, without ever writing text anywhere.

A source that can be read twice is read again; of a stream that cannot, a sample by hash is kept in
memory while it passes.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linkage.fingerprints._source import BatchColumns, iterate_batches, read_columns

__all__ = ["TextSample", "can_be_read_twice", "make_reader"]

_ROWS: Final = 20_000
_BYTES: Final = 64 << 20


def can_be_read_twice(source: Any) -> bool:
    """Return whether iterating over a source again gives its rows again.

    Examples
    --------
    >>> can_be_read_twice([]), can_be_read_twice(iter([]))
    (True, False)
    """
    if isinstance(source, pa.Table | pa.RecordBatch) or hasattr(source, "iloc"):
        return True
    if isinstance(source, pa.RecordBatchReader) or not isinstance(source, Iterable):
        return False
    return iter(source) is not source


class TextSample:
    """Texts whose hash is small; which ones does not depend on the order in which they come."""

    __slots__ = ("_hashes", "_limit", "_rows", "_texts")

    def __init__(self) -> None:
        self._limit = 1 << 32
        self._rows = np.empty(0, np.int64)
        self._hashes = np.empty(0, np.uint32)
        self._texts: pa.Array = pa.array([], pa.large_string())

    def add(self, columns: BatchColumns, hashes: npt.NDArray[np.uint32], first_row: int) -> None:
        """Take a piece of the stream whose rows are numbered from `first_row`."""
        places = np.flatnonzero(hashes < self._limit)
        self._rows = np.concatenate([self._rows, first_row + places])
        self._hashes = np.concatenate([self._hashes, hashes[places]])
        self._texts = pa.concat_arrays([self._texts, columns.prompts.take(pa.array(places))])
        while len(self._rows) > _ROWS or (self._texts.nbytes > _BYTES and len(self._rows) > 1):
            self._limit >>= 1
            places = np.flatnonzero(self._hashes < self._limit)
            self._rows, self._hashes = self._rows[places], self._hashes[places]
            self._texts = self._texts.take(pa.array(places))

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Rows in the sample, ascending."""
        return self._rows

    def fetch(self, rows: npt.NDArray[np.int64]) -> pa.Array:
        """Return the texts of some rows of the sample."""
        return self._texts.take(pa.array(np.searchsorted(self._rows, rows)))


def make_reader(source: Any) -> Callable[[npt.NDArray[np.int64]], pa.Array]:
    """Make a function that reads a source again for the texts of some rows.

    Parameters
    ----------
    source : Any
        What `can_be_read_twice`.

    Returns
    -------
    callable
        From sorted rows, numbered as in the first reading, to a large_string array.
    """

    def fetch(rows: npt.NDArray[np.int64]) -> pa.Array:
        found, first = [pa.array([], pa.large_string())], 0
        for batch in iterate_batches(source) if len(rows) else ():
            for piece in read_columns(batch):
                low, high = np.searchsorted(rows, [first, first + len(piece.prompts)])
                found.append(piece.prompts.take(pa.array(rows[low:high] - first)))
                first += len(piece.prompts)
        return pc.fill_null(pa.concat_arrays(found), "")

    return fetch
