"""Gets back to the texts of a few prompts, without ever writing text anywhere.

A sample by hash is kept in memory while prompts pass. Where it has too few examples, a source that
can be read twice is read again.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linkage.fingerprints._source import BatchColumns, iterate_batches, read_columns

__all__ = ["TextSample", "can_be_read_twice", "make_reader"]

_ROWS: Final = 100_000
_BYTES: Final = 64 << 20
_EVERY: Final = 1 << 32  # no hash of a text is higher
_ROOM: Final = 16  # bytes that a text takes beside its letters


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

    __slots__ = ("_hashes", "_limit", "_n_bytes", "_n_rows", "_rows", "_texts")

    def __init__(self) -> None:
        self._limit = _EVERY
        self._rows = [np.empty(0, np.int64)]
        self._hashes = [np.empty(0, np.uint32)]
        self._texts = [pa.array([], pa.large_string())]
        self._n_rows = self._n_bytes = 0

    def add(self, columns: BatchColumns, hashes: npt.NDArray[np.uint32], first_row: int) -> None:
        """Take a piece of the stream whose rows are numbered from `first_row`."""
        places = np.flatnonzero(hashes < self._limit)
        self._keep(first_row + places, hashes[places], columns.prompts.take(pa.array(places)))
        while self._n_rows > _ROWS or (self._n_bytes > _BYTES and self._n_rows > 1):
            self._limit >>= 1
            self._gather()
            rows, hashes, texts = self._rows.pop(), self._hashes.pop(), self._texts.pop()
            places = np.flatnonzero(hashes < self._limit)
            self._n_rows = self._n_bytes = 0
            self._keep(rows[places], hashes[places], texts.take(pa.array(places)))

    def _keep(
        self, rows: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint32], texts: pa.Array
    ) -> None:
        self._rows.append(rows)
        self._hashes.append(hashes)
        self._texts.append(texts)
        self._n_rows += len(rows)
        # not `nbytes`, which depends on the batches: which texts stay must not
        self._n_bytes += _ROOM * len(rows) + (pc.sum(pc.binary_length(texts)).as_py() or 0)

    def _gather(self) -> None:
        self._rows = [np.concatenate(self._rows)]
        self._hashes = [np.concatenate(self._hashes)]
        self._texts = [pa.concat_arrays(self._texts)]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Rows in the sample, ascending."""
        self._gather()
        return self._rows[0]

    @property
    def is_whole(self) -> bool:
        """Whether every text that came is in the sample."""
        return self._limit == _EVERY

    def fetch(self, rows: npt.NDArray[np.int64]) -> pa.Array:
        """Return the texts of some rows of the sample."""
        self._gather()
        return self._texts[0].take(pa.array(np.searchsorted(self._rows[0], rows)))

    def settle(
        self,
        picked: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        firsts: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Return the rows in which texts were sent.

        Prompts of the same words may differ in case and signs; which of them is shown must not
        depend on the order in which they came. It is the one that sorts first.

        Parameters
        ----------
        picked : ndarray of int64
            Texts; -1 for none. The sample was drawn by the hashes of their words: all prompts of
            a text are in it, or none.
        rows : ndarray of int64, shape (n prompts,)
            Where each prompt stands in what was read, text by text.
        firsts : ndarray of int64, shape (n texts + 1,)
            Where each text begins in `rows`.

        Returns
        -------
        ndarray of int64
            Rows of the sample; -1 for none.
        """
        settled = np.full_like(picked, -1)
        is_text = picked >= 0
        wanted, which = np.unique(picked[is_text], return_inverse=True)
        n_sent = firsts[wanted + 1] - firsts[wanted]
        text = np.repeat(np.arange(len(wanted)), n_sent)
        ahead = np.cumsum(n_sent) - n_sent
        rows = rows[np.arange(len(text)) + (firsts[wanted] - ahead)[text]]
        by_row = np.argsort(rows)
        sent = pa.table({"text": text[by_row], "letters": self.fetch(rows[by_row])})
        order = pc.sort_indices(sent, [("text", "ascending"), ("letters", "ascending")]).to_numpy()
        settled[is_text] = rows[by_row][order[ahead]][which]
        return settled


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
