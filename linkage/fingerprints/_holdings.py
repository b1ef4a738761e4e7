# mypy: disable-error-code="untyped-decorator"
"""Who used which template: how often, first and last."""

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
    """One row an account and template."""

    codes: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]  # prompts
    first_us: npt.NDArray[np.int64]
    last_us: npt.NDArray[np.int64]

    def select(self, is_kept: npt.NDArray[np.bool_]) -> "Holdings":
        """Return some of the rows."""
        return Holdings(
            self.codes[is_kept],
            self.labels[is_kept],
            self.counts[is_kept],
            self.first_us[is_kept],
            self.last_us[is_kept],
        )


@njit(
    types.void(
        _I64_IN,
        _I32_IN,
        _I64_IN,
        _I64_IN,
        _I32_IN,
        _I32_IN,
        _I64_IN,
        types.int32[::1],
        types.int32[::1],
        types.int64[::1],
        types.int64[::1],
        types.int64[::1],
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
    last_row = np.full(len(sizes), -1, np.int64)
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
                    first[n], last[n] = times[row], times[row]
                n += 1
            if sizes[label] > 1 and last_shown[number] != code:
                last_shown[number] = code
                if not is_dry:
                    shown_row[n_shown], shown_number[n_shown] = places[label], number
                n_shown += 1
            if not is_dry and last_row[label] != row:
                last_row[label] = row
                target = places[label]
                counts[target] += 1
                time = times[row]
                if time != NO_TIME:
                    if first[target] == NO_TIME or time < first[target]:
                        first[target] = time
                    last[target] = max(last[target], time)
    totals[0], totals[1] = n, n_shown


def count_holdings(
    table: PrintTable,
    shared: SharedPrints,
    order: PromptOrder,
    labels: npt.NDArray[np.int32],
) -> tuple[Holdings, npt.NDArray[np.bool_]]:
    """Count each account's prompts by template.

    Parameters
    ----------
    table : PrintTable
    shared : SharedPrints
    order : PromptOrder
    labels : ndarray of int32, shape (n prints,)
        The template of each print.

    Returns
    -------
    Holdings
        Only of accounts that hold the template, not just a phrase that it contains: they show a
        fifth of its core prints and, where there are four, at least two, or a print of whose
        holders nine in ten do.
    ndarray of bool, shape (n prints,)
        Core prints: those with at least half as many holders as the widest of their template.
    """
    times = table.times_us
    if times is None:
        times = np.full(len(table.codes), NO_TIME)
    sizes = np.bincount(labels)
    inputs = (order.rows, table.codes, times, shared.offsets, shared.numbers, labels, sizes)
    totals = np.zeros(2, np.int64)
    _gather(*inputs, *_make_outputs(0, 0), totals)
    outputs = _make_outputs(int(totals[0]), int(totals[1]))
    _gather(*inputs, *outputs, totals)
    held_by, held, counts, first, last, shown_row, shown_number = outputs
    holders = np.bincount(shown_number, minlength=len(labels))
    widest = np.zeros(len(sizes), np.int64)
    np.maximum.at(widest, labels, holders)
    is_core = holders >= _CORE * widest[labels]
    found = Holdings(held_by, held, counts, first, last)
    is_sure = _find_sure(found, labels, is_core, shown_row, shown_number)
    return found.select(is_sure), is_core


def _make_outputs(n: int, n_shown: int) -> tuple[npt.NDArray[Any], ...]:
    kinds = (np.int32, np.int32, np.int64, np.int64, np.int64)
    return (
        *(np.empty(n, kind) for kind in kinds),
        np.empty(n_shown, np.int32),
        np.empty(n_shown, np.int32),
    )


def _find_sure(
    holdings: Holdings,
    labels: npt.NDArray[np.int32],
    is_core: npt.NDArray[np.bool_],
    shown_row: npt.NDArray[np.int32],
    shown_number: npt.NDArray[np.int32],
) -> npt.NDArray[np.bool_]:
    """Return which rows (account, template) hold the template and not just a phrase of it."""
    n_rows = len(holdings.labels)
    sizes = np.bincount(labels)
    core_size = np.bincount(labels[is_core], minlength=len(sizes))[holdings.labels]
    core_shown = np.bincount(shown_row[is_core[shown_number]], minlength=n_rows)
    enough = np.maximum(np.where(core_size < _LARGE, 1, _MIN_SURE), _MIN_SURE_SHARE * core_size)
    is_sure: npt.NDArray[np.bool_] = (sizes[holdings.labels] == 1) | (core_shown >= enough)
    holders = np.bincount(shown_number, minlength=len(labels))
    sure_holders = np.bincount(shown_number[is_sure[shown_row]], minlength=len(labels))
    is_pure = sure_holders >= np.maximum(_MIN_SURE, _MIN_PURITY * holders)
    is_sure[shown_row[is_pure[shown_number]]] = True
    return is_sure
