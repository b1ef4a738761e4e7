# mypy: disable-error-code="untyped-decorator"
"""Which prints several accounts hold, and each prompt as the numbers of those prints.

Most prints are of one account only: the words of a slot, a question asked once. They are dropped
here, exactly. What accounts share is learned from some texts of each, and looked for in all: busy
accounts share phrases by chance, and the more so, the more they say.

Prints are dealt into piles by their values, and each pile is looked through by itself: a hash table
of all prints would miss every cache there is.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from linkage.fingerprints._prints import PrintTable

__all__ = ["SharedPrints", "number_shared_prints"]

_EMPTY: Final = -1
_SHARED: Final = -2
_ROUND: Final = 1 << 26  # prints that are dealt at a time, 12 bytes each
_PILES: Final = 2_048  # of one round; a pile and its table fit into a core's own cache
_BLOCK: Final = 256  # prints that are looked up together
_ROWS: Final = 1 << 18  # prompts that are read at a time
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)

_U64_IN = types.Array(types.uint64, 1, "C", readonly=True)
_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_BOOL_IN = types.Array(types.boolean, 1, "C", readonly=True)


class SharedPrints(NamedTuple):
    """Prompts as numbers of the prints that several accounts hold."""

    values: npt.NDArray[np.uint64]  # (n prints,) sorted; a number is a position here
    offsets: npt.NDArray[np.int64]  # (n prompts + 1,) into numbers
    numbers: npt.NDArray[np.int32]  # in the order of the text


class _Dealt(NamedTuple):
    """Prints of some prompts and their accounts, pile by pile."""

    prints: npt.NDArray[np.uint64]
    codes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]  # (n piles + 1,)


@njit(types.int64(types.uint64, types.uint64), inline="always")
def _find_pile(value: Any, n_piles: Any) -> Any:
    """Return which of the piles of all rounds a print goes to; they are in the order of values."""
    return np.int64(((value >> np.uint64(32)) * n_piles) >> np.uint64(32))


@njit(
    types.void(_U64_IN, _I64_IN, _BOOL_IN, types.uint64, types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _measure_piles(prints: Any, offsets: Any, is_taken: Any, n_piles: Any, sizes: Any) -> None:
    """Count the prints of each pile of all rounds."""
    for row in range(len(is_taken)):
        if is_taken[row]:
            for at in range(offsets[row] - offsets[0], offsets[row + 1] - offsets[0]):
                sizes[_find_pile(prints[at], n_piles)] += 1


@njit(
    types.void(
        _U64_IN,
        _I64_IN,
        _BOOL_IN,
        _I32_IN,
        types.int64,
        types.uint64,
        types.int64[::1],
        types.uint64[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _deal(
    prints: Any,
    offsets: Any,
    is_taken: Any,
    codes: Any,
    first_pile: Any,
    n_piles: Any,
    ends: Any,
    dealt: Any,
    dealt_codes: Any,
) -> None:
    """Write the prints of a round and their accounts, pile by pile; `ends` moves along."""
    for row in range(len(codes)):
        if not is_taken[row]:
            continue
        for at in range(offsets[row] - offsets[0], offsets[row + 1] - offsets[0]):
            pile = _find_pile(prints[at], n_piles) - first_pile
            if 0 <= pile < len(ends):
                dealt[ends[pile]] = prints[at]
                dealt_codes[ends[pile]] = codes[row]
                ends[pile] += 1


@njit(
    types.void(_U64_IN, _I32_IN, types.uint64[::1], types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _mark_shared(prints: Any, codes: Any, keys: Any, holders: Any) -> None:
    """Enter prints into a table, with their holder or as shared."""
    mask = len(keys) - 1
    shift = np.uint64(64 - np.int64(np.log2(len(keys))))
    for at in range(len(prints)):
        slot = np.int64((prints[at] * _MULTIPLIER) >> shift)
        while holders[slot] != _EMPTY and keys[slot] != prints[at]:
            slot = (slot + 1) & mask
        if holders[slot] == _EMPTY:
            keys[slot], holders[slot] = prints[at], codes[at]
        elif holders[slot] != codes[at]:
            holders[slot] = _SHARED


@njit(
    types.int64(
        _U64_IN,
        _U64_IN,
        types.uint64[:, ::1],
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
    table: Any,
    offsets: Any,
    counts: Any,
    numbers: Any,
) -> Any:
    """Replace the prints of some prompts by their numbers.

    Called once without prompts to fill the table of prints and their numbers, which come to hand
    together, then for stretches of prompts at a time.
    """
    shift = np.uint64(64 - np.int64(np.log2(len(table))))
    mask = len(table) - 1
    if len(counts) == 0:
        for number in range(len(values)):
            slot = np.int64((values[number] * _MULTIPLIER) >> shift)
            while table[slot, 0] != 0:
                slot = (slot + 1) & mask
            table[slot, 0], table[slot, 1] = values[number], number
    found = np.empty(len(prints), np.int32)
    slots, seen = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.uint64)
    for first in range(0, len(prints), _BLOCK):
        n = min(_BLOCK, len(prints) - first)
        for i in range(n):  # looked up one after the other, they wait for memory together
            slots[i] = np.int64((prints[first + i] * _MULTIPLIER) >> shift)
            seen[i] = table[slots[i], 0]
        for i in range(n):
            slot, key, value = slots[i], seen[i], prints[first + i]
            while key != value and key != 0:  # noqa: PLR1714 - no tuples in loops
                slot = (slot + 1) & mask
                key = table[slot, 0]
            found[first + i] = np.int32(table[slot, 1]) if key != 0 else _EMPTY
    written = 0
    for row in range(len(counts)):
        before = written
        for at in range(offsets[row] - offsets[0], offsets[row + 1] - offsets[0]):
            numbers[written] = found[at]
            written += found[at] != _EMPTY
        counts[row] = written - before
    return written


def number_shared_prints(
    table: PrintTable, is_taken: npt.NDArray[np.bool_], *, threads: int
) -> SharedPrints:
    """Drop the prints that one account holds and number the rest.

    Parameters
    ----------
    table : PrintTable
    is_taken : ndarray of bool, shape (n prompts,)
        The prompts by which a print is known to be shared; it is then looked for in all.
    threads : int

    Returns
    -------
    SharedPrints

    Notes
    -----
    Time is linear in the prints, with one pass for every 67 M that are taken; memory is 800 MB,
    then 24 to 48 bytes for every print that is shared.
    """
    values = _find_shared(table, is_taken, threads)
    size = 1 << max(4, (2 * len(values)).bit_length())
    numbered = np.empty((size, 2), np.uint64)
    numbered.fill(0)  # not made of zeros: those come in small pages, which take longer to look up
    empty = np.empty(0, np.int32)
    _renumber(values, values[:0], numbered, table.offsets, empty, empty)

    def renumber(stretch: tuple[int, int]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        first, last = stretch
        prints, offsets = _read(table, first, last)
        counts, numbers = np.empty(last - first, np.int32), np.empty(len(prints), np.int32)
        written = _renumber(values, prints, numbered, offsets, counts, numbers)
        return counts, numbers[:written].copy()

    counts, numbers = [empty], [empty]
    with ThreadPoolExecutor(threads) as pool:
        for part_counts, part_numbers in pool.map(renumber, _stretches(len(table.codes))):
            counts.append(part_counts)
            numbers.append(part_numbers)
    offsets = np.zeros(len(table.codes) + 1, np.int64)
    np.cumsum(np.concatenate(counts), dtype=np.int64, out=offsets[1:])
    return SharedPrints(values, offsets, np.concatenate(numbers))


def _stretches(n_rows: int) -> Iterator[tuple[int, int]]:
    for first in range(0, n_rows, _ROWS):
        yield first, min(first + _ROWS, n_rows)


def _read(
    table: PrintTable, first: int, last: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the prints of some prompts, and where each prompt's begin and end, in the table."""
    offsets = table.offsets[first : last + 1]
    return table.prints.read(int(offsets[0]), int(offsets[-1])), offsets


