# mypy: disable-error-code="untyped-decorator"
"""The two tables that come out: templates, and who holds them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit, types

from linkage.fingerprints._holdings import Holdings, cut_by_account
from linkage.fingerprints._names import spell
from linkage.fingerprints._source import NO_TIME

__all__ = ["HeldTemplates", "sort_holdings", "tabulate_templates"]

_TIME: Final = pa.timestamp("us", tz="UTC")
_LATEST: Final = np.iinfo(np.int64).max
_STRETCHES: Final = 8  # a thread

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTemplates:
    """Holdings as numbers, sorted by account and template."""

    holdings: Holdings
    names: npt.NDArray[np.uint64]  # of each label
    accounts: pa.Array  # of each code
    times_us: npt.NDArray[np.int64] | None

    @property
    def schema(self) -> pa.Schema:
        """Columns of the table."""
        return pa.schema(
            [
                ("account_id", self.accounts.type),
                ("template_id", pa.string()),
                ("count", pa.int64()),
                ("first_seen", _TIME),
                ("last_seen", _TIME),
            ]
        )

    def iterate(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield so many rows at a time."""
        for start in range(0, len(self.holdings.codes), rows):
            part = self.holdings.select(slice(start, start + rows))
            yield pa.record_batch(
                [
                    self.accounts.take(pa.array(part.codes)),
                    spell(self.names[part.labels]),
                    part.counts.astype(np.int64),
                    _make_times(_look_up(self.times_us, part.first)),
                    _make_times(_look_up(self.times_us, part.last)),
                ],
                schema=self.schema,
            )


@njit(
    types.void(
        types.int64,
        types.int64,
        _I32_IN,
        _I32_IN,
        _I32_IN,
        _I32_IN,
        _I64_IN,
        types.int64[:, ::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _sum_up(
    low: Any, high: Any, labels: Any, counts: Any, first: Any, last: Any, times: Any, sums: Any
) -> None:
    """Add up the prompts of the labels low..high, and find their first and last known times."""
    for row in range(len(labels)):
        label = labels[row]
        if not low <= label < high:
            continue
        sums[label, 0] += counts[row]
        if len(times):
            if times[first[row]] != NO_TIME:
                sums[label, 1] = min(sums[label, 1], times[first[row]])
            sums[label, 2] = max(sums[label, 2], times[last[row]])


@njit(
    types.void(
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
def _sort_each(ranks: Any, codes: Any, labels: Any, counts: Any, first: Any, last: Any) -> None:
    """Sort the holdings of each account by the ranks of their labels, where they lie."""
    start = 0
    while start < len(codes):
        end = start
        while end < len(codes) and codes[end] == codes[start]:
            end += 1
        keys = np.empty(end - start, np.int64)
        for i in range(end - start):
            keys[i] = np.int64(ranks[labels[start + i]]) << np.int64(32) | np.int64(i)
        keys.sort()
        order = keys & np.int64(0xFFFFFFFF)
        for column in (labels, counts, first, last):
            column[start:end] = column[start:end][order]
        start = end


def tabulate_templates(
    holdings: Holdings,
    holders: npt.NDArray[np.int64],
    names: npt.NDArray[np.uint64],
    order: npt.NDArray[np.int64],
    texts: dict[str, pa.Array],
    public: npt.NDArray[np.bool_],
    times_us: npt.NDArray[np.int64] | None,
    *,
    threads: int,
) -> pa.Table:
    """Make the table of templates.

    Parameters
    ----------
    holdings : Holdings
    holders : ndarray of int64, shape (n templates,)
        Accounts that hold each of them; those of none are left out.
    names : ndarray of uint64, shape (n templates,)
    order : ndarray of int64, shape (n templates,)
        Templates by name.
    texts : dict of str to pyarrow.StringArray
        Columns of text, by template; `skeleton` is one.
    public : ndarray of bool, shape (n templates,)
    times_us : ndarray of int64, shape (n prompts,), optional
    threads : int

    Returns
    -------
    pyarrow.Table
        By template_id.
    """
    sums = np.empty((len(names), 3), np.int64)
    sums[:] = 0, _LATEST, NO_TIME
    times = np.empty(0, np.int64) if times_us is None else times_us

    def sum_up(low: int, high: int) -> None:
        _sum_up(low, high, *holdings[1:], times, sums)

    # every thread reads all rows and keeps to its own labels
    shares = np.linspace(0, len(holdings.codes), threads + 1)
    cuts = np.searchsorted(np.cumsum(holders), shares)
    cuts[0], cuts[-1] = 0, len(names)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sum_up, cuts[:-1].tolist(), cuts[1:].tolist()))
    kept = order[holders[order] > 0]
    n_prompts, first, last = sums[kept].T
    written = {name: column.take(pa.array(kept)) for name, column in texts.items()}
    return pa.table(
        {
            "template_id": spell(names[kept]),
            "skeleton": written.pop("skeleton"),
            "n_accounts": holders[kept].astype(np.int64),
            "n_prompts": np.ascontiguousarray(n_prompts),
            "public": public[kept],
            "first_seen": _make_times(np.where(first == _LATEST, NO_TIME, first)),
            "last_seen": _make_times(np.ascontiguousarray(last)),
        }
        | written
    )


def sort_holdings(holdings: Holdings, order: npt.NDArray[np.int64], *, threads: int) -> None:
    """Sort each account's holdings by template, where they lie: they are the largest table.

    Parameters
    ----------
    holdings : Holdings
        Account by account.
    order : ndarray of int64, shape (n templates,)
        Templates by name.
    threads : int
    """
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    cuts = cut_by_account(holdings.codes, _STRETCHES * threads)

    def sort(part: tuple[int, int]) -> None:
        _sort_each(ranks, *holdings.select(slice(*part)))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sort, pairwise(cuts)))


def _look_up(
    times_us: npt.NDArray[np.int64] | None, rows: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    return np.full(len(rows), NO_TIME) if times_us is None else times_us[rows]


def _make_times(times_us: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(times_us, pa.int64(), mask=times_us == NO_TIME).cast(_TIME)
