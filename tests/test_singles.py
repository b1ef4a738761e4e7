"""What one account alone holds is counted, and nothing else changes."""

import numpy as np
import pandas as pd
import pytest

from linkage.config import Config
from linkage.engine import Engine
from linkage.observations import observe

NOW = pd.Timestamp("2026-05-01", tz="UTC")


def make_events(rows):
    events = pd.DataFrame(rows, columns=["account_id", "prompt_fingerprint"])
    return events.assign(ts=NOW + pd.to_timedelta(np.arange(len(events)), unit="s"))


def observe_both(**inputs):
    """Return what is observed with every identifier kept, and with only the shared ones kept."""
    found = []
    for keep_alone in (True, False):
        with Engine(threads=2) as engine:
            found.append(observe(engine, inputs, Config(), keep_alone=keep_alone))
    return found


def name_edges(observed):
    accounts = observed.accounts["account_id"].to_numpy(zero_copy_only=False)
    values = observed.identifiers.to_pandas()
    edges = observed.edges.to_pandas()
    named = values.iloc[edges["identifier"]].reset_index(drop=True)
    return named.assign(
        account=accounts[edges["account"]],
        **{name: edges[name] for name in ("count", "first_seen", "last_seen")},
    )[["account", "kind", "value", "n_accounts", "count", "first_seen", "last_seen"]]


def assert_only_singles_went(every, pruned):
    """Shared identifiers and their edges are equal, and the others are counted."""
    before, after = name_edges(every), name_edges(pruned)
    merged = before.merge(after, how="left", indicator=True)
    assert (merged["_merge"] == "both").sum() == len(after)
    gone = merged[merged["_merge"] == "left_only"]
    assert (gone["n_accounts"] == 1).all()
    counted = gone.groupby(["account", "kind"]).agg(n=("count", "size"), count=("count", "sum"))
    alone = pruned.alone.to_pandas()
    alone["account"] = pruned.accounts["account_id"].to_pandas()[alone["account"]].to_numpy()
    expected = counted.reset_index().to_dict("list")
    assert alone.astype({"kind": str}).to_dict("list") == expected
    assert set(after["kind"]) == set(before["kind"])
    assert every.rejected.equals(pruned.rejected)
    assert every.accounts.equals(pruned.accounts)


def test_what_one_account_holds_is_counted():
    rows = [("a", "shared"), ("b", "shared"), ("a", "x"), ("a", "x"), ("a", "y"), ("b", "z")]
    every, pruned = observe_both(events=make_events(rows))
    assert pruned.identifiers["value"].to_pylist() == ["shared"]
    assert pruned.alone.to_pylist() == [
        {"account": 0, "kind": "prompt", "n": 2, "count": 3},
        {"account": 1, "kind": "prompt", "n": 1, "count": 1},
    ]
    assert_only_singles_went(every, pruned)


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "x"), ("b", " x "), ("c", "y")],  # spelt in two ways
        [(" a", "x"), ("a", "x"), ("b", "y"), ("c", "y")],  # one account spelt in two ways
        [("a", "x\ty"), ("b", "xy"), ("c", "y")],
        [("a", "ü"), ("b", "ü"), ("c", "y"), ("d", "y")],
        [("a", ""), ("b", None), ("c", "y"), ("d", "y"), ("a", "  ")],
        [("", "y"), ("b", "y"), ("c", "z"), ("d", "z")],  # a row without an account
        [("a", "q" * 5000), ("b", "q" * 5000), ("c", "z"), ("d", "z")],  # too long
    ],
)
def test_spellings_meet_as_if_all_were_kept(rows):
    assert_only_singles_went(*observe_both(events=make_events(rows)))


def test_a_fingerprint_that_another_table_brings_is_shared():
    others = pd.DataFrame({"account_id": ["b"], "kind": ["prompt"], "value": ["x"]})
    every, pruned = observe_both(events=make_events([("a", "x"), ("a", "y")]), observations=others)
    assert pruned.identifiers["value"].to_pylist() == ["x"]
    assert pruned.identifiers["n_accounts"].to_pylist() == [2]
    assert_only_singles_went(every, pruned)


