"""What an evaluation is made of: scores with their intervals, counts, realised discoveries."""

from dataclasses import dataclass

__all__ = ["Counts", "Discovery", "Score"]


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
