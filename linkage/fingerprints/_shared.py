# mypy: disable-error-code="untyped-decorator"
"""Which prints several accounts hold, and each prompt as the numbers of those prints.

Most prints are of one account only: the words of a slot, a question asked once. They are dropped
here, exactly, in rounds over a hash table of bounded size.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from linkage.fingerprints._prints import PrintTable

__all__ = ["SharedPrints", "number_shared_prints"]

_EMPTY: Final = -1
_SHARED: Final = -2
_ROUND: Final = 11_000_000  # prints of one round: they fill three quarters of 2^24 places, 200 MB
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)

_U64_IN = types.Array(types.uint64, 1, "C", readonly=True)
_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)


class SharedPrints(NamedTuple):
    """Prompts as numbers of the prints that several accounts hold."""

    values: npt.NDArray[np.uint64]  # (n prints,) sorted; a number is a position here
    offsets: npt.NDArray[np.int64]  # (n prompts + 1,) into numbers
    numbers: npt.NDArray[np.int32]  # in the order of the text


@njit(
    types.int64(
        _U64_IN,
        _I64_IN,
        _I32_IN,
        types.int64,
        types.int64,
        types.uint64[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _mark_shared(
    prints: Any, offsets: Any, codes: Any, part: Any, n_parts: Any, keys: Any, holders: Any
) -> Any:
    """Enter one part of the prints with their holder, or as shared; return -1 if the table is full.

    A print's place in the table and its part come from different bits, so that the outcome (which
    prints have two holders) depends on no order.
    """
    shift = np.uint64(64 - np.int64(np.log2(len(keys))))
    mask = len(keys) - 1
    room = len(keys) * 3 // 4
    for row in range(len(codes)):
        code = codes[row]
        for at in range(offsets[row], offsets[row + 1]):
            value = prints[at]
            if n_parts > 1 and np.int64((value >> np.uint64(32)) % np.uint64(n_parts)) != part:
                continue
            slot = np.int64((value * _MULTIPLIER) >> shift)
            while holders[slot] != _EMPTY and keys[slot] != value:
                slot = (slot + 1) & mask
            if holders[slot] == _EMPTY:
                room -= 1
                if room < 0:
                    return -1
                keys[slot] = value
                holders[slot] = code
            elif holders[slot] != code:
                holders[slot] = _SHARED
    return 0


@njit(
    types.int64(
        _U64_IN,
        _U64_IN,
        types.int64,
        types.int64,
        types.uint64[::1],
        types.int32[::1],
        _I64_IN,
        types.int32[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _renumber(
    values: Any,
    prints: Any,
    first: Any,
    last: Any,
    keys: Any,
    places: Any,
    offsets: Any,
    counts: Any,
    numbers: Any,
) -> Any:
    """Replace the prints of prompts first..last by their numbers; fill the table if it is empty.

    Called once with first == last to fill the table, then for stretches of prompts at a time.
    """
    shift = np.uint64(64 - np.int64(np.log2(len(keys))))
    mask = len(keys) - 1
    if first == last:
        for number in range(len(values)):
            slot = np.int64((values[number] * _MULTIPLIER) >> shift)
            while places[slot] != _EMPTY:
                slot = (slot + 1) & mask
            keys[slot] = values[number]
            places[slot] = number
    written = 0
    for row in range(first, last):
        before = written
        for at in range(offsets[row], offsets[row + 1]):
            value = prints[at]
            slot = np.int64((value * _MULTIPLIER) >> shift)
            while places[slot] != _EMPTY and keys[slot] != value:
                slot = (slot + 1) & mask
            if places[slot] != _EMPTY:
                numbers[written] = places[slot]
                written += 1
        counts[row - first] = written - before
    return written


def number_shared_prints(table: PrintTable, *, threads: int) -> SharedPrints:
    """Drop the prints that one account holds and number the rest.

    Parameters
    ----------
    table : PrintTable
    threads : int

    Returns
    -------
    SharedPrints

    Notes
    -----
    Time is linear in the prints, with one pass for every 11 M of them; memory is 200 MB a thread
    and 24 bytes for every print that is shared.
    """
    values = _find_shared(table, threads)
    size = 1 << max(4, int(2 * len(values)).bit_length())
    keys, places = np.empty(size, np.uint64), np.full(size, _EMPTY, np.int32)
    empty = np.empty(0, np.int32)
    _renumber(values, table.prints, 0, 0, keys, places, table.offsets, empty, empty)

    def renumber(stretch: tuple[int, int]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        first, last = stretch
        counts = np.empty(last - first, np.int32)
        numbers = np.empty(table.offsets[last] - table.offsets[first], np.int32)
        written = _renumber(
            values, table.prints, first, last, keys, places, table.offsets, counts, numbers
        )
        return counts, numbers[:written].copy()

    counts, numbers = [empty], [empty]
    with ThreadPoolExecutor(threads) as pool:
        for part_counts, part_numbers in pool.map(renumber, _stretches(len(table.codes))):
            counts.append(part_counts)
            numbers.append(part_numbers)
    offsets = np.zeros(len(table.codes) + 1, np.int64)
    np.cumsum(np.concatenate(counts), dtype=np.int64, out=offsets[1:])
    return SharedPrints(values, offsets, np.concatenate(numbers))


def _stretches(n_rows: int, length: int = 1 << 18) -> Iterator[tuple[int, int]]:
    for first in range(0, n_rows, length):
        yield first, min(first + length, n_rows)


def _find_shared(table: PrintTable, threads: int) -> npt.NDArray[np.uint64]:
    """Return the sorted prints that at least two accounts hold."""
    n = len(table.prints)
    n_parts = -(-n // _ROUND)
    size = 1 << (24 if n_parts > 1 else max(4, (n * 4 // 3).bit_length()))

    def find(part: int) -> npt.NDArray[np.uint64]:
        keys, holders = np.empty(size, np.uint64), np.full(size, _EMPTY, np.int32)
        full = _mark_shared(table.prints, table.offsets, table.codes, part, n_parts, keys, holders)
        if full:
            raise MemoryError("prints are spread unevenly over the rounds")
        shared: npt.NDArray[np.uint64] = keys[holders == _SHARED]
        return shared

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(find, range(n_parts)))
    values: npt.NDArray[np.uint64] = np.sort(np.concatenate([np.empty(0, np.uint64), *found]))
    return values
