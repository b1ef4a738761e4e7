"""Which templates are public: tools' prompts and everybody's phrases."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from linkage.fingerprints._holdings import Holdings
from linkage.fingerprints._prints import Winnower
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["find_public", "match_known"]

_SAMPLE: Final = 256  # holders looked at of each template
_CHUNK: Final = 2_048  # templates looked at together
_MIN_RELATED: Final = 0.2  # share of the holders that also share another template ...
_MIN_LIFT: Final = 10.0  # ... so many times as often as accounts do at large: they are related
_MIN_KNOWN: Final = 0.5  # share of a template's core prints that a known tool's prompt has


def find_public(
    holdings: Holdings, n_accounts: int, n_labels: int, config: FingerprintConfig
) -> npt.NDArray[np.bool_]:
    """Find the templates of many accounts that have nothing else in common.

    Parameters
    ----------
    holdings : Holdings
    n_accounts : int
        Accounts in all.
    n_labels : int
        Templates in all.
    config : FingerprintConfig

    Returns
    -------
    ndarray of bool, shape (n_labels,)
        True where at least `public_accounts` hold the template and no other template is held by a
        fifth of them and ten times as often as by accounts at large. It describes what lies in the
        prompts; it is no verdict: one operator's only template looks the same.
    """
    shape = (n_accounts, n_labels)
    ones = np.ones(len(holdings.codes), np.float32)
    held = sparse.csr_array((ones, (holdings.codes, holdings.labels)), shape=shape)
    holders = np.bincount(holdings.labels, minlength=n_labels)
    candidates = np.flatnonzero(holders >= config.public_accounts)
    sampled = _sample_holders(holdings, holders, candidates, n_accounts)
    is_public = np.zeros(n_labels, bool)
    usual = np.maximum(holders, 1) / max(n_accounts, 1)
    for start in range(0, len(candidates), _CHUNK):
        chunk = candidates[start : start + _CHUNK]
        common = (sampled[start : start + _CHUNK] @ held).tocoo()
        share = common.data / np.minimum(holders[chunk], _SAMPLE)[common.row]
        is_related = (
            (common.col != chunk[common.row])
            & (share >= _MIN_RELATED)
            & (share >= _MIN_LIFT * usual[common.col])
        )
        is_alone = np.ones(len(chunk), bool)
        is_alone[common.row[is_related]] = False
        is_public[chunk] = is_alone
    return is_public


def _sample_holders(
    holdings: Holdings,
    holders: npt.NDArray[np.int64],
    candidates: npt.NDArray[np.int64],
    n_accounts: int,
) -> sparse.csr_array:
    """Return a 0/1 matrix of candidates by accounts with evenly sampled holders."""
    order = np.lexsort((holdings.codes, holdings.labels))
    starts = np.concatenate([[0], np.cumsum(holders)])[candidates]
    n = np.minimum(holders[candidates], _SAMPLE)
    row = np.repeat(np.arange(len(candidates)), n)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(n) - n, n)
    places = starts[row] + rank * holders[candidates][row] // n[row]
    codes = holdings.codes[order[places]]
    return sparse.csr_array(
        (np.ones(len(row), np.float32), (row, codes)), shape=(len(candidates), n_accounts)
    )


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
