"""What a match is worth: how much commoner it is among a cluster's members than among others.

The bits of identifiers are taken from how many accounts hold them, and are easily too many: an
account that is busy meets every cluster somewhere, and the addresses of one gateway come together.
So every family is calibrated, cluster by cluster, on the accounts that are no members: a match
that outsiders reach as well proves little, whatever its identifiers say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from linkage.attribution.customers import PURPOSE
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
MAX_LOG_ODDS: Final = 500.0  # bits; keeps odds within what a float can hold
HALF: Final = 0.5  # of two clusters' accounts that fit the other one, for the two to be alike
MAX_HIT_RATE: Final = 0.98  # of members' identifiers; nobody shares everything for sure


def calibrate_families(
    graph: AccountGraph,
    edges: pd.DataFrame,
    labels: Ints,
    homes: Ints,
    strata: Ints,
    profiles: Profiles,
    matches: Matches,
    config: MethodConfig,
) -> tuple[Floats, Floats, Floats]:
    """Return the bits that each family says for each match.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``, sorted: the edges that take part.
    labels, homes, strata : array of int64, shape (N,)
        The clusters that are scored against, -1 for accounts of none of them; the cluster of each
        account; the stratum of each account.
    profiles : Profiles
    matches : Matches, R rows
    config : MethodConfig
        ``max_family_bits``, ``min_bits``, ``evading``, ``common_causes``, ``dependent_families``.

    Returns
    -------
    bits : array of float64, shape (R, F)
        Log2 likelihood ratio of member to outsider; 0 where nothing is shared, negative where
        outsiders share as little more often than members do.
    apart : array of float64, shape (R, F)
        The same where outsiders are the accounts of no cluster, and every other cluster counts as
        one, but for those of the same purpose: what is common to several clusters and to nobody
        else sets them apart.
    kin : array of float64, shape (R,)
        Accounts of the cluster and of all that have its purpose, where the account's own cluster is
        one of them; 0 elsewhere.

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

    Outsiders of a first fit are everybody else, also those who should be members and are not yet.
    In the second, which counts, accounts that match in another, independent family by
    ``min_bits`` are left out (of true outsiders this changes nothing, for to them families are
    independent), and the others count as far as the first fit thinks that they are outsiders.
    """
    n_families = len(graph.family_names)
    calibration = _Calibration.prepare(graph, edges, labels, strata, profiles, matches, config)
    others = np.repeat(~matches.own[:, None], n_families, axis=1).astype(np.float64)
    n_others = np.repeat(
        (graph.n_accounts - profiles.sizes)[:, None].astype(np.float64), n_families, axis=1
    )
    first = calibration.fit(others, n_others)
    weights = others * _weigh_outsiders(graph, first, profiles.sizes, matches.cluster, config)
    left_out = np.zeros(n_others.shape)
    np.add.at(left_out, matches.cluster, others - weights)
    bits = calibration.fit(weights, n_others - left_out)
    sizes = np.bincount(homes[homes >= 0], minlength=1)
    home = homes[matches.account]
    share = np.where(home >= 0, 1 / np.maximum(sizes, 1)[home], 1.0)
    n_units = np.count_nonzero(homes < 0) + np.count_nonzero(sizes) - 1.0
    # The cluster of the account itself is the one outsider that is in question.
    apart = calibration.fit(
        others * share[:, None], np.full(n_others.shape, n_units), leave_out=home >= 0
    )
    purpose = np.array([name == PURPOSE for name in graph.family_names], bool)
    fits = np.asarray((apart[:, purpose] >= config.min_bits).any(axis=1))
    alike, n_alike, n_accounts = _find_alike(fits, homes, matches, profiles)
    if alike.any():
        free = alike[:, None] & purpose
        units = n_units - n_alike[:, None] * purpose
        apart = calibration.fit(
            others * share[:, None] * ~free, units, leave_out=home >= 0, free=free
        )
    return bits, apart, np.where(alike, n_accounts[matches.cluster], 0.0)


def _find_alike(
    fits: Flags, homes: Ints, matches: Matches, profiles: Profiles
) -> tuple[Flags, Floats, Floats]:
    """Find the rows of accounts whose cluster and the other fit each other.

    Parameters
    ----------
    fits : array of bool, shape (R,)
        Whether the account has the cluster's purpose.
    homes : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    matches : Matches
    profiles : Profiles

    Returns
    -------
    alike : array of bool, shape (R,)
    n_alike : array of float64, shape (C,)
        Clusters that fit each cluster and that it fits, at least half of the accounts of both.
    n_accounts : array of float64, shape (C,)
        Accounts of these and of itself.
    """
    home, sizes = homes[matches.account], np.bincount(homes[homes >= 0], minlength=1)
    row = np.flatnonzero((home >= 0) & ~matches.own)
    n_clusters = len(profiles.sizes)
    width = np.int64(max(len(sizes), n_clusters))
    pair, code = np.unique(home[row] * width + matches.cluster[row], return_inverse=True)
    guest, host = pair // width, pair % width
    back = host * width + guest
    place = np.minimum(np.searchsorted(pair, back), max(len(pair) - 1, 0))
    half = np.bincount(code, fits[row], minlength=len(pair)) >= HALF * sizes[guest]
    mutual = half & half[place] & (pair[place] == back)
    alike = np.zeros(len(fits), bool)
    alike[row] = mutual[code]
    n_alike = np.bincount(host[mutual], minlength=n_clusters).astype(np.float64)
    n_accounts = np.bincount(host[mutual], 1.0 * sizes[guest[mutual]], minlength=n_clusters)
    n_accounts += np.maximum(profiles.sizes, 1)
    return alike, n_alike, np.asarray(n_accounts, np.float64)


def _weigh_outsiders(
    graph: AccountGraph, bits: Floats, sizes: Ints, cluster: Ints, config: MethodConfig
) -> Floats:
    """Return how far each row counts as an outsider in each family, by a first fit; 0 to 1."""
    independent = graph.find_independent(config.dependent_families).astype(np.int64)
    elsewhere = (bits >= config.min_bits).astype(np.int64) @ independent > 0
    kept = keep_independent(bits, graph.list_independent(config.dependent_families))
    total = kept + np.maximum(np.minimum(bits, 0), np.log2(config.evading))
    log_odds = total.sum(axis=1) + np.log2(np.maximum(sizes, 1) / graph.n_accounts)[cluster]
    stranger = 1 / (1 + np.exp2(np.minimum(log_odds, MAX_LOG_ODDS)))
    return np.where(elsewhere, 0.0, stranger[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """The rows that share something of one family, and what does not depend on the outsiders."""

    rows: Ints
    order: Ints  # of these, by cluster and score, members first
    most: Floats  # bits of all identifiers together
    best: Floats  # bits of the strongest, or of all where an operator chooses them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """A family's rows that share a program, or what else brings the family along."""

    family: int
    rows: Ints
    cell: Ints  # of cluster and program
    n_outsiders: Ints  # holders of the program outside the cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calibration:
    """Everything that fits against different outsiders have in common."""

    matches: Matches
    labels: Ints
    strata: Ints
    sizes: Ints
    families: list[_Family]
    causes: list[_Cause]
    min_bits: float

    @classmethod
    def prepare(
        cls,
        graph: AccountGraph,
        edges: pd.DataFrame,
        labels: Ints,
        strata: Ints,
        profiles: Profiles,
        matches: Matches,
        config: MethodConfig,
    ) -> _Calibration:
        """Sort what is to be fitted."""
        degree = _count_degrees(graph, edges)
        within = np.zeros((len(profiles.sizes), degree.shape[1]))
        np.add.at(within, labels[labels >= 0], degree[labels >= 0])
        everywhere = degree.sum(axis=0)
        chosen = _find_chosen_families(graph)
        families = []
        for family in range(degree.shape[1]):
            rows = np.flatnonzero(matches.hits[:, family] > 0)
            hits, cluster, own = (
                matches.hits[rows, family],
                matches.cluster[rows],
                matches.own[rows],
            )
            rate = _rate_misses(cluster, own, hits, within[:, family], everywhere[family])
            missed = degree[matches.account[rows], family] - hits
            score = matches.joined[rows, family] + missed * rate[cluster]
            most = np.minimum(matches.total[rows, family], config.max_family_bits)
            families.append(
                _Family(
                    rows=rows,
                    # Members first: of equal scores all are pooled.
                    order=np.lexsort((~own, score, cluster)),
                    most=most,
                    best=most if chosen[family] else np.minimum(matches.best[rows, family], most),
                )
            )
        return cls(
            matches=matches,
            labels=labels,
            strata=strata,
            sizes=profiles.sizes,
            families=families,
            causes=_list_causes(graph, edges, profiles, matches, config),
            min_bits=config.min_bits,
        )

    def fit(
        self,
        weights: Floats,
        n_outsiders: Floats,
        *,
        leave_out: Flags | None = None,
        free: Flags | None = None,
    ) -> Floats:
        """Return the bits against outsiders of these weights.

        Parameters
        ----------
        weights : array of float64, shape (R, F)
            How far each row counts as an outsider; 0 for members.
        n_outsiders : array of float64, shape (C, F)
            All outsiders, those included who touch nothing.
        leave_out : array of bool, shape (R,), optional
            Rows that are judged with one outsider less.
        free : array of bool, shape (R, F), optional
            Rows of which the fit alone is believed: other clusters of one purpose make its
            identifiers look common.

        Returns
        -------
        array of float64, shape (R, F)
        """
        bits = np.zeros(weights.shape)
        fewer = np.zeros(len(bits)) if leave_out is None else leave_out.astype(np.float64)
        for number, family in enumerate(self.families):
            rows = family.rows
            ratio, said = self._fit_family(
                family, weights[rows, number], n_outsiders[:, number], fewer[rows]
            )
            bits[rows, number] = said if free is None else np.where(free[rows, number], ratio, said)
        outsider = ~self.matches.own
        for cause in self.causes:
            rows, f = cause.rows, cause.family
            strong = outsider[rows] & (bits[rows, f] >= self.min_bits)
            also = np.bincount(cause.cell[strong], minlength=cause.cell.max(initial=-1) + 1)
            # One outsider is known beforehand, who has the effect as often as others do.
            n_also = also[cause.cell] + np.exp2(-bits[rows, f])
            most = -np.log2(n_also / (cause.n_outsiders + 1))
            bits[rows, f] = np.minimum(bits[rows, f], np.maximum(most, 0))
        return bits

    def _fit_family(
        self, family: _Family, weights: Floats, n_outsiders: Floats, fewer: Floats
    ) -> tuple[Floats, Floats]:
        """Return the log2 ratio of the fit, and what of it is believed."""
        cluster, own = self.matches.cluster[family.rows], self.matches.own[family.rows]
        order = family.order
        m, u = np.empty(len(order)), np.empty(len(order))
        m[order], u[order] = compile_kernel(_pool_adjacent)(
            cluster[order], own[order].astype(np.float64), weights[order]
        )
        m, u = np.maximum(m - own, 0), np.maximum(u - fewer, 0)
        ratio = np.log2((m + PRIOR_COUNT) / (self.sizes[cluster] - own + 1))
        ratio -= np.log2((u + PRIOR_COUNT) / (n_outsiders[cluster] + 1))
        ratio -= _find_local_excess(
            cluster,
            weights,
            self.matches.account[family.rows],
            self.labels,
            self.strata,
            self.sizes,
        )
        # Few members cannot say more than their strongest identifier; and where no outsider comes
        # near, the fit knows only that they are rare.
        said = np.minimum(np.where(m >= MIN_FIT, family.most, family.best), ratio)
        return ratio, np.where(u > 0, said, np.maximum(family.best, said))


