"""Explanations: what they say, and that hostile or missing values do no harm."""

import pandas as pd
import pytest

from linkage.explain import (
    MAX_ROWS,
    MAX_VALUE_CHARS,
    explain_account,
    explain_cluster,
    explain_pair,
    summarise,
)

EVIDENCE = pd.DataFrame(
    [
        ("a", "payment", "payment", "card", 8.0, 3, 2),
        ("b", "payment", "payment", "card", 6.0, 3, 1),
        ("a", "network", "ip", "192.0.2.1", 2.0, 90, 5),
        ("b", "network", "ip", "192.0.2.1", 3.0, 90, 5),
        ("c", "network", "ip", "192.0.2.1", 1.0, 90, 5),
    ],
    columns=["account_id", "family", "kind", "value", "bits", "n_accounts", "count"],
)
MEMBERS = pd.DataFrame(
    {"account_id": ["a", "b", "c"], "cluster_id": 4, "probability": [0.9, 0.8, 0.5]}
)


def make_cluster(**changes):
    row = {
        "cluster_id": 4,
        "tier": "operator",
        "n_accounts": 3,
        "confidence": 0.75,
        "q_value": 0.0012,
        "risk": 0.5,
        "families": "network+payment",
        "corroborated": 2 / 3,
        "explanation": "",
        "first_seen": pd.Timestamp("2026-04-22 01:02", tz="UTC"),
        "last_seen": pd.Timestamp("2026-06-05", tz="UTC"),
    }
    return pd.Series(row | changes, dtype=object)


def make_shared(*rows):
    columns = ["family", "kind", "value", "n_accounts", "bits", "count_a", "count_b"]
    return pd.DataFrame(rows, columns=columns)


def test_a_cluster_is_explained_by_its_identifiers_the_strongest_first():
    table = explain_cluster(make_cluster(), MEMBERS, EVIDENCE).table
    assert table.to_dict("records") == [
        {
            "family": "payment",
            "kind": "payment",
            "value": "card",
            "members": 2,
            "share": 2 / 3,
            "everyone": 3,
            "bits": 7.0,
        },
        {
            "family": "network",
            "kind": "ip",
            "value": "192.0.2.1",
            "members": 3,
            "share": 1.0,
            "everyone": 90,
            "bits": 2.0,
        },
    ]


def test_a_cluster_says_its_figures():
    text = repr(explain_cluster(make_cluster(), MEMBERS, EVIDENCE))
    for part in (
        "Cluster 4\n",
        "3 accounts, tier operator: tied by two or more independent families",
        "confidence that it is one operator 0.750, q-value 0.0012, risk 0.50.",
        "network+payment; 67% of the accounts rest on two independent ones.",
        "innocent explanation: none that was tested",
        "membership probability: median 0.800, lowest 0.500.",
        "seen from 2026-04-22 01:02 to 2026-06-05 00:00 UTC.",
    ):
        assert part in text


@pytest.mark.parametrize("tier", ["operator", "coordinated", "shared"])
def test_every_tier_is_put_in_words(tier):
    sentences = explain_cluster(make_cluster(tier=tier), MEMBERS, EVIDENCE).sentences
    assert f"tier {tier}: " in sentences[0]


def test_an_innocent_explanation_and_the_lack_of_families_are_said():
    cluster = make_cluster(explanation="household", families="")
    sentences = explain_cluster(cluster, MEMBERS, EVIDENCE).sentences
    assert "innocent explanation: household." in sentences
    assert any("at least half of the accounts: none;" in sentence for sentence in sentences)


def test_without_times_no_span_is_said():
    cluster = make_cluster(first_seen=pd.NaT, last_seen=pd.NaT)
    text = repr(explain_cluster(cluster, MEMBERS, EVIDENCE))
    assert "seen from" not in text
    assert "NaT" not in text


def test_a_cluster_without_evidence_is_still_explained():
    explanation = explain_cluster(make_cluster(), MEMBERS, EVIDENCE.iloc[:0])
    assert explanation.table.empty
    assert repr(explanation).startswith("Cluster 4")


def test_an_account_is_explained_by_its_own_identifiers():
    explanation = explain_account("a", MEMBERS.iloc[:1], EVIDENCE.iloc[[2, 0]])
    assert explanation.title == "Account a"
    assert explanation.sentences[0] == "is in cluster 4 with probability 0.900."
    assert explanation.table.to_numpy().tolist() == [
        ["payment", "payment", "card", 8.0, 3, 2],
        ["network", "ip", "192.0.2.1", 2.0, 90, 5],
    ]