def test_fingerprints_of_two_sources_meet(tmp_path):
    first, second = make_events([("a", "x"), ("a", "y")]), make_events([("b", "x"), ("b", "z")])
    every, pruned = observe_both(events=[first, second.assign(ip="192.0.2.1")])
    assert pruned.alone["n"].to_pylist() == [1, 1]
    assert_only_singles_went(every, pruned)


def test_a_kind_of_which_nothing_is_shared_stays_a_kind():
    every, pruned = observe_both(events=make_events([("a", "x"), ("b", "y"), ("b", "z")]))
    assert len(pruned.identifiers) == 1
    assert sum(pruned.alone["n"].to_pylist()) == 2
    assert_only_singles_went(every, pruned)


def test_identifiers_of_every_kind_are_counted_where_nobody_shares_them():
    rng = np.random.default_rng(8)
    rows = [(f"a{a}", f"p{p}") for a, p in rng.integers(0, [30, 60], (300, 2))]
    events = make_events(rows).assign(
        ip=[f"192.0.2.{i}" for i in rng.integers(0, 90, 300)],
        device_id=[f"d{i}" for i in rng.integers(0, 500, 300)],
        user_agent=rng.choice(["x", "y"], 300),
    )
    accounts = pd.DataFrame(
        {"account_id": [f"a{i}" for i in range(30)], "email": [f"{i}@mail.test" for i in range(30)]}
    )
    every, pruned = observe_both(events=events, accounts=accounts)
    kinds = pruned.identifiers["kind"].to_pylist()
    assert kinds.count("email") == 1  # nothing is shared, and one stands for the kind
    assert (np.array(kinds) == "device").sum() < every.identifiers.num_rows
    assert {"device", "email", "ip", "prompt"} <= set(pruned.alone["kind"].to_pylist())
    assert_only_singles_went(every, pruned)


def test_a_value_spelt_in_two_ways_is_one():
    rows = [("a", "+49 30 1234567"), ("a", "+49301234567"), ("b", "+49 30 7654321"), ("c", None)]
    accounts = pd.DataFrame(rows, columns=["account_id", "phone"])
    every, pruned = observe_both(accounts=accounts)
    assert every.identifiers.num_rows == 2
    assert pruned.identifiers.num_rows == 1
    assert [(row["n"], row["count"]) for row in pruned.alone.to_pylist()] in ([(1, 1)], [(1, 2)])
    assert_only_singles_went(every, pruned)


def test_random_events_are_pruned_as_a_count_says():
    rng = np.random.default_rng(5)
    rows = [(f"a{a}", f"p{p}") for a, p in rng.integers(0, [40, 400], (900, 2))]
    every, pruned = observe_both(events=make_events(rows))
    holders = pd.DataFrame(rows).drop_duplicates().groupby(1).size()
    assert len(pruned.identifiers) == (holders >= 2).sum()
    assert_only_singles_went(every, pruned)


@pytest.mark.parametrize("n_values", [40, 100_000])  # shared by many; shared by nobody
def test_parts_add_up_to_the_whole(monkeypatch, n_values):
    rng = np.random.default_rng(6)
    rows = [(f"a{a}", f"p{p}") for a, p in rng.integers(0, [40, n_values], (200, 2))]
    every, whole = observe_both(events=make_events(rows))
    monkeypatch.setattr("linkage.singles.MAX_ROWS", 64)  # four parts
    monkeypatch.setattr("linkage.singles.BATCH_ROWS", 32)
    _, parts = observe_both(events=make_events(rows))
    assert_only_singles_went(every, parts)
    for name in ("accounts", "identifiers", "edges", "alone"):
        assert getattr(parts, name).equals(getattr(whole, name))
