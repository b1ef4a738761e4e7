"""Attribute accounts to clusters, and merge clusters whose accounts are at home in each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.attribution.likelihood import calibrate_families, keep_independent
from linkage.attribution.profiles import Profiles, count_members, match_accounts, weigh_members

if TYPE_CHECKING:
    from linkage.attribution.profiles import Matches
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["Attribution", "Scores", "attribute_accounts", "merge_clusters", "score_accounts"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

SETTLED: Final = 0.001  # share of the clustered accounts that may still move when rounds end
LIKELY: Final = 0.5  # posterior from which on an account counts as a member while rounds go on
MIN_AT_HOME: Final = 1 / 3  # of a cluster's accounts that fit another one, for it to be taken in
MAX_LOG_ODDS: Final = 500.0  # bits; keeps odds within what a float can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well accounts fit clusters: R rows, F families.

    Attributes
    ----------
    account, cluster : array of int64, shape (R,)
        Sorted by account.
    own : array of bool, shape (R,)
        Whether the account is a member of the cluster.
    bits : array of float64, shape (R, F)
        What each family says for membership, dependent families counted once.
    score : array of float64, shape (R,)
        Log2 odds of membership, prior included.
    n_families : array of int64, shape (R,)
        Independent families that say ``min_bits`` or more.
    """

    account: Ints
    cluster: Ints
    own: Flags
    bits: Floats
    score: Floats
    n_families: Ints


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
        ``account``, ``identifier``, sorted: the edges that take part.
    labels : array of int64, shape (N,)
        A first clustering; -1 for none.
    config : MethodConfig
        ``rounds``, ``single_family_bits``, ``min_bits``, ``max_family_bits``, ``min_accounts``,
        ``dependent_families``, ``common_causes``.
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
    nothing of it loses ``log2(1 - coverage)``, coverage being the share of members who do. The
    posterior is ``2^score_ac / (1 + sum_c 2^score_ac)``. Rounds end when at most ``SETTLED`` of
    the clustered accounts move.
    """
    if strata is None:
        strata = np.zeros(graph.n_accounts, np.int64)
    n_clusters = int(labels.max(initial=-1)) + 1
    changed = np.ones(n_clusters, bool)
    scores = _rescore(graph, edges, labels, config, strata, changed, None)
    for _ in range(config.rounds):
        hosts = merge_clusters(graph, labels, scores, config)
        updated = np.append(hosts, -1)[_choose_clusters(scores, graph.n_accounts, config)]
        updated = _drop_small(updated, config.min_accounts)
        moved = updated != labels
        changed = np.zeros(n_clusters, bool)
        changed[
            np.concatenate([labels[moved & (labels >= 0)], updated[moved & (updated >= 0)]])
        ] = 1
        labels = updated
        scores = _rescore(graph, edges, labels, config, strata, changed, scores)
        if np.count_nonzero(moved) <= SETTLED * np.count_nonzero(labels >= 0):
            break
    return Attribution(
        labels=labels,
        probability=_find_posterior(scores, graph.n_accounts),
        evidence=_explain_members(graph, edges, labels, scores),
        scores=scores,
    )


def score_accounts(
    graph: AccountGraph,
    edges: pd.DataFrame,
    labels: Ints,
    config: MethodConfig,
    *,
    strata: Ints | None = None,
) -> Scores:
    """Score every account against every profile that it touches.

    Parameters
    ----------
    graph, edges, labels, config, strata
        As for :func:`attribute_accounts`.

    Returns
    -------
    Scores
    """
    if strata is None:
        strata = np.zeros(graph.n_accounts, np.int64)
    profiles = Profiles.count(graph, edges, labels)
    matches = match_accounts(graph, edges, labels, profiles)
    said = calibrate_families(graph, edges, labels, strata, profiles, matches, config)
    bits = keep_independent(said, graph.find_independent(config.dependent_families))
    bits += np.minimum(said, 0)
    members = np.maximum(profiles.sizes[matches.cluster] - matches.own, 1)
    score = bits.sum(axis=1) + np.log2(members / graph.n_accounts)
    score += _penalise_silence(graph, edges, matches, profiles.sizes)
    return Scores(
        account=matches.account,
        cluster=matches.cluster,
        own=matches.own,
        bits=bits,
        score=score,
        n_families=(bits >= config.min_bits).sum(axis=1),
    )


def _rescore(
    graph: AccountGraph,
    edges: pd.DataFrame,
    labels: Ints,
    config: MethodConfig,
    strata: Ints,
    changed: Flags,
    scores: Scores | None,
) -> Scores:
    """Score accounts against the clusters that changed, and keep the scores of the others.

    A cluster's scores depend on its own members only; to it, everybody else is an outsider.
    """
    concerned = np.where(np.append(changed, False)[labels], labels, -1)
    fresh = score_accounts(graph, edges, concerned, config, strata=strata)
    if scores is None:
        return fresh
    old = np.flatnonzero(~changed[scores.cluster])
    order = np.argsort(np.concatenate([scores.account[old], fresh.account]), kind="stable")
    joined = {
        name: np.concatenate([getattr(scores, name)[old], getattr(fresh, name)])[order]
        for name in ("account", "cluster", "own", "bits", "score", "n_families")
    }
    return Scores(**joined)


def merge_clusters(graph: AccountGraph, labels: Ints, scores: Scores, config: MethodConfig) -> Ints:
    """Let clusters take in others whose accounts would be at home in them.

    Parameters
    ----------
    graph : AccountGraph
    labels : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    scores : Scores
        Of these labels.
    config : MethodConfig
        ``shared_families``, ``min_bits``.

    Returns
    -------
    array of int64, shape (C,)
        The cluster that each has become part of; its own number where none takes it in.

    Notes
    -----
    An account of one cluster is at home in another if it would belong there, had it no cluster:
    its score is positive, and rests on two families of which one is not among the
    ``shared_families`` that separate operators buy from one vendor. A cluster is taken in if this
    holds of ``MIN_AT_HOME`` of its accounts; by the one in which most of them are at home, or the
    larger.
    """
    sizes = count_members(labels)
    home = labels[scores.account]
    row = np.flatnonzero((home >= 0) & ~scores.own & (scores.n_families >= 2) & (scores.score > 0))
    telling = [name not in config.shared_families for name in graph.family_names]
    row = row[(scores.bits[row][:, telling] >= config.min_bits).any(axis=1)]
    pairs = pd.DataFrame({"guest": home[row], "host": scores.cluster[row]})
    counted = pairs.groupby(["guest", "host"]).size().rename("n").reset_index()
    counted["share"] = counted["n"] / sizes[counted["guest"].to_numpy()]
    counted["size"] = sizes[counted["host"].to_numpy()]
    fit = counted[counted["share"] >= MIN_AT_HOME].sort_values(
        ["share", "size", "guest", "host"], ascending=[False, False, True, True]
    )
    target = np.arange(len(sizes))
    for guest, host in zip(fit["guest"].tolist(), fit["host"].tolist(), strict=True):
        taker = _follow(target, host)
        if target[guest] == guest and taker != guest:
            target[guest] = taker
    return np.array([_follow(target, cluster) for cluster in range(len(sizes))], np.int64)


def _follow(target: Ints, cluster: int) -> int:
    """Return the cluster that has taken in ``cluster`` in the end."""
    while target[cluster] != cluster:
        cluster = int(target[cluster])
    return cluster


def _penalise_silence(
    graph: AccountGraph, edges: pd.DataFrame, matches: Matches, sizes: Ints
) -> Floats:
    """Return the (negative) bits of families in which an account shares nothing of its cluster."""
    n_families = len(graph.family_names)
    shared = np.zeros((len(sizes), n_families))
    np.add.at(shared, matches.cluster[matches.own], matches.hits[matches.own] > 0)
    lost = np.log2(1 - (shared + 0.5) / (sizes[:, None] + 1))
    known = np.zeros((graph.n_accounts, n_families), bool)
    known[edges["account"], graph.family_codes[edges["identifier"].to_numpy()]] = True
    silent = known[matches.account] & (matches.hits <= 0)
    return np.asarray((lost[matches.cluster] * silent).sum(axis=1))


def _weigh_odds(scores: Scores, n_accounts: int) -> Floats:
    """Return the posterior of each row."""
    odds = np.exp2(np.minimum(scores.score, MAX_LOG_ODDS))
    total = 1 + np.bincount(scores.account, weights=odds, minlength=n_accounts)
    return np.asarray(odds / total[scores.account])


def _choose_clusters(scores: Scores, n_accounts: int, config: MethodConfig) -> Ints:
    """Give each account its most probable cluster, if any is probable and well supported."""
    probability = _weigh_odds(scores, n_accounts)
    margin = np.where(scores.n_families >= 2, 0.0, config.single_family_bits)
    fit = np.flatnonzero((probability >= LIKELY) & (scores.score >= margin))
    order = fit[np.lexsort((scores.cluster[fit], -probability[fit], scores.account[fit]))]
    chosen = order[np.flatnonzero(np.diff(scores.account[order], prepend=-1))]
    labels = np.full(n_accounts, -1, np.int64)
    labels[scores.account[chosen]] = scores.cluster[chosen]
    return labels


def _find_posterior(scores: Scores, n_accounts: int) -> Floats:
    """Return the posterior of each account's own cluster, shape (N,)."""
    posterior = np.zeros(n_accounts)
    own = scores.own
    posterior[scores.account[own]] = _weigh_odds(scores, n_accounts)[own]
    return posterior


def _drop_small(labels: Ints, min_accounts: int) -> Ints:
    """Dissolve clusters that are too small; cluster numbers are kept, so that rounds compare."""
    small = np.append(count_members(labels) < min_accounts, False)
    return np.where(small[labels], -1, labels)


def _explain_members(
    graph: AccountGraph, edges: pd.DataFrame, labels: Ints, scores: Scores
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
