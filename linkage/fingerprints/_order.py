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

__all__ = [
    "UNSEEN",
    "Ordered",
    "Prompts",
    "number_as_they_come",
    "order_texts",
    "sort_each",
    "sort_prompts",
]

UNSEEN: Final = -1
_STRETCHES: Final = 4  # a thread

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_U32_IN = types.Array(types.uint32, 1, "C", readonly=True)


class Ordered(NamedTuple):
    """All prompts in order: an account's texts, and the prompts in which each was sent.

    Texts of the same words are one text. They are ordered by account and within an account by
    content, a hash of the words of 32 bits: of an account with 1,000 texts, two pass for one with a
    probability of 1 in 8,600.
    """

    rows: npt.NDArray[np.uint32]  # (n prompts,) where each stands in what was read, text by text
    firsts: npt.NDArray[np.int64]  # (n texts + 1,) into rows
    codes: npt.NDArray[np.int32]  # (n texts,) the account
    places: npt.NDArray[np.int32]  # (n texts,) among those of the account

    def take(self, n: int) -> npt.NDArray[np.bool_]:
        """Return, by row, which prompts are of the first so many texts of their account.

        Which texts these are depends on their hashes, not on the order in which they came.
        """
        is_taken = np.empty(len(self.rows), bool)
        is_taken[self.rows] = np.repeat(self.places < n, np.diff(self.firsts))
        return is_taken


class Prompts(NamedTuple):
    """Prompts with shared prints, in the same order; a text's prints are kept once."""

    rows: npt.NDArray[np.int64]  # (n prompts,) where each stands in what was read, text by text
    times_us: npt.NDArray[np.int64] | None  # (n prompts,) NO_TIME where unknown
    firsts: npt.NDArray[np.int64]  # (n texts + 1,) into prompts
    codes: npt.NDArray[np.int32]  # (n texts,) the account
    contents: npt.NDArray[np.uint32]  # (n texts,)
    offsets: npt.NDArray[np.int64]  # (n texts + 1,) into numbers
    numbers: npt.NDArray[np.int32]  # of their prints, in the order of the text
    values: npt.NDArray[np.uint64]  # (n prints,) the print of each number
    taken: npt.NDArray[np.int64]  # texts by which prints may join: so many an account


@njit(
    types.void(_I32_IN, types.int64[::1], _U32_IN, types.uint64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _deal(codes: Any, ends: Any, contents: Any, keys: Any) -> None:
    """Write content and row of each prompt to its account; `ends` moves along."""
    for row in range(len(codes)):
        keys[ends[codes[row]]] = (np.uint64(contents[row]) << np.uint64(32)) | np.uint64(row)
        ends[codes[row]] += 1


@njit(
    [
        types.void(_I64_IN, types.int64, types.int64, types.uint64[::1]),
        types.void(_I64_IN, types.int64, types.int64, types.int32[::1]),
    ],
    nogil=True,
    cache=True,
    error_model="numpy",
)
def sort_each(starts: Any, first: Any, last: Any, keys: Any) -> None:
    """Sort what each of the accounts first..last has, where it lies."""
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


def order_texts(table: PrintTable, *, threads: int) -> Ordered:
    """Put all prompts in the order of their accounts and texts.

    Parameters
    ----------
    table : PrintTable
    threads : int

    Returns
    -------
    Ordered
    """
    n_codes = int(table.codes.max(initial=-1)) + 1
    starts = np.zeros(n_codes + 1, np.int64)
    np.cumsum(np.bincount(table.codes, minlength=n_codes), out=starts[1:])
    keys = np.empty(starts[-1], np.uint64)
    _deal(table.codes, starts[:-1].copy(), table.contents, keys)
    with ThreadPoolExecutor(threads) as pool:
        cuts = np.searchsorted(starts, np.linspace(0, len(keys), _STRETCHES * threads + 1)).tolist()
        deque(pool.map(partial(sort_each, starts), cuts[:-1], cuts[1:], repeat(keys)), maxlen=0)
    rows = keys.astype(np.uint32)  # the lower half
    is_first = np.ones(len(keys) + 1, bool)
    keys >>= np.uint64(32)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:-1])
    is_first[starts] = True
    firsts = np.flatnonzero(is_first)
    n_texts = np.diff(np.searchsorted(firsts, starts))
    ahead = np.cumsum(n_texts) - n_texts
    return Ordered(
        rows=rows,
        firsts=firsts,
        codes=np.repeat(np.arange(n_codes, dtype=np.int32), n_texts),
        places=(np.arange(len(firsts) - 1) - np.repeat(ahead, n_texts)).astype(np.int32),
    )


def _look_up(values: npt.NDArray[Any], places: npt.NDArray[Any], threads: int) -> npt.NDArray[Any]:
    """Return the values at some places, looked up in threads."""
    found = np.empty(len(places), values.dtype)

    def look_up(cut: tuple[int, int]) -> None:
        part = slice(*cut)
        np.take(values, places[part], out=found[part], mode="clip")  # `raise` makes a copy first

    cuts = np.linspace(0, len(places), _STRETCHES * threads + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(threads) as pool:
        deque(pool.map(look_up, pairwise(cuts)), maxlen=0)
    return found


def sort_prompts(
    table: PrintTable,
    shared: SharedPrints,
    ordered: Ordered,
    config: FingerprintConfig,
    *,
    threads: int,
) -> Prompts:
    """Put prints in the order of the texts and leave out the texts without shared ones.

    Parameters
    ----------
    table : PrintTable
    shared : SharedPrints
    ordered : Ordered
    config : FingerprintConfig
    threads : int

    Returns
    -------
    Prompts
        The same, but for `rows`, in whatever order the prompts came. Prints are numbered as they
        come here, so that those of one template lie together.
    """
    sources = ordered.rows[ordered.firsts[:-1]]
    lengths = _look_up(np.diff(shared.offsets).astype(np.int32), sources, threads)
    is_kept = lengths > 0
    n_sent = np.diff(ordered.firsts)
    rows = ordered.rows[np.repeat(is_kept, n_sent)].astype(np.int64)
    firsts = np.zeros(np.count_nonzero(is_kept) + 1, np.int64)
    np.cumsum(n_sent[is_kept], out=firsts[1:])
    sources, codes = sources[is_kept].astype(np.int64), ordered.codes[is_kept]
    offsets = np.zeros(len(sources) + 1, np.int64)
    np.cumsum(lengths[is_kept], out=offsets[1:])
    numbers = np.empty(offsets[-1], np.int32)

    def copy(cut: tuple[int, int]) -> None:
        part = slice(*cut)
        _copy(sources[part], shared.offsets, shared.numbers, offsets[part], numbers)

    cuts = np.linspace(0, len(sources), _STRETCHES * threads + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(threads) as pool:
        deque(pool.map(copy, pairwise(cuts)), maxlen=0)
    ranks = np.full(len(shared.values), UNSEEN, np.int32)
    number_as_they_come(numbers, ranks)
    values = np.empty_like(shared.values)
    values[ranks] = shared.values
    n_texts = np.bincount(codes)
    places = np.arange(len(codes)) - np.repeat(np.cumsum(n_texts) - n_texts, n_texts)
    return Prompts(
        rows=rows,
        times_us=None if table.times_us is None else _look_up(table.times_us, rows, threads),
        firsts=firsts,
        codes=codes,
        contents=_look_up(table.contents, sources, threads),
        offsets=offsets,
        numbers=numbers,
        values=values,
        taken=np.flatnonzero(places < config.max_prompts_an_account),
    )