def _find_shared(
    table: PrintTable, is_taken: npt.NDArray[np.bool_], threads: int
) -> npt.NDArray[np.uint64]:
    """Return the sorted prints that the prompts taken of at least two accounts hold."""
    n_rounds = -(-int(np.diff(table.offsets)[is_taken].sum()) // _ROUND)
    n_piles = np.uint64(n_rounds * _PILES)
    found = [np.empty(0, np.uint64)]

    def look_through(stretches: list[_Dealt], pile: int) -> npt.NDArray[np.uint64]:
        parts = [slice(one.starts[pile], one.starts[pile + 1]) for one in stretches]
        prints = np.concatenate(
            [one.prints[part] for one, part in zip(stretches, parts, strict=True)]
        )
        codes = np.concatenate(
            [one.codes[part] for one, part in zip(stretches, parts, strict=True)]
        )
        size = 1 << max(4, (len(prints) * 4 // 3).bit_length())
        keys, holders = np.empty(size, np.uint64), np.full(size, _EMPTY, np.int32)
        _mark_shared(prints, codes, keys, holders)
        return np.sort(keys[holders == _SHARED])

    def measure(stretch: tuple[int, int]) -> npt.NDArray[np.int32]:
        sizes = np.zeros(n_rounds * _PILES, np.int32)
        _measure_piles(*_read(table, *stretch), is_taken[slice(*stretch)], n_piles, sizes)
        return sizes

    with ThreadPoolExecutor(threads) as pool:
        sizes = [*pool.map(measure, _stretches(len(table.codes)))]
        for first_pile in range(0, n_rounds * _PILES, _PILES):

            def deal(
                stretch: tuple[int, int],
                sizes: npt.NDArray[np.int32],
                first_pile: int = first_pile,
            ) -> _Dealt:
                prints, offsets = _read(table, *stretch)
                starts = np.zeros(_PILES + 1, np.int64)
                np.cumsum(sizes[first_pile : first_pile + _PILES], out=starts[1:])
                dealt = _Dealt(
                    np.empty(starts[-1], np.uint64), np.empty(starts[-1], np.int32), starts
                )
                part, ends = slice(*stretch), starts[:-1].copy()
                whose = is_taken[part], table.codes[part]
                _deal(prints, offsets, *whose, first_pile, n_piles, ends, *dealt[:2])
                return dealt

            stretches = [*pool.map(deal, _stretches(len(table.codes)), sizes)]
            shared = pool.map(partial(look_through, stretches), range(_PILES))
            # small arrays that stay would keep the room between them from being given back
            found.append(np.concatenate([*shared]))
            del stretches
    return np.concatenate(found)
