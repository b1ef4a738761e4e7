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
    number = np.cumsum(is_wide, dtype=np.int32) - np.int32(1)
    is_kept = is_wide[holdings.labels]
    codes, labels = holdings.codes[is_kept], number[holdings.labels[is_kept]]
    n_held = np.bincount(codes, minlength=n_accounts)
    starts = np.concatenate([[0], np.cumsum(n_held)]).astype(np.int64)
    held = sparse.csr_array(
        (np.ones(len(codes), np.int8), labels, starts), shape=(n_accounts, int(is_wide.sum()))
    ).tocsc()
    label_starts, held_by = held.indptr.astype(np.int64), held.indices.astype(np.int32, copy=False)
    usual = _MIN_LIFT * n_holders[is_wide] / max(n_accounts, 1)

    def judge(part: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        is_alone = np.ones(len(part), np.bool_)
        _find_alone(
            part,
            label_starts,
            held_by,
            starts,
            labels,
            usual,
            is_alone,
        )
        return is_alone

    with ThreadPoolExecutor(threads) as pool:
        numbers = number[candidates].astype(np.int64)
        parts = pool.map(judge, np.array_split(numbers, 4 * threads))
        is_public[candidates] = np.concatenate([*parts])
    return is_public


@njit(
    types.void(_I64_IN, _I64_IN, _I32_IN, _I64_IN, _I32_IN, _F64_IN, types.boolean[::1]),
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
    is_alone: Any,
) -> None:
    """Write False for each candidate of whose sampled holders too many hold another template."""
    counts = np.zeros(len(usual), np.int32)
    stamps = np.full(len(usual), -1, np.int32)
    for place in range(len(candidates)):
        candidate = candidates[place]
        first = label_starts[candidate]
        n_holders = label_starts[candidate + 1] - first
        n = min(n_holders, _SAMPLE)
        least = _MIN_RELATED * n
        for rank in range(n):
            code = holders[first + rank * n_holders // n]
            for at in range(code_starts[code], code_starts[code + 1]):
                other = labels[at]
                if stamps[other] != place:
                    stamps[other] = place
                    counts[other] = 0
                counts[other] += 1
                if counts[other] < least or other == candidate:
                    continue
                if counts[other] >= usual[other] * n:
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
