"""Fellegi-Sunter by Splink, with generic settings: one comparison a kind, blocks of rare values."""

import logging
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.baselines.incidence import make_members

__all__ = ["TrainedSplink", "link_splink", "train_splink"]

LEAST_THRESHOLD = 0.5  # of the match probabilities that are kept for clustering


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedSplink:
    """A model with its predictions."""

    linker: Any  # splink.Linker
    pairs: Any  # its predictions at LEAST_THRESHOLD and above


def link_splink(trained: TrainedSplink, *, threshold: float) -> pd.DataFrame:
    """Cut Splink's clusters at a match probability.

    Parameters
    ----------
    trained : TrainedSplink
    threshold : float
        Match probability from which two accounts are linked, 0.5..1.

    Returns
    -------
    pandas.DataFrame
        account_id, cluster_id.
    """
    found = trained.linker.clustering.cluster_pairwise_predictions_at_threshold(
        trained.pairs, threshold_match_probability=threshold
    ).as_pandas_dataframe()
    labels, _ = pd.factorize(found["cluster_id"], sort=True)
    return make_members(pd.Index(found["account_id"]), labels.astype(np.int64))


def train_splink(
    observations: pd.DataFrame, *, max_holders: int = 50, seed: int = 0
) -> TrainedSplink:
    """Train Splink on accounts, and predict which of them match.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    max_holders : int, default 50
        Pairs are compared that share a value of at most so many holders.
    seed : int, default 0
        Seed of the random pairs from which u is estimated.

    Returns
    -------
    TrainedSplink

    Notes
    -----
    As the documentation recommends: the prior from deterministic rules, u from random pairs, m by
    EM in sessions that are each blocked on one kind and estimate the others, term-frequency
    adjustments where a kind has one value an account. A kind with several values is compared by the
    size of the intersection, for which Splink has no adjustment by frequency.
    """
    # Imported only here: Splink comes with an extra of its own.
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on
    from splink.blocking_rule_library import CustomRule

    records, kinds, single = _widen(observations, max_holders)
    comparisons: list[Any] = [
        cl.ExactMatch(kind).configure(term_frequency_adjustments=True)
        if kind in single
        else cl.ArrayIntersectAtSizes(kind, [3, 1])
        for kind in kinds
    ]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="account_id",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on(f"{kind}_rare") for kind in kinds],
        retain_matching_columns=False,
    )
    api = DuckDBAPI()
    linker = Linker(api.register(records), settings, log_level=logging.ERROR)
    rules = [block_on(f"{one}_rare", f"{two}_rare") for one, two in combinations(kinds, 2)]
    linker.training.estimate_probability_two_random_records_match(
        rules or [block_on(f"{kinds[0]}_rare")], recall=0.7
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=seed)
    for kind in kinds:
        # Naming the kind's own column makes Splink leave its comparison out of the session.
        rule = CustomRule(f"l.{kind}_rare = r.{kind}_rare and l.{kind} is not null")
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    pairs = linker.inference.predict(threshold_match_probability=LEAST_THRESHOLD)
    return TrainedSplink(linker=linker, pairs=pairs)


def _widen(
    observations: pd.DataFrame, max_holders: int
) -> tuple[pd.DataFrame, list[str], set[str]]:
    """Turn observations into one record an account.

    Returns
    -------
    tuple
        Records with, for every kind, its value or list of values and ``<kind>_rare``, its rarest
        value with 2 to max_holders holders; the kinds; and those with one value an account.
    """
    rows = observations[["account_id", "kind", "value"]].drop_duplicates()
    by_account = rows.groupby(["kind", "account_id"])["value"]
    holders = rows.groupby(["kind", "value"])["account_id"].transform("size")
    rare = rows.assign(holders=holders)[holders.between(2, max_holders)]
    kinds = sorted(rare["kind"].unique())
    most = by_account.size().groupby("kind").max()
    single = {kind for kind in kinds if most[kind] == 1}
    lists = by_account.agg(list)
    rarest = rare.sort_values(["holders", "value"]).drop_duplicates(["kind", "account_id"])
    columns = {}
    for kind in kinds:
        values = lists.loc[kind]
        columns[kind] = values.str[0] if kind in single else values
        columns[f"{kind}_rare"] = rarest[rarest["kind"] == kind].set_index("account_id")["value"]
    accounts = pd.Index(sorted(rows["account_id"].unique()), name="account_id")
    return pd.DataFrame(columns, index=accounts).reset_index(), kinds, single
