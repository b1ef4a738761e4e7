# mypy: disable-error-code="untyped-decorator"
"""Prompts in the order of their accounts, as every later step reads them."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise, repeat
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from linkage.fingerprints._prints import PrintTable
from linkage.fingerprints._shared import SharedPrints
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["UNSEEN", "Prompts", "number_as_they_come", "sort_prompts"]

UNSEEN: Final = -1
_STRETCHES: Final = 4  # a thread

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_U32_IN = types.Array(types.uint32, 1, "C", readonly=True)


class Prompts(NamedTuple):
    """Prompts with shared prints, account by account and an account's by content."""

    rows: npt.NDArray[np.int64]  # (n,) where each stands in what was read
    codes: npt.NDArray[np.int32]  # (n,) the account
    contents: npt.NDArray[np.uint32]  # (n,)
    times_us: npt.NDArray[np.int64] | None  # (n,) NO_TIME where unknown
    offsets: npt.NDArray[np.int64]  # (n + 1,) into numbers
    numbers: npt.NDArray[np.int32]  # of their prints, in the order of the text
    values: npt.NDArray[np.uint64]  # (n prints,) the print of each number
    distinct: npt.NDArray[np.int64]  # places of different texts, so many an account, ascending


@njit(
    types.void(_I32_IN, _I64_IN, types.int64[::1], _U32_IN, types.uint64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _deal(codes: Any, offsets: Any, ends: Any, contents: Any, keys: Any) -> None:
    """Write content and row of each prompt with prints to its account; `ends` moves along."""
    for row in range(len(codes)):
        if offsets[row + 1] > offsets[row]:
            keys[ends[codes[row]]] = (np.uint64(contents[row]) << np.uint64(32)) | np.uint64(row)
            ends[codes[row]] += 1


@njit(
    types.void(_I64_IN, types.int64, types.int64, types.uint64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _sort(starts: Any, first: Any, last: Any, keys: Any) -> None:
    """Sort the prompts of each of the accounts first..last."""
    for code in range(first, last):
        if starts[code + 1] - starts[code] > 1:
            keys[starts[code] : starts[code + 1]].sort()


@njit(
    types.void(_I64_IN, _I64_IN, _I32_IN, _I64_IN, types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _copy(rows: Any, old_offsets: Any, old_numbers: Any, offsets: Any, numbers: Any) -> None:
    """Copy the prints of some rows to where they belong."""
    for place in range(len(rows)):
        n = offsets[place]
        for at in range(old_offsets[rows[place]], old_offsets[rows[place] + 1]):
            numbers[n] = old_numbers[at]
            n += 1


@njit(types.void(types.int32[::1], types.int32[::1]), nogil=True, cache=True, error_model="numpy")
def number_as_they_come(numbers: Any, ranks: Any) -> None:
    """Give prints new numbers as they come, in place; `ranks` is UNSEEN, then each one's number."""
    n = 0
    for at in range(len(numbers)):
        rank = ranks[numbers[at]]
        if rank == UNSEEN:
            rank = n
            ranks[numbers[at]] = rank
            n += 1
        numbers[at] = rank


def sort_prompts(
    table: PrintTable, shared: SharedPrints, config: FingerprintConfig, *, threads: int
) -> Prompts:
    """Put prompts in the order of their accounts and leave out those without shared prints.

    Parameters
    ----------
    table : PrintTable
    shared : SharedPrints
    config : FingerprintConfig
    threads : int

    Returns
    -------
    Prompts
        The same, but for `rows`, in whatever order the prompts came: which of an account's
        different texts are taken depends on their hashes. Prints are numbered as they come here,
        so that those of one template lie together.
    """
    lengths = np.diff(shared.offsets)
    n_codes = int(table.codes.max(initial=-1)) + 1
    starts = np.zeros(n_codes + 1, np.int64)
    np.cumsum(np.bincount(table.codes[lengths > 0], minlength=n_codes), out=starts[1:])
    keys = np.empty(starts[-1], np.uint64)
    _deal(table.codes, shared.offsets, starts[:-1].copy(), table.contents, keys)
    with ThreadPoolExecutor(threads) as pool:
        cuts = np.searchsorted(starts, np.linspace(0, len(keys), _STRETCHES * threads + 1)).tolist()
        deque(pool.map(partial(_sort, starts), cuts[:-1], cuts[1:], repeat(keys)), maxlen=0)
        rows = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        contents = (keys >> np.uint64(32)).astype(np.uint32)
        codes = np.repeat(np.arange(n_codes, dtype=np.int32), np.diff(starts))
        del keys
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths[rows], out=offsets[1:])
        numbers = np.empty_like(shared.numbers)

        def copy(cut: tuple[int, int]) -> None:
            part = slice(*cut)
            _copy(rows[part], shared.offsets, shared.numbers, offsets[part], numbers)

        cuts = np.linspace(0, len(rows), _STRETCHES * threads + 1).astype(np.int64).tolist()
        deque(pool.map(copy, pairwise(cuts)), maxlen=0)
    ranks = np.full(len(shared.values), UNSEEN, np.int32)
    number_as_they_come(numbers, ranks)
    values = np.empty_like(shared.values)
    values[ranks] = shared.values
    return Prompts(
        rows=rows,
        codes=codes,
        contents=contents,
        times_us=None if table.times_us is None else table.times_us[rows],
        offsets=offsets,
        numbers=numbers,
        values=values,
        distinct=_take_distinct(codes, contents, config.max_prompts_an_account),
    )


def _take_distinct(
    codes: npt.NDArray[np.int32], contents: npt.NDArray[np.uint32], n: int
) -> npt.NDArray[np.int64]:
    """Return the places of at most n different texts of each account: those of lowest hash."""
    is_new = np.ones(len(codes), bool)
    is_new[1:] = (codes[1:] != codes[:-1]) | (contents[1:] != contents[:-1])
    distinct = np.flatnonzero(is_new)
    starts = np.flatnonzero(np.diff(codes[distinct], prepend=-1))
    rank = np.arange(len(distinct)) - np.repeat(starts, np.diff(starts, append=len(distinct)))
    return distinct[rank < n]
