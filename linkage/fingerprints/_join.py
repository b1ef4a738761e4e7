"""Joins the prints of one template: those that travel together and have the same holders.

Both are asked for. Prints that travel together but have other holders are a phrase and the many
prompts that it opens; prints that have the same holders but never meet in a prompt are two
templates of one operator. A join never moves an identifier's holders by more than the settings
say, so no chain through a popular phrase can merge strangers.

Then what is left of a template, the words around its slots and its paraphrases, is absorbed by it,
if it falls on the template's prompts as by chance. What keeps to some of the holders says more
than the template does, and stays an identifier of its own.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse, special
from scipy.sparse import csgraph

from linkage.errors import InputError
from linkage.fingerprints import _ties
from linkage.fingerprints._order import UNSEEN, Prompts, number_as_they_come
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["join_prints"]

_T = TypeVar("_T")

_ROUNDS: Final = 12
_SETTLED: Final = 0.005  # share of all places that a round moved, below which it is the last
_GROWN: Final = 0.05  # growth of a group by what joined it, beyond which it is another one
_ROOM: Final = 1 << 18  # pairs that are written at a time
_MOST_PLACES: Final = (1 << 31) - 1
_MIN_SPREAD: Final = 0.9  # holders, as a share of those that chance would give
_MAX_SURPRISE: Final = 0.001  # probability of so many repetitions by the same holders, by chance
_MIN_POWER: Final = 8  # prompts by which chance can be told from choice
_WIDE: Final = 8  # holders of what may absorb labels that it met once
_SMALL: Final = 2  # prints of what may be absorbed without that


def join_prints(
    prompts: Prompts, config: FingerprintConfig, *, threads: int
) -> npt.NDArray[np.int32]:
    """Give every shared print the number of its template.

    Parameters
    ----------
    prompts : Prompts
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
    other, both ways. Then prompts are read again as sequences of groups, until hardly anything
    joins.
    Only groups that grew, or near which one grew, are looked at again.
    """
    n = len(prompts.values)
    labels = np.arange(n, dtype=np.int32)
    is_looked_at = np.ones(n, bool)
    absorbs = False
    said = _read_prompts(prompts, threads)
    for _ in range(_ROUNDS):
        sequence = _index(said, len(is_looked_at), threads)
        if absorbs and not is_looked_at.all():
            has_changed, is_looked_at = is_looked_at, np.zeros(len(is_looked_at), bool)
            _ties.mark_near(sequence.labels, has_changed, is_looked_at)
        low, high = _list_joins(sequence, labels, is_looked_at, config, threads, absorbs=absorbs)
        groups = _connect(low, high, len(is_looked_at))
        growth, move = _measure_growth(np.diff(sequence.starts), groups)
        is_still = move < _SETTLED
        labels, is_looked_at = groups[labels], growth > _GROWN
        if is_still and absorbs:
            break
        if is_still:  # templates take shape before they absorb
            absorbs = True
            is_looked_at = np.ones(len(growth), bool)
        del sequence  # the next one needs the room
        said = _relabel(said, groups, threads)
    return labels


class _Said(NamedTuple):
    """Prompts as labels, one after the other, a BREAK after each, and whose they are."""

    labels: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]


def _read_prompts(prompts: Prompts, threads: int) -> _Said:
    taken, offsets = prompts.taken, prompts.offsets
    room = np.zeros(len(taken) + 1, np.int64)
    np.cumsum(offsets[taken + 1] - offsets[taken] + 1, out=room[1:])
    if room[-1] > _MOST_PLACES:
        raise InputError(
            f"prompts share {room[-1]:,} prints, and at most {_MOST_PLACES:,} can be joined; "
            "lower max_prompts_an_account"
        )
    said = _Said(np.empty(room[-1], np.int32), np.empty(room[-1], np.int32))

    def write(first: int, last: int) -> None:
        part = slice(room[first], room[last])
        source = (taken[first:last], prompts.codes, offsets, prompts.numbers)
        _ties.write_sequence(*source, said.labels[part], said.codes[part])

    _in_stretches(write, len(taken), threads, 4 * threads)
    return said


def _relabel(said: _Said, groups: npt.NDArray[np.int32], threads: int) -> _Said:
    """Replace labels by their groups, in place, and close the gaps that repetitions leave."""
    labels, codes = said

    def find_start(place: int) -> int:
        """Return the place of a prompt's first label."""
        while 0 < place < len(labels) and labels[place - 1] != _ties.BREAK:
            place += 1
        return place

    def write(first: int, last: int) -> tuple[int, int]:
        first, last = starts[first], starts[last]
        return first, _ties.relabel(labels[first:last], codes[first:last], groups)

    n_stretches = 8 * threads
    cuts = np.linspace(0, len(labels), n_stretches + 1).astype(np.int64).tolist()
    starts = [find_start(place) for place in cuts]
    end = 0
    for first, n in _in_stretches(write, n_stretches, threads, n_stretches):
        labels[end : end + n] = labels[first : first + n]
        codes[end : end + n] = codes[first : first + n]
        end += n
    return _Said(labels[:end], codes[:end])