def keep_independent(bits: Floats, sets: Flags) -> Floats:
    """Return bits with those of families that repeat others set to 0.

    Parameters
    ----------
    bits : array of float64, shape (R, F)
    sets : array of bool, shape (S, F)
        Sets of families that are all independent of each other.

    Returns
    -------
    array of float64, shape (R, F)
        Each row keeps the families of the set that says most in all; of equal sets the first. Bits
        of 0 or less are dropped.
    """
    said = np.maximum(bits, 0)
    best, most = np.zeros(len(said), np.int64), np.full(len(said), -1.0)
    for number, families in enumerate(sets):
        total = said @ families
        better = total > most
        best[better], most[better] = number, total[better]
    return said * sets[best] if len(sets) else said


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


def _pool_adjacent(cluster: Any, own: Any, other: Any) -> Any:
    """Pool rows, sorted by cluster and score, until the share of members rises with the score.

    ``own`` and ``other`` are how far each row counts as a member and as an outsider.
    """
    n = len(cluster)
    members, outsiders = np.empty(n), np.empty(n)
    block_m, block_u, first = np.empty(n), np.empty(n), np.empty(n + 1, np.int64)
    begin = 0
    while begin < n:
        end, n_blocks = begin, 0
        while end < n and cluster[end] == cluster[begin]:
            block_m[n_blocks], block_u[n_blocks] = own[end], other[end]
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
    cluster: Ints, weights: Floats, account: Ints, labels: Ints, strata: Ints, sizes: Ints
) -> Floats:
    """Return how many bits commoner a match is among the outsiders of the account's stratum."""
    n_strata, n_clusters = int(strata.max(initial=0)) + 1, len(sizes)
    if n_strata == 1:
        return np.zeros(len(cluster))
    here = cluster * n_strata + strata[account]
    outside = np.bincount(cluster, weights, minlength=n_clusters)
    local = np.bincount(here, weights, minlength=n_clusters * n_strata)
    member = labels >= 0
    inside = np.bincount(
        labels[member] * n_strata + strata[member], minlength=n_clusters * n_strata
    )
    rate = (outside + PRIOR_COUNT) / (len(labels) - sizes + 1)
    population = np.bincount(strata, minlength=n_strata)[strata[account]] - inside[here]
    # One match is known beforehand, at the rate of everywhere.
    local_rate = (local[here] + 1) / (population + 1 / rate[cluster])
    return np.asarray(np.maximum(np.log2(local_rate / rate[cluster]), 0))


def _list_causes(
    graph: AccountGraph,
    edges: pd.DataFrame,
    profiles: Profiles,
    matches: Matches,
    config: MethodConfig,
) -> list[_Cause]:
    """List what brings a family along, and the rows that share it.

    Where an account shares a program with a cluster, its prompts and addresses say only what they
    say among the holders of the program.
    """
    causes = []
    for pair in config.common_causes:
        cause, effect = pair.split(">")
        if cause not in graph.family_names or effect not in graph.family_names:
            continue
        row, identifier = _find_shared_causes(
            graph, edges, graph.family_names.index(cause), profiles, matches, config
        )
        key = matches.cluster[row] * graph.n_identifiers + identifier
        n_members = profiles.look_up(identifier, matches.cluster[row])
        causes.append(
            _Cause(
                family=graph.family_names.index(effect),
                rows=row,
                cell=np.unique(key, return_inverse=True)[1],
                n_outsiders=graph.holders[identifier] - n_members,
            )
        )
    return causes


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
