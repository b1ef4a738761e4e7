"""What an evaluation says: scores, counts, and tables for whoever asks why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from linkage.errors import UnknownIdError
from linkage.evaluate.calibration import Calibration
from linkage.evaluate.measures import Counts, Discovery, Score
from linkage.evaluate.text import render_text
from linkage.frames import to_records

__all__ = ["Evaluation"]


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
