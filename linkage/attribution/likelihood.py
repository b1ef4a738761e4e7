"""What a match is worth: how much commoner it is among a cluster's members than among others.

The bits of identifiers are taken from how many accounts hold them, and are easily too many: an
account that is busy meets every cluster somewhere, and the addresses of one gateway come together.
So every family is calibrated, cluster by cluster, on the accounts that are no members: a match
that outsiders reach as well proves little, whatever its identifiers say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from linkage.attribution.profiles import Matches, Profiles, expand
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    import pandas as pd

    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["calibrate_families", "keep_independent"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

PRIOR_COUNT: Final = 0.5  # added to counts of members and of outsiders (Jeffreys)
MIN_FIT: Final = 30  # members in a block, from which on its fit may exceed one identifier
MAX_HIT_RATE: Final = 0.98  # of members' identifiers; nobody shares everything for sure


def calibrate_families(
    graph: AccountGraph,
    edges: pd.DataFrame,
    labels: Ints,
    strata: Ints,
    profiles: Profiles,
    matches: Matches,
    config: MethodConfig,
) -> Floats:
    """Return the bits that each family says for each match.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``, sorted: the edges that take part.
    labels, strata : array of int64, shape (N,)
        Cluster of each account, -1 for none; stratum of each account.
    profiles : Profiles
    matches : Matches, R rows
    config : MethodConfig
        ``max_family_bits``, ``min_bits``, ``common_causes``.

    Returns
    -------
    array of float64, shape (R, F)
        Log2 likelihood ratio of member to outsider; 0 where nothing is shared, negative where
        outsiders share as little more often than members do.

    Notes
    -----
    In a family, an account with d identifiers of which x are in the cluster's profile scores::

        t = sum of the bits of the x  +  (d - x) log2( (1 - q1) / (1 - q0) )

    with the bits that they have once the account has joined, and q1 and q0 the shares of members'
    and outsiders' identifiers that are in the profile. The share of members among the accounts that
    score about t is fitted by isotonic regression (it may only rise with t; Ayer et al. 1955,
    Zadrozny and Elkan 2002), a member being left out of its own fit, and with m of M members and u
    of U outsiders in a block of the fit::

        bits = log2( (m + 1/2) / (M + 1) ) - log2( (u + 1/2) / (U + 1) )

    Bits are no more than those of the strongest identifier where the block has fewer than
    ``MIN_FIT`` members, no more than those of all identifiers together, and no more than
    ``max_family_bits``. They are reduced where the outsiders of the account's own stratum match
    more often than outsiders do elsewhere.
    """
    degree = _count_degrees(graph, edges)
    within = np.zeros((len(profiles.sizes), degree.shape[1]))
    np.add.at(within, labels[labels >= 0], degree[labels >= 0])
    everywhere = degree.sum(axis=0)
    chosen = _find_chosen_families(graph)
    bits = np.zeros(matches.best.shape)
    for family in range(degree.shape[1]):
        rows = np.flatnonzero(matches.hits[:, family] > 0)
        hits, cluster = matches.hits[rows, family], matches.cluster[rows]
        own = matches.own[rows]
        rate = _rate_misses(cluster, own, hits, within[:, family], everywhere[family])
        missed = degree[matches.account[rows], family] - hits
        score = matches.joined[rows, family] + missed * rate[cluster]
        total = np.minimum(matches.total[rows, family], config.max_family_bits)
        best = total if chosen[family] else np.minimum(matches.best[rows, family], total)
        ratio, members, outsiders = _fit_ratio(
            score, cluster, own, profiles.sizes, graph.n_accounts
        )
        ratio -= _find_local_excess(
            cluster, own, matches.account[rows], labels, strata, profiles.sizes
        )
        # Few members cannot say more than their strongest identifier; and where no outsider comes
        # near, the fit knows only that they are rare.
        most = np.where(members >= MIN_FIT, total, best)
        fitted = np.minimum(most, ratio)
        bits[rows, family] = np.where(outsiders > 0, fitted, np.maximum(best, fitted))
    return _condition_on_causes(graph, edges, profiles, matches, bits, config)


def keep_independent(bits: Floats, independent: Flags) -> Floats:
    """Return bits with those of families that a stronger, dependent family rules out set to 0.

    Parameters
    ----------
    bits : array of float64, shape (R, F)
    independent : array of bool, shape (F, F)

    Returns
    -------
    array of float64, shape (R, F)
        The strongest comes first and rules its dependents out, then the strongest that is left: a
        family that is itself ruled out rules nothing out. Bits of 0 or less are dropped.
    """
    left = np.where(bits > 0, bits, -np.inf)
    kept = np.zeros(bits.shape)
    rows = np.arange(len(bits))
    for _ in range(bits.shape[1]):
        best = left.argmax(axis=1)
        found = left[rows, best] > -np.inf
        if not found.any():
            break
        kept[rows[found], best[found]] = left[rows[found], best[found]]
        left[found] = np.where(independent[best[found]], left[found], -np.inf)
    return kept


def _count_degrees(graph: AccountGraph, edges: pd.DataFrame) -> Floats:
    """Return how many identifiers of each family each account has, shape (N, F)."""
    n_families = len(graph.family_names)
    key = edges["account"].to_numpy(np.int64) * n_families
    key += graph.family_codes[edges["identifier"].to_numpy()]
    counted = np.bincount(key, minlength=graph.n_accounts * n_families)
    return counted.reshape(graph.n_accounts, n_families).astype(np.float64)


def _find_chosen_families(graph: AccountGraph) -> Flags:
    """Return which families have kinds that an operator chooses, shape (F,)."""
    chosen = np.zeros(len(graph.family_names), bool)
    chosen[graph.family_codes[graph.identifiers["chosen"].to_numpy(bool)]] = True
    return chosen


def _rate_misses(
    cluster: Ints, own: Flags, hits: Floats, within: Floats, everywhere: float
) -> Floats:
    """Return the (negative) bits of an identifier that is not in the profile, by cluster."""
    n_clusters = len(within)
    inside = np.bincount(cluster[own], hits[own], minlength=n_clusters)
    outside = np.bincount(cluster[~own], hits[~own], minlength=n_clusters)
    members = (inside + PRIOR_COUNT) / (within + 1)
    others = (outside + PRIOR_COUNT) / (np.maximum(everywhere - within, 0) + 1)
    members = np.clip(np.maximum(members, others), 0, MAX_HIT_RATE)
    others = np.minimum(others, members)
    return np.asarray(np.log2((1 - members) / (1 - others)))


def _fit_ratio(
    score: Floats, cluster: Ints, own: Flags, sizes: Ints, n_accounts: int
) -> tuple[Floats, Floats, Floats]:
    """Return the calibrated bits of each row, and the members and outsiders in its block."""
    # Members first: of equal scores all are pooled.
    order = np.lexsort((~own, score, cluster))
    members, outsiders = compile_kernel(_pool_adjacent)(
        cluster[order], own[order].astype(np.float64)
    )
    m, u = np.empty(len(order)), np.empty(len(order))
    m[order], u[order] = members, outsiders
    m = np.maximum(m - own, 0)
    ratio = np.log2((m + PRIOR_COUNT) / (sizes[cluster] - own + 1))
    ratio -= np.log2((u + PRIOR_COUNT) / (n_accounts - sizes[cluster] + 1))
    return ratio, m, u


def _pool_adjacent(cluster: Any, own: Any) -> Any:
    """Pool rows, sorted by cluster and score, until the share of members rises with the score."""
    n = len(cluster)
    members, outsiders = np.empty(n), np.empty(n)
    block_m, block_u, first = np.empty(n), np.empty(n), np.empty(n + 1, np.int64)
    begin = 0
    while begin < n:
        end, n_blocks = begin, 0
        while end < n and cluster[end] == cluster[begin]:
            block_m[n_blocks], block_u[n_blocks] = own[end], 1 - own[end]
            first[n_blocks] = end
            n_blocks += 1
            while n_blocks > 1 and (
                block_m[n_blocks - 2] * block_u[n_blocks - 1]
                >= block_m[n_blocks - 1] * block_u[n_blocks - 2]
            ):
                block_m[n_blocks - 2] += block_m[n_blocks - 1]
                block_u[n_blocks - 2] += block_u[n_blocks - 1]
                n_blocks -= 1
            end += 1
        first[n_blocks] = end
        for block in range(n_blocks):
            members[first[block] : first[block + 1]] = block_m[block]
            outsiders[first[block] : first[block + 1]] = block_u[block]
        begin = end
    return members, outsiders


def _find_local_excess(
    cluster: Ints, own: Flags, account: Ints, labels: Ints, strata: Ints, sizes: Ints
) -> Floats:
    """Return how many bits commoner a match is among the outsiders of the account's stratum."""
    n_strata, n_clusters = int(strata.max(initial=0)) + 1, len(sizes)
    if n_strata == 1:
        return np.zeros(len(cluster))
    here = cluster * n_strata + strata[account]
    outside = np.bincount(cluster[~own], minlength=n_clusters)
    local = np.bincount(here[~own], minlength=n_clusters * n_strata)
    member = labels >= 0
    inside = np.bincount(
        labels[member] * n_strata + strata[member], minlength=n_clusters * n_strata
    )
    rate = (outside + PRIOR_COUNT) / (len(labels) - sizes + 1)
    population = np.bincount(strata, minlength=n_strata)[strata[account]] - inside[here]
    # One match is known beforehand, at the rate of everywhere.
    local_rate = (local[here] + 1) / (population + 1 / rate[cluster])
    return np.asarray(np.maximum(np.log2(local_rate / rate[cluster]), 0))


