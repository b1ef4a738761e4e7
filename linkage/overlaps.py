"""Overlaps: how many accounts hold two identifiers, and how many would by chance.

Two identifiers of different families that are held by many of the same accounts tie those accounts
twice. How many common holders chance gives is known from a null that keeps every identifier's
number of holders and every account's activity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from linkage.graph import find_starts
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["count_overlaps", "count_tests", "expect_overlaps", "select_edges"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

MAX_COUNT = 1_000_000  # sightings; more of them say no more, and they fit into 32 bits

MIN_ROOM = 1024  # for pairs at the start; it is doubled when full


def select_edges(graph: AccountGraph, max_identifiers: int) -> pd.DataFrame:
    """Keep, of each account, the identifiers that can tie it to another.

    Parameters
    ----------
    graph : AccountGraph
    max_identifiers : int
        Most identifiers kept an account. The families take turns, so that one of which an account
        has many does not crowd out the others, and in a family the rarest and the commonest that
        are left, ties broken by code: the rarest ties a few accounts closely, the commonest may be
        what a whole operator uses.

    Returns
    -------
    pandas.DataFrame
        ``account`` and ``identifier``, sorted, and ``count``, at most ``MAX_COUNT``. An identifier
        of one holder ties nobody and is dropped.
    """
    columns = {name: graph.edges[name].to_numpy(np.int32) for name in ("account", "identifier")}
    columns["count"] = np.minimum(graph.edges["count"].to_numpy(), MAX_COUNT).astype(np.int32)
    shared = (graph.holders >= 2)[columns["identifier"]]
    columns = {name: column[shared] for name, column in columns.items()}
    kept = compile_kernel(_choose_in_turn)(
        find_starts(columns["account"], graph.n_accounts),
        columns["identifier"],
        graph.holders,
        graph.family_codes,
        max_identifiers,
    )
    if not kept.all():
        columns = {name: column[kept] for name, column in columns.items()}
    return pd.DataFrame(columns, copy=False)


def _choose_in_turn(starts: Any, identifiers: Any, holders: Any, family: Any, most: int) -> Any:
    """Mark, for each account, the identifiers that are kept; compiled by numba."""
    kept = np.ones(len(identifiers), np.bool_)
    for account in range(len(starts) - 1):
        begin, n = starts[account], starts[account + 1] - starts[account]
        if n <= most:
            continue
        held = identifiers[begin : begin + n]
        order = np.argsort(holders[held] * np.int64(len(holders)) + held)
        # Sorting is stable from here on: ties are broken by holders and by code.
        by_family = np.argsort(family[held[order]], kind="mergesort")
        turn, first = np.empty(n, np.int64), 0
        while first < n:
            last = first
            while (
                last < n
                and family[held[order[by_family[last]]]] == (family[held[order[by_family[first]]]])
            ):
                last += 1
            for rank in range(last - first):
                turn[by_family[first + rank]] = min(2 * rank, 2 * (last - first - rank) - 1)
            first = last
        dropped = order[np.argsort(turn, kind="mergesort")[most:]]
        for k in range(len(dropped)):
            kept[begin + dropped[k]] = False
    return kept


def count_overlaps(graph: AccountGraph, edges: pd.DataFrame, config: MethodConfig) -> pd.DataFrame:
    """Count the accounts that hold two identifiers, for all pairs that may corroborate.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``: the edges that take part.
    config : MethodConfig
        ``dependent_families`` never corroborate each other.

    Returns
    -------
    pandas.DataFrame
        ``left`` < ``right`` (identifier codes) and ``n`` >= 2, sorted. A pair of one family is
        counted only where both kinds are chosen.

    Notes
    -----
    The cost is the sum over accounts of the squared number of identifiers, less the pairs that
    cannot corroborate each other; no pair of accounts is ever formed.
    """
    account, identifier = edges["account"].to_numpy(), edges["identifier"].to_numpy()
    used = np.bincount(identifier, minlength=graph.n_identifiers) > 0
    code = np.flatnonzero(used).astype(np.int32)
    # The counters of those that are used are few enough to stand near the processor.
    place = (np.cumsum(used, dtype=np.int32) - np.int32(1))[identifier]
    sort, may_overlap = _sort_by_corroboration(graph, config)
    first, second, n = compile_kernel(_count_common)(
        find_starts(account, graph.n_accounts),
        place,
        np.bincount(place, minlength=len(code)),
        sort[identifier],
        may_overlap,
        MIN_ROOM,
    )
    return pd.DataFrame({"left": code[first], "right": code[second], "n": n}, copy=False)


def _sort_by_corroboration(
    graph: AccountGraph, config: MethodConfig
) -> tuple[np.ndarray[Any, np.dtype[np.int32]], np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return the sort of each identifier (its family, and whether it is chosen), shape (M,).

    And which sorts may overlap with which, shape (sorts, sorts).
    """
    chosen = graph.identifiers["chosen"].to_numpy(bool)
    sort = (2 * graph.family_codes + chosen).astype(np.int32)
    independent = graph.find_independent(config.dependent_families)
    within = np.kron(np.eye(len(independent), dtype=bool), np.array([[0, 0], [0, 1]], bool))
    return sort, np.kron(independent, np.ones((2, 2), bool)) | within


