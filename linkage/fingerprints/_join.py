# mypy: disable-error-code="untyped-decorator"
"""Joins the prints of one template: those that travel together and have the same holders.

Both are asked for. Prints that travel together but have other holders are a phrase and the many
prompts that it opens; prints that have the same holders but never meet in a prompt are two
templates of one operator. A join never moves an identifier's holders by more than the settings
say, so no chain through a popular phrase can merge strangers.

Then what is left of a template, the words around its slots and its paraphrases, is absorbed by it,
if it falls on the template's prompts as by chance. What keeps to some of the holders says more
than the template does, and stays an identifier of its own.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types
from scipy import sparse, special
from scipy.sparse import csgraph

from linkage.fingerprints._prints import PrintTable
from linkage.fingerprints._shared import SharedPrints
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["PromptOrder", "join_prints", "order_prompts"]

_REACH: Final = 8  # a print is compared with the eight before it and the eight after it
_ROUNDS: Final = 12
_SAMPLE: Final = 512  # prompts of a print that are looked at, evenly over its holders
_BREAK: Final = -1  # stands between two prompts
_MOST_PROMPTS: Final = 1_023  # of one holder, told apart in the test of chance
_TOUCHED: Final = 1 << 14  # different neighbours of one print, at most
_MIN_INSIDE: Final = 0.2  # share of an absorbed print's prompts that show the template
_MIN_INSIDE_HOLDERS: Final = 0.9  # share of its holders that hold the template
_MIN_SPREAD: Final = 0.9  # holders, as a share of those that chance would give
_MAX_SURPRISE: Final = 0.001  # probability of so many repetitions by the same holders, by chance
_MIN_POWER: Final = 8  # prompts by which chance can be told from choice
_SMALL: Final = 2  # prints of what may be absorbed without that

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)


class PromptOrder(NamedTuple):
    """Prompts with shared prints, account by account."""

    rows: npt.NDArray[np.int64]  # all of them
    distinct: npt.NDArray[np.int64]  # different texts only, so many an account


class _Sequence(NamedTuple):
    """All prompts as labels, one after the other, and where each label and holder lies."""

    labels: npt.NDArray[np.int32]  # (n,) _BREAK between prompts
    codes: npt.NDArray[np.int32]  # (n,) the account
    starts: npt.NDArray[np.int64]  # (n labels + 1,) into places
    places: npt.NDArray[np.int64]  # places in labels, label by label
    holder_starts: npt.NDArray[np.int64]  # (n labels + 1,) into holders
    holders: npt.NDArray[np.int32]  # accounts, label by label, ascending


class _Ties(NamedTuple):
    """Pairs (label, other): how often the other is near, and how many holders have both."""

    label: npt.NDArray[np.int32]
    other: npt.NDArray[np.int32]
    together: npt.NDArray[np.float64]  # share of the label's prompts that show the other
    common: npt.NDArray[np.int32]  # accounts


@njit(
    types.int64(_I64_IN, _I32_IN, _I64_IN, _I32_IN, _I32_IN, types.int32[::1], types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _write_sequence(
    rows: Any, codes: Any, offsets: Any, numbers: Any, labels: Any, out: Any, out_codes: Any
) -> Any:
    """Write the labels of all prompts, repetitions dropped; return the length."""
    n = 0
    for place in range(len(rows)):
        row = rows[place]
        previous = np.int32(_BREAK)
        for at in range(offsets[row], offsets[row + 1]):
            label = labels[numbers[at]]
            if label != previous:
                out[n] = label
                out_codes[n] = codes[row]
                n += 1
                previous = label
        out[n] = _BREAK
        out_codes[n] = -1
        n += 1
    return n


@njit(
    types.void(
        _I32_IN,
        _I32_IN,
        types.int64[::1],
        types.int64[::1],
        types.int64[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _write_index(
    labels: Any, codes: Any, starts: Any, places: Any, holder_starts: Any, holders: Any
) -> None:
    """Sort places by label (counting sort), then list each label's holders."""
    n_labels = len(starts) - 1
    for place in range(len(labels)):
        if labels[place] != _BREAK:
            starts[labels[place] + 1] += 1
    for label in range(n_labels):
        starts[label + 1] += starts[label]
    filled = starts[:-1].copy()
    for place in range(len(labels)):
        label = labels[place]
        if label != _BREAK:
            places[filled[label]] = place
            filled[label] += 1
    n = 0
    for label in range(n_labels):
        last = np.int32(-1)
        for at in range(starts[label], starts[label + 1]):
            code = codes[places[at]]
            if code != last:
                holders[n] = code
                n += 1
                last = code
        holder_starts[label + 1] = n


