"""Greedy peeling of dense blocks, with weights that discount popular identifiers."""

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from benchmarks.baselines.incidence import build_incidence, make_members

__all__ = ["link_fraudar"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def link_fraudar(observations: pd.DataFrame, *, n_blocks: int) -> pd.DataFrame:
    """Find dense blocks of accounts and identifiers, one after the other.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    n_blocks : int
        Blocks to find; each takes its edges out of the graph. An account belongs to the first
        block that holds it.

    Returns
    -------
    pandas.DataFrame
        account_id, cluster_id.

    Notes
    -----
    An edge to identifier j weighs 1 / ln(d_j + 5), d_j its holders. Nodes are removed in the order
    of their weighted degree; the block is the set along the way with the greatest sum of weights
    per node. Hooi, Song, Beutel, Shah, Shin, Faloutsos (2016), FRAUDAR: Bounding Graph Fraud in the
    Face of Camouflage, KDD.
    """
    incidence = build_incidence(observations)
    matrix = incidence.matrix
    labels = np.full(len(incidence.accounts), -1, dtype=np.int64)
    for block in range(n_blocks):
        if not matrix.nnz:
            break
        rows, columns = _find_block(matrix)
        fresh = rows & (labels < 0)
        labels[fresh] = block
        pairs = matrix.tocoo()
        inside = rows[pairs.coords[0]] & columns[pairs.coords[1]]
        kept = (pairs.data[~inside], (pairs.coords[0][~inside], pairs.coords[1][~inside]))
        matrix = sparse.csr_array(kept, shape=matrix.shape)
    return make_members(incidence.accounts, labels)


def _find_block(
    matrix: sparse.csr_array,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which accounts and which identifiers are in the densest block."""
    n_rows, n_columns = matrix.shape
    pairs = matrix.tocoo()
    row, column = pairs.coords
    weight = 1.0 / np.log(np.bincount(column, minlength=n_columns) + 5.0)
    upper = sparse.coo_array(
        (weight[column], (row, column + n_rows)), shape=(n_rows + n_columns,) * 2
    )
    graph = (upper + upper.T).tocsr()
    removed_at, best = _peel(
        graph.indptr.astype(np.int64), graph.indices.astype(np.int64), graph.data
    )
    inside = removed_at >= best
    return inside[:n_rows], inside[n_rows:]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _peel(  # pragma: no cover (compiled)
    indptr: Ints, indices: Ints, weights: Floats
) -> tuple[Ints, int]:
    """Remove the node of least weighted degree until none is left.

    Returns the step at which each node goes, and the step before which the rest is densest.
    A binary heap with a position for each node keeps the order; isolated nodes never enter.
    """
    n = len(indptr) - 1
    key = np.zeros(n)
    heap = np.empty(n, np.int64)
    place = np.full(n, -1, np.int64)
    size = 0
    total = 0.0
    for node in range(n):
        for edge in range(indptr[node], indptr[node + 1]):
            key[node] += weights[edge]
        if indptr[node + 1] > indptr[node]:
            heap[size], place[node] = node, size
            size += 1
            total += key[node] / 2
    for start in range(size // 2 - 1, -1, -1):
        _sink(heap, place, key, start, size)
    removed_at = np.full(n, -1, np.int64)
    best_step, best_density, step = 0, -1.0, 0
    while size:
        if total / size > best_density:
            best_step, best_density = step, total / size
        node = heap[0]
        size -= 1
        heap[0] = heap[size]
        place[heap[0]] = 0
        place[node] = -1
        _sink(heap, place, key, 0, size)
        removed_at[node] = step
        step += 1
        total -= key[node]
        for edge in range(indptr[node], indptr[node + 1]):
            other = indices[edge]
            if place[other] >= 0:
                key[other] -= weights[edge]
                _rise(heap, place, key, place[other])
    return removed_at, best_step


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sink(  # pragma: no cover (compiled)
    heap: Ints, place: Ints, key: Floats, start: int, size: int
) -> None:
    at = start
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and _before(heap[child + 1], heap[child], key):
            child += 1
        if not _before(heap[child], heap[at], key):
            return
        heap[at], heap[child] = heap[child], heap[at]
        place[heap[at]], place[heap[child]] = at, child
        at = child


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rise(  # pragma: no cover (compiled)
    heap: Ints, place: Ints, key: Floats, start: int
) -> None:
    at = start
    while at > 0:
        parent = (at - 1) // 2
        if not _before(heap[at], heap[parent], key):
            return
        heap[at], heap[parent] = heap[parent], heap[at]
        place[heap[at]], place[heap[parent]] = at, parent
        at = parent


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _before(one: int, other: int, key: Floats) -> bool:  # pragma: no cover (compiled)
    return key[one] < key[other] or (key[one] == key[other] and one < other)
