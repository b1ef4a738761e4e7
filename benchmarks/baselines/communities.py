"""Community detection on the account-identifier graph and on its projection."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import igraph
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from benchmarks.baselines.incidence import Incidence, build_incidence, make_members

__all__ = ["link_bipartite", "link_projection", "link_propagation"]

Method = Literal["leiden", "louvain"]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed igraph's generator, which is Python's global one, and restore it afterwards."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def link_bipartite(
    observations: pd.DataFrame, *, method: Method, resolution: float, seed: int = 0
) -> pd.DataFrame:
    """Find communities of accounts and identifiers, edges weighted by the identifier's IDF.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    method : {"leiden", "louvain"}
        Both optimise modularity.
    resolution : float
        Resolution of modularity; higher gives more and smaller communities.
    seed : int, default 0

    Returns
    -------
    pandas.DataFrame
        account_id, cluster_id.
    """
    incidence = build_incidence(observations)
    graph = _build_bipartite(incidence)
    labels = _find_communities(graph, method, resolution, seed)
    return make_members(incidence.accounts, labels[: len(incidence.accounts)])


def link_projection(
    observations: pd.DataFrame,
    *,
    method: Method,
    max_holders: int,
    min_weight: float,
    resolution: float,
    seed: int = 0,
) -> pd.DataFrame:
    """Find communities of accounts, linked by the summed IDF of what they share.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    method : {"leiden", "louvain"}
    max_holders : int
        Hub cap: an identifier of d holders makes d (d - 1) / 2 edges.
    min_weight : float
        Edges below this many times ln(N / 2), the weight of one identifier that only the two
        share, are dropped.
    resolution : float
        Resolution of modularity.
    seed : int, default 0

    Returns
    -------
    pandas.DataFrame
        account_id, cluster_id.
    """
    incidence = build_incidence(observations, max_holders=max_holders)
    weighted = (incidence.matrix * incidence.idf[np.newaxis, :]).tocsr()
    projection = sparse.triu(weighted @ incidence.matrix.T, k=1, format="coo")
    # The tolerance keeps pairs that share exactly one identifier of two holders.
    kept = projection.data >= min_weight * np.log(len(incidence.accounts) / 2) * (1 - 1e-9)
    edges = np.column_stack([projection.coords[0][kept], projection.coords[1][kept]])
    graph = _build_graph(len(incidence.accounts), edges, projection.data[kept])
    return make_members(incidence.accounts, _find_communities(graph, method, resolution, seed))


def link_propagation(
    observations: pd.DataFrame, *, max_holders: int, seed: int = 0
) -> pd.DataFrame:
    """Propagate labels over the account-identifier graph, edges weighted by the identifier's IDF.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    max_holders : int
        Hub cap.
    seed : int, default 0

    Returns
    -------
    pandas.DataFrame
        account_id, cluster_id.
    """
    incidence = build_incidence(observations, max_holders=max_holders)
    graph = _build_bipartite(incidence)
    with _seeded(seed):
        found = graph.community_label_propagation(weights="weight")
    labels = np.asarray(found.membership)[: len(incidence.accounts)]
    return make_members(incidence.accounts, labels)


def _build_bipartite(incidence: Incidence) -> igraph.Graph:
    pairs = incidence.matrix.tocoo()
    n_accounts, n_identifiers = pairs.shape
    account, identifier = pairs.coords
    edges = np.column_stack([account, identifier + n_accounts])
    return _build_graph(n_accounts + n_identifiers, edges, incidence.idf[identifier])


def _build_graph(
    n_nodes: int, edges: npt.NDArray[np.integer], weights: npt.NDArray[np.float64]
) -> igraph.Graph:
    graph = igraph.Graph(n=n_nodes, edges=list(map(tuple, edges.tolist())))
    graph.es["weight"] = np.maximum(weights, 1e-9)  # one that everybody holds has an IDF of zero
    return graph


def _find_communities(
    graph: igraph.Graph, method: Method, resolution: float, seed: int
) -> npt.NDArray[np.int64]:
    with _seeded(seed):
        if method == "leiden":
            found = graph.community_leiden(
                objective_function="modularity",
                weights="weight",
                resolution=resolution,
                n_iterations=10,
            )
        else:
            found = graph.community_multilevel(weights="weight", resolution=resolution)
    return np.asarray(found.membership, dtype=np.int64)
