"""Figures of a cluster's page, by hand and against loops."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import linkage
from linkage.desk import Background, gather_facts, load_purposes
from linkage.desk.charts import stack_bits
from linkage.desk.facts import count_days, find_splits, remove_each_family
from linkage.desk.purposes import match_purposes, tally_purposes
from linkage.desk.words import say_summary
from linkage.errors import ConfigError, UnknownIdError


@pytest.fixture
def result(ring):
    return linkage.link(observations=ring)


def make_support(*rows):
    return pd.DataFrame(rows, columns=["account_id", "family"]).assign(supports=True)


def test_counts_of_the_ring_are_those_of_the_input(result):
    facts = gather_facts(result, 1)
    table = facts.identifiers.set_index("value")
    assert (table.loc["card", "members"], table.loc["card", "outside"]) == (9, 0)
    assert table.loc["192.0.2.1", "outside"] == 40
    assert facts.families["share"].tolist() == [1.0, 1.0, 1.0]


def test_cells_and_infrastructure_are_said_where_there_are_any(result):
    plain = " ".join(say_summary(gather_facts(result, 1)))
    assert "cells" not in plain
    assert "infrastructure" not in plain
    members = result.members.assign(cell=[1, 1, 1, 1, 1, 1, 2, 2, 2])
    clusters = result.clusters.assign(infrastructure=4)
    told = " ".join(
        say_summary(gather_facts(replace(result, members=members, clusters=clusters), 1))
    )
    assert "It falls into 2 cells, the largest of 6 accounts" in told
    assert "infrastructure 4" in told
    old = replace(result, members=result.members.drop(columns="cell"))
    assert " ".join(say_summary(gather_facts(old, 1))) == plain


def test_an_unknown_cluster_is_named(result):
    with pytest.raises(UnknownIdError, match="no cluster 7"):
        gather_facts(result, 7)


def test_a_cluster_of_two_families_falls_without_either():
    support = make_support(("a", "network"), ("a", "payment"), ("b", "network"), ("b", "payment"))
    table = remove_each_family(support, pd.Series(["a", "b"]), frozenset())
    assert table["share"].tolist() == [1.0, 0.0, 0.0]


def test_dependent_families_are_no_two_families():
    support = make_support(("a", "network"), ("a", "software"))
    dependent = frozenset({frozenset({"network", "software"})})
    assert remove_each_family(support, pd.Series(["a"]), dependent)["share"].tolist()[0] == 0.0


def test_splits_agree_with_networkx():
    rng = np.random.default_rng(4)
    rows = {(f"a{rng.integers(12)}", f"v{rng.integers(9)}") for _ in range(30)}
    evidence = pd.DataFrame(sorted(rows), columns=["account_id", "value"]).assign(kind="ip")
    widest = evidence["value"].value_counts(sort=False).sort_index()
    order = widest.sort_values(ascending=False, kind="stable").index
    for row in find_splits(evidence, n_steps=9).itertuples():
        left = evidence[~evidence["value"].isin(order[: row.removed])]
        graph = nx.Graph(zip(left["account_id"], "v:" + left["value"], strict=True))
        graph.add_nodes_from(evidence["account_id"])
        parts = sorted(
            (sum(not n.startswith("v:") for n in part) for part in nx.connected_components(graph)),
            reverse=True,
        )
        assert (row.largest, row.second) == (parts[0], [*parts, 0][1])


def test_days_count_who_is_active_joined_banned_and_followed():
    day = pd.Timestamp("2026-05-01", tz="UTC").as_unit("us")
    hour, one = pd.Timedelta(hours=1), pd.Timedelta(days=1)
    members = pd.DataFrame(
        {
            "first_seen": [day, day + one],
            "last_seen": [day + one, day + 3 * one],
            "created_at": [day - one, day + one + 2 * hour],
            "banned_at": [day + one, pd.NaT],
        }
    )
    table = count_days(members).set_index("day")
    assert table["joined"].tolist() == [1, 0, 1, 0, 0]
    assert table["active"].tolist() == [0, 1, 2, 1, 1]
    assert table["banned"].tolist() == [0, 0, 1, 0, 0]
    assert table["successors"].tolist() == [0, 0, 1, 0, 0]


def test_undated_members_have_no_days():
    blank = pd.Series(pd.NaT, index=range(2), dtype="datetime64[us, UTC]")
    assert count_days(pd.DataFrame({"first_seen": blank, "last_seen": blank})).empty


def test_sign_ups_come_from_the_accounts_table(result):
    accounts = pd.DataFrame({"account_id": ["ring0"], "status": ["banned"]})
    facts = gather_facts(result, 1, Background(accounts=accounts))
    assert facts.members.set_index("account_id")["status"].dropna().to_dict() == {"ring0": "banned"}


@pytest.mark.parametrize("max_bars", [24, 3])
def test_the_waterfall_ends_at_the_capped_sum_of_the_families(max_bars):
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {"family": rng.choice(["a", "b", "c"], 20), "kind": "k", "bits": rng.uniform(0.1, 3, 20)}
    ).assign(value=[f"v{i}" for i in range(20)])
    stacked = stack_bits(rows, 9.0, max_bars)
    expected = sum(min(part["bits"].sum(), 9.0) for _, part in rows.groupby("family"))
    assert stacked["end"].iloc[-1] == pytest.approx(expected)
    assert np.allclose(stacked["start"].iloc[1:], stacked["end"].iloc[:-1])


def test_purposes_count_accounts_not_uses():
    holdings = pd.DataFrame(
        {"account_id": ["a", "a", "b"], "value": ["t1", "t2", "t1"]}, dtype=object
    )
    templates = pd.DataFrame(
        {"template_id": ["t1", "t2"], "skeleton": ["refactor this in rust", "write tests for x"]}
    )
    coding = load_purposes()[:1]
    table = tally_purposes(holdings, templates, coding, n_accounts=4)
    assert table[["n_templates", "n_accounts", "share"]].iloc[0].tolist() == [2, 2, 0.5]


def test_a_purpose_file_adds_to_the_rules(tmp_path):
    rules = tmp_path / "mine.toml"
    rules.write_text('[law]\nlabel = "contracts"\npatterns = ["\\\\bclause\\\\b"]\n')
    purposes = load_purposes(rules)
    assert purposes[-1].label == "contracts"
    assert match_purposes(["which clause binds"], purposes)[0, -1]


def test_a_pattern_that_is_none_is_refused(tmp_path):
    (tmp_path / "bad.toml").write_text('[x]\npatterns = ["("]\n')
    with pytest.raises(ConfigError, match="purpose 'x' has a pattern that is none"):
        load_purposes(tmp_path / "bad.toml")