@njit(
    types.int64(_I32_IN, types.int64, types.int64, types.int64, types.int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _count_common(holders: Any, first: Any, first_end: Any, second: Any, second_end: Any) -> Any:
    """Count what two sorted stretches share: walk the shorter, gallop through the longer."""
    if first_end - first > second_end - second:
        first, first_end, second, second_end = second, second_end, first, first_end
    common = 0
    for at in range(first, first_end):
        code = holders[at]
        stride = 1
        while second + stride < second_end and holders[second + stride] < code:
            second += stride
            stride *= 2
        high = min(second + stride, second_end)
        while second < high:
            middle = (second + high) // 2
            if holders[middle] < code:
                second = middle + 1
            else:
                high = middle
        if second == second_end:
            break
        common += holders[second] == code
    return common


@njit(
    types.int64(
        types.int64,
        types.int64,
        types.float64,
        types.float64,
        _I32_IN,
        _I64_IN,
        _I64_IN,
        _I64_IN,
        _I32_IN,
        types.int32[::1],
        types.int32[::1],
        types.float64[::1],
        types.int32[::1],
        types.int64[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _find_ties(
    first: Any,
    last: Any,
    min_together: Any,
    min_common: Any,
    labels: Any,
    starts: Any,
    places: Any,
    holder_starts: Any,
    holders: Any,
    tie_label: Any,
    tie_other: Any,
    tie_together: Any,
    tie_common: Any,
    stopped_at: Any,
) -> Any:
    """Write the ties of the labels first..last; return how many, and where it had to stop."""
    n_labels = len(starts) - 1
    counts = np.zeros(n_labels, np.int32)
    stamps = np.full(n_labels, -1, np.int64)
    touched = np.empty(_TOUCHED, np.int32)
    n = 0
    for label in range(first, last):
        if n + _TOUCHED > len(tie_label):
            stopped_at[0] = label
            return n
        n_places = starts[label + 1] - starts[label]
        n_holders = holder_starts[label + 1] - holder_starts[label]
        step = max(1, -(-n_places // _SAMPLE))
        n_touched, n_sampled = 0, 0
        for at in range(starts[label], starts[label + 1], step):
            place = places[at]
            n_sampled += 1
            for direction in (-1, 1):
                for distance in range(1, _REACH + 1):
                    near = place + direction * distance
                    if near < 0 or labels[near] == _BREAK:
                        break
                    other = labels[near]
                    if other == label or stamps[other] == place:
                        continue
                    stamps[other] = place
                    if counts[other] == 0:
                        if n_touched == _TOUCHED:
                            continue
                        touched[n_touched] = other
                        n_touched += 1
                    counts[other] += 1
        for i in range(n_touched):
            other = touched[i]
            together = counts[other] / n_sampled
            counts[other] = 0
            n_others = holder_starts[other + 1] - holder_starts[other]
            if together < min_together or n_others < min_common * n_holders:
                continue
            common = _count_common(
                holders,
                holder_starts[label],
                holder_starts[label + 1],
                holder_starts[other],
                holder_starts[other + 1],
            )
            if common >= 2 and common >= min_common * n_holders:
                tie_label[n], tie_other[n] = label, other
                tie_together[n], tie_common[n] = together, common
                n += 1
    stopped_at[0] = last
    return n


@njit(
    types.void(_I32_IN, _I64_IN, _I32_IN, _I64_IN, _I64_IN, types.float64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _sum_expected(
    parents: Any, draws: Any, codes: Any, starts: Any, places: Any, expected: Any
) -> None:
    """Sum, over a parent's holders, the probability that at least one of so many draws is theirs.

    Holders with equally many prompts are counted together; `parents` is sorted.
    """
    histogram = np.zeros(_MOST_PROMPTS + 1, np.int64)
    last = np.int32(-1)
    n_places, most = 1, 0
    for i in range(len(parents)):
        if parents[i] != last:
            last = parents[i]
            histogram[:] = 0
            most, run = 0, 0
            first, end = starts[last], starts[last + 1]
            n_places = end - first
            for at in range(first, end):
                run += 1
                if at + 1 == end or codes[places[at + 1]] != codes[places[at]]:
                    run = min(run, _MOST_PROMPTS)
                    histogram[run] += 1
                    most = max(most, run)
                    run = 0
        total = 0.0
        for prompts in range(1, most + 1):
            if histogram[prompts]:
                missed = (1.0 - min(1.0, prompts / n_places)) ** draws[i]
                total += histogram[prompts] * (1.0 - missed)
        expected[i] = total


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
    absorbs = False
    for _ in range(_ROUNDS):
        joined = _join_once(table, shared, order, labels, config, threads, absorbs=absorbs)
        is_still = joined.max(initial=-1) == labels.max(initial=-1)
        if is_still and absorbs:
            break
        absorbs = absorbs or is_still  # templates take shape before they absorb
        labels = joined
    return labels


def _join_once(
    table: PrintTable,
    shared: SharedPrints,
    order: PromptOrder,
    labels: npt.NDArray[np.int32],
    config: FingerprintConfig,
    threads: int,
    *,
    absorbs: bool,
) -> npt.NDArray[np.int32]:
    sequence = _index_prompts(table, shared, order, labels)
    n = len(sequence.starts) - 1
    ties = _list_ties(sequence, config, threads)
    n_prompts, n_holders = np.diff(sequence.starts), np.diff(sequence.holder_starts)
    from_other = ties.together * n_prompts[ties.label] / n_prompts[ties.other]
    is_joined = (from_other >= config.min_together) & (
        ties.common >= config.min_same_holders * n_holders[ties.other]
    )
    label, other = ties.label[is_joined], ties.other[is_joined]
    if absorbs:
        inner, outer = _absorb(sequence, ties, np.bincount(labels, minlength=n))
        label, other = np.concatenate([label, inner]), np.concatenate([other, outer])
    return _connect(labels, label, other, n)


def _absorb(
    sequence: _Sequence, ties: _Ties, size: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the labels that fall on another one's prompts as by chance, and that other one.

    Notes
    -----
    Were the m prompts that show a label drawn at random from the parent's, they would be expected
    in sum over the parent's holders a of 1 - (1 - c_a / c)^m accounts, c_a of the parent's c
    prompts being a's. Fewer holders mean that the label keeps to some of them.
    """
    n_prompts, n_holders = np.diff(sequence.starts), np.diff(sequence.holder_starts)
    label, other = ties.label, ties.other
    is_inside = (
        (ties.together >= _MIN_INSIDE)
        & (ties.common >= _MIN_INSIDE_HOLDERS * n_holders[label])
        & (n_holders[other] > n_holders[label])
    )
    label, other = label[is_inside], other[is_inside]
    # the most specific parent: the one with the fewest holders
    rank = np.lexsort((other, n_holders[other], label))
    label, other = label[rank], other[rank]
    is_first = np.ones(len(label), bool)
    is_first[1:] = label[1:] != label[:-1]
    label, other = label[is_first], other[is_first]
    expected = _expect_holders(sequence, other, n_prompts[label])
    repeats, expected_repeats = n_prompts[label] - n_holders[label], n_prompts[label] - expected
    by_chance = (n_holders[label] >= _MIN_SPREAD * expected) | (
        special.pdtrc(repeats - 1, np.maximum(expected_repeats, 1e-9)) >= _MAX_SURPRISE
    )
    fewest = n_prompts[label] * n_holders[other] / n_prompts[other]
    has_power = (n_prompts[label] >= _MIN_POWER) & (expected >= 2 * fewest)
    is_absorbed = by_chance & (has_power | (size[label] <= _SMALL))
    return label[is_absorbed], other[is_absorbed]


def _expect_holders(
    sequence: _Sequence, parents: npt.NDArray[np.int32], draws: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the number of holders that so many random prompts of each parent would have."""
    order = np.argsort(parents, kind="stable")
    expected = np.empty(len(parents))
    _sum_expected(
        parents[order], draws[order], sequence.codes, sequence.starts, sequence.places, expected
    )
    unsorted = np.empty_like(expected)
    unsorted[order] = expected
    return unsorted


def _index_prompts(
    table: PrintTable,
    shared: SharedPrints,
    order: PromptOrder,
    labels: npt.NDArray[np.int32],
) -> _Sequence:
    rows = order.distinct
    room = int((shared.offsets[rows + 1] - shared.offsets[rows]).sum()) + len(rows)
    out, codes = np.empty(room, np.int32), np.empty(room, np.int32)
    n = _write_sequence(rows, table.codes, shared.offsets, shared.numbers, labels, out, codes)
    out, codes = out[:n], codes[:n]
    n_labels = int(labels.max(initial=-1)) + 1
    starts, holder_starts = np.zeros(n_labels + 1, np.int64), np.zeros(n_labels + 1, np.int64)
    places, holders = np.empty(n - len(rows), np.int64), np.empty(n - len(rows), np.int32)
    _write_index(out, codes, starts, places, holder_starts, holders)
    return _Sequence(out, codes, starts, places, holder_starts, holders[: holder_starts[-1]])


def _list_ties(sequence: _Sequence, config: FingerprintConfig, threads: int) -> _Ties:
    """Find the ties of all labels, in stretches of labels, in parallel."""
    n_labels = len(sequence.starts) - 1

    def find(stretch: tuple[int, int]) -> list[_Ties]:
        first, last = stretch
        found = []
        stopped_at = np.empty(1, np.int64)
        while first < last:
            ties = _make_ties(_TOUCHED * 16)
            n = _find_ties(
                first,
                last,
                config.min_together,
                config.min_same_holders,
                sequence.labels,
                sequence.starts,
                sequence.places,
                sequence.holder_starts,
                sequence.holders,
                *ties,
                stopped_at,
            )
            found.append(
                _Ties(
                    ties.label[:n].copy(),
                    ties.other[:n].copy(),
                    ties.together[:n].copy(),
                    ties.common[:n].copy(),
                )
            )
            first = int(stopped_at[0])
        return found

    length = max(1, -(-n_labels // (4 * threads)))
    stretches = [(first, min(first + length, n_labels)) for first in range(0, n_labels, length)]
    with ThreadPoolExecutor(threads) as pool:
        found = [ties for part in pool.map(find, stretches) for ties in part]
    found.append(_make_ties(0))
    return _Ties(
        np.concatenate([ties.label for ties in found]),
        np.concatenate([ties.other for ties in found]),
        np.concatenate([ties.together for ties in found]),
        np.concatenate([ties.common for ties in found]),
    )


def _make_ties(room: int) -> _Ties:
    return _Ties(
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.float64),
        np.empty(room, np.int32),
    )


def _connect(
    labels: npt.NDArray[np.int32],
    low: npt.NDArray[np.int32],
    high: npt.NDArray[np.int32],
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