def _condition_on_causes(
    graph: AccountGraph,
    edges: pd.DataFrame,
    profiles: Profiles,
    matches: Matches,
    bits: Floats,
    config: MethodConfig,
) -> Floats:
    """Cap the bits of families by how rare they are among those who share their cause.

    Where an account shares a program with a cluster, its prompts and addresses say only what they
    say among the holders of the program.
    """
    bits = bits.copy()
    for pair in config.common_causes:
        cause, effect = pair.split(">")
        if cause not in graph.family_names or effect not in graph.family_names:
            continue
        f = graph.family_names.index(effect)
        row, identifier = _find_shared_causes(
            graph, edges, graph.family_names.index(cause), profiles, matches, config
        )
        key = matches.cluster[row] * graph.n_identifiers + identifier
        outsider = ~matches.own[row]
        cell, code = np.unique(key, return_inverse=True)
        strong = outsider & (bits[row, f] >= config.min_bits)
        also = np.bincount(code[strong], minlength=len(cell))[code]
        n_members = profiles.look_up(identifier, matches.cluster[row])
        n_outsiders = graph.holders[identifier] - n_members
        most = -np.log2((also + PRIOR_COUNT) / (n_outsiders + 1))
        bits[row, f] = np.minimum(bits[row, f], np.maximum(most, 0))
    return bits


def _find_shared_causes(
    graph: AccountGraph,
    edges: pd.DataFrame,
    cause: int,
    profiles: Profiles,
    matches: Matches,
    config: MethodConfig,
) -> tuple[Ints, Ints]:
    """Return matches' rows, and the strongest identifier of the cause that each has in common."""
    of_cause = graph.family_codes[edges["identifier"].to_numpy()] == cause
    account = edges["account"].to_numpy(np.int64)[of_cause]
    held = edges["identifier"].to_numpy(np.int64)[of_cause]
    starts = np.searchsorted(account, np.arange(graph.n_accounts + 1))
    row, edge = expand(starts[matches.account], starts[matches.account + 1])
    identifier = held[edge]
    n = profiles.look_up(identifier, matches.cluster[row])
    share = n / np.maximum(profiles.sizes[matches.cluster[row]], 1)
    rate = graph.holders[identifier] / graph.n_accounts
    said = np.log2(np.maximum(share, 1e-300) / rate)
    keep = np.flatnonzero((n >= 2) & (said >= config.min_bits))
    order = keep[np.lexsort((identifier[keep], -said[keep], row[keep]))]
    first = np.flatnonzero(np.diff(row[order], prepend=-1))
    return row[order][first], identifier[order][first]