def _index(said: _Said, n_labels: int, threads: int) -> _ties.Sequence:
    """Find the places and the holders of each label."""
    labels, codes = said

    def count(first: int, last: int) -> npt.NDArray[np.int32]:
        counts = np.zeros(n_labels, np.int32)
        _ties.count_places(labels[first:last], counts)
        return counts

    starts = np.zeros(n_labels + 1, np.int64)
    np.cumsum(sum(_in_stretches(count, len(labels), threads, threads)), out=starts[1:])
    places, holders = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    n_holders = np.zeros(n_labels, np.int32)

    def index(first: int, last: int) -> None:
        _ties.index_places(labels, codes, first, last, starts, places, holders, n_holders)

    # each thread reads all places and keeps to its own labels, which stand at equally many
    cuts = np.searchsorted(starts, np.linspace(0, starts[-1], threads + 1))
    cuts[0], cuts[-1] = 0, n_labels
    with ThreadPoolExecutor(threads) as pool:
        deque(pool.map(index, cuts[:-1].tolist(), cuts[1:].tolist()), maxlen=0)
    return _ties.Sequence(labels, codes, starts, places, holders, n_holders)


def _in_stretches(
    work: Callable[[int, int], _T], n: int, threads: int, n_stretches: int
) -> list[_T]:
    """Do some work on 0..n, cut into so many stretches, in threads."""
    cuts = np.linspace(0, n, n_stretches + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(threads) as pool:
        return [*pool.map(work, cuts[:-1], cuts[1:])]


def _list_joins(
    sequence: _ties.Sequence,
    labels: npt.NDArray[np.int32],
    is_looked_at: npt.NDArray[np.bool_],
    config: FingerprintConfig,
    threads: int,
    *,
    absorbs: bool,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the pairs of labels that become one."""
    found = _find_company(sequence, is_looked_at, config, threads, absorbs=absorbs)
    if not absorbs:
        return found.label, found.other
    size = np.bincount(labels, minlength=len(is_looked_at))
    inner, parent = found.inner, found.parent
    is_absorbed = _falls_by_chance(sequence, inner, parent, size[inner], threads)
    return (
        np.concatenate([found.label, inner[is_absorbed]]),
        np.concatenate([found.other, parent[is_absorbed]]),
    )


def _find_company(
    sequence: _ties.Sequence,
    is_looked_at: npt.NDArray[np.bool_],
    config: FingerprintConfig,
    threads: int,
    *,
    absorbs: bool,
) -> _ties.Company:
    """Find the company of the labels, in stretches of labels, in parallel."""
    n_labels = len(is_looked_at)
    is_wide = sequence.n_holders >= _WIDE

    def find(first: int, last: int) -> _ties.Company:
        parents = np.full(last - first, _ties.NO_PARENT, np.int32)
        joins = [np.empty((2, 0), np.int32)]
        state = np.array([0, first])
        pair = np.empty((2, _ROOM), np.int32)
        while (at := int(state[1])) < last:
            _ties.find_company(
                at,
                last,
                is_looked_at,
                is_wide,
                absorbs,
                config.min_together,
                config.min_same_holders,
                sequence.labels,
                sequence.starts,
                sequence.places,
                sequence.holders,
                sequence.n_holders,
                pair[0],
                pair[1],
                parents[at - first :],
                state,
            )
            joins.append(pair[:, : state[0]].copy())
        label, other = np.concatenate(joins, axis=1)
        inner = np.flatnonzero(parents != _ties.NO_PARENT)
        return _ties.Company(label, other, (inner + first).astype(np.int32), parents[inner])

    found = _in_stretches(find, n_labels, threads, 8 * threads)
    return _ties.Company(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _falls_by_chance(
    sequence: _ties.Sequence,
    label: npt.NDArray[np.int32],
    parent: npt.NDArray[np.int32],
    size: npt.NDArray[np.int64],
    threads: int,
) -> npt.NDArray[np.bool_]:
    """Return which labels fall on their parent's prompts as by chance; `size` counts their prints.

    Notes
    -----
    Were the m prompts that show a label drawn at random from the parent's, they would be expected
    in sum over the parent's holders a of 1 - (1 - c_a / c)^m accounts, c_a of the parent's c
    prompts being a's. Fewer holders mean that the label keeps to some of them.
    """
    n_prompts, n_holders = np.diff(sequence.starts), sequence.n_holders
    expected = _expect_holders(sequence, parent, n_prompts[label], threads)
    repeats, expected_repeats = n_prompts[label] - n_holders[label], n_prompts[label] - expected
    by_chance = (n_holders[label] >= _MIN_SPREAD * expected) | (
        special.pdtrc(repeats - 1, np.maximum(expected_repeats, 1e-9)) >= _MAX_SURPRISE
    )
    fewest = n_prompts[label] * n_holders[parent] / n_prompts[parent]
    has_power = (n_prompts[label] >= _MIN_POWER) & (expected >= 2 * fewest)
    return np.asarray(by_chance & (has_power | (size <= _SMALL)))


def _expect_holders(
    sequence: _ties.Sequence,
    parents: npt.NDArray[np.int32],
    draws: npt.NDArray[np.int64],
    threads: int,
) -> npt.NDArray[np.float64]:
    """Return the number of holders that so many random prompts of each parent would have."""
    order = np.argsort(parents, kind="stable")
    parents, draws = parents[order], draws[order]
    expected = np.empty(len(parents))

    def expect(first: int, last: int) -> None:
        part = slice(first, last)
        source = sequence.codes, sequence.starts, sequence.places
        _ties.expect_holders(parents[part], draws[part], *source, expected[part])

    _in_stretches(expect, len(parents), threads, 4 * threads)
    unsorted = np.empty_like(expected)
    unsorted[order] = expected
    return unsorted


def _measure_growth(
    n_places: npt.NDArray[np.int64], groups: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.float64], float]:
    """Return by how much each group is larger than its widest label, and the share that moved.

    Parameters
    ----------
    n_places : ndarray of int64, shape (n labels,)
    groups : ndarray of int32, shape (n labels,)

    Returns
    -------
    ndarray of float64, shape (n groups,)
        Places of all but the widest label, as a share of those of the widest.
    float
        Share of all places at which another group stands than before. Those of a group's widest
        label count as places where nothing changed.
    """
    n_groups = int(groups.max(initial=-1)) + 1
    widest, total = np.zeros(n_groups, np.int64), np.zeros(n_groups, np.int64)
    np.maximum.at(widest, groups, n_places)
    np.add.at(total, groups, n_places)
    moved = total - widest
    return moved / np.maximum(widest, 1), int(moved.sum()) / max(int(total.sum()), 1)


def _connect(
    low: npt.NDArray[np.int32], high: npt.NDArray[np.int32], n: int
) -> npt.NDArray[np.int32]:
    """Return the group of each label that edges make; groups numbered by their smallest label."""
    edges = sparse.coo_array((np.ones(len(low), np.int8), (low, high)), shape=(n, n))
    n_groups, groups = csgraph.connected_components(edges, directed=False)
    numbered = groups.astype(np.int32, copy=False)
    number_as_they_come(numbered, np.full(n_groups, UNSEEN, np.int32))
    return numbered