def test_an_account_in_no_cluster_is_said_to_be_in_none():
    explanation = explain_account("x", MEMBERS.iloc[:0], EVIDENCE.iloc[:0])
    assert "is in no cluster" in repr(explanation)


def test_a_pair_is_explained_by_what_both_hold():
    shared = make_shared(
        ("network", "ip", "192.0.2.1", 90, 2.0, 5, 7), ("payment", "payment", "card", 3, 9.0, 1, 2)
    )
    explanation = explain_pair("a", "b", MEMBERS, shared)
    assert explanation.sentences == (
        "are both in cluster 4.",
        "They share 2 identifiers of 2 families.",
    )
    assert explanation.table["value"].tolist() == ["card", "192.0.2.1"]
    assert explanation.table["everyone"].tolist() == [3, 90]


@pytest.mark.parametrize(
    ("members", "verdict"),
    [
        (MEMBERS.assign(cluster_id=[4, 5, 6]), "are not in one cluster: a in cluster 4, b in clu"),
        (MEMBERS.iloc[:1], "are not in one cluster: a in cluster 4, b in none."),
        (MEMBERS.iloc[:0], "are not in one cluster: a in none, b in none."),
    ],
)
def test_a_pair_apart_is_said_to_be_apart(members, verdict):
    explanation = explain_pair("a", "b", members, make_shared())
    assert explanation.sentences[0].startswith(verdict)
    assert "share no identifier directly" in explanation.sentences[1]


def test_a_printed_value_is_short_and_cannot_steer_a_terminal():
    hostile = "\x1b[2J\r\n" + "x" * 200
    explanation = explain_account("a", MEMBERS.iloc[:1], EVIDENCE.iloc[:1].assign(value=hostile))
    text = repr(explanation)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "x" * MAX_VALUE_CHARS not in text
    assert "?[2J??xxx" in text
    assert explanation.table["value"].tolist() == [hostile]


def test_a_long_table_is_cut_when_printed_and_says_so():
    rows = [("payment", "payment", f"card{i:02}", 2, float(i), 1, 1) for i in range(MAX_ROWS + 3)]
    explanation = explain_pair("a", "b", MEMBERS, make_shared(*rows))
    text = repr(explanation)
    assert "... and 3 more in .table" in text
    assert f"card{MAX_ROWS + 2:02}" in text
    assert "card00" not in text
    assert len(explanation.table) == MAX_ROWS + 3


def test_arguments_are_not_changed():
    before = EVIDENCE.copy()
    explain_cluster(make_cluster(), MEMBERS, EVIDENCE)
    explain_account("a", MEMBERS.iloc[:1], EVIDENCE)
    pd.testing.assert_frame_equal(EVIDENCE, before)


COUNTS = {"accounts": 12_345, "identifiers": 7, "edges": 20, "shared_identifiers": 3}


def test_a_run_is_summed_up_by_tier():
    clusters = pd.DataFrame(
        {"tier": ["operator", "operator", "shared"], "n_accounts": [1_000, 500, 4]}
    )
    members = pd.DataFrame({"account_id": range(1_504)})
    lines = summarise(
        clusters, members, pd.DataFrame(index=[0, 1]), {"counts": COUNTS}
    ).splitlines()
    assert lines[0] == "12,345 accounts, 7 identifiers, 20 edges; 2 refusals"
    assert lines[1] == "3 clusters of 1,504 accounts"
    assert lines[2].split()[:5] == ["operator", "2", "clusters", "1,500", "accounts"]
    assert lines[3].split()[:5] == ["coordinated", "0", "clusters", "0", "accounts"]
    assert lines[4].split()[:5] == ["shared", "1", "clusters", "4", "accounts"]


@pytest.mark.parametrize(
    ("n_shared", "reason"),
    [(0, "no identifier is held by two accounts"), (3, "  3 identifiers are held by two accounts")],
)
def test_a_run_that_found_nothing_says_why(n_shared, reason):
    clusters = pd.DataFrame({"tier": [], "n_accounts": []})
    counts = COUNTS | {"shared_identifiers": n_shared}
    text = summarise(clusters, pd.DataFrame(), pd.DataFrame(), {"counts": counts})
    assert reason in text
    assert "0 clusters of 0 accounts" in text
