"""Attribute accounts to clusters, round after round, until nothing moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.attribution.customers import find_customers
from linkage.attribution.merging import merge_clusters
from linkage.attribution.profiles import Edges, Profiles, count_members, weigh_members
from linkage.attribution.scores import Scores, weigh_odds
from linkage.attribution.scoring import score_accounts, score_again
from linkage.kernels import compile_kernel
from linkage.memory import release_memory

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["Attribution", "attribute_accounts"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

SETTLED: Final = 0.01  # share of the clustered accounts that may still move when rounds end
LIKELY: Final = 0.5  # posterior from which on an account counts as a member while rounds go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Accounts attributed to clusters.

    Attributes
    ----------
    labels : array of int64, shape (N,)
        Cluster of each account, from 0; -1 for none.
    probability : array of float64, shape (N,)
        Posterior that the account belongs to its cluster; 0 where it has none.
    evidence : pandas.DataFrame
        ``account``, ``cluster``, ``identifier``, ``alone`` > 0: bits that the identifier of a
        member would say by itself, judged without the member; ``bits``: its part of what its
        family says, so that they add up to the bits of the scores; sorted.
    scores : Scores
        Of these labels: how well accounts fit this cluster and others.
    """

    labels: Ints
    probability: Floats
    evidence: pd.DataFrame
    scores: Scores


def attribute_accounts(
    graph: AccountGraph,
    edges: pd.DataFrame,
    labels: Ints,
    config: MethodConfig,
    *,
    strata: Ints | None = None,
) -> Attribution:
    """Attribute accounts to the clusters that they resemble, until nothing moves.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``, ``count``, sorted: the edges that take part.
    labels : array of int64, shape (N,)
        A first clustering; -1 for none.
    config : MethodConfig
        ``rounds``, ``single_family_bits``, ``min_bits``, ``max_family_bits``, ``min_accounts``,
        ``evading``, ``fdr``, ``dependent_families``, ``shared_families``, ``common_causes``.
    strata : array of int64, shape (N,), optional
        Stratum of each account; chance mixes accounts of one stratum. One stratum by default.

    Returns
    -------
    Attribution

    Notes
    -----
    The score of an account a in a cluster c, in bits::

        score_ac = log2(|c| / N) + sum over families of their bits

    where a member is left out of the cluster. An account that is known in a family but shares
    nothing of it loses ``log2(1 - coverage)``, coverage being the share of members who do. A share
    ``evading`` of an operator's accounts may look like strangers in any one family: no family says
    less than log2 of it. The posterior is ``2^score_ac / (1 + sum_c 2^score_ac)``.

    In each round clusters take in others (:func:`merge_clusters`), accounts choose the cluster that
    is most probable, and those who fit a cluster but do other things become a cluster of their own
    (:func:`find_customers`). Rounds end when at most ``SETTLED`` of the clustered accounts move.
    """
    if strata is None:
        strata = np.zeros(graph.n_accounts, np.int64)
    n_clusters = int(labels.max(initial=-1)) + 1
    customers_of = np.full(n_clusters, -1, np.int64)
    taken = Edges.take(graph, edges)
    scores = score_accounts(graph, taken, labels, config, strata=strata)
    for _ in range(config.rounds):
        hosts = merge_clusters(labels, scores, config)
        chosen, customers_of = _choose_clusters(scores, graph.n_accounts, customers_of, config)
        hosts = np.concatenate([hosts, np.arange(len(hosts), len(customers_of)), [-1]])
        updated = _drop_small(hosts[chosen], config.min_accounts)
        moved = updated != labels
        changed = np.zeros(len(customers_of), bool)
        changed[labels[moved & (labels >= 0)]] = True
        changed[updated[moved & (updated >= 0)]] = True
        labels = updated
        kept = [scores.drop(changed)]
        del scores  # what changed is counted again, in the room that it took
        scores = score_again(graph, taken, labels, config, strata, changed, kept)
        release_memory()  # no two rounds ask for tables of one size
        if np.count_nonzero(moved) <= SETTLED * np.count_nonzero(labels >= 0):
            break
    return Attribution(
        labels=labels,
        probability=_find_posterior(scores, graph.n_accounts),
        evidence=_explain_members(graph, taken, labels, scores),
        scores=scores,
    )


