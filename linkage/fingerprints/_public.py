# mypy: disable-error-code="untyped-decorator"
"""Which templates are public: tools' prompts and everybody's phrases."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit, types

from linkage.fingerprints._holdings import Holdings
from linkage.fingerprints._order import sort_each
from linkage.fingerprints._prints import Winnower
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["find_public", "match_known"]

_SAMPLE: Final = 64  # holders looked at of each template
_MIN_RELATED: Final = 0.2  # share of the holders that also share another template ...
_MIN_LIFT: Final = 10.0  # ... so many times as often as accounts do at large: they are related
_MIN_KNOWN: Final = 0.5  # share of a template's core prints that a known tool's prompt has

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_F64_IN = types.Array(types.float64, 1, "C", readonly=True)


def find_public(
    holdings: Holdings,
    n_holders: npt.NDArray[np.int64],
    n_accounts: int,
    config: FingerprintConfig,
    *,
    threads: int,
) -> npt.NDArray[np.bool_]:
    """Find the templates of many accounts that have nothing else in common.

    Parameters
    ----------
    holdings : Holdings
    n_holders : ndarray of int64, shape (n templates,)
    n_accounts : int
        Accounts in all.
    config : FingerprintConfig
    threads : int

    Returns
    -------
    ndarray of bool, shape (n templates,)
        True where at least `public_accounts` hold the template and no other template is held by a
        fifth of them and ten times as often as by accounts at large. It describes what lies in the
        prompts; it is no verdict: one operator's only template looks the same.
    """
    is_public = np.zeros(len(n_holders), bool)
    n_candidates = int(np.count_nonzero(n_holders >= config.public_accounts))
    if n_candidates == 0:
        return is_public
    # fewer holders than this are no fifth of those that are looked at; the rest is numbered anew
    is_wide = n_holders >= _MIN_RELATED * min(config.public_accounts, _SAMPLE)
    widest_first = np.flatnonzero(is_wide)
    widest_first = widest_first[np.argsort(-n_holders[widest_first], kind="stable")]
    widths = n_holders[widest_first]  # the candidates come first
    number = np.full(len(n_holders), -1, np.int32)
    number[widest_first] = np.arange(len(widest_first), dtype=np.int32)
    labels = number[holdings.labels]
    is_kept = labels >= 0
    codes, labels = holdings.codes[is_kept], labels[is_kept]
    starts = np.zeros(n_accounts + 1, np.int64)
    np.cumsum(np.bincount(codes, minlength=n_accounts), out=starts[1:])
    sampled = np.empty((n_candidates, _SAMPLE), np.int32)
    _sample_holders(codes, labels, widths[:n_candidates], sampled)
    del codes, is_kept
    usual = _MIN_LIFT * widths / max(n_accounts, 1)
    # as many others, from the widest on, are wide enough to be held by so many of the holders
    n_others = np.searchsorted(-widths, -_MIN_RELATED * widths, side="right")

    def judge(part: tuple[int, int]) -> npt.NDArray[np.bool_]:
        is_alone = np.ones(part[1] - part[0], np.bool_)
        _find_alone(*part, sampled, widths, starts, labels, usual, n_others, is_alone)
        return is_alone

    with ThreadPoolExecutor(threads) as pool:
        cuts = np.searchsorted(starts, np.linspace(0, len(labels), 4 * threads + 1)).tolist()
        deque(pool.map(lambda part: sort_each(starts, *part, labels), pairwise(cuts)), maxlen=0)
        cuts = np.linspace(0, n_candidates, 4 * threads + 1).astype(np.int64).tolist()
        is_public[widest_first[:n_candidates]] = np.concatenate([*pool.map(judge, pairwise(cuts))])
    return is_public


@njit(
    types.void(_I32_IN, _I32_IN, _I64_IN, types.int32[:, ::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _sample_holders(codes: Any, labels: Any, widths: Any, sampled: Any) -> None:
    """Write some of the holders of each candidate, evenly over all in the order of their codes."""
    n_passed = np.zeros((len(widths), 2), np.int64)  # holders, and those that were written
    for row in range(len(codes)):
        label = labels[row]
        if label >= len(widths):
            continue
        rank, n_written = n_passed[label]
        if rank == n_written * widths[label] // min(widths[label], _SAMPLE):
            sampled[label, n_written] = codes[row]
            n_passed[label, 1] += 1
        n_passed[label, 0] += 1


@njit(
    types.void(
        types.int64,
        types.int64,
        types.Array(types.int32, 2, "C", readonly=True),
        _I64_IN,
        _I64_IN,
        _I32_IN,
        _F64_IN,
        _I64_IN,
        types.boolean[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _find_alone(
    first: Any,
    last: Any,
    sampled: Any,
    widths: Any,
    code_starts: Any,
    labels: Any,
    usual: Any,
    n_others: Any,
    is_alone: Any,
) -> None:
    """Write False for the candidates first..last of whose holders too many hold another template.

    Templates are numbered from the widest on, and an account's come in this order.
    """
    counts = np.zeros(len(usual), np.int64)  # above what candidates before this one left
    for candidate in range(first, last):
        place, before = candidate - first, (candidate - first) * (_SAMPLE + 1)
        n = min(widths[candidate], _SAMPLE)
        least = _MIN_RELATED * n
        for rank in range(n):
            code = sampled[candidate, rank]
            for at in range(code_starts[code], code_starts[code + 1]):
                other = labels[at]
                if other >= n_others[candidate]:
                    break
                count = max(counts[other] - before, 0) + 1
                counts[other] = before + count
                if count < least or other == candidate:
                    continue
                if count >= usual[other] * n:
                    is_alone[place] = False
                    break
            if not is_alone[place]:
                break


def match_known(
    known: Sequence[str],
    every_shingle: Winnower,
    values: npt.NDArray[np.uint64],
    labels: npt.NDArray[np.int32],
    is_core: npt.NDArray[np.bool_],
    n_labels: int,
) -> npt.NDArray[np.bool_]:
    """Find the templates that a list of known prompts explains.

    Parameters
    ----------
    known : sequence of str
        Texts of tools' prompts.
    every_shingle : Winnower
        With the case's key and a window of one: around slots a template leaves other prints than
        the known text would.
    values : ndarray of uint64, shape (n prints,)
        Shared prints, sorted.
    labels : ndarray of int32, shape (n prints,)
    is_core : ndarray of bool, shape (n prints,)
        Prints that most holders of their template have.
    n_labels : int

    Returns
    -------
    ndarray of bool, shape (n_labels,)
        True where half of the template's core prints are in one of the texts.
    """
    if not known:
        return np.zeros(n_labels, bool)
    prints = every_shingle(pa.array(list(known), pa.large_string())).prints
    is_found = np.isin(values, prints)
    core = np.bincount(labels[is_core], minlength=n_labels)
    found = np.bincount(labels[is_core & is_found], minlength=n_labels)
    return (found > 0) & (found >= _MIN_KNOWN * core)
