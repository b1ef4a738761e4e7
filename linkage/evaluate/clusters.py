"""Clusters, one by one: whose each is, and who was put there without belonging."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.evaluate.calibration import wilson_interval
from linkage.evaluate.measures import Discovery
from linkage.evaluate.partitions import MIN_JUDGED, Cells
from linkage.evaluate.truth import Labels, check_probability, look_up, to_text

__all__ = [
    "count_roles",
    "count_tiers",
    "find_strangers",
    "find_tier_members",
    "judge_clusters",
    "list_discoveries",
]

Bools = npt.NDArray[np.bool_]

MIN_STRANGE = 3  # labelled members from which a cluster makes strangers of those it is not of
SCORES = ("confidence", "q_value", "risk")


def judge_clusters(labels: Labels, cells: Cells, clusters: pd.DataFrame | None) -> pd.DataFrame:
    """Say whose each cluster is.

    Parameters
    ----------
    labels : Labels
    cells : Cells
    clusters : pandas.DataFrame, optional
        The predicted clusters in the order of their codes; tier, confidence, q_value and risk are
        taken over where they stand.

    Returns
    -------
    pandas.DataFrame
        Indexed by cluster code: cluster_id, tier, n_accounts, n_labelled, n_operator_accounts,
        n_innocents, majority (name of the true group that holds more than half of the labelled
        members; null for none), majority_code (-1 for none), majority_share, judged (two labelled
        members or more), is_operator, is_linked (the majority is any true group), confidence,
        q_value, risk.
    """
    size = cells.cluster_sizes[: cells.n_clusters]
    run = cells.operator_sizes[: cells.n_clusters]
    code, held = _find_largest(cells)
    judged = size >= MIN_JUDGED
    linked = judged & (2 * held > size)
    code = np.where(linked, code, -1)
    table = pd.DataFrame(
        {
            "cluster_id": labels.cluster_names,
            "tier": _take_tiers(clusters, cells.n_clusters),
            "n_accounts": labels.cluster_sizes,
            "n_labelled": size,
            "n_operator_accounts": run,
            "n_innocents": size - run,
            "majority": look_up(labels.group_names, code, None),
            "majority_code": code,
            "majority_share": np.divide(held, size, out=np.zeros(len(size)), where=size > 0),
            "judged": judged,
            "is_operator": linked & (code < labels.n_operators),
            "is_linked": linked,
        }
    )
    for name in SCORES:
        table[name] = np.nan
        if clusters is not None and name in clusters:
            table[name] = check_probability(clusters[name], f"clusters.{name}")
    return table


def _find_largest(cells: Cells) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each cluster's largest true group and how many members that group has in it."""
    code = np.full(cells.n_clusters, -1, dtype=np.int64)
    held = np.zeros(cells.n_clusters, dtype=np.int64)
    order = np.lexsort((-cells.group, cells.n, cells.cluster))
    last = order[np.flatnonzero(np.diff(cells.cluster[order], append=-1))]
    real = last[cells.cluster[last] < cells.n_clusters]
    code[cells.cluster[real]] = cells.group[real]
    held[cells.cluster[real]] = cells.n[real]
    return code, held


def _take_tiers(clusters: pd.DataFrame | None, n_clusters: int) -> npt.NDArray[np.object_]:
    if clusters is None or "tier" not in clusters:
        return np.full(n_clusters, None, dtype=object)
    tier = to_text(clusters["tier"]).astype(object)
    return np.asarray(tier.where(tier.notna(), None), dtype=object)


def find_strangers(labels: Labels, judged: pd.DataFrame) -> Bools:
    """Find the accounts that were put where they do not belong.

    Parameters
    ----------
    labels : Labels
    judged : pandas.DataFrame
        As judge_clusters returns.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for a labelled account in a cluster of at least three labelled members more than half
        of which are not of the account's own true group (nor the account itself).
    """
    strange = look_up(judged["n_labelled"].to_numpy() >= MIN_STRANGE, labels.cluster, False)
    majority = look_up(judged["majority_code"].to_numpy(dtype=np.int64), labels.cluster, -1)
    strangers: Bools = strange & (majority != labels.group)
    return strangers


