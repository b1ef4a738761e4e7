"""Figures with intervals: sums over units, the formula, and the same for resampled units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from linkage.evaluate.bootstrap import draw_weights, percentile_interval, resample_sums
from linkage.evaluate.calibration import bin_numbers
from linkage.evaluate.clusters import find_tier_members
from linkage.evaluate.figures import CLUSTER_FIGURES, GROUP_FIGURES, Figure
from linkage.evaluate.measures import Score
from linkage.evaluate.partitions import Cells, sum_by_group
from linkage.evaluate.ranking import average_precision
from linkage.evaluate.truth import Labels, look_up, sum_by_code

__all__ = [
    "Predictions",
    "Resampling",
    "collect_predictions",
    "score_calibration",
    "score_groups",
    "score_ranking",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How intervals are made."""

    n_draws: int  # bootstrap samples; 0 for no interval
    level: float  # coverage, between 0 and 1
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Probabilities that were said, what came true, and the cluster about which each was said."""

    probability: Floats  # (n,) 0..1
    outcome: Bools  # (n,)
    cluster: npt.NDArray[np.int64]  # (n,)
    n_clusters: int


def collect_predictions(labels: Labels, judged: pd.DataFrame) -> dict[str, Predictions]:
    """Collect what the clusters said about themselves, with what is true of it.

    Parameters
    ----------
    labels : Labels
    judged : pandas.DataFrame
        As judge_clusters returns.

    Returns
    -------
    dict of Predictions
        ``confidence``: of a judged cluster, that it is one operator; true where an operator has the
        majority. ``membership``: of a labelled member of a judged cluster; true where the account
        is of the true group (operator or innocent) that has the majority.
    """
    certain = (judged["judged"] & judged["confidence"].notna()).to_numpy()
    said = look_up(judged["judged"].to_numpy(), labels.cluster, False)
    said &= ~np.isnan(labels.probability)
    majority = look_up(judged["majority_code"].to_numpy(), labels.cluster, -1)
    return {
        "confidence": Predictions(
            probability=judged["confidence"].to_numpy(dtype=np.float64)[certain],
            outcome=judged["is_operator"].to_numpy()[certain],
            cluster=np.flatnonzero(certain),
            n_clusters=len(judged),
        ),
        "membership": Predictions(
            probability=labels.probability[said],
            outcome=(majority == labels.group)[said],
            cluster=labels.cluster[said],
            n_clusters=len(judged),
        ),
    }


def score_groups(
    labels: Labels,
    cells: Cells,
    matches: pd.DataFrame,
    judged: pd.DataFrame,
    strangers: Bools,
    *,
    resampling: Resampling,
) -> tuple[Score, ...]:
    """Compute the figures that rest on true groups.

    Parameters
    ----------
    labels : Labels
    cells : Cells
    matches : pandas.DataFrame
        As match_operators returns.
    judged : pandas.DataFrame
        As judge_clusters returns.
    strangers : ndarray of bool, shape (n,)
        As find_strangers returns.
    resampling : Resampling

    Returns
    -------
    tuple of Score
    """
    innocent = ~labels.is_operator
    tiered = innocent & bool(judged["tier"].notna().any())
    in_tier = find_tier_members(labels, judged, "operator")
    sums = sum_by_group(cells, matches)
    for name, accounts in (
        ("innocents", innocent),
        ("strangers", innocent & strangers),
        ("tiered_innocents", tiered),
        ("in_operator_tier", innocent & in_tier),
    ):
        sums[name] = sum_by_code(labels.group, accounts, labels.n_groups)
    active = np.zeros(labels.n_groups, dtype=bool)
    active[labels.group[(labels.cluster >= 0) | labels.is_operator]] = True
    active |= cells.group_sizes > 1
    return _score(GROUP_FIGURES, sums, active, resampling)


def score_calibration(
    said: Mapping[str, Predictions], n_bins: int, resampling: Resampling
) -> tuple[Score, ...]:
    """Compute the calibration figures, resampling clusters.

    Parameters
    ----------
    said : mapping of Predictions
        As collect_predictions returns.
    n_bins : int
        Ranges of equal width for the expected calibration error.
    resampling : Resampling

    Returns
    -------
    tuple of Score
    """
    sums: dict[str, Floats] = {}
    for what, predictions in said.items():
        sums |= _sum_errors(what, predictions, n_bins)
    active = np.ones(len(sums["confidence_n"]), dtype=bool)
    return _score(CLUSTER_FIGURES, sums, active, resampling)


def _sum_errors(what: str, said: Predictions, n_bins: int) -> dict[str, Floats]:
    gap = said.outcome - said.probability
    key = said.cluster * n_bins + bin_numbers(said.probability, n_bins)
    gaps = sum_by_code(key, gap, said.n_clusters * n_bins).reshape(said.n_clusters, n_bins)
    return {
        f"{what}_n": sum_by_code(said.cluster, np.ones(len(gap)), said.n_clusters),
        f"{what}_error": sum_by_code(said.cluster, gap**2, said.n_clusters),
    } | {f"{what}_gap_{b}": gaps[:, b] for b in range(n_bins)}


def score_ranking(judged: pd.DataFrame, resampling: Resampling) -> Score:
    """Compute the average precision of the clusters ranked by risk.

    Parameters
    ----------
    judged : pandas.DataFrame
        As judge_clusters returns.
    resampling : Resampling

    Returns
    -------
    Score
    """
    rows = judged[judged["judged"] & judged["risk"].notna()]
    risk, positive = rows["risk"].to_numpy(), rows["is_operator"].to_numpy()
    value = float(average_precision(risk, positive)[0])
    low = high = None
    if resampling.n_draws and len(rows) > 1:
        blocks = draw_weights(len(rows), n_draws=resampling.n_draws, seed=resampling.seed)
        drawn = [average_precision(risk, positive, weights) for weights in blocks]
        low, high = percentile_interval(np.concatenate(drawn), resampling.level)
    return Score(
        name="average_precision",
        population="clusters with a risk and two or more labelled members",
        meaning="of the ranking by risk; a cluster counts if an operator has its majority",
        value=_or_none(value),
        low=low,
        high=high,
        n_units=len(rows),
    )


def _score(
    figures: Sequence[Figure], units: Mapping[str, Floats], active: Bools, resampling: Resampling
) -> tuple[Score, ...]:
    """Evaluate figures on the sums over all units, and on those of resampled ones.

    Units that are not active must all have the same row.
    """
    totals = {name: np.array([column.sum()]) for name, column in units.items()}
    n_idle = int((~active).sum())
    drawn = resample_sums(
        np.column_stack([column[active] for column in units.values()]),
        np.array([column[np.argmin(active)] if n_idle else 0.0 for column in units.values()]),
        n_idle,
        n_draws=resampling.n_draws,
        seed=resampling.seed,
    )
    samples = dict(zip(units, drawn.T, strict=True))
    scores = []
    for figure in figures:
        n_units = int((units[figure.base] > 0).sum())
        bounded = resampling.n_draws > 0 and n_units > 1
        low, high = (
            percentile_interval(figure.formula(samples), resampling.level)
            if bounded
            else (None, None)
        )
        scores.append(
            Score(
                name=figure.name,
                population=figure.population,
                meaning=figure.meaning,
                value=_or_none(float(figure.formula(totals)[0])),
                low=low,
                high=high,
                n_units=n_units,
            )
        )
    return tuple(scores)


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
