# mypy: disable-error-code="untyped-decorator"
"""Who used which template: how often, first and last."""

from collections import deque
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

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)


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


class _Shown(NamedTuple):
    """One row an account and print of a template with several prints."""

    row: npt.NDArray[np.int32]  # of the holdings
    number: npt.NDArray[np.int32]  # the print


class _Stretch(NamedTuple):
    """Prompts of some accounts, and where their rows lie in holdings and in what is shown."""

    rows: slice
    held: slice
    shown: slice


@njit(
    types.void(
        _I64_IN,
        _I32_IN,
        _I64_IN,
        _I64_IN,
        _I32_IN,
        _I32_IN,
        _I64_IN,
        types.int64,
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int32[::1],
        types.int64[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _gather(
    rows: Any,
    codes: Any,
    times: Any,
    offsets: Any,
    numbers: Any,
    labels: Any,
    sizes: Any,
    first_held: Any,
    held_by: Any,
    held: Any,
    counts: Any,
    first: Any,
    last: Any,
    shown_row: Any,
    shown_number: Any,
    totals: Any,
) -> None:
    """Write one row an account and template, and one an account and print of a larger template.

    With empty outputs it only counts; `totals` receives the two numbers of rows.
    """
    is_dry = len(held) == 0
    last_code = np.full(len(sizes), -1, np.int32)
    last_row = np.full(len(sizes), -1, np.int32)
    places = np.empty(len(sizes), np.int32)
    last_shown = np.full(len(labels), -1, np.int32)
    n, n_shown = 0, 0
    for place in range(len(rows)):
        row = rows[place]
        code = codes[row]
        for at in range(offsets[row], offsets[row + 1]):
            number = numbers[at]
            label = labels[number]
            if last_code[label] != code:
                last_code[label] = code
                places[label] = n
                if not is_dry:
                    held_by[n], held[n], counts[n] = code, label, 0
                    first[n], last[n] = row, row
                n += 1
            if sizes[label] > 1 and last_shown[number] != code:
                last_shown[number] = code
                if not is_dry:
                    shown_row[n_shown] = first_held + places[label]
                    shown_number[n_shown] = number
                n_shown += 1
            if not is_dry and last_row[label] != row:
                last_row[label] = row
                target = places[label]
                counts[target] += 1
                time = times[row]
                if time != NO_TIME:
                    if times[first[target]] == NO_TIME or time < times[first[target]]:
                        first[target] = row
                    if time > times[last[target]]:
                        last[target] = row
    totals[0], totals[1] = n, n_shown


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
    """
    sizes = np.bincount(labels)
    times = table.times_us
    if times is None:
        times = np.full(len(table.codes), NO_TIME)
    prompts = (table.codes, times, shared.offsets, shared.numbers, labels, sizes)
    parts = [slice(*cut) for cut in pairwise(_cut_by_account(table.codes, order.rows, 4 * threads))]

    def count(part: slice) -> tuple[int, int]:
        totals = np.zeros(2, np.int64)
        _gather(order.rows[part], *prompts, 0, *_make_outputs(0, 0), totals)
        return int(totals[0]), int(totals[1])

    def gather(stretch: _Stretch) -> None:
        outputs = (column[stretch.held] for column in found)
        also = (column[stretch.shown] for column in shown)
        start = stretch.held.start
        _gather(order.rows[stretch.rows], *prompts, start, *outputs, *also, np.zeros(2, np.int64))

    with ThreadPoolExecutor(threads) as pool:
        ends = np.cumsum([(0, 0), *pool.map(count, parts)], axis=0).tolist()
        stretches = [
            _Stretch(part, slice(low[0], high[0]), slice(low[1], high[1]))
            for part, (low, high) in zip(parts, pairwise(ends), strict=True)
        ]
        outputs = _make_outputs(*ends[-1])
        found, shown = Holdings(*outputs[:5]), _Shown(*outputs[5:])
        deque(pool.map(gather, stretches), maxlen=0)
    holders = np.bincount(shown.number, minlength=len(labels))
    widest = np.zeros(len(sizes), np.int64)
    np.maximum.at(widest, labels, holders)
    is_core = holders >= _CORE * widest[labels]
    return found.select(_find_sure(found, labels, is_core, shown, stretches)), is_core


def _make_outputs(n: int, n_shown: int) -> list[npt.NDArray[np.int32]]:
    return [np.empty(length, np.int32) for length in [n] * 5 + [n_shown] * 2]


def _cut_by_account(codes: npt.NDArray[np.int32], rows: npt.NDArray[np.int64], n: int) -> list[int]:
    """Return about `n` places between which all rows of an account lie."""
    if len(rows) == 0:
        return [0, 0]
    ends = codes[rows[np.linspace(0, len(rows) - 1, n + 1).astype(np.int64)[1:-1]]]
    cuts = np.searchsorted(codes[rows], np.unique(ends)).tolist()
    return [0, *(cut for cut in cuts if cut), len(rows)]


def _find_sure(
    holdings: Holdings,
    labels: npt.NDArray[np.int32],
    is_core: npt.NDArray[np.bool_],
    shown: _Shown,
    stretches: list[_Stretch],
) -> npt.NDArray[np.bool_]:
    """Return which rows (account, template) hold the template and not just a phrase of it."""
    sizes = np.bincount(labels)
    n_core = np.bincount(labels[is_core], minlength=len(sizes))
    enough = np.maximum(np.where(n_core < _LARGE, 1, _MIN_SURE), _MIN_SURE_SHARE * n_core)
    is_sure = np.empty(len(holdings.labels), bool)
    for stretch in stretches:  # what is counted here is wide, and is counted piece by piece
        held, number = holdings.labels[stretch.held], shown.number[stretch.shown]
        row = shown.row[stretch.shown] - stretch.held.start
        n_shown = np.bincount(row[is_core[number]], minlength=len(held))
        is_sure[stretch.held] = (sizes[held] == 1) | (n_shown >= enough[held])
    holders = np.bincount(shown.number, minlength=len(labels))
    sure_holders = np.bincount(shown.number[is_sure[shown.row]], minlength=len(labels))
    is_pure = sure_holders >= np.maximum(_MIN_SURE, _MIN_PURITY * holders)
    is_sure[shown.row[is_pure[shown.number]]] = True
    return is_sure
