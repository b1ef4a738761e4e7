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

# An account holds a template of at least so many prints when it shows two of them: one alone may
# be a phrase that the template contains.
_LARGE: Final = 4

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)


class Holdings(NamedTuple):
    """One row an account and template."""

    codes: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]  # prompts
    first_us: npt.NDArray[np.int64]
    last_us: npt.NDArray[np.int64]


@njit(
    types.int64(
        _I64_IN,
        _I32_IN,
        _I64_IN,
        _I64_IN,
        _I32_IN,
        _I32_IN,
        types.int32[::1],
        types.int32[::1],
        types.int64[::1],
        types.int64[::1],
        types.int64[::1],
        types.bool_[::1],
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
    held_by: Any,
    held: Any,
    counts: Any,
    first: Any,
    last: Any,
    is_sure: Any,
) -> Any:
    """Write one row an account and template; return the number of rows.

    With empty outputs it only counts. `is_sure` says whether two different prints were seen.
    """
    n_labels = labels.max() + 1 if len(labels) else 0
    is_dry = len(held) == 0
    last_code = np.full(n_labels, -1, np.int32)
    last_row = np.full(n_labels, -1, np.int64)
    places = np.empty(n_labels, np.int64)
    seen = np.empty(n_labels, np.int32)
    n = 0
    for place in range(len(rows)):
        row = rows[place]
        code = codes[row]
        for at in range(offsets[row], offsets[row + 1]):
            number = numbers[at]
            label = labels[number]
            if last_code[label] != code:
                last_code[label] = code
                if not is_dry:
                    places[label] = n
                    seen[label] = number
                    held_by[n], held[n] = code, label
                    counts[n], is_sure[n] = 0, False
                    first[n], last[n] = times[row], times[row]
                n += 1
            if is_dry:
                continue
            target = places[label]
            if seen[label] != number:
                is_sure[target] = True
            if last_row[label] != row:
                last_row[label] = row
                counts[target] += 1
                time = times[row]
                if time != NO_TIME:
                    if first[target] == NO_TIME or time < first[target]:
                        first[target] = time
                    last[target] = max(last[target], time)
    return n


def count_holdings(
    table: PrintTable,
    shared: SharedPrints,
    order: PromptOrder,
    labels: npt.NDArray[np.int32],
) -> Holdings:
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
        Only of accounts that are sure to hold the template: two of its prints were seen, or it
        has fewer than four.
    """
    times = table.times_us
    if times is None:
        times = np.full(len(table.codes), NO_TIME)
    inputs = (order.rows, table.codes, times, shared.offsets, shared.numbers, labels)
    n = 0
    held_by, held, counts, first, last, is_sure = _make_outputs(0)
    n = _gather(*inputs, held_by, held, counts, first, last, is_sure)
    held_by, held, counts, first, last, is_sure = _make_outputs(n)
    _gather(*inputs, held_by, held, counts, first, last, is_sure)
    size = np.bincount(labels)
    keep = is_sure | (size[held] < _LARGE)
    return Holdings(held_by[keep], held[keep], counts[keep], first[keep], last[keep])


def _make_outputs(n: int) -> tuple[npt.NDArray[Any], ...]:
    kinds = (np.int32, np.int32, np.int64, np.int64, np.int64, np.bool_)
    return tuple(np.empty(n, kind) for kind in kinds)
