# mypy: disable-error-code="untyped-decorator"
"""Who used which template: how often, first and last."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, types

from linkage.fingerprints._join import PromptOrder
from linkage.fingerprints._prints import PrintTable
from linkage.fingerprints._shared import SharedPrints
from linkage.fingerprints._source import NO_TIME

__all__ = ["Holdings", "count_holdings"]

# An account is sure to hold a template when it shows so many and so large a share of its core
# prints. It holds it as well when it shows one print of which nearly all holders are sure.
_MIN_SURE: Final = 2
_LARGE: Final = 4  # core prints, below which one is enough
_MIN_SURE_SHARE: Final = 0.2
_MIN_PURITY: Final = 0.9
_CORE: Final = 0.5  # a core print has at least so large a share of its template's widest print

_STRETCHES: Final = 16  # a thread
_Counts = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_F64_IN = types.Array(types.float64, 1, "C", readonly=True)
_BOOL_IN = types.Array(types.boolean, 1, "C", readonly=True)


class Holdings(NamedTuple):
    """One row an account and template, account by account."""

    codes: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]  # prompts
    first: npt.NDArray[np.int32]  # the prompt that came first, a row of the table
    last: npt.NDArray[np.int32]

    def select(self, is_kept: npt.NDArray[Any] | slice) -> "Holdings":
        """Return some of the rows."""
        return Holdings(*(column[is_kept] for column in self))


@njit(
    types.void(
        _I64_IN,
        _I32_IN,
        _I64_IN,
        _I32_IN,
        _I32_IN,
        _I64_IN,
        types.int32[::1],
        types.int64[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _count_holders(
    rows: Any,
    codes: Any,
    offsets: Any,
    numbers: Any,
    labels: Any,
    sizes: Any,
    holders: Any,
    totals: Any,
) -> None:
    """Count the accounts that show each print of the larger templates.

    `totals` receives the pairs of account and template, and the most templates and the most prints
    of larger ones that one account shows.
    """
    last_code = np.full(len(sizes), -1, np.int32)
    last_shown = np.full(len(labels), -1, np.int32)
    previous, n_held, n_shown = np.int32(-1), 0, 0
    for place in range(len(rows)):
        row = rows[place]
        code = codes[row]
        if code != previous:
            previous, n_held, n_shown = code, 0, 0
        for at in range(offsets[row], offsets[row + 1]):
            number = numbers[at]
            label = labels[number]
            if last_code[label] != code:
                last_code[label] = code
                totals[0] += 1
                n_held += 1
            if sizes[label] > 1 and last_shown[number] != code:
                last_shown[number] = code
                holders[number] += 1
                n_shown += 1
        totals[1] = max(totals[1], n_held)
        totals[2] = max(totals[2], n_shown)


@njit(
    types.int64(
        _I64_IN,
        _I32_IN,
        _I64_IN,
        _I64_IN,
        _I32_IN,
        _I32_IN,
        _I64_IN,
        _F64_IN,
        _BOOL_IN,
        _BOOL_IN,
        types.int64,
        types.int64,
        types.int32[::1],
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
def _find_sure(  # noqa: PLR0912, PLR0915 - one loop, account by account
    rows: Any,
    codes: Any,
    times: Any,
    offsets: Any,
    numbers: Any,
    labels: Any,
    sizes: Any,
    enough: Any,
    is_core: Any,
    is_pure: Any,
    most_held: Any,
    most_shown: Any,
    sure_holders: Any,
    held_by: Any,
    held: Any,
    counts: Any,
    first: Any,
    last: Any,
) -> Any:
    """Find the templates that each account is sure to hold; return how many rows were written.

    With `sure_holders`, which counts them print by print, nothing is written.
    """
    is_counted = len(sure_holders) > 0
    last_code = np.full(len(sizes), -1, np.int32)
    last_row = np.full(len(sizes), -1, np.int32)
    slots = np.empty(len(sizes), np.int32)
    last_shown = np.full(len(labels), -1, np.int32)
    shown = np.empty(most_shown, np.int32)
    own = np.empty(most_held, np.int32)  # templates, and what is known of each
    n_core = np.empty(most_held, np.int32)
    n_prompts = np.empty(most_held, np.int32)
    first_row = np.empty(most_held, np.int32)
    final_row = np.empty(most_held, np.int32)
    has_pure = np.empty(most_held, np.bool_)
    written, place = 0, 0
    while place < len(rows):
        code = codes[rows[place]]
        n_own, n_shown = 0, 0
        while place < len(rows) and codes[rows[place]] == code:
            row = rows[place]
            place += 1
            time = times[row] if len(times) else NO_TIME
            for at in range(offsets[row], offsets[row + 1]):
                number = numbers[at]
                label = labels[number]
                if last_code[label] != code:
                    last_code[label] = code
                    slots[label] = n_own
                    own[n_own], n_core[n_own], n_prompts[n_own] = label, 0, 0
                    first_row[n_own], final_row[n_own] = row, row
                    has_pure[n_own] = False
                    n_own += 1
                slot = slots[label]
                if sizes[label] > 1 and last_shown[number] != code:
                    last_shown[number] = code
                    shown[n_shown] = number
                    n_shown += 1
                    n_core[slot] += is_core[number]
                    has_pure[slot] |= is_pure[number]
                if not is_counted and last_row[label] != row:
                    last_row[label] = row
                    n_prompts[slot] += 1
                    if time != NO_TIME:
                        earliest = times[first_row[slot]]
                        if earliest == NO_TIME or time < earliest:
                            first_row[slot] = row
                        if time > times[final_row[slot]]:
                            final_row[slot] = row
        if is_counted:
            for i in range(n_shown):
                label = labels[shown[i]]
                sure_holders[shown[i]] += n_core[slots[label]] >= enough[label]
            continue
        for slot in range(n_own):
            label = own[slot]
            if sizes[label] == 1 or n_core[slot] >= enough[label] or has_pure[slot]:
                held_by[written], held[written] = code, label
                counts[written] = n_prompts[slot]
                first[written], last[written] = first_row[slot], final_row[slot]
                written += 1
    return written


def count_holdings(
    table: PrintTable,
    shared: SharedPrints,
    order: PromptOrder,
    labels: npt.NDArray[np.int32],
    *,
    threads: int,
) -> tuple[Holdings, npt.NDArray[np.bool_]]:
    """Count each account's prompts by template.

    Parameters
    ----------
    table : PrintTable
    shared : SharedPrints
    order : PromptOrder
    labels : ndarray of int32, shape (n prints,)
        The template of each print.
    threads : int

    Returns
    -------
    Holdings
        Only of accounts that hold the template, not just a phrase that it contains: they show a
        fifth of its core prints and, where there are four, at least two, or a print of whose
        holders nine in ten do.
    ndarray of bool, shape (n prints,)
        Core prints: those with at least half as many holders as the widest of their template.

    Notes
    -----
    Prompts are read three times: who shows a print, who is sure to hold its template, and who does
    for a print that mostly those show. So nothing is kept of what is no holding.
    """
    sizes = np.bincount(labels)
    cuts = _cut_by_account(table.codes, order.rows, _STRETCHES * threads)
    parts = [order.rows[first:last] for first, last in pairwise(cuts)]
    times = np.empty(0, np.int64) if table.times_us is None else table.times_us
    prompts = (shared.offsets, shared.numbers, labels, sizes)

    def count(parts: list[npt.NDArray[np.int64]]) -> _Counts:
        holders = np.zeros(len(labels), np.int32)
        totals = np.zeros((len(parts), 3), np.int64)
        for part, total in zip(parts, totals, strict=True):
            _count_holders(part, table.codes, *prompts, holders, total)
        return holders, totals

    with ThreadPoolExecutor(threads) as pool:
        # the stretches of a thread are counted into one array
        dealt = [parts[start::threads] for start in range(threads)]
        counted = [*pool.map(count, dealt)]
        holders = _add_up(holders for holders, _ in counted)
        totals = np.empty((len(parts), 3), np.int64)
        for start, (_, part_totals) in enumerate(counted):
            totals[start::threads] = part_totals
        del counted
        widest = np.zeros(len(sizes), np.int32)
        np.maximum.at(widest, labels, holders)
        is_core = holders >= _CORE * widest[labels]
        n_core = np.bincount(labels[is_core], minlength=len(sizes))
        enough = np.maximum(np.where(n_core < _LARGE, 1, _MIN_SURE), _MIN_SURE_SHARE * n_core)
        most = totals.max(axis=0, initial=0)[1:].tolist()
        known = (times, *prompts, enough, is_core)
        nothing = np.empty(0, np.int32)
        is_pure = np.zeros(len(labels), bool)

        def count_sure(parts: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int32]:
            sure = np.zeros(len(labels), np.int32)
            for part in parts:
                _find_sure(part, table.codes, *known, is_pure, *most, sure, *[nothing] * 5)
            return sure

        sure_holders = _add_up(pool.map(count_sure, dealt))
        is_pure = sure_holders >= np.maximum(_MIN_SURE, _MIN_PURITY * holders)
        del sure_holders, holders

        def gather(part: npt.NDArray[np.int64], n: int) -> Holdings:
            found = Holdings(*(np.empty(n, np.int32) for _ in Holdings._fields))
            n = _find_sure(part, table.codes, *known, is_pure, *most, nothing, *found)
            return Holdings(*(column[:n].copy() for column in found))

        found = [*pool.map(gather, parts, totals[:, 0].tolist())]
    columns = (np.concatenate(column) for column in zip(*found, strict=True))
    return Holdings(*columns), is_core


def _add_up(parts: Iterable[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    total, *others = parts
    for other in others:
        total += other
    return total


def _cut_by_account(codes: npt.NDArray[np.int32], rows: npt.NDArray[np.int64], n: int) -> list[int]:
    """Return about `n` places between which all rows of an account lie."""
    if len(rows) == 0:
        return [0, 0]
    ends = codes[rows[np.linspace(0, len(rows) - 1, n + 1).astype(np.int64)[1:-1]]]
    cuts = np.searchsorted(codes[rows], np.unique(ends)).tolist()
    return [0, *(cut for cut in cuts if cut), len(rows)]
