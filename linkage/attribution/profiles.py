"""Profiles of clusters, and what accounts have in common with them.

A cluster's profile is how many of its members hold each identifier. An account is compared with
every profile that it touches, as if it were not a member itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.special import gammaln

from linkage.graph import find_starts
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from linkage.graph import AccountGraph

__all__ = [
    "Edges",
    "Matches",
    "Profiles",
    "count_members",
    "expand",
    "match_accounts",
    "weigh_members",
]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MIN_HOLDER_SHARE: Final = 1 / 64  # of an identifier's holders, from which on it leads to a cluster
MIN_MEMBERS: Final = 10  # of a cluster, from which on they are told from the others who hold it
PRIOR_WEIGHT: Final = 0.5  # of everybody's rate, as if seen in so many times all accounts
SEARCH_STEPS: Final = 8  # clusters of an identifier passed in the time of searching for one
MIN_POPULAR: Final = 32  # clusters that use an identifier, from which on their rows are listed
ROOM_A_ROW: Final = 4  # places in that list for each row of a profile, at most
LN2: Final = float(np.log(2))
ALMOST_ONE: Final = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """The edges that take part, and what is counted of them once for all rounds.

    Attributes
    ----------
    account, identifier, count : array of int32
        Sorted by account and identifier.
    starts : array of int64, shape (N + 1,)
        Where each account's edges begin.
    degree, sightings : array of int, shape (N, F)
        Identifiers of each family that each account has, and how often it was seen with them.
    """

    account: Ints
    identifier: Ints
    count: Ints
    starts: Ints
    degree: Ints
    sightings: Ints

    @classmethod
    def take(cls, graph: AccountGraph, edges: pd.DataFrame) -> Edges:
        """Take edges as arrays, and count them.

        Parameters
        ----------
        graph : AccountGraph
        edges : pandas.DataFrame
            ``account``, ``identifier``, ``count``, sorted.

        Returns
        -------
        Edges
        """
        account, identifier, count = (
            edges[name].to_numpy() for name in ("account", "identifier", "count")
        )
        starts = find_starts(account, graph.n_accounts)
        degree, sightings = compile_kernel(_count_by_family)(
            starts, identifier, count, graph.family_codes, len(graph.family_names)
        )
        return cls(
            account=account,
            identifier=identifier,
            count=count,
            starts=starts,
            degree=degree,
            sightings=sightings,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """What accounts have in common with clusters: R rows, F families.

    Attributes
    ----------
    account, cluster : array of int64, shape (R,)
        Rows of one account follow each other. Accounts that touch the same clusters come close to
        each other, for rows are looked at by cluster.
    begin, n : array of int, shape (N,)
        Where the rows of each account begin, and how many there are.
    own : array of bool, shape (R,)
        Whether the account is a member of the cluster.
    best, total : array of float32, shape (R, F)
        Bits of the strongest identifier of a family that they have in common, and of all of them.
    joined : array of float32, shape (R, F)
        Bits of all of them if the account were a member, as a member's own are counted: accounts
        that hold the same compare alike, members or not.
    hits : array of float32, shape (R, F)
        Identifiers of a family that they have in common, weighted by how often the account was seen
        with each; the weights of an account's identifiers of a family are 1 on average. What is
        used every day is more of an account than what it met once.
    """

    account: Ints
    cluster: Ints
    begin: Ints
    n: Ints
    own: Flags
    best: Floats
    total: Floats
    joined: Floats
    hits: Floats

    def forget_sums(self) -> Matches:
        """Return the same without ``total`` and ``joined``, which are large."""
        nothing = np.empty((0, self.best.shape[1]), np.float32)
        return replace(self, total=nothing, joined=nothing)

    def sort_by_cluster(self, n_clusters: int) -> Ints:
        """Return rows by cluster, those of one cluster by account, shape (R,)."""
        order: Ints = compile_kernel(_sort_rows)(self.begin, self.n, self.cluster, n_clusters)
        return order


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """How many members of each cluster hold each identifier.

    Attributes
    ----------
    starts : array of int64, shape (M + 1,)
        Where each identifier's rows begin.
    cluster, n : array of int64
        One row an identifier and a cluster that uses it.
    sizes : array of int64, shape (C,)
        Members of each cluster.
    """

    starts: Ints
    cluster: Ints
    n: Ints
    sizes: Ints

    @classmethod
    def count(cls, graph: AccountGraph, edges: Edges, labels: Ints) -> Profiles:
        """Count the profiles of clusters.

        Parameters
        ----------
        graph : AccountGraph
        edges : Edges
        labels : array of int64, shape (N,)
            Cluster of each account, -1 for none.

        Returns
        -------
        Profiles
        """
        sizes = count_members(labels)
        row = np.flatnonzero((labels >= 0)[edges.account])
        identifier = edges.identifier[row].astype(np.int64)
        key = identifier * max(len(sizes), 1) + labels[edges.account[row]]
        key, n = np.unique(key, return_counts=True)
        codes = key // max(len(sizes), 1)
        return cls(
            starts=find_starts(codes, graph.n_identifiers),
            cluster=key % max(len(sizes), 1),
            n=n,
            sizes=sizes,
        )


def count_members(labels: Ints) -> Ints:
    """Return the number of members of each cluster, shape (C,)."""
    return np.bincount(labels[labels >= 0], minlength=int(labels.max(initial=-1)) + 1)


def expand(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Return, for ranges [begin, end), each range's number beside each position in it."""
    lengths = end - begin
    owner = np.repeat(np.arange(len(begin)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owner, begin[owner] + offset


def match_accounts(graph: AccountGraph, edges: Edges, labels: Ints, profiles: Profiles) -> Matches:
    """Compare accounts with the profiles that they touch.

    Parameters
    ----------
    graph : AccountGraph
    edges : Edges
    labels : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    profiles : Profiles
        Of these labels.

    Returns
    -------
    Matches
        A row for every member and its cluster, and for every account and a cluster whose members
        are at least ``MIN_HOLDER_SHARE`` of the holders of an identifier of the account: an
        identifier leads to a bounded number of clusters, and the cost is linear in edges.

    Notes
    -----
    With n_cj of a cluster's |c| accounts holding identifier j, which d_j of N accounts hold::

        bits_cj = log2( (n_cj + r_cj) / (|c| + 1) / r_cj )

    where a member is left out of n_cj, |c| and d_j, and r_cj is the rate among the others
    (:func:`_rate_elsewhere`). Negative bits say nothing, and no identifier
    says more than :func:`_bound_surprise`: a large cluster holds many an identifier that a stranger
    has too. For ``joined``, a member is counted and so is an account that is none.
    """
    owner = np.repeat(np.arange(graph.n_identifiers), np.diff(profiles.starts))
    leads = profiles.n >= MIN_HOLDER_SHARE * graph.holders[owner]
    # What no cluster uses matches nobody: the rest is numbered anew, to stand close together.
    is_used = np.diff(profiles.starts) > 0
    number = np.where(is_used, np.cumsum(is_used) - 1, -1).astype(np.int32)
    *held, count = compile_kernel(_number_anew)(edges.starts, edges.identifier, edges.count, number)
    starts = np.append(profiles.starts[:-1][is_used], len(profiles.n))
    lead_to = (
        np.concatenate([[0], np.cumsum(leads)])[starts],
        profiles.cluster[leads].astype(np.int32),
    )
    weighed = _weigh_rows(graph, profiles, owner)
    # Nor does a row that says nothing to members or to others, as most of what everybody has.
    says_some = (np.minimum(*weighed[:2]) > 0).any(axis=0)
    n_clusters = len(profiles.sizes)
    n_rows, nearby = compile_kernel(_count_matches)(*held, *lead_to, n_clusters, labels)
    # Accounts of one cluster hold the same: what was looked up is still near the processor.
    turn = np.argsort(nearby, kind="stable")
    begin = np.empty(len(n_rows), np.int64)
    begin[turn] = np.cumsum(n_rows[turn]) - n_rows[turn]
    profile_starts = np.concatenate([[0], np.cumsum(says_some)])[starts]
    profile_cluster = profiles.cluster[says_some].astype(np.int32)
    account, cluster, *says = compile_kernel(_match)(
        *held,
        count,
        graph.family_codes[is_used],
        edges.degree,
        edges.sightings,
        *lead_to,
        profile_starts,
        profile_cluster,
        *_list_popular(profile_starts, profile_cluster, n_clusters),
        np.stack([weight[:, says_some] for weight in weighed], axis=2),
        n_clusters,
        labels,
        begin,
        int(n_rows.sum()),
        turn,
    )
    best, total, joined, hits = (table.T for table in says)
    return Matches(
        account=account,
        cluster=cluster,
        begin=begin,
        n=n_rows,
        own=labels[account] == cluster,
        best=best,
        total=total,
        joined=joined,
        hits=hits,
    )


def _count_by_family(
    starts: Any, identifiers: Any, count: Any, family: Any, n_families: int
) -> Any:
    """Count edges, and add up their counts, by account and family; compiled by numba."""
    degree = np.zeros((len(starts) - 1, n_families), np.int32)
    sightings = np.zeros((len(starts) - 1, n_families), np.int64)
    for a in range(len(starts) - 1):
        for p in range(starts[a], starts[a + 1]):
            f = family[identifiers[p]]
            degree[a, f] += 1
            sightings[a, f] += count[p]
    return degree, sightings


def _number_anew(starts: Any, identifiers: Any, count: Any, number: Any) -> Any:
    """Keep the edges whose identifier has a new number, account by account."""
    n = 0
    for p in range(len(identifiers)):
        n += number[identifiers[p]] >= 0
    begins = np.zeros(len(starts), np.int64)
    numbered, counted = np.empty(n, np.int32), np.empty(n, count.dtype)
    n = 0
    for a in range(len(starts) - 1):
        for p in range(starts[a], starts[a + 1]):
            if number[identifiers[p]] >= 0:
                numbered[n], counted[n] = number[identifiers[p]], count[p]
                n += 1
        begins[a + 1] = n
    return begins, numbered, counted


def weigh_members(
    graph: AccountGraph, edges: Edges, labels: Ints, profiles: Profiles
) -> pd.DataFrame:
    """Return what each identifier of a member says for its membership.

    Parameters
    ----------
    graph, edges, labels, profiles
        As for :func:`match_accounts`.

    Returns
    -------
    pandas.DataFrame
        ``account``, ``cluster``, ``identifier``, ``alone`` > 0 (bits), sorted by account and
        identifier.
    """
    # Most of what members hold, no other member does: it is passed by.
    account, identifier, others = compile_kernel(_find_common)(
        edges.starts, edges.identifier, labels, profiles.starts, profiles.cluster, profiles.n
    )
    cluster = labels[account]
    held, size = graph.holders[identifier] - 1, profiles.sizes[cluster] - 1
    rate = _rate_elsewhere(held, others, size, graph.n_accounts - 1)
    bits = np.log2((others + rate) / (size + 1) / rate)
    tries = edges.degree[account, graph.family_codes[identifier]]
    chance = np.maximum(held, 1) * np.maximum(size, 1) / (graph.n_accounts - 1)
    bits = np.minimum(bits, _bound_surprise(others, chance, tries))
    table = pd.DataFrame(
        {"account": account, "cluster": cluster, "identifier": identifier, "alone": bits}
    )
    telling: pd.DataFrame = table[bits > 0].reset_index(drop=True)
    return telling


def _find_common(
    starts: Any,
    identifiers: Any,
    labels: Any,
    profile_starts: Any,
    profile_cluster: Any,
    profile_n: Any,
) -> Any:
    """Return members' identifiers that other members hold, and how many; compiled by numba."""
    room = 0
    for a in range(len(starts) - 1):
        if labels[a] >= 0:
            room += starts[a + 1] - starts[a]
    account, identifier = np.empty(room, np.int64), np.empty(room, np.int64)
    others, n = np.empty(room, np.int64), 0
    for a in range(len(starts) - 1):
        if labels[a] < 0:
            continue
        for p in range(starts[a], starts[a + 1]):
            i = identifiers[p]
            low, high = profile_starts[i], profile_starts[i + 1]
            q = low + np.searchsorted(profile_cluster[low:high], labels[a])
            if profile_n[q] >= 2:
                account[n], identifier[n], others[n] = a, i, profile_n[q] - 1
                n += 1
    return account[:n].copy(), identifier[:n].copy(), others[:n].copy()


def _rate_elsewhere(held: Ints, n: Ints, size: Ints, n_accounts: int) -> Floats:
    """Return how large a share of the accounts outside a cluster holds an identifier.

    Of d holders among N accounts, n are members of a cluster of |c|. What the members hold is not
    what makes an identifier common, and a cluster that is a fifth of everybody would hide itself::

        r = (d - n + w d) / (N - |c| + w N)

    with w the ``PRIOR_WEIGHT`` of everybody's rate. It is no more than d / N, and just that for
    clusters of fewer than ``MIN_MEMBERS``: how few others hold what two have is mostly chance.
    """
    rate = np.maximum(held, 1) / max(n_accounts, 1)
    others = np.maximum(held - n, 0) + PRIOR_WEIGHT * held
    elsewhere = others / ((1 + PRIOR_WEIGHT) * n_accounts - np.minimum(size, n_accounts - 1))
    elsewhere = np.clip(elsewhere, 1 / max(n_accounts, 1), rate)
    return np.where(size >= MIN_MEMBERS, elsewhere, rate)


def _bound_surprise(n: Any, expected: Any, tries: Any) -> Any:
    """Return the most that can be made of n members holding an identifier, in bits.

    It is -log2 of P(X >= n) under Poisson(expected), bounded by a geometric series for n beyond
    what is expected, less log2 of the number of identifiers of the family that the account has:
    each could have been the one in common.
    """
    series = np.log1p(-np.minimum(expected / (n + 1), ALMOST_ONE))
    log_p = n * np.log(expected) - expected - gammaln(n + 1) - series
    return -log_p / LN2 - np.log2(tries)


def _weigh_rows(
    graph: AccountGraph, profiles: Profiles, identifier: Ints
) -> tuple[Floats, Floats, Floats]:
    """Weigh the rows of profiles, for accounts that are no members (0) and for members (1).

    Parameters
    ----------
    graph : AccountGraph
    profiles : Profiles
    identifier : array of int64
        Of each row.

    Returns
    -------
    alone, surprise, joined : array of float64, shape (2, rows)
        Bits of :func:`match_accounts`; the most that they may be, but for the number of tries; and
        the bits once the account has joined. ``alone`` is -1 where too few members hold it.
    """
    itself = np.array([[0], [1]])
    n, held = profiles.n - itself, graph.holders[identifier] - itself
    size = profiles.sizes[profiles.cluster] - itself
    rate = _rate_elsewhere(held, n, size, graph.n_accounts - 1)
    chance = held * size / (graph.n_accounts - 1)
    telling = (n >= 1) & (n > chance)
    alone = np.where(telling, np.log2((np.maximum(n, 1) + rate) / (size + 1) / rate), -1.0)
    surprise = _bound_surprise(np.maximum(n, 1), np.where(telling, chance, 0.5), 1)
    held = graph.holders[identifier] + np.zeros_like(itself)
    rate = _rate_elsewhere(held, np.maximum(n, 0) + 1, size + 1, graph.n_accounts)
    joined = np.log2((np.maximum(n, 0) + 1 + rate) / (size + 2) / rate)
    return alone, surprise, joined


def _list_popular(
    starts: Ints, cluster: np.ndarray[Any, np.dtype[np.int32]], n_clusters: int
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], np.ndarray[Any, np.dtype[np.int32]]]:
    """List the rows of popular identifiers by cluster, where they are looked up at once.

    Returns
    -------
    popular : array of int32
        Number of each identifier among the popular ones, -1 of others.
    rows : array of int32, shape (C, popular)
        -1 where the cluster does not use the identifier. What is asked for one cluster stands close
        together, for accounts come by cluster.
    """
    n_rows = np.diff(starts)
    room = ROOM_A_ROW * len(cluster) // max(n_clusters, 1)
    chosen = np.argsort(-n_rows, kind="stable")[:room]
    chosen = chosen[n_rows[chosen] >= MIN_POPULAR]
    popular = np.full(len(n_rows), -1, np.int32)
    popular[chosen] = np.arange(len(chosen))
    rows = np.full((n_clusters, len(chosen)), -1, np.int32)
    number, row = expand(starts[chosen], starts[chosen + 1])
    rows[cluster[row], number] = row
    return popular, rows


def _count_matches(
    starts: Any, identifiers: Any, lead_starts: Any, lead_cluster: Any, n_clusters: int, labels: Any
) -> Any:
    """Return how many rows of :func:`_match` each account has, and a cluster that it touches."""
    rows, last = np.zeros(len(starts) - 1, np.int64), np.full(n_clusters, -1, np.int64)
    nearby = np.full(len(starts) - 1, n_clusters, np.int32)
    for a in range(len(starts) - 1):
        n_touched = 0
        if labels[a] >= 0:
            last[labels[a]] = a
            n_touched, nearby[a] = 1, labels[a]
        for p in range(starts[a], starts[a + 1]):
            i = identifiers[p]
            for q in range(lead_starts[i], lead_starts[i + 1]):
                c = lead_cluster[q]
                if last[c] != a:
                    last[c] = a
                    n_touched += 1
                    if labels[a] < 0:
                        nearby[a] = min(nearby[a], c)
        rows[a] = n_touched
    return rows, nearby


def _sort_rows(begin: Any, n: Any, cluster: Any, n_clusters: int) -> Any:
    """Go through accounts, and put their rows where the cluster's next row is."""
    ends, order = np.zeros(n_clusters + 1, np.int64), np.empty(len(cluster), np.int32)
    for row in range(len(cluster)):
        ends[cluster[row] + 1] += 1
    ends = np.cumsum(ends)
    for a in range(len(begin)):
        for row in range(begin[a], begin[a] + n[a]):
            order[ends[cluster[row]]] = row
            ends[cluster[row]] += 1
    return order


def _match(  # noqa: PLR0912 - one compiled loop
    starts: Any,
    identifiers: Any,
    count: Any,
    family: Any,
    degree: Any,
    sightings: Any,
    lead_starts: Any,
    lead_cluster: Any,
    profile_starts: Any,
    profile_cluster: Any,
    popular: Any,
    popular_rows: Any,
    weights: Any,
    n_clusters: int,
    labels: Any,
    begin: Any,
    room: int,
    order: Any,
) -> Any:
    """Go through accounts, their identifiers, and the clusters that use those."""
    n_families = degree.shape[1]
    accounts, clusters = np.empty(room, np.int64), np.empty(room, np.int64)
    # One table each, for two of them are not needed for long.
    best = np.empty((n_families, room), np.float32)
    total, joined, hits = np.empty_like(best), np.empty_like(best), np.empty_like(best)
    says = (best, total, joined, hits)
    # Those of one account, row by row: they stand close together while they are added up.
    sums = np.zeros((n_clusters, n_families, 4), np.float32)
    slot, touched = np.full(n_clusters, -1, np.int32), np.empty(n_clusters, np.int32)
    for a in order:
        n_rows, own, n_touched = begin[a], labels[a], 0
        if own >= 0:
            slot[own], touched[0], n_touched = 0, own, 1
        for p in range(starts[a], starts[a + 1]):
            i = identifiers[p]
            for q in range(lead_starts[i], lead_starts[i + 1]):
                c = lead_cluster[q]
                if slot[c] < 0:
                    slot[c] = n_touched
                    touched[n_touched] = c
                    n_touched += 1
        if n_touched == 0:
            continue
        tries = np.log2(np.maximum(degree[a], 1))
        sums[:n_touched] = 0
        for s in range(n_touched):
            accounts[n_rows + s], clusters[n_rows + s] = a, touched[s]
        for p in range(starts[a], starts[a + 1]):
            i = identifiers[p]
            low, high = profile_starts[i], profile_starts[i + 1]
            # Thousands of clusters may hold a popular identifier: these are not gone through.
            few = high - low <= (SEARCH_STEPS if popular[i] < 0 else 1) * n_touched
            for k in range(high - low if few else n_touched):
                if few:
                    q, c = low + k, profile_cluster[low + k]
                elif popular[i] >= 0:
                    c = touched[k]
                    q = popular_rows[c, popular[i]]
                else:
                    c = touched[k]
                    q = low + np.searchsorted(profile_cluster[low:high], c)
                if q < 0 or q >= high or profile_cluster[q] != c or slot[c] < 0:
                    continue
                itself, f, s = 1 if c == own else 0, family[i], slot[c]
                most = weights[itself, q, 1] - tries[f]
                bits = min(weights[itself, q, 0], most)
                if bits > 0:
                    sums[s, f, 0] = max(sums[s, f, 0], bits)
                    sums[s, f, 1] += bits
                    sums[s, f, 2] += max(min(weights[itself, q, 2], most), 0)
                    sums[s, f, 3] += count[p] * degree[a, f] / sightings[a, f]
        for k in range(4):
            for f in range(n_families):
                for s in range(n_touched):
                    says[k][f, n_rows + s] = sums[s, f, k]
        for s in range(n_touched):
            slot[touched[s]] = -1
    return accounts, clusters, best, total, joined, hits