def _count_common(  # noqa: PLR0912 - one compiled loop
    starts: Any, identifiers: Any, holders: Any, sort: Any, may_overlap: Any, room: int
) -> Any:
    """Count, for each identifier and each later one, the accounts that hold both."""
    n_identifiers, n_edges = len(holders), len(identifiers)
    owner, ends = np.empty(n_edges, np.int32), np.cumsum(holders)
    begins = ends - holders
    # Of an account's identifiers, those of one sort follow each other: they are passed by at once.
    run_end = np.empty(n_edges, np.int32)
    for a in range(len(starts) - 1):
        for p in range(starts[a + 1] - 1, starts[a] - 1, -1):
            is_last = p + 1 == starts[a + 1] or sort[p + 1] != sort[p]
            run_end[p] = p + 1 if is_last else run_end[p + 1]
    filled = begins.copy()
    for a in range(len(starts) - 1):
        for p in range(starts[a], starts[a + 1]):
            owner[filled[identifiers[p]]] = a
            filled[identifiers[p]] += 1
    left, right, n = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    n_pairs = 0
    position = starts[:-1].copy()  # identifiers come in order, and so do those of each account
    counted, met = np.zeros(n_identifiers, np.int32), np.empty(n_identifiers, np.int32)
    for i in range(n_identifiers):
        n_met = 0
        for k in range(begins[i], ends[i]):
            a = owner[k]
            q, end = position[a] + 1, starts[a + 1]
            allowed = may_overlap[sort[position[a]]]
            position[a] += 1
            while q < end:
                stop = run_end[q]
                if allowed[sort[q]]:
                    for r in range(q, stop):
                        j = identifiers[r]
                        if counted[j] == 0:
                            met[n_met] = j
                            n_met += 1
                        counted[j] += 1
                q = stop
        n_common = 0
        for k in range(n_met):
            j = met[k]
            if counted[j] >= 2:
                met[n_common] = j
                n_common += 1
            else:
                counted[j] = 0
        while n_pairs + n_common > len(left):
            left = np.concatenate((left, np.empty(len(left), np.int32)))
            right = np.concatenate((right, np.empty(len(right), np.int32)))
            n = np.concatenate((n, np.empty(len(n), np.int32)))
        met[:n_common].sort()
        for k in range(n_common):
            j = met[k]
            left[n_pairs], right[n_pairs], n[n_pairs] = i, j, counted[j]
            counted[j] = 0
            n_pairs += 1
    return left[:n_pairs], right[:n_pairs], n[:n_pairs]


