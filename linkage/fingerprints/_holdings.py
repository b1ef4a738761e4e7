# mypy: disable-error-code="untyped-decorator"
"""Who used which template: how often, first and last."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from linkage.errors import InputError
from linkage.fingerprints._order import Prompts
from linkage.fingerprints._source import NO_TIME

__all__ = ["Counted", "Holdings", "count_holdings", "cut_by_account"]

# An account is sure to hold a template when it shows so many and so large a share of its core
# prints. It holds it as well when it shows one print of which nearly all holders are sure.
_MIN_SURE: Final = 2
_LARGE: Final = 4  # core prints, below which one is enough
_MIN_SURE_SHARE: Final = 0.2
_MIN_PURITY: Final = 0.98
_CORE: Final = 0.5  # a core print has at least so large a share of its template's widest print

_FLAGS: Final = 2  # bits beside a label
_MOST_LABELS: Final = 1 << (31 - _FLAGS)
_IS_CORE: Final = 1
_IS_PURE: Final = 2
_STRETCHES: Final = 16  # a thread

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_BOOL_IN = types.Array(types.boolean, 1, "C", readonly=True)
_F64_IN = types.Array(types.float64, 1, "C", readonly=True)


class Holdings(NamedTuple):
    """One row an account and template, account by account."""

    codes: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]  # prompts
    first: npt.NDArray[np.int32]  # the prompt that came first, a place among the prompts
    last: npt.NDArray[np.int32]

    def select(self, is_kept: npt.NDArray[Any] | slice) -> "Holdings":
        """Return some of the rows."""
        return Holdings(*(column[is_kept] for column in self))


class Counted(NamedTuple):
    """Who holds which template, and by which prints it is known."""

    holdings: Holdings
    n_holders: npt.NDArray[np.int64]  # (n templates,) none, where too few accounts hold it
    is_core: npt.NDArray[np.bool_]  # (n prints,) half as many holders as its template's widest


class _Shown(NamedTuple):
    """Different prints of each account, in the order in which they come."""

    numbers: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]  # (n codes + 1,)


@njit(
    types.int64(_I32_IN, _I64_IN, _I32_IN, types.int32[::1], types.int64[::1], types.int32[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _list_shown(
    codes: Any, offsets: Any, numbers: Any, last_code: Any, n_shown: Any, shown: Any
) -> Any:
    """Write the different prints of each account; return how many there are in all.

    `last_code` tells which account showed a print last, and `n_shown` receives the numbers of
    prints, by account.
    """
    written = 0
    for text in range(len(codes)):
        code = codes[text]
        before = written
        for at in range(offsets[text], offsets[text + 1]):
            number = numbers[at]
            if last_code[number] != code:
                last_code[number] = code
                shown[written] = number
                written += 1
        n_shown[code] += written - before
    return written


@njit(
    types.void(
        _I32_IN,
        _I64_IN,
        types.int64,
        types.int64,
        _I32_IN,
        _F64_IN,
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _count_sure(
    shown: Any,
    starts: Any,
    first: Any,
    last: Any,
    parts: Any,
    enough: Any,
    sure_holders: Any,
) -> None:
    """Count, for each print, the accounts first..last that show it and enough of its template.

    Prints that are all of their template are left out: to show one is to show enough.
    """
    known = np.full((len(enough), 2), -1, np.int32)  # the account that came last, its core prints
    for code in range(first, last):
        for at in range(starts[code], starts[code + 1]):
            part = parts[shown[at]]
            if part & _IS_PURE:
                continue
            label = part >> _FLAGS
            if known[label, 0] != code:
                known[label, 0], known[label, 1] = code, 0
            known[label, 1] += part & _IS_CORE
        for at in range(starts[code], starts[code + 1]):
            part = parts[shown[at]]
            if not part & _IS_PURE:
                label = part >> _FLAGS
                sure_holders[shown[at]] += known[label, 1] >= enough[label]


@njit(
    types.int64(
        _I32_IN,
        _I64_IN,
        types.int64,
        types.int64,
        _I32_IN,
        _F64_IN,
        _I32_IN,
        _I64_IN,
        _I64_IN,
        _I64_IN,
        _I32_IN,
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _gather(  # noqa: PLR0912, PLR0915 - one loop, account by account
    shown: Any,
    starts: Any,
    text: Any,
    last_text: Any,
    parts: Any,
    enough: Any,
    codes: Any,
    times: Any,
    firsts: Any,
    offsets: Any,
    numbers: Any,
    held_by: Any,
    held: Any,
    counts: Any,
    first: Any,
    final: Any,
) -> Any:
    """Write the templates that each account is sure to hold; return how many rows there are.

    The texts from `text` to `last_text` are all that their accounts wrote.
    """
    known = np.full((len(enough), 2), -1, np.int32)  # the account that came last, and where
    most = 0
    at_text = text
    while at_text < last_text:
        code = codes[at_text]
        most = max(most, starts[code + 1] - starts[code])
        while at_text < last_text and codes[at_text] == code:
            at_text += 1
    own = np.empty(most, np.int32)  # templates, and what is known of each
    n_core = np.empty(most, np.int32)
    is_sure = np.empty(most, np.bool_)
    last_seen = np.empty(len(held), np.int32)  # the text that was counted last, by row
    written = 0
    while text < last_text:
        code = codes[text]
        n_own = 0
        for at in range(starts[code], starts[code + 1]):
            part = parts[shown[at]]
            label = part >> _FLAGS
            if known[label, 0] != code:
                known[label, 0], known[label, 1] = code, n_own
                own[n_own], n_core[n_own], is_sure[n_own] = label, 0, False
                n_own += 1
            slot = known[label, 1]
            n_core[slot] += part & _IS_CORE
            is_sure[slot] |= (part & _IS_PURE) != 0
        for i in range(n_own):
            label = own[i]
            if is_sure[i] or n_core[i] >= enough[label]:
                known[label, 1] = written
                held_by[written], held[written], counts[written] = code, label, 0
                last_seen[written] = -1
                written += 1
            else:
                known[label, 0] = -1
        while text < last_text and codes[text] == code:
            earliest, latest = np.int64(NO_TIME), np.int64(NO_TIME)
            earliest_at = latest_at = firsts[text]
            if len(times):
                for prompt in range(firsts[text], firsts[text + 1]):
                    time = times[prompt]
                    if time != NO_TIME and (earliest == NO_TIME or time < earliest):
                        earliest, earliest_at = time, prompt
                    if time > latest:
                        latest, latest_at = time, prompt
            for at in range(offsets[text], offsets[text + 1]):
                label = parts[numbers[at]] >> _FLAGS
                if known[label, 0] != code:
                    continue
                row = known[label, 1]
                if last_seen[row] == text:
                    continue
                if last_seen[row] == -1:
                    first[row], final[row] = earliest_at, latest_at
                last_seen[row] = text
                counts[row] += firsts[text + 1] - firsts[text]
                if earliest != NO_TIME:
                    known_first = times[first[row]]
                    if known_first == NO_TIME or earliest < known_first:
                        first[row] = earliest_at
                    if latest > times[final[row]]:
                        final[row] = latest_at
            text += 1
    return written


@njit(
    types.int64(
        _BOOL_IN,
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _drop(is_kept: Any, codes: Any, labels: Any, counts: Any, first: Any, last: Any) -> Any:
    """Close the gaps that rows of other labels leave; return how many rows there are."""
    n = 0
    for row in range(len(labels)):
        if is_kept[labels[row]]:
            codes[n], labels[n], counts[n] = codes[row], labels[row], counts[row]
            first[n], last[n] = first[row], last[row]
            n += 1
    return n


def count_holdings(
    prompts: Prompts, labels: npt.NDArray[np.int32], min_accounts: int, *, threads: int
) -> Counted:
    """Count each account's prompts by template.

    Parameters
    ----------
    prompts : Prompts
    labels : ndarray of int32, shape (n prints,)
        The template of each print.
    min_accounts : int
        Holders, below which a template is held by nobody.
    threads : int

    Returns
    -------
    Counted
        Holdings only of accounts that hold the template, not just a phrase that it contains: they
        show a fifth of its core prints and, where there are four, at least two, or a print of
        whose holders 98 % do: a print that more others show is a phrase.

    Raises
    ------
    InputError
        If there are more than 2^29 templates.

    Notes
    -----
    Texts are read twice: for the different prints of each account, and for how often, first and
    last. What lies between reads the different prints, of which there are far fewer.
    """
    sizes = np.bincount(labels)
    if len(sizes) > _MOST_LABELS:
        raise InputError(
            f"prompts have {len(sizes):,} templates, and at most {_MOST_LABELS:,} can be counted"
        )
    cuts = cut_by_account(prompts.codes, _STRETCHES * threads)
    with ThreadPoolExecutor(threads) as pool:
        shown = _find_shown(prompts, cuts, pool)
        holders = _count(np.array_split(shown.numbers, len(cuts)), len(labels), pool)
        widest = np.zeros(len(sizes), np.int64)
        np.maximum.at(widest, labels, holders)
        is_core = holders >= _CORE * widest[labels]
        n_core = np.bincount(labels[is_core], minlength=len(sizes))
        enough = np.maximum(np.where(n_core < _LARGE, 1, _MIN_SURE), _MIN_SURE_SHARE * n_core)
        # one look at what lies apart in memory says all about a print
        parts = (labels << _FLAGS) | is_core
        parts[sizes[labels] == 1] |= _IS_PURE

        def count_sure(part: tuple[int, int]) -> npt.NDArray[np.int32]:
            sure = np.zeros(len(labels), np.int32)
            _count_sure(*shown, *part, parts, enough, sure)
            return sure

        # each thread counts into an array of its own
        shares = np.linspace(0, len(shown.numbers), threads + 1)
        sure_holders = _add_up(
            pool.map(count_sure, pairwise(np.searchsorted(shown.starts, shares).tolist()))
        )
        is_pure = sure_holders >= np.maximum(_MIN_SURE, _MIN_PURITY * holders)
        parts[is_pure] |= _IS_PURE
        del sure_holders, holders, is_pure
        times = np.empty(0, np.int64) if prompts.times_us is None else prompts.times_us
        source = (prompts.codes, times, prompts.firsts, prompts.offsets, prompts.numbers)

        found = Holdings(*(np.empty(len(shown.numbers), np.int32) for _ in Holdings._fields))

        def gather(part: tuple[int, int]) -> slice:
            # an account has at most as many rows as prints that it shows: room for each part
            most = prompts.codes[[part[0], part[1] - 1]] if part[0] < part[1] else [0, -1]
            room = slice(int(shown.starts[most[0]]), int(shown.starts[most[1] + 1]))
            n = _gather(*shown, *part, parts, enough, *source, *found.select(room))
            return slice(room.start, room.start + n)

        rows = [*pool.map(gather, pairwise(cuts))]
        n_holders = _count([found.labels[part] for part in rows], len(sizes), pool)
        is_kept = n_holders >= min_accounts
        n_holders[~is_kept] = 0
        n_kept = [*pool.map(lambda part: _drop(is_kept, *found.select(part)), rows)]
    for column in found:
        n = 0
        for part, more in zip(rows, n_kept, strict=True):
            column[n : n + more] = column[part.start : part.start + more]
            n += more
        column.resize(n, refcheck=False)  # gives the room back; nothing looks at it any more
    return Counted(found, n_holders, is_core)


def _count(
    parts: Sequence[npt.NDArray[np.int32]], n: int, pool: ThreadPoolExecutor
) -> npt.NDArray[np.int64]:
    """Count each of the numbers below `n` in all parts."""
    total = np.zeros(n, np.int64)
    for counts in pool.map(lambda part: np.bincount(part, minlength=n), parts):
        total += counts
    return total


def _find_shown(prompts: Prompts, cuts: list[int], pool: ThreadPoolExecutor) -> _Shown:
    """Find the different prints of each account."""
    starts = np.zeros(int(prompts.codes.max(initial=-1)) + 2, np.int64)
    n_shown = starts[1:]

    def find(part: tuple[int, int]) -> npt.NDArray[np.int32]:
        offsets = prompts.offsets[part[0] : part[1] + 1]
        last_code = np.full(len(prompts.values), -1, np.int32)
        shown = np.empty(int(offsets[-1] - offsets[0]), np.int32)
        codes = prompts.codes[slice(*part)]
        n = _list_shown(codes, offsets, prompts.numbers, last_code, n_shown, shown)
        return shown[:n].copy()

    numbers = np.concatenate([*pool.map(find, pairwise(cuts))])
    np.cumsum(n_shown, out=n_shown)
    return _Shown(numbers, starts)


def _add_up(parts: Iterable[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    total, *others = parts
    for other in others:
        total += other
    return total


def cut_by_account(codes: npt.NDArray[np.int32], n: int) -> list[int]:
    """Return about `n` places between which all that is of one account lies."""
    if len(codes) == 0:
        return [0, 0]
    ends = codes[np.linspace(0, len(codes) - 1, n + 1).astype(np.int64)[1:-1]]
    cuts = np.searchsorted(codes, np.unique(ends)).tolist()
    return [0, *(cut for cut in cuts if cut), len(codes)]
