"""Scores: how well accounts fit clusters, as if they were not members themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linkage.attribution.customers import PURPOSE, find_aimless
from linkage.attribution.likelihood import Calibration, calibrate_families, keep_independent
from linkage.attribution.profiles import Edges, Profiles, match_accounts
from linkage.attribution.scores import Scores

if TYPE_CHECKING:
    import pandas as pd

    from linkage.attribution.profiles import Matches
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["score_accounts", "score_again"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


def score_accounts(
    graph: AccountGraph,
    edges: Edges | pd.DataFrame,
    labels: Ints,
    config: MethodConfig,
    *,
    strata: Ints | None = None,
    homes: Ints | None = None,
) -> Scores:
    """Score every account against every profile that it touches.

    Parameters
    ----------
    graph : AccountGraph
    edges : Edges or pandas.DataFrame
        ``account``, ``identifier``, ``count``, sorted: the edges that take part.
    labels : array of int64, shape (N,)
        The clusters to score against; -1 for accounts of none of them.
    config : MethodConfig
        As for ``attribute_accounts``.
    strata : array of int64, shape (N,), optional
        Stratum of each account; one stratum by default.
    homes : array of int64, shape (N,), optional
        Cluster of each account, where ``labels`` names some of the clusters only.

    Returns
    -------
    Scores
    """
    if strata is None:
        strata = np.zeros(graph.n_accounts, np.int64)
    if not isinstance(edges, Edges):
        edges = Edges.take(graph, edges)
    profiles = Profiles.count(graph, edges, labels)
    matches = match_accounts(graph, edges, labels, profiles)
    calibration = Calibration.prepare(graph, edges, labels, strata, profiles, matches, config)
    matches = matches.forget_sums()
    said, apart, kin = calibrate_families(
        graph, labels if homes is None else homes, profiles, matches, calibration, config
    )
    del calibration
    _limit_weak(said, matches, config.min_bits)
    sets = graph.list_independent(config.dependent_families)
    telling = ~np.isin(graph.family_names, config.shared_families)
    apart *= telling
    set_apart = keep_independent(apart, sets).sum(axis=1)
    del apart  # tables of rows and families are what is large here
    bits = keep_independent(said, sets)
    for family in range(bits.shape[1]):
        bits[:, family] += np.maximum(np.minimum(said[:, family], 0), np.log2(config.evading))
    members = np.maximum(profiles.sizes[matches.cluster] - matches.own, 1)
    score = bits.sum(axis=1) + np.log2(members / graph.n_accounts)
    silence, silence_apart = _penalise_silence(graph, matches, profiles.sizes, telling, config)
    score += silence
    purpose = np.array([name == PURPOSE for name in graph.family_names], bool)
    return Scores(
        account=matches.account,
        cluster=matches.cluster,
        own=matches.own,
        bits=bits,
        score=score,
        n_families=(bits >= config.min_bits).sum(axis=1),
        apart=set_apart,
        silence=silence_apart,
        kin=kin,
        purposeful=np.asarray((said[:, purpose] >= config.min_bits).any(axis=1)),
        aimless=find_aimless(graph, said, matches, profiles.sizes, config),
    )


def score_again(
    graph: AccountGraph,
    edges: Edges,
    labels: Ints,
    config: MethodConfig,
    strata: Ints,
    changed: Flags,
    kept: list[Scores],
) -> Scores:
    """Score accounts against the clusters that changed, and keep the scores of the others.

    Parameters
    ----------
    graph, edges, labels, config, strata
        As for :func:`score_accounts`.
    changed : array of bool, shape (C,)
    kept : list of one Scores
        From before the change, of clusters that did not change: see :meth:`Scores.drop`; used up,
        for two of them are large.

    Returns
    -------
    Scores
        A cluster's profile depends on its own members only. What sets it apart depends, weakly, on
        where everybody else is, and is not counted again for a cluster that did not change.
    """
    concerned = np.where(np.append(changed, False)[labels], labels, -1)
    fresh = score_accounts(graph, edges, concerned, config, strata=strata, homes=labels)
    return kept.pop().append(fresh)


def _limit_weak(said: Floats, matches: Matches, min_bits: float) -> None:
    """Let families say no more than their strongest identifier where that is weak by itself.

    Whoever is busy has many of the prompts and addresses that everybody has: in all, they tell a
    busy account, and not whose it is.
    """
    for family in range(said.shape[1]):
        best = matches.best[:, family]
        limited = np.minimum(said[:, family], best)
        said[:, family] = np.where(best < min_bits, limited, said[:, family])


def _penalise_silence(
    graph: AccountGraph,
    matches: Matches,
    sizes: Ints,
    telling: Flags,
    config: MethodConfig,
) -> tuple[Floats, Floats]:
    """Return the (negative) bits of families in which an account shares nothing of its cluster.

    Of all families, and of those that tell operators apart.
    """
    family_of = np.zeros(len(graph.kind_names), np.int64)
    family_of[graph.kind_codes] = graph.family_codes
    known = np.zeros((graph.n_accounts, len(graph.family_names)), bool)
    for kind in range(len(family_of)):  # what nobody else has is known as well
        known[:, family_of[kind]] |= graph.degrees[:, kind] > 0
    silent = (matches.hits <= 0) & known[matches.account]
    lost, least = np.zeros((len(sizes), silent.shape[1])), float(np.log2(config.evading))
    for family in range(silent.shape[1]):
        sharing = matches.own & (matches.hits[:, family] > 0)
        shared = np.bincount(matches.cluster[sharing], minlength=len(sizes))
        lost[:, family] = np.maximum(np.log2(1 - (shared + 0.5) / (sizes + 1)), least)
    silence = np.zeros((2, len(matches.account)))
    # Families that repeat each other are silent together, by one cause.
    for chosen in graph.list_independent(config.dependent_families):
        said = np.zeros_like(silence)
        for family in np.flatnonzero(chosen).tolist():
            bits = lost[:, family][matches.cluster] * silent[:, family]
            said[0] += bits
            said[1] += bits * telling[family]
        np.minimum(silence, said, out=silence)
    return silence[0], silence[1]