def count_tests(graph: AccountGraph, edges: pd.DataFrame, config: MethodConfig) -> int:
    """Count the identifier pairs that could have been found to overlap.

    Parameters
    ----------
    graph, edges, config
        As for :func:`count_overlaps`.

    Returns
    -------
    int
        Pairs of identifiers with at least two holders among ``edges`` that may corroborate each
        other.
    """
    holders = np.bincount(edges["identifier"], minlength=graph.n_identifiers)
    eligible = holders >= 2
    n_families = len(graph.family_names)
    chosen = eligible & graph.identifiers["chosen"].to_numpy(bool)
    n = np.bincount(graph.family_codes[eligible], minlength=n_families)
    n_chosen = np.bincount(graph.family_codes[chosen], minlength=n_families)
    across = np.triu(np.outer(n, n) * graph.find_independent(config.dependent_families)).sum()
    return int(across + (n_chosen * (n_chosen - 1) // 2).sum())


def expect_overlaps(graph: AccountGraph, pairs: pd.DataFrame, strata: Ints) -> Floats:
    """Return how many common holders chance gives each pair.

    Parameters
    ----------
    graph : AccountGraph
        All its edges count, also those to identifiers that nobody shares: whoever has a card of
        their own could have had the shared one instead.
    pairs : pandas.DataFrame
        ``left``, ``right``: identifier codes.
    strata : array of int64, shape (N,)
        The stratum of each account; chance mixes accounts of one stratum only.

    Returns
    -------
    array of float64, one a pair

    Notes
    -----
    A degree-corrected bipartite null: within stratum s an account a holds an identifier i of kind k
    with probability d_is deg_ak / E_ks, where deg_ak counts a's identifiers of the kind and E_ks
    all of them. Summed over accounts::

        mu_ij = sum_s d_is d_js G_kls,   G_kls = sum_a deg_ak deg_al / (E_ks E_ls)

    with deg (deg - 1) in place of deg^2 where k = l.
    """
    n_strata = int(strata.max(initial=0)) + 1
    left, right = pairs["left"].to_numpy(np.int32), pairs["right"].to_numpy(np.int32)
    used = np.zeros(graph.n_identifiers, bool)
    used[left] = used[right] = True
    starts, stratum, held = compile_kernel(_count_by_stratum)(
        find_starts(graph.edges["account"].to_numpy(), graph.n_accounts),
        graph.edges["identifier"].to_numpy(np.int32),
        np.where(used, graph.holders, 0),
        strata,
        n_strata,
    )
    kinds = graph.kind_codes
    present = compile_kernel(_find_kinds)(left, right, kinds, graph.degrees.shape[1])
    mixing = np.zeros((np.count_nonzero(present), n_strata))
    for row, (first, second) in enumerate(np.argwhere(present).tolist()):
        left_degree, right_degree = graph.degrees[:, [first, second]].T.astype(np.float64)
        mixing[row] = _mix_kinds(left_degree, right_degree, strata, n_strata, first == second)
    number = np.cumsum(present).reshape(present.shape) - 1
    return np.asarray(
        compile_kernel(_sum_over_strata)(starts, stratum, held, left, right, kinds, number, mixing),
        np.float64,
    )


def _count_by_stratum(
    starts: Any, identifiers: Any, holders: Any, strata: Any, n_strata: int
) -> Any:
    """Count the holders of identifiers in each stratum: sparse rows, sorted.

    ``holders`` is 0 for identifiers that nobody asks for.
    """
    ends = np.cumsum(holders)
    begins = ends - holders
    found, filled = np.empty(ends[-1] if len(ends) else 0, np.int32), begins.copy()
    for a in range(len(starts) - 1):
        for p in range(starts[a], starts[a + 1]):
            i = identifiers[p]
            if holders[i]:
                found[filled[i]] = strata[a]
                filled[i] += 1
    rows, held = np.zeros(len(holders) + 1, np.int64), np.empty(len(found), np.int32)
    counted, n = np.zeros(n_strata, np.int32), 0
    for i in range(len(holders)):
        n_found, first = 0, n
        for k in range(begins[i], ends[i]):
            if counted[found[k]] == 0:
                found[n + n_found] = found[k]  # never ahead of what is still to be read
                n_found += 1
            counted[found[k]] += 1
        found[first : first + n_found].sort()
        for k in range(first, first + n_found):
            held[k] = counted[found[k]]
            counted[found[k]] = 0
        n += n_found
        rows[i + 1] = n
    return rows, found[:n].copy(), held[:n].copy()


def _find_kinds(left: Any, right: Any, kinds: Any, n_kinds: int) -> Any:
    """Find which kinds meet in pairs."""
    present = np.zeros((n_kinds, n_kinds), np.bool_)
    for row in range(len(left)):
        present[kinds[left[row]], kinds[right[row]]] = True
    return present


def _sum_over_strata(
    starts: Any,
    stratum: Any,
    held: Any,
    left: Any,
    right: Any,
    kinds: Any,
    number: Any,
    mixing: Any,
) -> Any:
    """Multiply, for each pair, two sorted sparse rows and the weights of their strata; add up."""
    total = np.zeros(len(left))
    for row in range(len(left)):
        p, q = starts[left[row]], starts[right[row]]
        end_p, end_q = starts[left[row] + 1], starts[right[row] + 1]
        weights = mixing[number[kinds[left[row]], kinds[right[row]]]]
        while p < end_p and q < end_q:
            if stratum[p] < stratum[q]:
                p += 1
            elif stratum[p] > stratum[q]:
                q += 1
            else:
                total[row] += float(held[p]) * float(held[q]) * weights[stratum[p]]
                p += 1
                q += 1
    return total


def _mix_kinds(
    first: Floats, second: Floats, strata: Ints, n_strata: int, same_kind: bool
) -> Floats:
    """Return G of two kinds in each stratum, shape (n_strata,)."""
    product = first * (second - 1) if same_kind else first * second
    total = np.bincount(strata, weights=product, minlength=n_strata)
    scale = np.bincount(strata, weights=first, minlength=n_strata)
    scale = scale * np.bincount(strata, weights=second, minlength=n_strata)
    return np.divide(total, scale, out=np.zeros(n_strata), where=scale > 0)
