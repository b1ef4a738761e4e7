"""What kinds of identifier are worth, judged from the data.

Users bring kinds that nobody declared: a full name beside its parts, a postcode beside the town.
Such kinds come together in everybody, and what comes together in everybody proves nothing. Two
things are measured before anything is believed: which kinds repeat another, and how much more often
than chance the popular identifiers of two kinds come together anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.graph import find_starts
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from linkage.graph import AccountGraph

__all__ = ["find_dependent", "find_determined", "measure_background", "tabulate_kinds"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

DETERMINED: Final = 0.98  # of the pairs that share a kind also share another: it repeats it
MIN_IDENTIFIERS: Final = 30  # shared ones, without which nothing is said about a kind
MAX_PAIRS: Final = 20_000  # pairs looked at a kind
POPULAR: Final = 10  # holders from which on an identifier is no small group's
MIN_ACCOUNTS: Final = 100  # accounts without which no background is known
MAX_ACCOUNTS: Final = 4_096  # accounts looked at a pair of kinds


def find_determined(graph: AccountGraph) -> Flags:
    """Find the kinds that repeat another.

    Parameters
    ----------
    graph : AccountGraph

    Returns
    -------
    array of bool, shape (K, K)
        Whether two accounts that share an identifier of one kind (row) share one of another
        (column) as well, in at least ``DETERMINED`` of the cases where both are known for it. True
        on the diagonal. Every identifier counts alike, however many hold it: one pair of its
        holders is looked at, for at most ``MAX_PAIRS`` identifiers of each kind.
    """
    n_kinds = len(graph.kind_names)
    identifier = graph.edges["identifier"].to_numpy()
    starts = find_starts(graph.edges["account"].to_numpy(), graph.n_accounts)
    known = graph.degrees > 0
    determined = np.eye(n_kinds, dtype=bool)
    for kind, (left, right) in enumerate(_sample_pairs(graph)):
        both = known[left] & known[right]
        shared = compile_kernel(_share_kinds)(
            starts, identifier, graph.kind_codes, n_kinds, left, right
        )
        n, n_shared = both.sum(axis=0), (shared & both).sum(axis=0)
        determined[kind] |= (n >= MIN_IDENTIFIERS) & (n_shared >= DETERMINED * n)
    return determined


def _share_kinds(
    starts: Any, identifiers: Any, kinds: Any, n_kinds: int, left: Any, right: Any
) -> Any:
    """Return of which kinds pairs of accounts share an identifier; compiled by numba."""
    shared = np.zeros((len(left), n_kinds), np.bool_)
    for pair in range(len(left)):
        p, q = starts[left[pair]], starts[right[pair]]
        while p < starts[left[pair] + 1] and q < starts[right[pair] + 1]:
            if identifiers[p] < identifiers[q]:
                p += 1
            elif identifiers[p] > identifiers[q]:
                q += 1
            else:
                shared[pair, kinds[identifiers[p]]] = True
                p += 1
                q += 1
    return shared


def find_dependent(
    graph: AccountGraph, determined: Flags, declared: frozenset[str]
) -> tuple[tuple[str, str], ...]:
    """Return the pairs of families that are one piece of evidence, by what their kinds repeat.

    Parameters
    ----------
    graph : AccountGraph
    determined : array of bool, shape (K, K)
        From :func:`find_determined`.
    declared : frozenset of str
        Kinds whose families are known; two of them are what was declared.

    Returns
    -------
    tuple of (str, str)
        Families, sorted, of kinds that repeat each other or a third one in common.
    """
    kinds = graph.identifiers.drop_duplicates("kind").sort_values("kind")
    family, known = kinds["family"].tolist(), kinds["kind"].isin(declared).tolist()
    common = determined.astype(np.int64) @ determined.T.astype(np.int64) > 0
    pairs = {
        (min(family[i], family[j]), max(family[i], family[j]))
        for i, j in np.argwhere(common).tolist()
        if family[i] != family[j] and not (known[i] and known[j])
    }
    return tuple(sorted(pairs))


def measure_background(
    graph: AccountGraph,
    edges: pd.DataFrame,
    pairs: pd.DataFrame,
    expected: Floats,
    declared: frozenset[str],
) -> Floats:
    """Measure how much more often than chance the popular identifiers of two kinds come together.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``: the edges that were counted.
    pairs : pandas.DataFrame
        ``left`` < ``right`` (identifier codes), ``n``, sorted.
    expected : array of float64, one a pair
        Common holders under the null.
    declared : frozenset of str
        Kinds whose families are known; two of them are what was declared.

    Returns
    -------
    array of float64, shape (K, K)
        At least 1, symmetric; 1 where too few accounts hold both kinds, and between declared ones:
        whoever knows what a kind means need not guess it from how groups of accounts use it.

    Notes
    -----
    An empirical null (after Efron 2004): of each account one popular identifier of either kind is
    drawn, and the median over accounts of (n - 1) / mu is taken, the account itself being left
    out. It is 1 where kinds are independent, and stays so when a campaign holds many of both, as
    long as most accounts are not part of one.
    """
    n_kinds = int(graph.kind_codes.max(initial=-1)) + 1
    background = np.ones((n_kinds, n_kinds))
    known = [kind in declared for kind in sorted(graph.identifiers["kind"].unique())]
    rng = np.random.default_rng(0)
    if all(known):
        return background
    drawn = _draw_popular(graph, edges, rng)
    key = pairs["left"].to_numpy(np.int64) * graph.n_identifiers + pairs["right"].to_numpy()
    lift = (pairs["n"].to_numpy() - 1) / np.maximum(expected, np.finfo(float).tiny)
    for first in range(n_kinds):
        for second in range(first + 1, n_kinds):
            held = drawn[:, [first, second]]
            held = held[(held >= 0).all(axis=1)]
            if len(held) < MIN_ACCOUNTS or not len(key) or (known[first] and known[second]):
                continue
            if len(held) > MAX_ACCOUNTS:
                held = held[rng.choice(len(held), MAX_ACCOUNTS, replace=False)]
            wanted = held.min(axis=1) * graph.n_identifiers + held.max(axis=1)
            row = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
            found = np.where(key[row] == wanted, lift[row], 0.0)
            background[first, second] = background[second, first] = max(np.median(found), 1.0)
    return background


def tabulate_kinds(graph: AccountGraph, determined: Flags, background: Floats) -> pd.DataFrame:
    """Tell what was found about each kind.

    Parameters
    ----------
    graph : AccountGraph
    determined : array of bool, shape (K, K)
    background : array of float64, shape (K, K)

    Returns
    -------
    pandas.DataFrame
        ``kind``, ``family``, ``n_accounts`` that have it, ``n_values``, ``n_shared`` of them held
        by two accounts or more, ``max_holders``, ``bits`` (what it says that two accounts share
        any, on average: -log2 of the chance), ``repeats`` (kinds), ``comes_with`` (kinds that come
        with it anyway, and how many times more often than chance).
    """
    names = graph.kind_names
    nodes = pd.DataFrame({"kind": graph.kind_codes, "holders": graph.holders})
    by_kind = nodes.groupby("kind")["holders"]
    holders = graph.holders.astype(np.float64)
    meetings = np.bincount(graph.kind_codes, holders * (holders - 1), minlength=len(names))
    possible = graph.n_accounts * (graph.n_accounts - 1.0)
    families = graph.identifiers.drop_duplicates("kind").set_index("kind")["family"]
    return pd.DataFrame(
        {
            "kind": names,
            "family": families.reindex(names).to_numpy(),
            "n_accounts": np.count_nonzero(graph.degrees, axis=0),
            "n_values": graph.n_values,
            "n_shared": (nodes["holders"] >= 2).groupby(nodes["kind"]).sum().to_numpy(),
            "max_holders": by_kind.max().to_numpy(),
            "bits": -np.log2(np.clip(meetings, 0.5, None) / max(possible, 1.0)),
            "repeats": [_name(names, determined[k] & (np.arange(len(names)) != k))
                        for k in range(len(names))],
            "comes_with": [
                ", ".join(f"{names[j]} x{background[k, j]:.1f}"
                          for j in np.flatnonzero(background[k] >= 2))
                for k in range(len(names))
            ],
        }
    )  # fmt: skip


def _name(names: list[str], chosen: Flags) -> str:
    return ", ".join(names[code] for code in np.flatnonzero(chosen))


def _sample_pairs(graph: AccountGraph) -> list[tuple[Ints, Ints]]:
    """Return, kind by kind, pairs of accounts that share an identifier; identifiers count alike."""
    draws, is_chosen = [], np.zeros(graph.n_identifiers, bool)
    for kind in range(len(graph.kind_names)):
        rng = np.random.default_rng(0)
        shared = np.flatnonzero((graph.kind_codes == kind) & (graph.holders >= 2))
        wanted = min(len(shared), MAX_PAIRS)
        chosen = np.sort(rng.choice(shared, wanted, replace=False)) if wanted else shared
        is_chosen[chosen] = True
        draws.append((chosen, rng.random(wanted), rng.random(wanted)))
    identifier = graph.edges["identifier"].to_numpy()
    edge = np.flatnonzero(is_chosen[identifier])
    edge = edge[np.argsort(identifier[edge], kind="stable")]
    holder = graph.edges["account"].to_numpy()[edge].astype(np.int64)
    held = np.where(is_chosen, graph.holders, 0)
    starts = np.cumsum(held) - held
    pairs = []
    for chosen, one, other in draws:
        first = np.floor(one * held[chosen]).astype(np.int64)
        second = np.floor(other * (held[chosen] - 1)).astype(np.int64)
        second += second >= first
        pairs.append((holder[starts[chosen] + first], holder[starts[chosen] + second]))
    return pairs


def _draw_popular(graph: AccountGraph, edges: pd.DataFrame, rng: np.random.Generator) -> Ints:
    """Return a popular identifier of each account and kind, shape (N, K); -1 where it has none."""
    n_kinds = int(graph.kind_codes.max(initial=-1)) + 1
    identifier = edges["identifier"].to_numpy(np.int64)
    popular = np.flatnonzero(graph.holders[identifier] >= POPULAR)
    popular = popular[rng.permutation(len(popular))]
    drawn = np.full((graph.n_accounts, n_kinds), -1, np.int64)
    account, identifier = edges["account"].to_numpy()[popular], identifier[popular]
    drawn[account, graph.kind_codes[identifier]] = identifier
    return drawn
