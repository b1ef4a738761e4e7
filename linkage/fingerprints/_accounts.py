# mypy: disable-error-code="untyped-decorator"
"""Accounts as numbers, in the order of their values, in the type in which they came."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit, types

from linkage.errors import SchemaError
from linkage.fingerprints._source import view_text
from linkage.fingerprints._winnow import hash_texts

__all__ = ["AccountCodes", "hash_accounts"]

_FEWEST: Final = 1 << 12  # places of the table at first
_BLOCK: Final = 256  # accounts that are looked up together

_U64_IN = types.Array(types.uint64, 1, "C", readonly=True)


@njit(
    types.int64(_U64_IN, types.uint64[:, ::1], types.int64, types.int32[::1], types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _number(hashes: Any, table: Any, n: Any, numbers: Any, new: Any) -> Any:
    """Give accounts numbers as they come, from `n` on; return how many there are then.

    `table` has a hash and a number, which begin at 1, in each place; at least half of them are
    empty at the end. `new` receives the row of each account that had not come before.
    """
    mask = np.uint64(len(table) - 1)
    seen, n_before = np.empty(_BLOCK, np.uint64), n
    for first in range(0, len(hashes), _BLOCK):
        last = min(first + _BLOCK, len(hashes))
        for row in range(first, last):  # looked up one after the other, they wait together
            seen[row - first] = table[hashes[row] & mask, 0]
        for row in range(first, last):
            place = hashes[row] & mask
            if seen[row - first] == hashes[row] and table[place, 1] != 0:
                numbers[row] = np.int32(table[place, 1]) - 1
                continue
            while table[place, 1] != 0 and table[place, 0] != hashes[row]:
                place = (place + np.uint64(1)) & mask
            if table[place, 1] == 0:
                new[n - n_before] = row
                n += 1
                table[place, 0], table[place, 1] = hashes[row], n
            numbers[row] = np.int32(table[place, 1]) - 1
    return n


def hash_accounts(accounts: pa.Array, seeds: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return what stands for each account while they are numbered.

    Parameters
    ----------
    accounts : pyarrow.Array
        Text or integers, without nulls.
    seeds : ndarray of uint64, shape (4,)
        As derived from the case's key.

    Returns
    -------
    ndarray of uint64
        A hash of a text, of 64 bits: of a million accounts two are one with a probability of 3 in
        100 million. Integers stand for themselves.
    """
    if pa.types.is_integer(accounts.type):
        whole: npt.NDArray[np.int64] = accounts.to_numpy(zero_copy_only=False).astype(np.int64)
        return whole.view(np.uint64)
    data, starts, ends = view_text(accounts.cast(pa.large_string()))
    hashes = np.empty(len(starts), np.uint64)
    hash_texts(data, starts, ends, seeds, hashes)
    return hashes


class AccountCodes:
    """Numbers accounts in the order of their values and keeps the type in which they came."""

    __slots__ = ("_n", "_names", "_parts", "_table", "type")

    def __init__(self) -> None:
        self.type: pa.DataType | None = None
        self._n = 0
        self._names: list[pa.Array] = []  # texts, in the order in which they came
        self._parts: list[npt.NDArray[Any]] = []  # numbers, or integers as they came
        self._table = np.zeros((_FEWEST, 2), np.uint64)

    def append(self, accounts: pa.Array, hashes: npt.NDArray[np.uint64]) -> None:
        """Take one batch's accounts, without nulls, and what `hash_accounts` says of them.

        Raises
        ------
        SchemaError
            If their type is not that of the batches before.
        """
        if self.type is None:
            self.type = accounts.type
        if accounts.type != self.type:
            raise SchemaError(
                f"account_id came as {self.type} and then as {accounts.type}; cast it to one type"
            )
        if pa.types.is_integer(accounts.type):
            self._parts.append(hashes.view(np.int64))
            return
        self._make_room(self._n + len(hashes))
        numbers, new = np.empty(len(hashes), np.int32), np.empty(len(hashes), np.int32)
        n_before, self._n = self._n, _number(hashes, self._table, self._n, numbers, new)
        if self._n > n_before:
            self._names.append(accounts.take(pa.array(new[: self._n - n_before])))
        self._parts.append(numbers)

    def _make_room(self, n: int) -> None:
        """Make the table so large that half of it stays empty."""
        size = len(self._table)
        if size >= 2 * n:
            return
        is_used = self._table[:, 1] > 0
        hashes = self._table[is_used, 0][np.argsort(self._table[is_used, 1])]
        self._table = np.zeros((1 << (2 * n - 1).bit_length(), 2), np.uint64)
        nothing = np.empty(len(hashes), np.int32)
        _number(hashes, self._table, 0, nothing, nothing.copy())

    def finish(self) -> tuple[npt.NDArray[np.int32], pa.Array]:
        """Return the code of every row and the accounts in code order (sorted)."""
        raw = np.concatenate(self._parts) if self._parts else np.empty(0, np.int64)
        self._parts = []
        kind = self.type if self.type is not None else pa.string()
        if pa.types.is_integer(kind):
            values, codes = _rank_integers(raw)
            return codes, pa.array(values).cast(kind)
        names = pa.concat_arrays(self._names) if self._names else pa.array([], kind)
        order = pc.array_sort_indices(names).to_numpy()
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return rank[raw], names.take(pa.array(order))


def _rank_integers(
    raw: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the sorted distinct values and each row's place among them."""
    if len(raw) and raw.min() >= 0 and raw.max() < 4 * len(raw) + 65_536:
        is_there = np.zeros(int(raw.max()) + 1, bool)
        is_there[raw] = True
        rank = (np.cumsum(is_there) - 1).astype(np.int32)
        return np.flatnonzero(is_there).astype(np.int64), rank[raw]
    values, inverse = np.unique(raw, return_inverse=True)
    return values, inverse.astype(np.int32)
