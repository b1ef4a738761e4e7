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
from linkage.attribution.profiles import Edges, Matches, Profiles
from linkage.kernels import compile_kernel
from linkage.specificity import find_bound, judge_bound

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["Calibration", "calibrate_families", "keep_independent"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.int32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

PRIOR_COUNT: Final = 0.5  # added to counts of members and of outsiders (Jeffreys)
REFITS: Final = 2  # fits in which accounts that look like members count less as outsiders
MIN_FIT: Final = 30  # members in a block, from which on its fit may exceed one identifier
MAX_LOG_ODDS: Final = 500.0  # bits; keeps odds within what a float can hold
HALF: Final = 0.5  # of two clusters' accounts that fit the other one, for the two to be alike
MAX_HIT_RATE: Final = 0.98  # of members' identifiers; nobody shares everything for sure


def calibrate_families(
    graph: AccountGraph,
    homes: Ints,
    profiles: Profiles,
    matches: Matches,
    calibration: Calibration,
    config: MethodConfig,
) -> tuple[Floats, Floats, Floats]:
    """Return the bits that each family says for each match.

    Parameters
    ----------
    graph : AccountGraph
    homes : array of int64, shape (N,)
        The cluster of each account, -1 for none; also of those that are not scored against.
    profiles : Profiles
    matches : Matches, R rows
        Its sums are not used any more.
    calibration : Calibration
        Of these matches.
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
    ``max_family_bits``. They are reduced where the outsiders of the account's own stratum are in
    its block more often than outsiders are elsewhere.

    Outsiders of a first fit are everybody else, also those who should be members and are not yet.
    In the ``REFITS`` that follow, accounts that match in another, independent family by
    ``min_bits`` are left out (of true outsiders this changes nothing, for to them families are
    independent), and the others count as far as the fit before thinks that they are outsiders.
    """
    n_families = len(graph.family_names)
    other = (~matches.own).astype(np.float64)
    others = _repeat(other, n_families)
    n_others = _repeat((graph.n_accounts - profiles.sizes).astype(np.float64), n_families)
    bits = calibration.fit(others, n_others)
    for _ in range(REFITS):
        weights = _weigh_outsiders(graph, bits, profiles.sizes, matches, config)
        del bits  # tables of rows and families are what is large here
        left_out = compile_kernel(_count_left_out)(
            calibration.order, matches.cluster, other, weights, len(profiles.sizes)
        )
        bits = calibration.fit(weights, n_others - left_out)
        del weights
    sizes = np.bincount(homes[homes >= 0], minlength=1)
    home = homes[matches.account]
    share = np.where(home >= 0, 1 / np.maximum(sizes, 1)[home], 1.0)
    n_units = np.count_nonzero(homes < 0) + np.count_nonzero(sizes) - 1.0
    # The cluster of the account itself is the one outsider that is in question.
    other *= share  # and so are `others`, which are this column several times
    apart = calibration.fit(others, np.full(n_others.shape, n_units), leave_out=home >= 0)
    purpose = np.array([name == PURPOSE for name in graph.family_names], bool)
    fits = np.asarray((apart[:, purpose] >= config.min_bits).any(axis=1))
    alike, n_alike, n_accounts = _find_alike(fits, homes, matches, profiles)
    if alike.any():
        other *= ~alike
        units = _repeat(n_units - n_alike, n_families)
        again = calibration.fit(others, units, leave_out=home >= 0, free=alike, only=purpose)
        apart[:, purpose] = again[:, purpose]
    return bits, apart, np.where(alike, n_accounts[matches.cluster], 0.0)


def _repeat(column: Floats, n: int) -> Floats:
    """Return a column n times beside itself, without copying it."""
    return np.broadcast_to(column[:, None], (len(column), n))


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
    graph: AccountGraph, bits: Floats, sizes: Ints, matches: Matches, config: MethodConfig
) -> Floats:
    """Return how far each row counts as an outsider in each family, by a first fit; 0 to 1."""
    weights = np.empty_like(bits)
    compile_kernel(_weigh_strangers)(
        bits,
        graph.list_independent(config.dependent_families),
        graph.find_independent(config.dependent_families),
        np.log2(np.maximum(sizes, 1) / graph.n_accounts),
        matches.cluster,
        matches.own,
        np.log2(config.evading),
        config.min_bits,
        weights,
    )
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """The rows that share something of one family, and what does not depend on the outsiders.

    By cluster and score, members first: in the order in which they are pooled.
    """

    rows: Codes
    cluster: Codes
    own: Flags
    stratum: Codes
    n_around: Codes  # accounts of the stratum that are not in the cluster
    most: Floats  # bits of all identifiers together
    best: Floats  # bits of the strongest, or of all where an operator chooses them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """A family's rows that share a program, or what else brings the family along."""

    family: int
    rows: Ints
    cell: Ints  # of cluster and program
    n_outsiders: Ints  # holders of the program outside the cluster
    bound: Flags  # rows of accounts that are tied to others of the cell by other families as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Everything that fits against different outsiders have in common."""

    order: Ints  # rows by cluster
    outsider: Flags  # which rows are of accounts outside the cluster
    n_strata: int
    sizes: Ints
    families: list[_Family]
    causes: list[_Cause]
    min_bits: float

    @classmethod
    def prepare(
        cls,
        graph: AccountGraph,
        edges: Edges,
        labels: Ints,
        strata: Ints,
        profiles: Profiles,
        matches: Matches,
        config: MethodConfig,
    ) -> Calibration:
        """Sort what is to be fitted.

        Parameters
        ----------
        graph : AccountGraph
        edges : Edges
        labels, strata : array of int64, shape (N,)
            The clusters that are scored against, -1 for accounts of none of them; the stratum of
            each account.
        profiles : Profiles
        matches : Matches, R rows
        config : MethodConfig

        Returns
        -------
        Calibration
        """
        order = matches.sort_by_cluster(len(profiles.sizes))
        degree = edges.degree
        everywhere = degree.sum(axis=0, dtype=np.float64)
        chosen = _find_chosen_families(graph)
        member, n_clusters = labels >= 0, len(profiles.sizes)
        population = np.bincount(strata)
        n_strata = max(len(population), 1)
        inside = np.bincount(
            labels[member] * n_strata + strata[member], minlength=n_clusters * n_strata
        )
        families = []
        for family in range(degree.shape[1]):
            rows, inside_hits, outside_hits = compile_kernel(_list_hits)(
                order, matches.hits[:, family], matches.cluster, matches.own, n_clusters
            )
            held = degree[member, family]
            within = np.asarray(np.bincount(labels[member], held, minlength=n_clusters), float)
            rate = _rate_misses(inside_hits, outside_hits, within, everywhere[family])
            score = compile_kernel(_score_hits)(
                rows,
                matches.account,
                matches.cluster,
                matches.hits[:, family],
                matches.joined[:, family],
                degree[:, family],
                rate,
            )
            cluster, own = matches.cluster[rows], matches.own[rows]
            rows = rows[compile_kernel(_sort_by_score)(cluster, score, own, n_clusters)]
            account, cluster = matches.account[rows], matches.cluster[rows].astype(np.int32)
            most = np.minimum(matches.total[:, family][rows], config.max_family_bits)
            stratum = strata[account].astype(np.int32)
            around = population[stratum] - inside[cluster.astype(np.int64) * n_strata + stratum]
            best = matches.best[:, family]
            families.append(
                _Family(
                    rows=rows,
                    cluster=cluster,
                    own=matches.own[rows],
                    stratum=stratum,
                    n_around=around.astype(np.int32),
                    most=most,
                    best=most if chosen[family] else np.minimum(best[rows], most),
                )
            )
        return cls(
            order=order,
            outsider=~matches.own,
            n_strata=n_strata,
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
        only: Flags | None = None,
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
        free : array of bool, shape (R,), optional
            Rows of which the fit alone is believed: other clusters of one purpose make its
            identifiers look common.
        only : array of bool, shape (F,), optional
            The families that are fitted; all by default.

        Returns
        -------
        array of float64, shape (R, F)
            Column by column in memory; 0 for families that are not fitted.
        """
        bits, nobody = np.zeros(weights.shape, order="F"), np.empty(0, bool)
        for number, family in enumerate(self.families):
            if only is not None and not only[number]:
                continue
            other = weights[:, number][family.rows]
            pooled = compile_kernel(_pool_adjacent)(
                family.cluster, family.own, other, family.stratum, self.n_strata
            )
            compile_kernel(_tell_bits)(
                family.rows,
                family.cluster,
                family.own,
                family.n_around,
                family.most,
                family.best,
                *pooled,
                self.sizes,
                np.ascontiguousarray(n_outsiders[:, number]),
                self.n_strata > 1,
                nobody if leave_out is None else leave_out,
                nobody if free is None else free,
                bits[:, number],
            )
        for cause in self.causes:
            sharing, f = cause.rows, cause.family
            if only is not None and not only[f]:
                continue
            # Members weigh nothing here, and those who may be some little.
            n_cells = cause.cell.max(initial=-1) + 1
            has = bits[sharing, f] >= self.min_bits
            n_has = np.bincount(cause.cell, has, minlength=n_cells)
            n_bound = np.bincount(cause.cell, has & cause.bound, minlength=n_cells)
            loose = 1 - judge_bound(n_bound, n_has)[cause.cell]
            weight = weights[:, f][sharing] * np.where(cause.bound, 0.0, loose)
            outsider = self.outsider[sharing]
            strong = np.where(has, weight, 0.0)
            also = np.bincount(cause.cell, strong, minlength=n_cells)
            doubtful = np.bincount(cause.cell, outsider - weight, minlength=n_cells)
            # One outsider is known beforehand, who has the effect as often as others do.
            n_also = also[cause.cell] + np.exp2(-bits[sharing, f])
            n_others = np.maximum(cause.n_outsiders - doubtful[cause.cell], also[cause.cell])
            most = -np.log2(n_also / (n_others + 1))
            bits[sharing, f] = np.minimum(bits[sharing, f], np.maximum(most, 0))
        return bits


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
    compile_kernel(_drop_repeats)(said, sets)
    return said


def _find_chosen_families(graph: AccountGraph) -> Flags:
    """Return which families have kinds that an operator chooses, shape (F,)."""
    chosen = np.zeros(len(graph.family_names), bool)
    chosen[graph.family_codes[graph.identifiers["chosen"].to_numpy(bool)]] = True
    return chosen


def _rate_misses(inside: Floats, outside: Floats, within: Floats, everywhere: float) -> Floats:
    """Return the (negative) bits of an identifier that is not in the profile, by cluster."""
    members = (inside + PRIOR_COUNT) / (within + 1)
    others = (outside + PRIOR_COUNT) / (np.maximum(everywhere - within, 0) + 1)
    members = np.clip(np.maximum(members, others), 0, MAX_HIT_RATE)
    others = np.minimum(others, members)
    return np.asarray(np.log2((1 - members) / (1 - others)))


def _list_hits(order: Any, hits: Any, cluster: Any, own: Any, n_clusters: int) -> Any:
    """Return the rows that share something, by cluster, and what members and others share."""
    rows, n = np.empty(len(order), np.int32), 0
    inside, outside = np.zeros(n_clusters), np.zeros(n_clusters)
    for row in order:
        if hits[row] > 0:
            rows[n] = row
            n += 1
            if own[row]:
                inside[cluster[row]] += hits[row]
            else:
                outside[cluster[row]] += hits[row]
    return rows[:n].copy(), inside, outside


def _score_hits(
    rows: Any, account: Any, cluster: Any, hits: Any, joined: Any, degree: Any, rate: Any
) -> Any:
    """Score what rows share, and what accounts have besides."""
    score = np.empty(len(rows))
    for k in range(len(rows)):
        row = rows[k]
        missed = max(float(degree[account[row]]) - float(hits[row]), 0.0)
        score[k] = float(joined[row]) + missed * rate[cluster[row]]
    return score


def _sort_by_score(cluster: Any, score: Any, own: Any, n_clusters: int) -> Any:
    """Return rows by cluster and score, members first, ties in the order in which they come."""
    starts = np.zeros(n_clusters + 1, np.int64)
    for row in range(len(cluster)):
        starts[cluster[row] + 1] += 1
    starts = np.cumsum(starts)
    filled, order = starts[:-1].copy(), np.empty(len(cluster), np.int64)
    for members in (True, False):  # of equal scores all are pooled
        for row in range(len(cluster)):
            if own[row] == members:
                order[filled[cluster[row]]] = row
                filled[cluster[row]] += 1
    for c in range(n_clusters):
        rows = order[starts[c] : starts[c + 1]].copy()
        order[starts[c] : starts[c + 1]] = rows[np.argsort(score[rows], kind="mergesort")]
    return order


def _pool_adjacent(cluster: Any, own: Any, other: Any, stratum: Any, n_strata: int) -> Any:
    """Pool rows, which come by cluster and score, until the share of members rises with it.

    ``own`` and ``other`` are how far each row counts as a member and as an outsider. Returned are,
    of each row, the members and the outsiders of its block, and of these the row's stratum's.
    """
    n = len(cluster)
    members, outsiders, local = np.empty(n), np.empty(n), np.empty(n)
    block_m, block_u, first = np.empty(n), np.empty(n), np.empty(n + 1, np.int64)
    counted = np.zeros(n_strata)
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
            for row in range(first[block], first[block + 1]):
                counted[stratum[row]] += other[row]
            for row in range(first[block], first[block + 1]):
                members[row], outsiders[row] = block_m[block], block_u[block]
                local[row] = counted[stratum[row]]
            for row in range(first[block], first[block + 1]):
                counted[stratum[row]] = 0.0
        begin = end
    return members, outsiders, local


def _tell_bits(
    rows: Any,
    cluster: Any,
    own: Any,
    n_around: Any,
    most: Any,
    best: Any,
    members: Any,
    outsiders: Any,
    local: Any,
    sizes: Any,
    n_outsiders: Any,
    is_stratified: bool,
    leave_out: Any,
    free: Any,
    bits: Any,
) -> None:
    """Write the bits of rows, by the block of the fit that each is in; compiled by numba.

    ``leave_out`` and ``free`` are of no length where they are true of no row.
    """
    share, share_out, log_share, log_share_out = 1.0, 1.0, 0.0, 0.0
    for k in range(len(rows)):
        row, c = rows[k], cluster[k]
        itself = 1.0 if own[k] else 0.0
        m, u = members[k] - itself, outsiders[k]
        rate = (u + PRIOR_COUNT) / (n_outsiders[c] + 1)
        if len(leave_out) and leave_out[row]:
            u = max(u - 1.0, 0.0)
        # Rows of a block follow each other, and logarithms are what takes time here.
        here = (m + PRIOR_COUNT) / (sizes[c] - itself + 1)
        there = (u + PRIOR_COUNT) / (n_outsiders[c] + 1)
        if here != share:
            share, log_share = here, np.log2(here)
        if there != share_out:
            share_out, log_share_out = there, np.log2(there)
        ratio = log_share - log_share_out
        if is_stratified:
            # One outsider is known beforehand in each stratum, at the rate of everywhere.
            local_rate = (local[k] + 1) / (n_around[k] + 1 / rate)
            if local_rate > rate:
                ratio -= max(np.log2(local_rate / rate), 0.0)
        if len(free) and free[row]:
            bits[row] = ratio
            continue
        # Few members cannot say more than their strongest identifier; and where no outsider comes
        # near, the fit knows only that they are rare.
        said = min(float(most[k]) if m >= MIN_FIT else float(best[k]), ratio)
        bits[row] = said if u > 0 else max(float(best[k]), said)


def _drop_repeats(bits: Any, sets: Any) -> None:
    """Set to 0 the bits, none of which is negative, of families that are not in the row's set."""
    for row in range(len(bits)):
        chosen, most = -1, -1.0
        for k in range(len(sets)):
            total = 0.0
            for f in range(bits.shape[1]):
                if sets[k, f]:
                    total += bits[row, f]
            if total > most:
                chosen, most = k, total
        for f in range(bits.shape[1]):
            if chosen >= 0 and not sets[chosen, f]:
                bits[row, f] = 0.0


def _weigh_strangers(
    bits: Any,
    sets: Any,
    independent: Any,
    prior: Any,
    cluster: Any,
    own: Any,
    least: float,
    min_bits: float,
    weights: Any,
) -> None:
    """Write how far each row counts as an outsider in each family; members count nothing."""
    n_families = bits.shape[1]
    for row in range(len(bits)):
        if own[row]:
            for f in range(n_families):
                weights[row, f] = 0.0
            continue
        chosen, most = -1, -1.0
        for k in range(len(sets)):
            total = 0.0
            for f in range(n_families):
                if sets[k, f]:
                    total += max(bits[row, f], 0.0)
            if total > most:
                chosen, most = k, total
        log_odds = 0.0
        for f in range(n_families):
            counts = chosen < 0 or sets[chosen, f]
            said = max(bits[row, f], 0.0) if counts else 0.0
            log_odds += said + max(min(bits[row, f], 0.0), least)
        log_odds += prior[cluster[row]]
        stranger = 1 / (1 + np.exp2(min(log_odds, MAX_LOG_ODDS)))
        for f in range(n_families):
            weights[row, f] = stranger
            for g in range(n_families):
                if independent[g, f] and bits[row, g] >= min_bits:
                    weights[row, f] = 0.0


def _count_left_out(order: Any, cluster: Any, other: Any, weights: Any, n_clusters: int) -> Any:
    """Add up, by cluster and family, how far outsiders do not count as such."""
    left_out = np.zeros((n_clusters, weights.shape[1]))
    for row in order:
        for f in range(weights.shape[1]):
            left_out[cluster[row], f] += other[row] - weights[row, f]
    return left_out


def _list_causes(
    graph: AccountGraph,
    edges: Edges,
    profiles: Profiles,
    matches: Matches,
    config: MethodConfig,
) -> list[_Cause]:
    """List what brings a family along, and the rows that share it.

    Where an account shares a program with a cluster, its prompts and addresses say only what they
    say among the holders of the program, but for those whom other families tie to each other.
    """
    causes: list[_Cause] = []
    shared: dict[str, tuple[Ints, Ints, Ints, Flags]] = {}
    for pair in config.common_causes:
        cause, effect = pair.split(">")
        if cause not in graph.family_names or effect not in graph.family_names:
            continue
        if cause not in shared:
            row, identifier, n_members = _find_shared_causes(
                graph, edges, graph.family_names.index(cause), profiles, matches, config
            )
            key = matches.cluster[row] * graph.n_identifiers + identifier
            cell = np.unique(key, return_inverse=True)[1]
            effects = [pair.split(">")[1] for pair in config.common_causes]
            free = ~np.isin(graph.family_names, [cause, *effects, *config.shared_families])
            bound = find_bound(
                edges.starts,
                edges.identifier,
                graph.holders,
                free[graph.family_codes],
                matches.account[row],
                cell,
                config.min_bits,
            )
            shared[cause] = row, cell, graph.holders[identifier] - n_members, bound
        row, cell, n_outsiders, bound = shared[cause]
        effect_family = graph.family_names.index(effect)
        causes.append(
            _Cause(family=effect_family, rows=row, cell=cell, n_outsiders=n_outsiders, bound=bound)
        )
    return causes


def _find_shared_causes(
    graph: AccountGraph,
    edges: Edges,
    cause: int,
    profiles: Profiles,
    matches: Matches,
    config: MethodConfig,
) -> tuple[Ints, Ints, Ints]:
    """Return matches' rows, the strongest identifier of the cause that each has in common.

    And how many of the cluster's members hold it.
    """
    of_cause = graph.family_codes == cause
    found = compile_kernel(_find_strongest)(
        edges.starts,
        edges.identifier,
        of_cause,
        matches.begin,
        matches.n,
        matches.cluster,
        profiles.starts,
        profiles.cluster,
        profiles.n,
        profiles.sizes,
        graph.holders / graph.n_accounts,
        np.exp2(config.min_bits),
    )
    return tuple(found)


def _find_strongest(
    starts: Any,
    identifiers: Any,
    of_cause: Any,
    row_begin: Any,
    n_rows: Any,
    cluster: Any,
    profile_starts: Any,
    profile_cluster: Any,
    profile_n: Any,
    sizes: Any,
    rate: Any,
    least: float,
) -> Any:
    """Find the identifier that is most commoner in the row's cluster than elsewhere."""
    rows, found = np.empty(len(cluster), np.int64), np.empty(len(cluster), np.int64)
    n_members, n_found = np.empty(len(cluster), np.int64), 0
    held = np.empty(np.diff(starts).max(), identifiers.dtype)
    for a in range(len(starts) - 1):
        if n_rows[a] == 0:
            continue
        n_held = 0
        for p in range(starts[a], starts[a + 1]):
            if of_cause[identifiers[p]]:
                held[n_held] = identifiers[p]
                n_held += 1
        for row in range(row_begin[a], row_begin[a] + n_rows[a]):
            best, c = 0.0, cluster[row]
            for i in held[:n_held]:
                low, high = profile_starts[i], profile_starts[i + 1]
                q = low + np.searchsorted(profile_cluster[low:high], c)
                if q == high or profile_cluster[q] != c or profile_n[q] < 2:
                    continue
                times = profile_n[q] / sizes[c] / rate[i]
                if times >= least and times > best:
                    best = times
                    rows[n_found], found[n_found], n_members[n_found] = row, i, profile_n[q]
            n_found += best > 0
    return rows[:n_found].copy(), found[:n_found].copy(), n_members[:n_found].copy()
