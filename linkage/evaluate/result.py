"""What an evaluation says: scores with their intervals, counts, and tables for whoever asks why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from linkage.errors import UnknownIdError
from linkage.evaluate.calibration import Calibration
from linkage.frames import to_records

__all__ = ["Counts", "Discovery", "Evaluation", "Score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One figure, over whom it was taken, and how far it may be off."""

    name: str
    population: str  # the accounts, operators or clusters over which it is taken
    meaning: str  # one line
    value: float | None  # None where it is not defined, such as precision without a prediction
    low: float | None  # bootstrap interval; None where fewer than two units were resampled
    high: float | None
    n_units: int  # operators, groups or clusters behind the figure: what is resampled


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much was judged, and what was left out."""

    n_labelled: int  # accounts with a row in the truth: the population
    n_operators: int
    n_single_operators: int  # operators of one account, which nothing can link
    n_operator_accounts: int
    n_innocents: int
    n_clusters: int
    n_clusters_unjudged: int  # fewer than two labelled members
    n_clustered: int  # labelled accounts that are in a cluster
    n_clustered_unlabelled: int  # clustered accounts without a row in the truth: left out
    n_strangers: int  # innocents in a cluster of three or more whose majority is not theirs
    n_operator_strangers: int  # operator accounts in such a cluster
    n_innocents_in_operator_tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """The clusters that a nominal false-discovery rate lets through, and how many were wrong."""

    q: float  # nominal rate
    n_clusters: int  # judged clusters with q_value <= q
    n_false: int  # of them, those whose majority is not one operator
    n_unlinked: int  # of these, those whose majority is no true group at all
    proportion: float | None  # n_false / n_clusters
    low: float | None  # Wilson interval of the proportion
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """The comparison of clusters with the truth.

    Attributes
    ----------
    scores : tuple of Score
        Every figure; ``evaluation["pair_f1"]`` gives one by its name.
    counts : Counts
        How many accounts, operators and clusters were judged and left out.
    confidence : Calibration or None
        Of the clusters' confidence that they are one operator; None where none was given.
    membership : Calibration or None
        Of the members' probabilities; None where none was given.
    discoveries : tuple of Discovery
        Realised false discoveries by nominal rate; empty where no q-value was given.
    roles : pandas.DataFrame
        One row a role of innocent accounts: how many were clustered, as strangers, as an operator.
    tiers : pandas.DataFrame
        One row a tier: its clusters, its accounts and who they are; empty where no tier was given.
    operators : pandas.DataFrame
        One row an operator: its best-matching cluster, and that match's precision, recall and F1.
    clusters : pandas.DataFrame
        One row a cluster: whose it is, by the majority of its labelled members.
    settings : mapping
        Seed, number of bootstrap draws and level of the intervals.
    """

    scores: tuple[Score, ...]
    counts: Counts
    confidence: Calibration | None
    membership: Calibration | None
    discoveries: tuple[Discovery, ...]
    roles: pd.DataFrame
    tiers: pd.DataFrame
    operators: pd.DataFrame
    clusters: pd.DataFrame
    settings: Mapping[str, int | float]

    def __getitem__(self, name: str) -> Score:
        """Return a score by its name; UnknownIdError lists the names where there is none."""
        for score in self.scores:
            if score.name == name:
                return score
        names = ", ".join(score.name for score in self.scores)
        raise UnknownIdError(f"no score is called {name!r}; there are {names}")

    def __str__(self) -> str:
        """Return the evaluation as plain text."""
        from linkage.evaluate.text import render_text

        return render_text(self)

    def to_frame(self) -> pd.DataFrame:
        """Return the scores as a table, one row a score.

        Returns
        -------
        pandas.DataFrame
            name, population, meaning, value, low, high, n_units.
        """
        return pd.DataFrame([asdict(score) for score in self.scores])

    def to_dict(self, *, detail: bool = False) -> dict[str, Any]:
        """Return the evaluation as plain values, ready for JSON.

        Parameters
        ----------
        detail : bool, default False
            Whether to add one record for every operator and every cluster.

        Returns
        -------
        dict
            Undefined figures are None, never NaN.
        """
        out: dict[str, Any] = {
            "settings": dict(self.settings),
            "counts": asdict(self.counts),
            "scores": {score.name: _without_name(score) for score in self.scores},
            "confidence": _list_bins(self.confidence),
            "membership": _list_bins(self.membership),
            "discoveries": [asdict(row) for row in self.discoveries],
            "roles": to_records(self.roles),
            "tiers": to_records(self.tiers),
        }
        if detail:
            out["operators"] = to_records(self.operators)
            out["clusters"] = to_records(self.clusters)
        return out


def _list_bins(calibration: Calibration | None) -> dict[str, Any] | None:
    if calibration is None:
        return None
    return asdict(calibration) | {"bins": [asdict(row) for row in calibration.bins]}


def _without_name(score: Score) -> dict[str, Any]:
    return {key: value for key, value in asdict(score).items() if key != "name"}
