# mypy: disable-error-code="untyped-decorator"
"""Which templates are public: tools' prompts and everybody's phrases."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit, types
from scipy import sparse

from linkage.fingerprints._holdings import Holdings
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
    candidates = np.flatnonzero(n_holders >= config.public_accounts)
    is_public = np.zeros(len(n_holders), bool)
    if len(candidates) == 0:
        return is_public
    # fewer holders than this are no fifth of those that are looked at; the rest is numbered anew
    is_wide = n_holders >= _MIN_RELATED * min(config.public_accounts, _SAMPLE)
    widest_first = np.flatnonzero(is_wide)
    widest_first = widest_first[np.argsort(-n_holders[widest_first], kind="stable")]
    number = np.empty(len(n_holders), np.int32)
    number[widest_first] = np.arange(len(widest_first), dtype=np.int32)
    is_kept = is_wide[holdings.labels]
    codes, labels = holdings.codes[is_kept], number[holdings.labels[is_kept]]
    n_held = np.bincount(codes, minlength=n_accounts)
    starts = np.concatenate([[0], np.cumsum(n_held)])
    by_account = sparse.csr_array(
        (np.ones(len(codes), np.int8), labels, starts), shape=(n_accounts, len(widest_first))
    )
    by_account.sort_indices()
    starts = by_account.indptr.astype(np.int64)
    labels = by_account.indices.astype(np.int32, copy=False)
    held = by_account.tocsc()
    label_starts, held_by = held.indptr.astype(np.int64), held.indices.astype(np.int32, copy=False)
    widths = n_holders[widest_first]
    usual = _MIN_LIFT * widths / max(n_accounts, 1)
    # as many others, from the widest on, are wide enough to be held by so many of the holders
    n_others = np.searchsorted(-widths, -_MIN_RELATED * widths, side="right")

    def judge(part: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        is_alone = np.ones(len(part), np.bool_)
        _find_alone(
            part,
            label_starts,
            held_by,
            starts,
            labels,
            usual,
            n_others,
            is_alone,
        )
        return is_alone

    with ThreadPoolExecutor(threads) as pool:
        numbers = number[candidates].astype(np.int64)
        parts = pool.map(judge, np.array_split(numbers, 4 * threads))
        is_public[candidates] = np.concatenate([*parts])
    return is_public


@njit(
    types.void(_I64_IN, _I64_IN, _I32_IN, _I64_IN, _I32_IN, _F64_IN, _I64_IN, types.boolean[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _find_alone(
    candidates: Any,
    label_starts: Any,
    holders: Any,
    code_starts: Any,
    labels: Any,
    usual: Any,
    n_others: Any,
    is_alone: Any,
) -> None:
    """Write False for each candidate of whose sampled holders too many hold another template.

    Templates are numbered from the widest on, and an account's come in this order.
    """
    counts = np.zeros(len(usual), np.int64)  # above what candidates before this one left
    for place in range(len(candidates)):
        candidate, before = candidates[place], place * (_SAMPLE + 1)
        first = label_starts[candidate]
        n_holders = label_starts[candidate + 1] - first
        n = min(n_holders, _SAMPLE)
        least = _MIN_RELATED * n
        for rank in range(n):
            code = holders[first + rank * n_holders // n]
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