def find_tier_members(labels: Labels, judged: pd.DataFrame, tier: str) -> Bools:
    """Return for each labelled account whether its cluster is of a tier, shape (n,)."""
    return look_up(judged["tier"].to_numpy() == tier, labels.cluster, False)


def count_roles(labels: Labels, judged: pd.DataFrame, strangers: Bools) -> pd.DataFrame:
    """Count what happened to innocent accounts, by role.

    Parameters
    ----------
    labels : Labels
    judged : pandas.DataFrame
        As judge_clusters returns.
    strangers : ndarray of bool, shape (n,)
        As find_strangers returns.

    Returns
    -------
    pandas.DataFrame
        role, n_accounts, n_clustered, n_strangers, n_in_operator_tier, sorted by role.
    """
    accounts = pd.DataFrame(
        {
            "role": labels.role,
            "n_accounts": 1,
            "n_clustered": (labels.cluster >= 0).astype(np.int64),
            "n_strangers": strangers.astype(np.int64),
            "n_in_operator_tier": find_tier_members(labels, judged, "operator").astype(np.int64),
        }
    )[~labels.is_operator]
    return accounts.groupby("role", sort=True).sum().reset_index()


def count_tiers(labels: Labels, judged: pd.DataFrame, strangers: Bools) -> pd.DataFrame:
    """Count clusters and their accounts by tier.

    Parameters
    ----------
    labels : Labels
    judged : pandas.DataFrame
        As judge_clusters returns.
    strangers : ndarray of bool, shape (n,)
        As find_strangers returns.

    Returns
    -------
    pandas.DataFrame
        tier, n_clusters, n_accounts, n_operator_accounts, n_innocents, n_innocent_strangers,
        n_of_operators, n_of_innocents, n_of_nobody (clusters by their majority), n_unjudged;
        empty where no tier was given.
    """
    lost = labels.cluster[strangers & ~labels.is_operator]
    clusters = pd.DataFrame(
        {
            "tier": judged["tier"],
            "n_clusters": 1,
            "n_accounts": judged["n_accounts"],
            "n_operator_accounts": judged["n_operator_accounts"],
            "n_innocents": judged["n_innocents"],
            "n_innocent_strangers": np.bincount(lost, minlength=len(judged)),
            "n_of_operators": judged["is_operator"].astype(np.int64),
            "n_of_innocents": (judged["is_linked"] & ~judged["is_operator"]).astype(np.int64),
            "n_of_nobody": (judged["judged"] & ~judged["is_linked"]).astype(np.int64),
            "n_unjudged": (~judged["judged"]).astype(np.int64),
        }
    )
    return clusters.groupby("tier", sort=True).sum().reset_index()


def list_discoveries(judged: pd.DataFrame, q_levels: tuple[float, ...]) -> tuple[Discovery, ...]:
    """Compare nominal false-discovery rates with the proportion that was really false.

    Parameters
    ----------
    judged : pandas.DataFrame
        As judge_clusters returns.
    q_levels : tuple of float
        Nominal rates, 0..1.

    Returns
    -------
    tuple of Discovery
        One a level; empty where no cluster has a q-value.
    """
    rows = judged[judged["judged"] & judged["q_value"].notna()]
    return tuple(_count_false(rows[rows["q_value"] <= q], q) for q in q_levels if len(rows))


def _count_false(rows: pd.DataFrame, q: float) -> Discovery:
    n, n_false = len(rows), int((~rows["is_operator"]).sum())
    low, high = wilson_interval(n_false, n) if n else (None, None)
    return Discovery(
        q=q,
        n_clusters=n,
        n_false=n_false,
        n_unlinked=int((~rows["is_linked"]).sum()),
        proportion=n_false / n if n else None,
        low=low,
        high=high,
    )
