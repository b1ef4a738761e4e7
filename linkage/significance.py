"""Significance: which overlaps, and which clusters, chance does not explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse, stats

if TYPE_CHECKING:
    from linkage.config import MethodConfig

__all__ = ["adjust_p_values", "judge_clusters", "validate_overlaps"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

PAIRS_AT_ONCE = 20_000  # overlaps looked up in one go; bounds memory
BOUND_QUANTILE = 0.05  # of the Poisson rate's posterior: the lower bound of an overlap


def validate_overlaps(
    pairs: pd.DataFrame, expected: Floats, n_tests: int, config: MethodConfig
) -> pd.DataFrame:
    """Keep the overlaps that chance does not explain.

    Parameters
    ----------
    pairs : pandas.DataFrame
        ``left``, ``right``, ``n``.
    expected : array of float64, one a pair
        Common holders under the null.
    n_tests : int
        Pairs that could have been found, those never seen together included.
    config : MethodConfig
        ``fdr`` is the false-discovery rate; an overlap of fewer than ``min_bits`` is significant
        and means little, and is dropped too.

    Returns
    -------
    pandas.DataFrame
        The validated rows of ``pairs``, with ``expected``, ``p_value``, ``q_value`` and ``bits``
        (log2 of the lower bound of ``n`` over ``expected``), in the order in which they came.

    Notes
    -----
    P(X >= n) under Poisson(mu), then Benjamini and Hochberg (1995) over all ``n_tests`` pairs. The
    bits are log2 of the 5 % quantile of the rate given ``n`` (Gamma(n)) over mu, so that an overlap
    of two accounts is not taken at its word.
    """
    n = pairs["n"].to_numpy()
    expected = np.maximum(expected, np.finfo(float).tiny)
    p_value = np.asarray(stats.poisson.sf(n - 1, expected))
    q_value = adjust_p_values(p_value, n_tests)
    bits = np.log2(stats.gamma.ppf(BOUND_QUANTILE, n)) - np.log2(expected)
    table = pairs.assign(expected=expected, p_value=p_value, q_value=q_value, bits=bits)
    kept = table[(q_value <= config.fdr) & (bits >= config.min_bits)]
    return kept.reset_index(drop=True)


def adjust_p_values(p_value: Floats, n_tests: int) -> Floats:
    """Return Benjamini-Hochberg adjusted p-values of which only the smallest were computed.

    Parameters
    ----------
    p_value : array of float64, shape (P,)
    n_tests : int
        Number of hypotheses, at least P; those without a p-value count as p = 1.

    Returns
    -------
    array of float64, shape (P,)

    Examples
    --------
    >>> adjust_p_values(np.array([0.01, 0.04]), 4)
    array([0.04, 0.08])
    """
    order = np.argsort(p_value, kind="stable")
    scaled = p_value[order] * n_tests / np.arange(1, len(p_value) + 1)
    adjusted = np.empty(len(p_value))
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def judge_clusters(
    matrix: sparse.csr_array, labels: Ints, overlaps: pd.DataFrame, n_tests: int
) -> Floats:
    """Return the q-value of each cluster.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, M)
        Which account holds which identifier.
    labels : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    overlaps : pandas.DataFrame
        Validated overlaps: ``left``, ``right``, ``p_value``.
    n_tests : int
        Number of overlaps that could have been found.

    Returns
    -------
    array of float64, shape (clusters,)
        1 for a cluster that no overlap of two of its members supports.

    Notes
    -----
    A cluster's p-value is that of its strongest overlap, counted when at least two members hold
    both identifiers. The search for it went over all ``n_tests`` pairs, so that ``n_tests`` times p
    bounds the number of clusters as strong that chance makes, and divided by the number of
    clusters found as strong it is the false-discovery rate of Benjamini and Hochberg (1995).
    """
    p_value = np.ones(int(labels.max(initial=-1)) + 1)
    members = matrix[labels >= 0].tocsc()
    owner = labels[labels >= 0]
    for begin in range(0, len(overlaps), PAIRS_AT_ONCE):
        part = overlaps.iloc[begin : begin + PAIRS_AT_ONCE]
        both = members[:, part["left"].to_numpy()].multiply(members[:, part["right"].to_numpy()])
        cells = both.tocoo()
        held = pd.DataFrame({"pair": cells.col, "cluster": owner[cells.row]})
        support = held.groupby(["pair", "cluster"]).size().rename("n").reset_index()
        support = support[support["n"] >= 2]
        found = part["p_value"].to_numpy()[support["pair"].to_numpy()]
        np.minimum.at(p_value, support["cluster"].to_numpy(), found)
    return adjust_p_values(p_value, max(n_tests, len(p_value)))
