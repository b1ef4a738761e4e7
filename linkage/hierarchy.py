"""What a cluster consists of, and what it stands on: cells below it, infrastructure above it.

An operator divides its accounts into cells that share cards, devices and addresses among themselves
and next to nothing but the purpose with the others. Several operators buy from one proxy vendor.
Neither makes or unmakes a cluster; both are reported beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from linkage.attribution.customers import PURPOSE
from linkage.attribution.profiles import expand
from linkage.communities import separate_communities

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["find_cells", "find_infrastructure"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

IN_COMMON: Final = (PURPOSE, "software")  # families that an operator's cells have in common
MAX_CLUSTERS: Final = 64  # that an address may lead to; what more of them use is everybody's
HALF: Final = 0.5  # share of two clusters' accounts that are at common addresses


def find_cells(graph: AccountGraph, evidence: pd.DataFrame, labels: Ints, *, seed: int) -> Ints:
    """Find the parts of clusters that share cards, devices, addresses and sign-up data.

    Parameters
    ----------
    graph : AccountGraph
    evidence : pandas.DataFrame
        ``account``, ``identifier``, ``alone`` > 0 (bits): identifiers of members.
    labels : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    seed : int
        Starts the detector's random stream.

    Returns
    -------
    array of int64, shape (N,)
        Cell of each member within its cluster, from 1, in the order of their first account; 0 for
        accounts of no cluster. Members without such an identifier are a cell together.
    """
    divides = np.array([name not in IN_COMMON for name in graph.family_names], bool)
    kept = evidence[divides[graph.family_codes[evidence["identifier"].to_numpy(np.int64)]]]
    edges = kept[["account", "identifier"]].assign(bits=kept["alone"])
    parts = separate_communities(labels, edges, graph.n_accounts, seed=seed, min_accounts=2)
    member = np.flatnonzero(labels >= 0)
    owner = pd.Series(labels[member])
    # Parts are numbered in the order of their first account: so are those of one cluster.
    number = pd.Series(parts[member]).groupby(owner).rank(method="dense")
    cells = np.zeros(graph.n_accounts, np.int64)
    cells[member] = number.to_numpy(np.int64)
    return cells


def find_infrastructure(
    graph: AccountGraph,
    evidence: pd.DataFrame,
    labels: Ints,
    config: MethodConfig,
) -> Ints:
    """Find clusters that run on the same infrastructure: a proxy vendor's, a reseller's.

    Parameters
    ----------
    graph : AccountGraph
    evidence : pandas.DataFrame
        ``account``, ``cluster``, ``identifier``, ``alone`` (bits): identifiers of members.
    labels : array of int64, shape (N,)
        Cluster of each account, -1 for none.
    config : MethodConfig
        ``shared_families`` are what vendors sell; ``min_bits``.

    Returns
    -------
    array of int64, shape (C,)
        Infrastructure of each cluster, from 1, in the order of their first cluster; 0 for clusters
        that share theirs with no other.

    Notes
    -----
    Two clusters share infrastructure where at least ``HALF`` of the accounts of each hold an
    identifier of a shared family that speaks for the other cluster too (``min_bits``, two members).
    Who shares with one of a group belongs to the group.
    """
    n_clusters = int(labels.max(initial=-1)) + 1
    sold = np.isin(graph.family_names, config.shared_families)
    identifier = evidence["identifier"].to_numpy(np.int64)
    strong = sold[graph.family_codes[identifier]] & (evidence["alone"] >= config.min_bits)
    held = evidence.loc[strong.to_numpy(), ["identifier", "cluster", "account"]]
    used = held.groupby(["identifier", "cluster"]).size().rename("n").reset_index()
    used = used[used["n"] >= 2]
    held = held.merge(used[["identifier", "cluster"]])
    code, cluster = used["identifier"].to_numpy(np.int64), used["cluster"].to_numpy(np.int64)
    wanted = held["identifier"].to_numpy(np.int64)
    begin, end = np.searchsorted(code, wanted), np.searchsorted(code, wanted, side="right")
    end = np.where(end - begin <= MAX_CLUSTERS, end, begin)
    row, other = expand(begin, end)
    table = pd.DataFrame(
        {
            "cluster": held["cluster"].to_numpy(np.int64)[row],
            "other": cluster[other],
            "account": held["account"].to_numpy(np.int64)[row],
        }
    )
    table = table[table["cluster"] != table["other"]].drop_duplicates()
    sizes = np.bincount(labels[labels >= 0], minlength=n_clusters)
    n = table.groupby(["cluster", "other"]).size().rename("n").reset_index()
    n = n[n["n"] >= HALF * sizes[n["cluster"]]]
    common = sparse.csr_array(
        (np.ones(len(n), np.int64), (n["cluster"], n["other"])), shape=(n_clusters, n_clusters)
    )
    _, group = connected_components(common.multiply(common.T), directed=False)
    several = np.bincount(group, minlength=1)[group] > 1
    found = np.zeros(n_clusters, np.int64)
    found[several] = pd.factorize(group[several])[0] + 1
    return found
