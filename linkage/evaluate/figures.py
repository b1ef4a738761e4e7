"""The figures: each a formula over sums, with the population over which it is taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["CLUSTER_FIGURES", "GROUP_FIGURES", "Figure"]

Floats = npt.NDArray[np.float64]
Sums = Mapping[str, Floats]  # each of shape (n_draws,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: a function of sums over units."""

    name: str
    population: str
    meaning: str
    base: str  # the column that is above zero for the units that the figure rests on
    formula: Callable[[Sums], Floats]


def _divide(top: Floats, bottom: Floats) -> Floats:
    out: Floats = np.full(len(bottom), np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def _ratio(top: str, bottom: str) -> Callable[[Sums], Floats]:
    return lambda sums: _divide(sums[top], sums[bottom])


def _dice(both: str, first: str, second: str) -> Callable[[Sums], Floats]:
    return lambda sums: _divide(2 * sums[both], sums[first] + sums[second])


def _harmonic_bcubed(prefix: str) -> Callable[[Sums], Floats]:
    def compute(sums: Sums) -> Floats:
        precision = _divide(sums[f"{prefix}bcubed_precision"], sums[f"{prefix}accounts"])
        recall = _divide(sums[f"{prefix}bcubed_recall"], sums[f"{prefix}accounts"])
        return _divide(2 * precision * recall, precision + recall)

    return compute


def _adjusted_rand(prefix: str, predicted: str) -> Callable[[Sums], Floats]:
    """Return (both - expected) / (mean - expected); 1 where both partitions are trivial alike."""

    def compute(sums: Sums) -> Floats:
        n, true, both = (
            sums[f"{prefix}{name}"] for name in ("accounts", "pairs_true", "pairs_both")
        )
        found = sums[predicted]
        expected = _divide(true * found, n * (n - 1) / 2)
        index, largest = both - expected, (true + found) / 2 - expected
        flat = np.isclose(largest, 0.0, atol=1e-9)
        value = np.divide(index, largest, out=np.ones(len(n)), where=~flat)
        return np.where(n > 1, value, np.nan)

    return compute


def _calibration_error(what: str) -> Callable[[Sums], Floats]:
    def compute(sums: Sums) -> Floats:
        gaps = [np.abs(column) for name, column in sums.items() if name.startswith(f"{what}_gap_")]
        return _divide(np.sum(gaps, axis=0), sums[f"{what}_n"])

    return compute


ALL: Final = "all labelled accounts; truth: operator, else group, else alone; unclustered: alone"
RUN: Final = "operator accounts, and whoever was put with them"
AMONG: Final = "operator accounts among themselves"
INNOCENT: Final = "innocent accounts"


def _pair_figures(prefix: str, population: str) -> tuple[Figure, ...]:
    both, found, true = (f"{prefix}pairs_{name}" for name in ("both", "predicted", "true"))
    return (
        Figure(
            name=f"{prefix}pair_precision",
            population=population,
            meaning="linked pairs that belong together",
            base=found,
            formula=_ratio(both, found),
        ),
        Figure(
            name=f"{prefix}pair_recall",
            population=population,
            meaning="pairs that belong together and are linked",
            base=true,
            formula=_ratio(both, true),
        ),
        Figure(
            name=f"{prefix}pair_f1",
            population=population,
            meaning="harmonic mean of the two",
            base=true,
            formula=_dice(both, found, true),
        ),
    )


def _bcubed_figures(prefix: str, population: str) -> tuple[Figure, ...]:
    base = f"{prefix}accounts"
    return (
        Figure(
            name=f"{prefix}bcubed_precision",
            population=population,
            meaning="share of its cluster that is its own, mean",
            base=base,
            formula=_ratio(f"{prefix}bcubed_precision", base),
        ),
        Figure(
            name=f"{prefix}bcubed_recall",
            population=population,
            meaning="share of its own that is in its cluster, mean",
            base=base,
            formula=_ratio(f"{prefix}bcubed_recall", base),
        ),
        Figure(
            name=f"{prefix}bcubed_f1",
            population=population,
            meaning="harmonic mean of the two",
            base=base,
            formula=_harmonic_bcubed(prefix),
        ),
    )


def _match_figure(name: str, sizes: str, base: str) -> Figure:
    return Figure(
        name=name,
        population=f"operators of {sizes} accounts",
        meaning="F1 of its best-matching cluster, mean",
        base=base,
        formula=_ratio(f"{base}_f1", base),
    )


GROUP_FIGURES: Final = (
    _match_figure("operator_f1", "2 or more", "matched"),
    Figure(
        name="operator_f1_weighted",
        population="operators of 2 or more accounts",
        meaning="the same, weighted by the operators' accounts",
        base="matched_accounts",
        formula=_ratio("matched_accounts_f1", "matched_accounts"),
    ),
    _match_figure("operator_f1_size_2", "2", "size_2"),
    _match_figure("operator_f1_size_3_9", "3 to 9", "size_3_9"),
    _match_figure("operator_f1_size_10_up", "10 or more", "size_10_up"),
    Figure(
        name="operators_found",
        population="operators of 3 or more accounts",
        meaning="share whose best match has an F1 of at least one half",
        base="size_3_up",
        formula=_ratio("found", "size_3_up"),
    ),
    *_pair_figures("operator_", RUN),
    *_bcubed_figures("operator_", RUN),
    Figure(
        name="operator_adjusted_rand",
        population=AMONG,
        meaning="agreement of the partitions beyond chance",
        base="operator_accounts",
        formula=_adjusted_rand("operator_", "operator_pairs_among"),
    ),
    *_pair_figures("", ALL),
    *_bcubed_figures("", ALL),
    Figure(
        name="adjusted_rand",
        population=ALL,
        meaning="agreement of the partitions beyond chance",
        base="accounts",
        formula=_adjusted_rand("", "pairs_predicted"),
    ),
    Figure(
        name="stranger_rate",
        population=INNOCENT,
        meaning="share in a cluster of three or more whose majority is not theirs",
        base="innocents",
        formula=_ratio("strangers", "innocents"),
    ),
    Figure(
        name="innocent_operator_tier_rate",
        population=INNOCENT,
        meaning="share in a cluster of the tier `operator`",
        base="tiered_innocents",
        formula=_ratio("in_operator_tier", "tiered_innocents"),
    ),
)

CLUSTER_FIGURES: Final = tuple(
    figure
    for what, population, said in (
        (
            "confidence",
            "clusters with a confidence",
            "saying: one operator",
        ),
        ("membership", "members with a probability", "saying: a member"),
    )
    for figure in (
        Figure(
            name=f"{what}_ece",
            population=population,
            meaning=f"expected calibration error of {said}",
            base=f"{what}_n",
            formula=_calibration_error(what),
        ),
        Figure(
            name=f"{what}_brier",
            population=population,
            meaning=f"mean squared error of {said}",
            base=f"{what}_n",
            formula=_ratio(f"{what}_error", f"{what}_n"),
        ),
    )
)
