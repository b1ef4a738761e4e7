"""``evaluate``: clusters and truth in, every figure with its interval out."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.errors import ConfigError
from linkage.evaluate.calibration import Calibration, measure_calibration
from linkage.evaluate.clusters import (
    count_roles,
    count_tiers,
    find_strangers,
    find_tier_members,
    judge_clusters,
    list_discoveries,
)
from linkage.evaluate.measures import Counts
from linkage.evaluate.partitions import count_cells, match_operators
from linkage.evaluate.result import Evaluation
from linkage.evaluate.scoring import (
    Predictions,
    Resampling,
    collect_predictions,
    score_calibration,
    score_groups,
    score_ranking,
)
from linkage.evaluate.truth import Labels, align_labels, look_up, require_columns

__all__ = ["evaluate"]

Bools = npt.NDArray[np.bool_]

Q_LEVELS: Final = (0.01, 0.05, 0.1, 0.2)


def evaluate(
    clusters: pd.DataFrame | None,
    members: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    q_levels: tuple[float, ...] = Q_LEVELS,
    n_bins: int = 10,
    n_bootstrap: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Compare predicted clusters with the truth.

    Parameters
    ----------
    clusters : pandas.DataFrame or None
        cluster_id and, where known, tier, confidence, q_value and risk (each 0..1). None where only
        memberships are known: what rests on those columns is then left undefined.
    members : pandas.DataFrame
        account_id, cluster_id and, where known, probability (0..1); an account once at most.
    truth : pandas.DataFrame
        account_id, operator_id (null: innocent) and, where known, role and group_id (the innocent
        group that an account belongs to). Accounts without a row here are left out of every figure;
        how many were clustered is reported.
    q_levels : tuple of float
        Nominal false-discovery rates to compare with what happened.
    n_bins : int, default 10
        Ranges of the reliability tables.
    n_bootstrap : int, default 200
        Bootstrap samples behind the intervals; 0 for none.
    level : float, default 0.95
        Coverage of the intervals, between 0 and 1.
    seed : int, default 0
        Seed of the samples.

    Returns
    -------
    Evaluation

    Raises
    ------
    SchemaError
        Where a table lacks a required column.
    InputError
        Where an account or a cluster stands twice, a member's cluster is unknown, or a probability
        is outside 0..1.
    ConfigError
        Where a setting is out of range.

    Notes
    -----
    Intervals are percentile intervals of a bootstrap over true groups (operators, innocent groups,
    accounts of nobody), since a group's accounts are found or missed together; figures of the
    ranking and of calibration resample clusters. Clusters are taken as given. With a handful of
    operators an interval is a rough guide at best.

    Examples
    --------
    >>> truth = pd.DataFrame(
    ...     {"account_id": ["a", "b", "c", "d"], "operator_id": ["x", "x", "x", None]}
    ... )
    >>> members = pd.DataFrame({"account_id": ["a", "b", "d"], "cluster_id": [1, 1, 1]})
    >>> result = evaluate(None, members, truth)
    >>> round(result["operator_pair_precision"].value, 3)
    0.333
    >>> result.counts.n_strangers
    1
    """
    _check_settings(n_bootstrap=n_bootstrap, level=level)
    if clusters is not None:
        require_columns(clusters, ("cluster_id",), "clusters")
    labels = align_labels(members, truth, None if clusters is None else clusters["cluster_id"])
    cells = count_cells(labels)
    matches = match_operators(cells)
    judged = judge_clusters(labels, cells, clusters)
    strangers = find_strangers(labels, judged)
    said = collect_predictions(labels, judged)
    resampling = Resampling(n_draws=n_bootstrap, level=level, seed=seed)
    return Evaluation(
        scores=(
            *score_groups(labels, cells, matches, judged, strangers, resampling=resampling),
            score_ranking(judged, resampling),
            *score_calibration(said, n_bins, resampling),
        ),
        counts=_count(labels, matches, judged, strangers),
        confidence=_calibrate(said["confidence"], n_bins),
        membership=_calibrate(said["membership"], n_bins),
        discoveries=list_discoveries(judged, q_levels),
        roles=count_roles(labels, judged, strangers),
        tiers=count_tiers(labels, judged, strangers),
        operators=_name_matches(labels, matches, judged),
        clusters=judged.drop(columns="majority_code"),
        settings={"n_bootstrap": n_bootstrap, "level": level, "seed": seed, "n_bins": n_bins},
    )


def _check_settings(*, n_bootstrap: int, level: float) -> None:
    if n_bootstrap < 0:
        raise ConfigError(f"n_bootstrap must be 0 or more; got {n_bootstrap}")
    if not 0 < level < 1:
        raise ConfigError(f"level must lie between 0 and 1; got {level}")


def _calibrate(said: Predictions, n_bins: int) -> Calibration | None:
    return measure_calibration(said.probability, said.outcome, n_bins=n_bins)


def _count(labels: Labels, matches: pd.DataFrame, judged: pd.DataFrame, strangers: Bools) -> Counts:
    innocent = ~labels.is_operator
    in_tier = find_tier_members(labels, judged, "operator")
    return Counts(
        n_labelled=len(labels.group),
        n_operators=labels.n_operators,
        n_single_operators=int((matches["n_accounts"] == 1).sum()),
        n_operator_accounts=int(labels.is_operator.sum()),
        n_innocents=int(innocent.sum()),
        n_clusters=labels.n_clusters,
        n_clusters_unjudged=int((~judged["judged"]).sum()),
        n_clustered=int((labels.cluster >= 0).sum()),
        n_clustered_unlabelled=labels.n_unlabelled,
        n_strangers=int((strangers & innocent).sum()),
        n_operator_strangers=int((strangers & ~innocent).sum()),
        n_innocents_in_operator_tier=int((in_tier & innocent).sum()),
    )


def _name_matches(labels: Labels, matches: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Put names in the place of codes."""
    code = matches["cluster"].to_numpy()
    return pd.DataFrame(
        {
            "operator_id": labels.group_names[: labels.n_operators],
            "n_accounts": matches["n_accounts"],
            "n_clustered": matches["n_clustered"],
            "n_clusters": matches["n_clusters"],
            "cluster_id": look_up(judged["cluster_id"].to_numpy(dtype=object), code, None),
            "tier": look_up(judged["tier"].to_numpy(dtype=object), code, None),
            "precision": matches["precision"],
            "recall": matches["recall"],
            "f1": matches["f1"],
        }
    )
