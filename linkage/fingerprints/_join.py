"""Joins the prints of one template: those that travel together and have the same holders.

Both are asked for. Prints that travel together but have other holders are a phrase and the many
prompts that it opens; prints that have the same holders but never meet in a prompt are two
templates of one operator. A join never moves an identifier's holders by more than the settings
say, so no chain through a popular phrase can merge strangers.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types
from scipy import sparse
from scipy.sparse import csgraph

from linkage.fingerprints._prints import PrintTable
from linkage.fingerprints._shared import SharedPrints
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["PromptOrder", "join_prints", "order_prompts"]

_REACH: Final = 3  # a print is compared with the three different ones before it
_ROUNDS: Final = 6
_PAIR_BITS: Final = 24  # places in a table of pairs, at most: 268 MB
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_SEQUENCES = (_I64_IN, _I32_IN, _I64_IN, _I32_IN, _I32_IN)


class PromptOrder(NamedTuple):
    """Prompts with shared prints, account by account."""

    rows: npt.NDArray[np.int64]  # all of them
    distinct: npt.NDArray[np.int64]  # different texts only, so many an account


class _Counts(NamedTuple):
    prompts: npt.NDArray[np.int64]  # (n labels,)
    holders: npt.NDArray[np.int64]  # (n labels,)


@njit(
    types.void(*_SEQUENCES, types.int64[::1], types.int64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _count_labels(
    rows: Any, codes: Any, offsets: Any, numbers: Any, labels: Any, prompts: Any, holders: Any
) -> None:
    """Count the prompts and the accounts of each label; rows lie account by account."""
    last_row = np.full(len(prompts), -1, np.int64)
    last_code = np.full(len(prompts), -1, np.int32)
    for place in range(len(rows)):
        row = rows[place]
        code = codes[row]
        for at in range(offsets[row], offsets[row + 1]):
            label = labels[numbers[at]]
            if last_row[label] == row:
                continue
            last_row[label] = row
            prompts[label] += 1
            if last_code[label] != code:
                last_code[label] = code
                holders[label] += 1


@njit(
    types.int64(
        *_SEQUENCES,
        _I64_IN,
        types.float64,
        types.int64,
        types.int64,
        types.int64,
        types.uint64[::1],
        types.uint32[::1],
        types.uint32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _count_pairs(
    rows: Any,
    codes: Any,
    offsets: Any,
    numbers: Any,
    labels: Any,
    holders: Any,
    min_ratio: Any,
    reach: Any,
    part: Any,
    n_parts: Any,
    keys: Any,
    counts: Any,
    stamps: Any,
) -> Any:
    """Count the prompts in which two labels follow each other; -1 if the table is full.

    Pairs whose numbers of holders differ so much that they could never join are not entered.
    """
    shift = np.uint64(64 - np.int64(np.log2(len(keys))))
    mask = len(keys) - 1
    room = len(keys) * 3 // 4
    recent = np.empty(reach, np.int64)
    for place in range(len(rows)):
        row = rows[place]
        n_recent = 0
        for at in range(offsets[row], offsets[row + 1]):
            label = np.int64(labels[numbers[at]])
            is_new = True
            for back in range(min(n_recent, reach)):
                if recent[back] == label:
                    is_new = False
            if not is_new:
                continue
            for back in range(min(n_recent, reach)):
                low, high = min(label, recent[back]), max(label, recent[back])
                if min(holders[low], holders[high]) < min_ratio * max(holders[low], holders[high]):
                    continue
                key = np.uint64(low) << np.uint64(32) | np.uint64(high)
                hashed = key * _MULTIPLIER
                hashed = (hashed ^ (hashed >> np.uint64(29))) * _MULTIPLIER
                if n_parts > 1 and np.int64((hashed & np.uint64(0xFFFF)) % np.uint64(n_parts)) != (
                    part
                ):
                    continue
                slot = np.int64(hashed >> shift)
                while counts[slot] != 0 and keys[slot] != key:
                    slot = (slot + 1) & mask
                if counts[slot] == 0:
                    room -= 1
                    if room < 0:
                        return -1
                    keys[slot] = key
                elif stamps[slot] == place:
                    continue
                counts[slot] += np.uint32(1)
                stamps[slot] = place
            recent[n_recent % reach] = label
            n_recent += 1
    return 0


@njit(
    types.void(*_SEQUENCES, _I64_IN, _I32_IN, types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _count_common_holders(
    rows: Any,
    codes: Any,
    offsets: Any,
    numbers: Any,
    labels: Any,
    starts: Any,
    partners: Any,
    common: Any,
) -> None:
    """Count, for each pair (label, partner) of a sparse list, the accounts that hold both."""
    last_code = np.full(len(starts) - 1, -1, np.int32)
    held = np.empty(len(starts) - 1, np.int32)
    place = 0
    while place < len(rows):
        code = codes[rows[place]]
        n_held = 0
        while place < len(rows) and codes[rows[place]] == code:
            row = rows[place]
            for at in range(offsets[row], offsets[row + 1]):
                label = labels[numbers[at]]
                if last_code[label] != code:
                    last_code[label] = code
                    held[n_held] = label
                    n_held += 1
            place += 1
        for i in range(n_held):
            for at in range(starts[held[i]], starts[held[i] + 1]):
                if last_code[partners[at]] == code:
                    common[at] += 1


def order_prompts(
    table: PrintTable, shared: SharedPrints, config: FingerprintConfig
) -> PromptOrder:
    """Sort the prompts that have shared prints by account, then by content.

    Parameters
    ----------
    table : PrintTable
    shared : SharedPrints
    config : FingerprintConfig

    Returns
    -------
    PromptOrder
        Which of an account's different texts are taken depends on their hashes, not on the order
        in which they came.
    """
    rows = np.flatnonzero(np.diff(shared.offsets))
    ranks = table.codes[rows].astype(np.uint64) << np.uint64(32) | table.contents[rows]
    order = np.argsort(ranks)
    ranks, rows = ranks[order], rows[order]
    is_new = np.ones(len(ranks), bool)
    is_new[1:] = ranks[1:] != ranks[:-1]
    distinct = rows[is_new]
    codes = table.codes[distinct]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    rank = np.arange(len(distinct)) - np.repeat(starts, np.diff(starts, append=len(distinct)))
    return PromptOrder(rows, distinct[rank < config.max_prompts_an_account])


def join_prints(
    table: PrintTable,
    shared: SharedPrints,
    order: PromptOrder,
    config: FingerprintConfig,
    *,
    threads: int,
) -> npt.NDArray[np.int32]:
    """Give every shared print the number of its template.

    Parameters
    ----------
    table : PrintTable
    shared : SharedPrints
    order : PromptOrder
    config : FingerprintConfig
    threads : int

    Returns
    -------
    ndarray of int32, shape (n prints,)
        Templates numbered by the smallest of their prints.

    Notes
    -----
    Two groups of prints join where at least `min_together` of the prompts that show one show the
    other within reach, and at least `min_same_holders` of the accounts that hold one hold the
    other, both ways. Then prompts are read again as sequences of groups, until nothing joins.
    """
    labels = np.arange(len(shared.values), dtype=np.int32)
    for _ in range(_ROUNDS):
        joined = _join_once(table, shared, order, labels, config, threads)
        if joined.max(initial=-1) + 1 == labels.max(initial=-1) + 1:
            break
        labels = joined
    return labels


def _join_once(
    table: PrintTable,
    shared: SharedPrints,
    order: PromptOrder,
    labels: npt.NDArray[np.int32],
    config: FingerprintConfig,
    threads: int,
) -> npt.NDArray[np.int32]:
    n = int(labels.max(initial=-1)) + 1
    sequences = (order.distinct, table.codes, shared.offsets, shared.numbers, labels)
    counts = _Counts(np.zeros(n, np.int64), np.zeros(n, np.int64))
    _count_labels(*sequences, counts.prompts, counts.holders)
    low, high, together = _find_pairs(sequences, counts, config, threads)
    is_close = together >= config.min_together * np.maximum(
        counts.prompts[low], counts.prompts[high]
    )
    low, high = low[is_close], high[is_close]
    common = _count_common(sequences, low, high, n)
    most = np.maximum(counts.holders[low], counts.holders[high])
    is_same = (common >= 2) & (common >= config.min_same_holders * most)
    return _connect(labels, low[is_same], high[is_same], n)


def _find_pairs(
    sequences: tuple[npt.NDArray[Any], ...],
    counts: _Counts,
    config: FingerprintConfig,
    threads: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs of labels that follow each other, with the number of prompts."""
    bound = _REACH * int(counts.prompts.sum())
    bits = min(max(4, (bound * 4 // 3).bit_length()), _PAIR_BITS)
    n_parts = 1 if bound < 100_000 else threads

    def count(part: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]] | None:
        keys = np.empty(1 << bits, np.uint64)
        found, stamps = np.zeros(1 << bits, np.uint32), np.zeros(1 << bits, np.uint32)
        full = _count_pairs(
            *sequences,
            counts.holders,
            config.min_same_holders,
            _REACH,
            part,
            n_parts,
            keys,
            found,
            stamps,
        )
        is_there = found > 0
        return None if full else (keys[is_there], found[is_there])

    while True:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(count, range(n_parts)))
        done = [part for part in parts if part is not None]
        if len(done) == len(parts):
            break
        n_parts *= 2
    keys = np.concatenate([part[0] for part in done])
    together = np.concatenate([part[1] for part in done]).astype(np.int64)
    order = np.argsort(keys)
    keys = keys[order]
    low = (keys >> np.uint64(32)).astype(np.int64)
    return low, (keys & np.uint64(0xFFFFFFFF)).astype(np.int64), together[order]


def _count_common(
    sequences: tuple[npt.NDArray[Any], ...],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
    n: int,
) -> npt.NDArray[np.int32]:
    """Return the number of accounts that hold both labels of each pair (sorted by `low`)."""
    starts = np.searchsorted(low, np.arange(n + 1)).astype(np.int64)
    common = np.zeros(len(low), np.int32)
    _count_common_holders(*sequences, starts, high.astype(np.int32), common)
    return common


def _connect(
    labels: npt.NDArray[np.int32],
    low: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64],
    n: int,
) -> npt.NDArray[np.int32]:
    """Merge the labels that edges connect; number the groups by their smallest print."""
    edges = sparse.coo_array((np.ones(len(low), np.int8), (low, high)), shape=(n, n))
    _, groups = csgraph.connected_components(edges, directed=False)
    _, first = np.unique(groups, return_index=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    merged: npt.NDArray[np.int32] = rank[groups][labels]
    return merged
