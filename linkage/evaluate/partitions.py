"""Two partitions side by side: what every true group adds to each figure.

Pair counts, B-cubed sums and best matches are all sums over true groups (or ratios of such sums),
so one table with a row for every group yields the figures, and resampling its rows yields their
intervals.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.evaluate.truth import Labels, sum_by_code

__all__ = ["MIN_JUDGED", "Cells", "count_cells", "match_operators", "sum_by_group"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_JUDGED = 2  # labelled members that a cluster needs for anybody to have a majority in it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """The contingency table of true groups and predicted clusters, its non-empty cells only.

    Unclustered accounts are clusters of their own, numbered after the real ones.
    """

    group: Ints  # (n_cells,)
    cluster: Ints  # (n_cells,)
    n: Ints  # (n_cells,) accounts in both
    group_sizes: Ints  # (n_groups,) labelled accounts
    cluster_sizes: Ints  # (n_clusters + unclustered,) labelled accounts
    operator_sizes: Ints  # (n_clusters + unclustered,) labelled accounts that operators run
    n_operators: int
    n_clusters: int  # real ones

    def sum_over(self, values: npt.NDArray[Any]) -> Floats:
        """Sum values of cells by true group, shape (n_groups,)."""
        return sum_by_code(self.group, values, len(self.group_sizes))


def count_cells(labels: Labels) -> Cells:
    """Count the labelled accounts by true group and predicted cluster.

    Parameters
    ----------
    labels : Labels

    Returns
    -------
    Cells
        Sorted by group, then cluster.
    """
    alone = labels.cluster < 0
    n_predicted = labels.n_clusters + int(alone.sum())
    cluster = labels.cluster.copy()
    cluster[alone] = labels.n_clusters + np.arange(n_predicted - labels.n_clusters)
    key, n = np.unique(labels.group * max(n_predicted, 1) + cluster, return_counts=True)
    return Cells(
        group=key // max(n_predicted, 1),
        cluster=key % max(n_predicted, 1),
        n=n.astype(np.int64),
        group_sizes=np.bincount(labels.group, minlength=labels.n_groups).astype(np.int64),
        cluster_sizes=np.bincount(cluster, minlength=n_predicted).astype(np.int64),
        operator_sizes=np.bincount(cluster[labels.is_operator], minlength=n_predicted).astype(
            np.int64
        ),
        n_operators=labels.n_operators,
        n_clusters=labels.n_clusters,
    )


def match_operators(cells: Cells) -> pd.DataFrame:
    """Find for each operator the cluster that matches it best.

    Parameters
    ----------
    cells : Cells

    Returns
    -------
    pandas.DataFrame
        Indexed by operator code: n_accounts, n_clustered, n_clusters (pieces it lies in), cluster
        (code of the best match, -1 for none), precision, recall, f1 (0 for none).

    Notes
    -----
    F1 of operator o and cluster c is 2 |o & c| / (|o| + |c|), over labelled accounts. Only clusters
    with two labelled members or more can match: a lone account is no finding. Several operators
    may match one cluster. Ties go to the smaller cluster code.
    """
    real = (cells.group < cells.n_operators) & (cells.cluster < cells.n_clusters)
    group, cluster, n = cells.group[real], cells.cluster[real], cells.n[real]
    sizes = cells.cluster_sizes[cluster]
    f1 = np.where(sizes >= MIN_JUDGED, 2 * n / (cells.group_sizes[group] + sizes), 0.0)
    table = pd.DataFrame(
        {
            "n_accounts": cells.group_sizes[: cells.n_operators],
            "n_clustered": np.bincount(group, weights=n, minlength=cells.n_operators).astype(int),
            "n_clusters": np.bincount(group, minlength=cells.n_operators),
            "cluster": -1,
            "precision": 0.0,
            "recall": 0.0,
            "f1": 0.0,
        }
    )
    order = np.lexsort((-cluster, f1, group))  # within a group the best comes last
    last = order[np.flatnonzero(np.diff(group[order], append=-1))]
    best = last[f1[last] > 0]
    table.loc[group[best], "cluster"] = cluster[best]
    table.loc[group[best], "precision"] = n[best] / sizes[best]
    table.loc[group[best], "recall"] = n[best] / cells.group_sizes[group[best]]
    table.loc[group[best], "f1"] = f1[best]
    return table


def sum_by_group(cells: Cells, matches: pd.DataFrame) -> dict[str, Floats]:
    """Compute what each true group adds to the sums behind the figures of a partition.

    Parameters
    ----------
    cells : Cells
    matches : pandas.DataFrame
        As match_operators returns.

    Returns
    -------
    dict of ndarray, each of shape (n_groups,)
        For all labelled accounts: accounts, pairs_true, pairs_predicted, pairs_both,
        bcubed_precision, bcubed_recall. The same with the prefix ``operator_`` over operator
        accounts. For operators of at least two accounts: matched, and f1, by size.

    Notes
    -----
    A pair across two groups belongs half to each. In the operators' sums a pair of an operator's
    account and an innocent belongs to the operator whole, and a pair of innocents to nobody.
    """
    everyone = _partition_sums(cells)
    is_operator = np.arange(len(cells.group_sizes)) < cells.n_operators
    sums = everyone | {
        f"operator_{name}": np.where(is_operator, column, 0.0) for name, column in everyone.items()
    }
    others = cells.operator_sizes[cells.cluster] - 1
    innocents = cells.cluster_sizes[cells.cluster] - cells.operator_sizes[cells.cluster]
    among = np.where(is_operator, cells.sum_over(cells.n * others / 2), 0.0)
    sums["operator_pairs_among"] = among
    sums["operator_pairs_predicted"] = among + np.where(
        is_operator, cells.sum_over(cells.n * innocents), 0.0
    )
    return sums | _match_sums(matches, len(cells.group_sizes))


def _partition_sums(cells: Cells) -> dict[str, Floats]:
    size = cells.group_sizes.astype(np.float64)
    held = cells.cluster_sizes[cells.cluster]
    return {
        "accounts": size,
        "pairs_true": size * (size - 1) / 2,
        "pairs_predicted": cells.sum_over(cells.n * (held - 1) / 2),
        "pairs_both": cells.sum_over(cells.n * (cells.n - 1) / 2),
        "bcubed_precision": cells.sum_over(cells.n * cells.n / held),
        "bcubed_recall": cells.sum_over(cells.n * cells.n / cells.group_sizes[cells.group]),
    }


def _match_sums(matches: pd.DataFrame, n_groups: int) -> dict[str, Floats]:
    size = matches["n_accounts"].to_numpy(dtype=np.float64)
    f1 = matches["f1"].to_numpy(dtype=np.float64)
    large = size >= 3
    rows = {
        "matched": (size >= 2) * 1.0,
        "matched_accounts": np.where(size >= 2, size, 0),
        "size_2": (size == 2) * 1.0,
        "size_3_9": (large & (size <= 9)) * 1.0,
        "size_10_up": (size >= 10) * 1.0,
        "size_3_up": large * 1.0,
    }
    rows |= {f"{name}_f1": count * f1 for name, count in rows.items()}
    rows["found"] = rows["size_3_up"] * (f1 >= 0.5)
    return {name: np.pad(row, (0, n_groups - len(row))) for name, row in rows.items()}