def _choose_clusters(
    scores: Scores, n_accounts: int, customers_of: Ints, config: MethodConfig
) -> tuple[Ints, Ints]:
    """Give each account its most probable cluster, if any is probable and well supported.

    Returns
    -------
    labels : array of int64, shape (N,)
    customers_of : array of int64
        The cluster of each cluster's customers, -1 where it has none; longer by the new ones.
    """
    probability = weigh_odds(scores, n_accounts)
    fit = np.flatnonzero((probability >= LIKELY) & (scores.score >= _find_margin(scores, config)))
    order = fit[np.lexsort((scores.cluster[fit], -probability[fit], scores.account[fit]))]
    chosen = order[np.flatnonzero(np.diff(scores.account[order], prepend=-1))]
    cluster = scores.cluster[chosen]
    customer = find_customers(scores, config)[chosen]
    served = np.unique(cluster[customer])
    new = served[customers_of[served] < 0]
    customers_of = np.concatenate([customers_of, np.full(len(new), -1, np.int64)])
    customers_of[new] = np.arange(len(customers_of) - len(new), len(customers_of))
    labels = np.full(n_accounts, -1, np.int64)
    labels[scores.account[chosen]] = np.where(customer, customers_of[cluster], cluster)
    return labels, customers_of


def _find_margin(scores: Scores, config: MethodConfig) -> Floats:
    """Return the odds in bits that each row needs: none where two families support it.

    Where one does, ``single_family_bits``; less as the second one comes near ``min_bits``.
    """
    n_families = scores.bits.shape[1]
    if n_families < 2 or config.min_bits == 0:
        return np.where(scores.n_families >= 2, 0.0, config.single_family_bits)
    second: Floats = compile_kernel(_find_second)(scores.bits)
    return config.single_family_bits * np.clip(1 - second / config.min_bits, 0, 1)


def _find_second(bits: Any) -> Any:
    """Return the second largest of each row; compiled by numba."""
    found = np.empty(len(bits))
    for row in range(len(bits)):
        most, second = -np.inf, -np.inf
        for f in range(bits.shape[1]):
            said = bits[row, f]
            if said > most:
                most, second = said, most
            elif said > second:
                second = said
        found[row] = second
    return found


def _find_posterior(scores: Scores, n_accounts: int) -> Floats:
    """Return the posterior of each account's own cluster, shape (N,)."""
    posterior = np.zeros(n_accounts)
    own = scores.own
    posterior[scores.account[own]] = weigh_odds(scores, n_accounts)[own]
    return posterior


def _drop_small(labels: Ints, min_accounts: int) -> Ints:
    """Dissolve clusters that are too small; cluster numbers are kept, so that rounds compare."""
    small = np.append(count_members(labels) < min_accounts, False)
    return np.where(small[labels], -1, labels)


def _explain_members(
    graph: AccountGraph, edges: Edges, labels: Ints, scores: Scores
) -> pd.DataFrame:
    """Return the identifiers of members; what a family says is divided by what each would say."""
    evidence = weigh_members(graph, edges, labels, Profiles.count(graph, edges, labels))
    says = np.zeros((graph.n_accounts, len(graph.family_names)))
    says[scores.account[scores.own]] = scores.bits[scores.own]
    family = graph.family_codes[evidence["identifier"].to_numpy()]
    key = evidence["account"].to_numpy() * says.shape[1] + family
    total = np.bincount(key, evidence["alone"], minlength=says.size)[key]
    evidence["bits"] = np.maximum(says.ravel()[key], 0) * evidence["alone"] / total
    return evidence.sort_values(["cluster", "account", "identifier"], ignore_index=True)
