"""Overlaps: how many accounts hold two identifiers, and how many would by chance.

Two identifiers of different families that are held by many of the same accounts tie those accounts
twice. How many common holders chance gives is known from a null that keeps every identifier's
number of holders and every account's activity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["count_overlaps", "count_tests", "expect_overlaps", "select_edges"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

BLOCK_PRODUCTS = 20_000_000  # multiplications of one block of B'B; bounds memory


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
        ``account`` and ``identifier``, sorted. An identifier of one holder ties nobody and is
        dropped.
    """
    holders = graph.holders
    edges = graph.edges[["account", "identifier"]]
    edges = edges[holders[edges["identifier"].to_numpy()] >= 2].reset_index(drop=True)
    account = edges["account"].to_numpy()
    many = np.bincount(account, minlength=graph.n_accounts)[account] > max_identifiers
    ranked = edges[many]
    identifier = ranked["identifier"].to_numpy()
    ranked = ranked.assign(family=graph.family_codes[identifier], holders=holders[identifier])
    ranked = ranked.sort_values(["account", "family", "holders", "identifier"])
    by_family = ranked.groupby(["account", "family"])
    rank, n_held = by_family.cumcount(), by_family["holders"].transform("size")
    ranked["turn"] = np.minimum(2 * rank, 2 * (n_held - rank) - 1)
    ranked = ranked.sort_values(["account", "turn", "holders", "identifier"])
    dropped = ranked.index[ranked.groupby("account").cumcount() >= max_identifiers]
    kept: pd.DataFrame = edges.drop(index=dropped).reset_index(drop=True)
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
    The cost is the sum over accounts of the squared number of identifiers, in blocks of bounded
    memory; no pair of accounts is ever formed.
    """
    matrix = sparse.csr_array(
        (np.ones(len(edges), np.int32), (edges["account"], edges["identifier"])),
        shape=(graph.n_accounts, graph.n_identifiers),
    )
    independent = graph.find_independent(config.dependent_families)
    chosen = graph.identifiers["chosen"].to_numpy(bool)
    parts = [pd.DataFrame({name: np.empty(0, np.int64) for name in ("left", "right", "n")})]
    for family in range(len(graph.family_names)):
        own = np.flatnonzero(graph.family_codes == family)
        later = independent[family] & (np.arange(len(independent)) > family)
        partners = later[graph.family_codes]
        if chosen[own].any():
            partners[own[chosen[own]]] = True
        partners = np.flatnonzero(partners)
        beside = matrix[:, partners]
        holders = matrix[:, own].T.tocsr()
        cost = np.asarray(holders @ np.diff(beside.indptr).astype(np.float64), np.float64)
        for rows in _split_by_cost(cost, BLOCK_PRODUCTS):
            block = (holders[rows] @ beside).tocoo()
            keep = block.data >= 2
            first, second = own[block.row[keep] + rows.start], partners[block.col[keep]]
            n = block.data[keep]
            # Inside a family each pair was met from both sides.
            once = (graph.family_codes[second] != family) | ((first < second) & chosen[first])
            left, right = np.minimum(first, second)[once], np.maximum(first, second)[once]
            parts.append(pd.DataFrame({"left": left, "right": right, "n": n[once]}))
    pairs = pd.concat(parts, ignore_index=True).astype(np.int64)
    order = np.argsort(pairs["left"].to_numpy() * graph.n_identifiers + pairs["right"].to_numpy())
    return pairs.iloc[order].reset_index(drop=True)


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
    account, identifier = graph.edges["account"].to_numpy(), graph.edges["identifier"].to_numpy()
    kinds, n_strata = graph.kind_codes, int(strata.max()) + 1 if len(strata) else 1
    degree = graph.degrees.astype(np.float64)
    n_kinds = degree.shape[1]
    by_stratum = sparse.csr_array(
        (np.ones(len(account)), (identifier, strata[account])),
        shape=(graph.n_identifiers, n_strata),
    )
    by_stratum.sort_indices()
    left, right = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    pair_kind = kinds[left] * n_kinds + kinds[right]
    expected = np.zeros(len(pairs))
    for code in np.unique(pair_kind):
        rows = np.flatnonzero(pair_kind == code)
        first, second = divmod(int(code), n_kinds)
        mixing = _mix_kinds(degree[:, first], degree[:, second], strata, n_strata, first == second)
        expected[rows] = compile_kernel(_sum_over_strata)(
            by_stratum.indptr, by_stratum.indices, by_stratum.data, left[rows], right[rows], mixing
        )
    return expected


def _sum_over_strata(
    starts: Any, stratum: Any, held: Any, left: Any, right: Any, mixing: Any
) -> Any:
    """Multiply, for each pair, two sorted sparse rows and the weights of their strata; add up."""
    total = np.zeros(len(left))
    for row in range(len(left)):
        p, q = starts[left[row]], starts[right[row]]
        end_p, end_q = starts[left[row] + 1], starts[right[row] + 1]
        while p < end_p and q < end_q:
            if stratum[p] < stratum[q]:
                p += 1
            elif stratum[p] > stratum[q]:
                q += 1
            else:
                total[row] += held[p] * held[q] * mixing[stratum[p]]
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


def _split_by_cost(cost: Floats, most: float) -> list[slice]:
    """Cut rows into runs that cost at most ``most`` beside their first row."""
    if not len(cost):
        return []
    block = np.floor(np.cumsum(cost) / most).astype(np.int64)
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    return [slice(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(cost)], strict=True)]
