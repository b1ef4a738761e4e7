"""Significance: which overlaps, and which clusters, chance does not explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from linkage.graph import find_starts
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["adjust_p_values", "judge_clusters", "retest_overlaps", "validate_overlaps"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

TINY = 1e-300  # stands for a p-value that underflowed
PAIRS_TESTED = 1 << 20  # overlaps tested in one go; bounds memory
SLACK = 1e-6  # of the logarithm of a p-value, for rounding
MIN_NEITHER = 0.01  # least share of accounts taken to hold neither of two identifiers
BOUND_QUANTILE = 0.05  # of the Poisson rate's posterior: the lower bound of an overlap


def validate_overlaps(
    pairs: pd.DataFrame, expected: Floats, holders: Ints, n_tests: int, config: MethodConfig
) -> pd.DataFrame:
    """Keep the overlaps that chance does not explain.

    Parameters
    ----------
    pairs : pandas.DataFrame
        ``left``, ``right``, ``n``.
    expected : array of float64, one a pair
        Common holders under the null.
    holders : array of int64, shape (M,)
        Holders of each identifier.
    n_tests : int
        Pairs that could have been found, those never seen together included.
    config : MethodConfig
        ``fdr`` is the false-discovery rate; an overlap of fewer than ``min_bits`` is significant
        and means little, and is dropped too.

    Returns
    -------
    pandas.DataFrame
        The validated rows of ``pairs``, with ``expected``, ``p_value``, ``q_value`` and ``bits``
        (log2 of a lower bound of the odds ratio), in the order in which they came.

    Notes
    -----
    P(X >= n) under Poisson(mu), then Benjamini and Hochberg (1995) over all ``n_tests`` pairs. The
    bits are log2 of the odds ratio of holding the two identifiers, with the 5 % quantile n' of the
    rate given ``n`` (Gamma(n)) in place of n, so that an overlap of two accounts is not taken at
    its word. With d_i and d_j holders and g = mu / (d_i d_j)::

        n' (1 - (d_i + d_j - n') g) / ((d_i - n') (d_j - n') g)

    The ratio n / mu would do for rare identifiers. It cannot exceed N / d, and so would say the
    less of an operator the more accounts it has.
    """
    expected = np.maximum(expected, np.finfo(float).tiny)
    # All pairs together could not make one significant that is above this.
    most = config.fdr * len(pairs) / max(n_tests, 1)
    row = _find_rare(pairs["n"].to_numpy(), expected, most)
    n = pairs["n"].to_numpy(np.int64)[row]
    p_value = np.asarray(special.pdtrc(n - 1, expected[row]))
    rare = p_value <= most
    row, n, p_value = row[rare], n[rare], p_value[rare]
    q_value = adjust_p_values(p_value, n_tests)
    counts, which = np.unique(n, return_inverse=True)
    left, right = (pairs[side].to_numpy(np.int64)[row] for side in ("left", "right"))
    bits = _bound_odds_ratio(
        np.asarray(special.gammaincinv(counts, BOUND_QUANTILE), np.float64)[which],
        holders[left],
        holders[right],
        expected[row],
    )
    table = pd.DataFrame(
        {
            "left": left,
            "right": right,
            "n": n,
            "expected": expected[row],
            "p_value": p_value,
            "q_value": q_value,
            "bits": bits,
        }
    )
    kept = table[(q_value <= config.fdr) & (bits >= config.min_bits)]
    return kept.reset_index(drop=True)


def retest_overlaps(overlaps: pd.DataFrame, expected: Floats) -> pd.DataFrame:
    """Test validated overlaps against another null, for judging clusters by them.

    Parameters
    ----------
    overlaps : pandas.DataFrame
        ``n`` and others.
    expected : array of float64, one an overlap
        Common holders under the null.

    Returns
    -------
    pandas.DataFrame
        The same rows, with other ``expected`` and ``p_value``: P(X >= n) under Poisson(mu).

    Notes
    -----
    Overlaps are found against chance in the whole population, for a campaign that fills a large
    part of its country hardly overlaps more than chance within the country would have it. Clusters
    are judged by chance within strata: what many overlaps have made is tested on all members.
    """
    expected = np.maximum(expected, np.finfo(float).tiny)
    p_value = np.asarray(special.pdtrc(overlaps["n"].to_numpy(np.int64) - 1, expected))
    return overlaps.assign(expected=expected, p_value=p_value)


def _find_rare(n: Any, expected: Floats, most: float) -> Ints:
    """Return the pairs whose p-value may be at most ``most``: no less than P(X = n) alone."""
    if not 0 < most < 1:
        return np.arange(len(n))
    log_most = np.log(most) + SLACK
    rows = [np.empty(0, np.int64)]
    for begin in range(0, len(n), PAIRS_TESTED):
        part, mean = n[begin : begin + PAIRS_TESTED], expected[begin : begin + PAIRS_TESTED]
        log_p = part * np.log(mean) - mean - special.gammaln(part + 1.0)
        rows.append(begin + np.flatnonzero(log_p <= log_most))
    return np.concatenate(rows)


def _bound_odds_ratio(n: Floats, left: Ints, right: Ints, expected: Floats) -> Floats:
    """Return log2 of the odds ratio of holding two identifiers; ``n`` are common holders."""
    neither = np.maximum(1 - (1 / left + 1 / right - n / left / right) * expected, MIN_NEITHER)
    only = np.log2(1 - n / left) + np.log2(1 - n / right)
    return np.asarray(np.log2(n) + np.log2(neither) - only - np.log2(expected))


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
    graph: AccountGraph,
    edges: pd.DataFrame,
    labels: Ints,
    strata: Ints,
    matches: pd.DataFrame,
    overlaps: pd.DataFrame,
    n_tests: int,
) -> Floats:
    """Return the q-value of each cluster.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``: the edges that were counted.
    labels, strata : array of int64, shape (N,)
        Cluster of each account, -1 for none; stratum of each account.
    matches : pandas.DataFrame
        ``account``, ``cluster``, ``family`` (code): families in which an account, member or not,
        has enough in common with a cluster.
    overlaps : pandas.DataFrame
        Validated overlaps: ``left``, ``right``, ``p_value``.
    n_tests : int
        Number of overlaps that could have been found.

    Returns
    -------
    array of float64, shape (clusters,)
        1 for a cluster that nothing supports but one family.

    Notes
    -----
    Under the null, families are independent within a stratum. If n_fs accounts of stratum s match
    a cluster in family f, chance makes ``sum_s n_fs n_gs / N_s`` of them match it in g too
    (Poisson); so it is for an overlap of two identifiers that two members hold. The smallest
    p-value was searched for over all ``n_tests`` pairs of identifiers. Each further family f
    multiplies it by min(1, M_f p), p being its smallest with a family that counts already and M_f
    the number of its identifiers that could have been it. The product bounds the number of
    clusters as strong that chance makes; Benjamini and Hochberg (1995) over the clusters found
    turns it into a false-discovery rate.
    """
    n_families = len(graph.family_names)
    best = _find_best_by_families(graph, labels, overlaps)
    if best.size == 0:
        return np.ones(len(best))
    best = np.minimum(best, _test_matches(strata, matches, best.shape))
    holders = np.bincount(edges["identifier"], minlength=graph.n_identifiers)
    options = np.bincount(graph.family_codes[holders >= 2], minlength=n_families)
    row = np.arange(len(best))
    first, second = np.unravel_index(best.reshape(len(best), -1).argmin(axis=1), best.shape[1:])
    log_p = np.log10(np.maximum(best[row, first, second], TINY))
    joined = np.zeros((len(best), n_families), bool)
    joined[row, first] = joined[row, second] = True
    for _ in range(n_families - 2):
        reach = np.where(joined[:, :, None], best, 1.0).min(axis=1)
        factor = np.where(joined | (reach >= 1), 1.0, np.minimum(options * reach, 1.0))
        chosen = factor.argmin(axis=1)
        log_p += np.log10(np.maximum(factor[row, chosen], TINY))
        joined[row, chosen] |= factor[row, chosen] < 1
    return adjust_p_values(10**log_p, max(n_tests, len(best)))


def _test_matches(strata: Ints, matches: pd.DataFrame, shape: tuple[int, ...]) -> Floats:
    """Return the p-value of matching each cluster in two families at once, 1 on the diagonal."""
    n_clusters, n_families = shape[0], shape[1]
    population = np.bincount(strata)
    cluster, account = matches["cluster"].to_numpy(), matches["account"].to_numpy()
    who, row = np.unique(account * n_clusters + cluster, return_inverse=True)
    holds = np.zeros((len(who), n_families), bool)
    holds[row, matches["family"].to_numpy()] = True
    where, cell = np.unique(
        strata[who // n_clusters] * n_clusters + who % n_clusters, return_inverse=True
    )
    p_value = np.ones(shape)
    for f in range(n_families):
        n_f = np.bincount(cell, holds[:, f], minlength=len(where))
        for g in range(f + 1, n_families):
            n_g = np.bincount(cell, holds[:, g], minlength=len(where))
            chance = n_f * n_g / population[where // n_clusters]
            expected = np.bincount(where % n_clusters, chance, minlength=n_clusters)
            both = np.bincount(who % n_clusters, holds[:, f] & holds[:, g], minlength=n_clusters)
            found = np.asarray(special.pdtrc(np.maximum(both - 1, 0), expected))
            p_value[:, f, g] = p_value[:, g, f] = np.where(both >= 2, found, 1.0)
    return p_value


def _find_best_by_families(graph: AccountGraph, labels: Ints, overlaps: pd.DataFrame) -> Floats:
    """Return each cluster's smallest p-value by pair of families, symmetric, 1 where none."""
    n_families = len(graph.family_names)
    best = np.ones((int(labels.max(initial=-1)) + 1, n_families, n_families))
    account, identifier = graph.edges["account"].to_numpy(), graph.edges["identifier"].to_numpy()
    left, right = (overlaps[side].to_numpy(np.int64) for side in ("left", "right"))
    overlapping = np.zeros(graph.n_identifiers, bool)
    overlapping[left] = overlapping[right] = True
    held = np.flatnonzero((labels >= 0)[account] & overlapping[identifier])
    held = held[np.argsort(identifier[held], kind="stable")]
    compile_kernel(_find_smallest)(
        find_starts(identifier[held], graph.n_identifiers),
        account[held],
        labels,
        left,
        right,
        overlaps["p_value"].to_numpy(),
        graph.family_codes,
        best,
    )
    return best


def _find_smallest(
    starts: Any,
    accounts: Any,
    labels: Any,
    left: Any,
    right: Any,
    p_value: Any,
    family: Any,
    best: Any,
) -> None:
    """Note the p-value of overlaps that two members of a cluster hold; compiled by numba."""
    n, met = np.zeros(len(best), np.int64), np.empty(len(best), np.int64)
    for row in range(len(left)):
        f, g = family[left[row]], family[right[row]]
        p, q, n_met = starts[left[row]], starts[right[row]], 0
        while p < starts[left[row] + 1] and q < starts[right[row] + 1]:
            if accounts[p] < accounts[q]:
                p += 1
            elif accounts[p] > accounts[q]:
                q += 1
            else:
                cluster = labels[accounts[p]]
                if n[cluster] == 0:
                    met[n_met] = cluster
                    n_met += 1
                n[cluster] += 1
                if n[cluster] == 2:
                    least = min(best[cluster, f, g], p_value[row])
                    best[cluster, f, g] = best[cluster, g, f] = least
                p += 1
                q += 1
        for k in range(n_met):
            n[met[k]] = 0
