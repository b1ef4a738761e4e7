# mypy: disable-error-code="untyped-decorator"
"""The loops of joining: prompts as sequences of labels, and which labels keep company.

A label is a print or a group of prints joined so far. What these loops cost grows with the places
at which labels stand, not with the pairs of labels that meet.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

__all__ = [
    "BREAK",
    "NO_PARENT",
    "Company",
    "Sequence",
    "count_places",
    "expect_holders",
    "find_company",
    "index_places",
    "mark_near",
    "relabel",
    "write_sequence",
]

NO_PARENT: Final = -1

_REACH: Final = 8  # a label is compared with the eight before it and the eight after it
_SAMPLE: Final = 128  # places of a label that are looked at, evenly over its holders
BREAK: Final = -1  # stands between two prompts
_MOST_PROMPTS: Final = 1_023  # of one holder, told apart in the test of chance
_TOUCHED: Final = 1 << 14  # different neighbours of one label, at most
_MIN_INSIDE: Final = 0.2  # share of an absorbed label's prompts that show the parent
_MIN_INSIDE_HOLDERS: Final = 0.9  # share of its holders that hold the parent
_MIN_COMMON: Final = 2  # holders that two labels share at least
_MIN_MET: Final = 2  # prompts in which two labels stand near each other, at least
_AHEAD: Final = 16  # labels whose places are read at once
_MUCH_LONGER: Final = 8  # times as many holders
_HASH: Final = np.uint32(0x9E3779B1)

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_BOOL_IN = types.Array(types.boolean, 1, "C", readonly=True)


class Sequence(NamedTuple):
    """All prompts as labels, one after the other, and where each label and holder lies."""

    labels: npt.NDArray[np.int32]  # (n,) at least one BREAK between prompts
    codes: npt.NDArray[np.int32]  # (n,) the account
    starts: npt.NDArray[np.int64]  # (n labels + 1,) into places and holders
    places: npt.NDArray[np.int32]  # places in labels, label by label
    holders: npt.NDArray[np.int32]  # accounts, label by label, ascending, then room
    n_holders: npt.NDArray[np.int32]  # (n labels,)


class Company(NamedTuple):
    """Which labels of a stretch join, and which could be absorbed."""

    label: npt.NDArray[np.int32]  # joins ...
    other: npt.NDArray[np.int32]  # ... this one
    inner: npt.NDArray[np.int32]  # lies within ...
    parent: npt.NDArray[np.int32]  # ... this one


@njit(
    types.void(_I64_IN, _I32_IN, _I64_IN, _I32_IN, types.int32[::1], types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def write_sequence(
    texts: Any, codes: Any, offsets: Any, numbers: Any, out: Any, out_codes: Any
) -> None:
    """Write the prints of some texts, each of them followed by a break."""
    n = 0
    for i in range(len(texts)):
        text = texts[i]
        for at in range(offsets[text], offsets[text + 1]):
            out[n] = numbers[at]
            out_codes[n] = codes[text]
            n += 1
        out[n] = BREAK
        out_codes[n] = codes[text]
        n += 1


@njit(
    types.int64(types.int32[::1], types.int32[::1], _I32_IN),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def relabel(labels: Any, codes: Any, groups: Any) -> Any:
    """Replace labels by their groups where they stand, drop repetitions; return what is left."""
    n = 0
    previous = np.int32(BREAK)
    for place in range(len(labels)):
        label = labels[place]
        if label != BREAK:
            label = groups[label]
            if label == previous:
                continue
        previous = label
        labels[n] = label
        codes[n] = codes[place]
        n += 1
    return n


@njit(
    types.void(_I32_IN, types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def count_places(labels: Any, counts: Any) -> None:
    """Count the places of each label."""
    for place in range(len(labels)):
        if labels[place] != BREAK:
            counts[labels[place]] += 1


@njit(
    types.void(
        _I32_IN,
        _I32_IN,
        types.int64,
        types.int64,
        _I64_IN,
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def index_places(
    labels: Any,
    codes: Any,
    first: Any,
    last: Any,
    starts: Any,
    places: Any,
    holders: Any,
    n_holders: Any,
) -> None:
    """List the places and the holders of the labels first..last."""
    filled = starts[first:last].copy()
    for place in range(len(labels)):
        label = labels[place]
        if first <= label < last:
            at = filled[label - first]
            places[at] = place
            holders[at] = codes[place]
            filled[label - first] = at + 1
    for label in range(first, last):  # places come account by account
        n = starts[label]
        for at in range(starts[label], starts[label + 1]):
            code = holders[at]
            if n == starts[label] or holders[n - 1] != code:
                holders[n] = code
                n += 1
        n_holders[label] = n - starts[label]


@njit(
    types.void(_I32_IN, _BOOL_IN, types.boolean[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def mark_near(labels: Any, has_changed: Any, is_near: Any) -> None:
    """Mark the labels that changed and those within reach of one: only their company changed."""
    for place in range(len(labels)):
        label = labels[place]
        if label == BREAK or not has_changed[label]:
            continue
        is_near[label] = True
        for direction in (-1, 1):
            for distance in range(1, _REACH + 1):
                near = place + direction * distance
                if near < 0 or labels[near] == BREAK:
                    break
                is_near[labels[near]] = True


@njit(
    types.int64(_I32_IN, types.int64, types.int64, types.int64, types.int32),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _find_place(holders: Any, low: Any, high: Any, guess: Any, code: Any) -> Any:
    """Return the first place in low..high whose holder is not below `code`: stride from a guess."""
    stride = 1
    if holders[guess] < code:
        low = guess + 1
        while low + stride < high and holders[low + stride] < code:
            low += stride + 1
            stride *= 2
        high = min(low + stride, high)
    else:
        high = guess
        while high - stride >= low and holders[high - stride] >= code:
            high -= stride
            stride *= 2
        low = max(high - stride + 1, low)
    while low < high:
        middle = (low + high) // 2
        if holders[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low


@njit(
    types.int64(_I32_IN, types.int64, types.int64, types.int64, types.int64, types.int64),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _count_common(
    holders: Any, first: Any, first_end: Any, second: Any, second_end: Any, needed: Any
) -> Any:
    """Count what two sorted stretches share, or some number below `needed` if it is that few.

    The shorter one is walked. Accounts are numbered by name, which says nothing of what they hold:
    in a much longer one, an account is looked for where it would stand were all evenly spread.
    """
    if first_end - first > second_end - second:
        first, first_end, second, second_end = second, second_end, first, first_end
    common = 0
    for at in range(first, first_end):
        if second == second_end or common + (first_end - at) < needed:
            break
        code = holders[at]
        guess = second
        if second_end - second > _MUCH_LONGER * (first_end - at):
            low, high = np.int64(holders[second]), np.int64(holders[second_end - 1])
            if code > high:
                continue
            if code > low:
                guess += (code - low) * (second_end - 1 - second) // (high - low)
        second = _find_place(holders, second, second_end, guess, code)
        common += second < second_end and holders[second] == code
    return common


@njit(
    types.int32(types.int64, types.int64, _BOOL_IN, _I32_IN, _I64_IN, _I32_IN),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _touch(first: Any, last: Any, is_looked_at: Any, labels: Any, starts: Any, places: Any) -> Any:
    """Read around the places of some labels, so that they are at hand when they are looked at.

    Memory answers many questions in the time of one, if none waits for the other's answer.
    """
    seen = np.int32(0)
    for label in range(first, last):
        if is_looked_at[label]:
            step = max(1, -(-(starts[label + 1] - starts[label]) // _SAMPLE))
            for at in range(starts[label], starts[label + 1], step):
                place = places[at]
                seen ^= labels[max(place - _REACH, 0)]
                seen ^= labels[min(place + _REACH, len(labels) - 1)]
    return seen


@njit(
    types.int64(
        types.int64,
        types.int64,
        types.boolean,
        _BOOL_IN,
        _I32_IN,
        _I64_IN,
        _I32_IN,
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.boolean[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _meet(
    label: Any,
    step: Any,
    seeks_wide: Any,
    is_wide: Any,
    labels: Any,
    starts: Any,
    places: Any,
    keys: Any,
    counts: Any,
    stamps: Any,
    is_next: Any,
    touched: Any,
) -> Any:
    """Count, in a table of few slots, at how many places a label stands near which others.

    Return how many others there are; `touched` receives their slots. `is_next` tells of each
    whether it is the nearest wide one, on some side somewhere.
    """
    n_touched = 0
    size = 64
    while size < len(keys) and size < 4 * _REACH * min(starts[label + 1] - starts[label], _SAMPLE):
        size *= 2
    mask = np.uint32(size - 1)
    for at in range(starts[label], starts[label + 1], step):
        place = places[at]
        for direction in (-1, 1):
            seeks = seeks_wide
            for distance in range(1, _REACH + 1):
                near = place + direction * distance
                if near < 0 or labels[near] == BREAK:
                    break
                other = labels[near]
                if other == label:
                    continue
                slot = (np.uint32(other) * _HASH >> np.uint32(12)) & mask
                while keys[slot] != other and keys[slot] != BREAK:
                    slot = (slot + np.uint32(1)) & mask
                if keys[slot] == BREAK:
                    if n_touched == len(touched):
                        continue
                    keys[slot], counts[slot], stamps[slot] = other, 0, BREAK
                    is_next[slot] = False
                    touched[n_touched] = slot
                    n_touched += 1
                if stamps[slot] != place:
                    stamps[slot] = place
                    counts[slot] += 1
                if seeks and is_wide[other]:
                    is_next[slot] = True
                    seeks = False
    return n_touched


@njit(
    types.void(
        types.int64,
        types.int64,
        _BOOL_IN,
        _BOOL_IN,
        types.boolean,
        types.float64,
        types.float64,
        _I32_IN,
        _I64_IN,
        _I32_IN,
        _I32_IN,
        _I32_IN,
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int64[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def find_company(  # noqa: PLR0912, PLR0915 - one loop, so that its tables are made once
    first: Any,
    last: Any,
    is_looked_at: Any,
    is_wide: Any,
    absorbs: Any,
    min_together: Any,
    min_same: Any,
    labels: Any,
    starts: Any,
    places: Any,
    holders: Any,
    n_holders: Any,
    join_label: Any,
    join_other: Any,
    parents: Any,
    state: Any,
) -> None:
    """Write what the labels first..last join and, where that is asked for, who could absorb them.

    Parameters
    ----------
    first, last : int
    is_looked_at : ndarray of bool, shape (n labels,)
    is_wide : ndarray of bool, shape (n labels,)
        Of two labels that met once, the nearest wide one may absorb the other: paraphrase and
        slots leave other words each time. Other labels that met once met by chance.
    absorbs : bool
        Look for parents too.
    min_together, min_same : float
        Shares of prompts and of holders, both ways.
    labels, starts, places, holders, n_holders : ndarray
        Of the sequence.
    join_label, join_other : ndarray of int32
        Written: pairs that join.
    parents : ndarray of int32, shape (last - first,)
        Written: of the labels that most of a label's holders hold and that stand near it, the one
        with the fewest holders; NO_PARENT if none.
    state : ndarray of int64, shape (2,)
        Written: the number of pairs, and the label before which room ran out.
    """
    # neighbours are counted in a table of their own: it stays in the cache, all labels would not
    keys = np.full(2 * _TOUCHED, BREAK, np.int32)
    counts = np.empty(2 * _TOUCHED, np.int32)
    stamps = np.empty(2 * _TOUCHED, np.int32)
    is_next = np.empty(2 * _TOUCHED, np.bool_)
    touched = np.empty(_TOUCHED, np.int32)
    candidates = np.empty(_TOUCHED, np.int32)
    met = np.empty(_TOUCHED, np.int32)
    others_holders = np.empty(_TOUCHED, np.int32)
    could_join = np.empty(_TOUCHED, np.bool_)
    n = 0
    for label in range(first, last):
        if label % _AHEAD == 0 or label == first:
            touched[0] = _touch(
                label, min(label + _AHEAD, last), is_looked_at, labels, starts, places
            )
        if not is_looked_at[label]:
            continue
        if n + _TOUCHED > len(join_label):
            state[0], state[1] = n, label
            return
        n_places = starts[label + 1] - starts[label]
        n_own = n_holders[label]
        step = max(1, -(-n_places // _SAMPLE))
        n_sampled = -(-n_places // step)
        n_touched = _meet(
            label,
            step,
            absorbs,
            is_wide,
            labels,
            starts,
            places,
            keys,
            counts,
            stamps,
            is_next,
            touched,
        )
        n_candidates = 0
        for i in range(n_touched):
            slot = touched[i]
            candidates[n_candidates], met[n_candidates] = keys[slot], counts[slot]
            n_candidates += counts[slot] >= _MIN_MET or is_next[slot]
            keys[slot] = BREAK
        for i in range(n_candidates):  # looked up one after the other, they wait together
            others_holders[i] = n_holders[candidates[i]]
        n_kept = 0
        for i in range(n_candidates):
            n_others = others_holders[i]
            together = met[i] / n_sampled
            may_join = (
                met[i] >= _MIN_MET
                and n_others >= min_same * n_own
                and n_own >= min_same * n_others
                and together >= min_together
            )
            may_absorb = absorbs and n_others > n_own and together >= _MIN_INSIDE
            candidates[n_kept], met[n_kept] = candidates[i], met[i]
            others_holders[n_kept], could_join[n_kept] = n_others, may_join
            n_kept += may_join or may_absorb
        own = holders[starts[label]]
        for i in range(n_kept):  # as above: what is read next is read for all of them at once
            start, end = starts[candidates[i]], starts[candidates[i]] + others_holders[i]
            low, high = holders[start], holders[end - 1]
            if low < own < high:
                start += np.int64(own - low) * (end - 1 - start) // np.int64(high - low)
            touched[i] = holders[start]
        parent, parent_holders = np.int32(NO_PARENT), np.int32(0)
        for i in range(n_kept):
            other, n_others = candidates[i], others_holders[i]
            together = met[i] / n_sampled
            may_join = could_join[i]
            if may_join:
                other_places = starts[other + 1] - starts[other]
                may_join = together * n_places >= min_together * other_places
            may_absorb = (
                absorbs
                and n_others > n_own
                and together >= _MIN_INSIDE
                and (
                    parent == NO_PARENT
                    or n_others < parent_holders
                    or (n_others == parent_holders and other < parent)
                )
            )
            if not may_join and not may_absorb:
                continue
            needed = _MIN_INSIDE_HOLDERS * n_own
            if may_join:
                needed = min(needed, min_same * max(n_own, n_others))
            common = _count_common(
                holders,
                starts[label],
                starts[label] + n_own,
                starts[other],
                starts[other] + n_others,
                np.int64(np.ceil(needed)),
            )
            if common < _MIN_COMMON:
                continue
            if may_join and common >= min_same * max(n_own, n_others):
                join_label[n], join_other[n] = label, other
                n += 1
            if may_absorb and common >= _MIN_INSIDE_HOLDERS * n_own:
                parent, parent_holders = other, n_others
        parents[label - first] = parent
    state[0], state[1] = n, last


@njit(
    types.void(_I32_IN, _I64_IN, _I32_IN, _I64_IN, _I32_IN, types.float64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def expect_holders(
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
