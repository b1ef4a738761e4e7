"""Communities of the graph of supported edges; the only module that calls a community detector.

The detector is Leiden (Traag, Waltman, van Eck 2019) through python-igraph, which is under the GNU
General Public License; another one can stand in by replacing :func:`_run_leiden`.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from linkage.graph import find_starts

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_communities", "join_communities", "separate_communities"]

Ints = np.ndarray[Any, np.dtype[np.int64]]

# Below 1: accounts that all share the same identifiers have modularity 0 in one community and in
# several alike, and belong together.
RESOLUTION = 0.9
# Of what is put together: what is tied less than by a fifth of chance is kept apart.
LOOSE_RESOLUTION = 0.2
# Of the cut inside a community: it cuts where parts are tied less than by half of chance.
CUT_RESOLUTION = 0.5
MIN_SEPARATED = 20  # accounts of a community that is looked into; what ties few is easily missing
MIN_JOINED = 10  # accounts of a community that is put together with others
LEIDEN_ITERATIONS = 4  # passes over a component; the gain of further ones is lost in the noise

_NO_PAIRS = pd.DataFrame({"left": [], "right": [], "bits": []})

MIN_MODULARITY = 1e-9  # below it, a cut is no better than none; what is left is rounding


def find_communities(
    edges: pd.DataFrame,
    pairs: pd.DataFrame,
    n_accounts: int,
    *,
    seed: int,
    resolution: float = RESOLUTION,
) -> Ints:
    """Group accounts that supported edges, or pairs, tie closely.

    Parameters
    ----------
    edges : pandas.DataFrame
        ``account``, ``identifier`` (codes), ``bits`` > 0.
    pairs : pandas.DataFrame
        ``left``, ``right`` (account codes), ``bits`` > 0: accounts that are tied directly.
    n_accounts : int
        Number of accounts, N.
    seed : int
        Starts the detector's random stream.
    resolution : float, default ``RESOLUTION``
        Of modularity: the higher, the smaller are communities.

    Returns
    -------
    array of int64, shape (N,)
        Community of each account, from 0 in the order of their smallest account; -1 where the
        account has none.

    Notes
    -----
    Modularity is maximised in each connected component by itself, with a random stream of its own,
    so that a small group's communities do not depend on what else is in the data. A component is
    cut only where that gains modularity: accounts that all hold the same identifiers stay together.
    """
    labels = np.full(n_accounts, -1, np.int64)
    if edges.empty and pairs.empty:
        return labels
    identifiers, local = _number_anew(edges["identifier"].to_numpy())
    accounts, row = _number_anew(np.concatenate([edges["account"], pairs["left"], pairs["right"]]))
    weights = np.concatenate([edges["bits"], pairs["bits"]]).astype(np.float64)
    source, left, right = np.split(row, [len(edges), len(edges) + len(pairs)])
    source, target = np.concatenate([source, left]), np.concatenate([len(accounts) + local, right])
    n_nodes = len(accounts) + len(identifiers)
    adjacency = sparse.coo_array((weights, (source, target)), shape=(n_nodes, n_nodes))
    n_components, component = connected_components(adjacency, directed=False)
    by_component = np.argsort(component, kind="stable")
    starts = find_starts(component[by_component], n_components)
    place = np.empty(n_nodes, np.int64)  # of a node in its component
    place[by_component] = np.arange(n_nodes) - starts[component[by_component]]
    part = np.zeros(n_nodes, np.int64)
    order = np.argsort(component[source], kind="stable")
    cuts = np.flatnonzero(np.diff(component[source][order])) + 1
    for rows in np.split(order, cuts):
        number = component[source[rows[0]]]
        nodes = by_component[starts[number] : starts[number + 1]]
        ends = place[source[rows]], place[target[rows]]
        with _own_random_stream(seed):
            part[nodes] = _run_leiden(len(nodes), ends, weights[rows], resolution)
    labels[accounts] = _number_by_first(
        component[: len(accounts)].astype(np.int64), part[: len(accounts)]
    )
    return labels


def join_communities(
    labels: Ints,
    edges: pd.DataFrame,
    pairs: pd.DataFrame,
    n_accounts: int,
    *,
    seed: int,
    min_accounts: int = MIN_JOINED,
) -> Ints:
    """Put communities together that are tied to each other.

    Parameters
    ----------
    labels : array of int64, shape (N,)
        Community of each account, as :func:`find_communities` finds them; -1 for none.
    edges, pairs, n_accounts, seed
        As for :func:`find_communities`.
    min_accounts : int, default ``MIN_JOINED``
        Communities of fewer accounts stay as they are.

    Returns
    -------
    array of int64, shape (N,)
        Communities, numbered from 0 in the order of their smallest account.

    Notes
    -----
    An operator whose accounts share little in pairs, each two of them something else, is cut into
    many communities by modularity at 1; each of them alone is too small to know the others by. At
    ``LOOSE_RESOLUTION`` they are one. There, small groups are swallowed by whatever they touch (the
    resolution limit: Fortunato and Barthelemy 2007), and so those are left alone.
    """
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    wide = find_communities(edges, pairs, n_accounts, seed=seed, resolution=LOOSE_RESOLUTION)
    is_small = np.append(sizes < min_accounts, False)[labels]
    joined = np.where(is_small, n_accounts + labels, wide)
    member = np.flatnonzero(joined >= 0)
    joined[member] = _number_by_first(joined[member])
    return joined


def separate_communities(
    labels: Ints,
    edges: pd.DataFrame,
    n_accounts: int,
    *,
    seed: int,
    min_accounts: int = MIN_SEPARATED,
) -> Ints:
    """Cut communities whose parts hardly share what tells operators apart.

    Parameters
    ----------
    labels : array of int64, shape (N,)
        Community of each account; -1 for none.
    edges : pandas.DataFrame
        ``account``, ``identifier`` (codes), ``bits`` > 0: edges to identifiers that are no reason
        by themselves to take two operators for one.
    n_accounts : int
        Number of accounts, N.
    seed : int
        Starts the detector's random stream.
    min_accounts : int, default ``MIN_SEPARATED``
        Communities of fewer accounts are not looked into.

    Returns
    -------
    array of int64, shape (N,)
        Communities, numbered from 0 in the order of their smallest account. Accounts without such
        an edge inside their community stay together.

    Notes
    -----
    Pairs of accounts may be tied by what two operators buy from one vendor, and one such pair is
    enough to join their communities. In each community of ``min_accounts`` accounts or more, the
    edges inside it are looked at by themselves, and cut by modularity at ``CUT_RESOLUTION``:
    parts come apart where next to nothing but the vendor ties them. Parts of one operator that come
    apart by mistake are merged again when accounts are attributed.
    """
    n_communities = int(labels.max(initial=-1)) + 1
    sizes = np.bincount(labels[labels >= 0], minlength=n_communities)
    home = labels[edges["account"].to_numpy()]
    inside = edges[(home >= 0) & np.append(sizes >= min_accounts, False)[home]]
    home = labels[inside["account"].to_numpy()]
    # An identifier inside one community is another one than inside the next.
    cell = inside["identifier"].to_numpy(np.int64) * max(n_communities, 1) + home
    _, node, n_holders = np.unique(cell, return_inverse=True, return_counts=True)
    shared = n_holders[node] >= 2
    parts = find_communities(
        inside.assign(identifier=node)[shared],
        _NO_PAIRS,
        n_accounts,
        seed=seed,
        resolution=CUT_RESOLUTION,
    )
    separated = np.where(parts >= 0, n_communities + parts, labels)
    member = np.flatnonzero(separated >= 0)
    separated[member] = _number_by_first(separated[member])
    return separated


def _number_anew(codes: Ints) -> tuple[Ints, Ints]:
    """Return the distinct codes, sorted, and the place of each among them."""
    is_used = np.bincount(codes.astype(np.int64)) > 0
    number = np.cumsum(is_used) - 1
    return np.flatnonzero(is_used), number[codes.astype(np.int64)]


def _run_leiden(
    n_nodes: int, ends: tuple[Ints, Ints], weights: np.ndarray[Any, Any], resolution: float
) -> Ints:
    import igraph

    edges = list(zip(ends[0].tolist(), ends[1].tolist(), strict=True))
    graph = igraph.Graph(n=n_nodes, edges=edges)
    found = graph.community_leiden(
        objective_function="modularity",
        weights=weights.tolist(),
        resolution=resolution,
        n_iterations=LEIDEN_ITERATIONS,
    )
    if found.modularity < MIN_MODULARITY:
        return np.zeros(n_nodes, np.int64)
    return np.asarray(found.membership, np.int64)


@contextmanager
def _own_random_stream(seed: int) -> Iterator[None]:
    """Give igraph a random stream of its own; by default it draws from Python's global one."""
    import igraph

    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - not for secrets
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)


def _number_by_first(*keys: Ints) -> Ints:
    """Return groups of equal keys, numbered from 0 in the order in which they first come."""
    _, first, group = np.unique(np.stack(keys), axis=1, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[group.ravel()]
