"""Coordination networks: accounts whose TF-IDF vectors are unusually alike."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from benchmarks.baselines.incidence import build_incidence, make_members

__all__ = ["link_similarity"]

N_BINS = 10_000
BLOCK = 2_000  # accounts whose similarities are held at once


def link_similarity(
    observations: pd.DataFrame,
    *,
    quantile: float,
    max_holders: int = 200,
    n_neighbours: int = 50,
) -> pd.DataFrame:
    """Link accounts whose similarity is above a quantile of all positive similarities.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    quantile : float
        Share of the pairs with any similarity that is dropped, 0..1; the paper keeps the top 0.5 %.
    max_holders : int, default 200
        Hub cap: the similarities of d holders are d^2 numbers.
    n_neighbours : int, default 50
        Most similar accounts kept of each.

    Returns
    -------
    pandas.DataFrame
        account_id, cluster_id.

    Notes
    -----
    Cosine of TF-IDF vectors; edges above the quantile; connected components. Pacheco, Hui,
    Torres-Lugo, Truong, Flammini, Menczer (2021), Uncovering Coordinated Networks on Social Media:
    Methods and Case Studies, ICWSM 15.
    """
    incidence = build_incidence(observations, max_holders=max_holders)
    vectors = (incidence.matrix * (incidence.idf[np.newaxis, :] + 1.0)).tocsr()
    norms = np.sqrt(vectors.power(2).sum(axis=1))
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    vectors = (vectors * scale[:, np.newaxis]).tocsr()
    edges, counts = [], np.zeros(N_BINS, dtype=np.int64)
    for start in range(0, vectors.shape[0], BLOCK):
        block = (vectors[start : start + BLOCK] @ vectors.T).tocoo()
        row, column = block.coords[0] + start, block.coords[1]
        later = column > row
        counts += np.histogram(np.clip(block.data[later], 0, 1), bins=N_BINS, range=(0, 1))[0]
        other = column != row
        edges.append(_keep_nearest(row[other], column[other], block.data[other], n_neighbours))
    threshold = _find_threshold(counts, quantile)
    nearest = pd.concat(edges)
    nearest = nearest[nearest["similarity"] >= threshold]
    n = len(incidence.accounts)
    graph = sparse.coo_array(
        (np.ones(len(nearest)), (nearest["row"], nearest["column"])), shape=(n, n)
    )
    _, labels = connected_components(graph, directed=False)
    return make_members(incidence.accounts, labels)


def _keep_nearest(
    row: npt.NDArray[np.integer],
    column: npt.NDArray[np.integer],
    similarity: npt.NDArray[np.float64],
    n_neighbours: int,
) -> pd.DataFrame:
    frame = pd.DataFrame({"row": row, "column": column, "similarity": similarity})
    frame = frame.sort_values(["row", "similarity", "column"], ascending=[True, False, True])
    return frame[frame.groupby("row").cumcount() < n_neighbours]


def _find_threshold(counts: npt.NDArray[np.int64], quantile: float) -> float:
    """Return the lower edge of the bin in which the quantile lies."""
    total = counts.sum()
    if not total:
        return np.inf
    number = int(np.searchsorted(np.cumsum(counts), quantile * total))
    return min(number, N_BINS - 1) / N_BINS
