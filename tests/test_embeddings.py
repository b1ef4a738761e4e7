"""Vectors that lie close together become one identifier."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from linkage import link
from linkage.config import Config, EmbeddingConfig
from linkage.embeddings import find_neighbourhoods, observe_embeddings
from linkage.engine import Engine
from linkage.errors import ConfigError, SchemaError

pytest.importorskip("usearch")

DIMENSIONS = 64
OF_EVENTS = Config(embeddings={"meaning": EmbeddingConfig(table="events", column="vector")})


def draw_vectors(rng, n):
    return rng.standard_normal((n, DIMENSIONS)).astype(np.float32)


def draw_near(rng, n, spread=0.5):
    """Return vectors around one: cosines of about 1 / sqrt(1 + spread^2) to it."""
    noise = draw_vectors(rng, n) * spread
    return draw_vectors(rng, 1) + noise


def make_events(vectors, accounts):
    stamps = pd.date_range("2026-05-01", periods=len(vectors), freq="h", tz="UTC")
    return pd.DataFrame({"account_id": accounts, "ts": stamps, "vector": list(vectors)})


def observe(events, config=OF_EVENTS, **options):
    with Engine(threads=1) as engine:
        return observe_embeddings(engine, {"events": events}, config, **options)


@pytest.fixture(scope="module")
def crowd():
    """Three themes of 300, 40 and 5 accounts among 3,000 strangers."""
    rng = np.random.default_rng(5)
    sizes = (300, 40, 5)
    parts = [*(draw_near(rng, n) for n in sizes), draw_vectors(rng, 3_000)]
    truth = np.repeat([0, 1, 2, -1], [*sizes, 3_000])
    return np.concatenate(parts), truth


def test_each_theme_is_one_neighbourhood_and_strangers_are_in_none(crowd):
    vectors, truth = crowd
    labels = find_neighbourhoods(vectors, np.arange(len(vectors)), min_similarity=0.7).labels
    for theme in range(3):
        values, counts = np.unique(labels[truth == theme], return_counts=True)
        assert counts.max() >= 0.95 * counts.sum()
        assert (labels[truth != theme] != values[counts.argmax()]).all()
    assert (labels[truth == -1] == -1).all()


def test_what_is_close_is_learnt_from_the_vectors(crowd):
    vectors, truth = crowd
    few = np.flatnonzero((truth == 2) | (truth == -1))
    found = find_neighbourhoods(vectors[few], np.arange(len(few)))
    # cosines of random vectors deviate by 1/8: one in a million is beyond 4.8 times that
    assert 0.5 < found.min_similarity < 0.65
    assert len(set(found.labels[truth[few] == 2].tolist())) == 1


def test_a_large_operator_does_not_hide_what_chance_is(crowd):
    vectors, truth = crowd
    many = np.flatnonzero((truth == 0) | (truth == -1))[150:900]  # a fifth are one operator's
    found = find_neighbourhoods(vectors[many], np.arange(len(many)))
    _, counts = np.unique(found.labels[truth[many] == 0], return_counts=True)
    assert counts.max() >= 0.9 * 150


def test_no_chain_ties_what_lies_far_apart():
    angles = np.linspace(0, np.pi, 400)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = find_neighbourhoods(arc, np.arange(400), min_similarity=0.9)
    for label in range(len(found.names)):
        own = arc[found.labels == label]
        assert (own @ own.T).min() >= 2 * 0.9**2 - 1 - 1e-5  # twice the angle to the centre


def test_order_and_threads_change_nothing(crowd):
    vectors, _ = crowd
    accounts = np.arange(len(vectors))
    order = np.random.default_rng(1).permutation(len(vectors))
    one = find_neighbourhoods(vectors, accounts, min_similarity=0.6, threads=1)
    two = find_neighbourhoods(vectors[order], accounts[order], min_similarity=0.6, threads=2)
    names = np.array([*one.names, ""]), np.array([*two.names, ""])
    assert (names[0][one.labels][order] == names[1][two.labels]).all()


def test_one_account_alone_makes_no_neighbourhood():
    vectors = draw_near(np.random.default_rng(2), 20, spread=0.1)
    found = find_neighbourhoods(vectors, np.zeros(20, np.int64), min_similarity=0.5)
    assert found.names == ()
    assert (found.labels == -1).all()


def test_names_depend_on_the_key():
    vectors = draw_near(np.random.default_rng(2), 20, spread=0.1)
    plain = find_neighbourhoods(vectors, np.arange(20), min_similarity=0.5)
    keyed = find_neighbourhoods(vectors, np.arange(20), min_similarity=0.5, key=b"k" * 32)
    assert (plain.labels == keyed.labels).all()
    assert set(plain.names).isdisjoint(keyed.names)


def test_holdings_count_vectors_and_span_their_times():
    rng = np.random.default_rng(3)
    vectors = np.concatenate([draw_near(rng, 4, spread=0.1), draw_vectors(rng, 50)])
    accounts = ["a", "b", "a", "b", *(f"z{i}" for i in range(50))]
    tables, rejected = observe(make_events(vectors, accounts))
    held = pa.concat_tables(tables).to_pandas().sort_values("account_id")
    assert held[["account_id", "kind", "count"]].to_numpy().tolist() == [
        ["a", "meaning", 2],
        ["b", "meaning", 2],
    ]
    assert len(set(held["value"])) == 1
    assert held["first_seen"].dt.hour.tolist() == [0, 1]
    assert held["last_seen"].dt.hour.tolist() == [2, 3]
    assert rejected.num_rows == 0


def test_vectors_of_accounts_need_no_time():
    vectors = draw_near(np.random.default_rng(3), 3, spread=0.1)
    accounts = pd.DataFrame({"account_id": [7, 8, 9], "vector": list(vectors)})
    of_accounts = {
        "meaning": EmbeddingConfig(table="accounts", column="vector", min_similarity=0.9)
    }
    with Engine(threads=1) as engine:
        given = {"accounts": accounts}
        tables, _ = observe_embeddings(engine, given, Config(embeddings=of_accounts))
    assert sorted(tables[0]["account_id"].to_pylist()) == ["7", "8", "9"]


def test_unusable_vectors_are_counted_and_left_out():
    vectors = draw_near(np.random.default_rng(3), 4, spread=0.1)
    vectors[0], vectors[1, 3] = 0, np.nan
    events = make_events(vectors, list("abcd"))
    events.loc[2, "vector"] = None
    tables, rejected = observe(events)
    assert tables[0].num_rows == 0  # d alone is left
    assert rejected.to_pylist() == [
        {
            "source": "events frame",
            "row": None,
            "column": "vector",
            "reason": "2 vectors are zero or hold something that is no number; they were not used",
        }
    ]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([[1.0], [1.0, 2.0]], "vectors of 1 to 2 numbers"),
        (["a", "b"], "must hold lists of numbers"),
        ([["a"], ["b"]], "must hold lists of numbers"),
    ],
)
def test_a_column_that_holds_no_vectors_is_named(column, said):
    with pytest.raises(SchemaError, match=said):
        observe(make_events(column, ["a", "b"]))


def test_a_missing_column_is_no_silent_loss():
    events = make_events([[1.0]], ["a"]).drop(columns="vector")
    with pytest.raises(SchemaError, match=r"has the column 'vector' that \[embeddings.meaning\]"):
        observe(events)


def test_without_usearch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ConfigError, match=r"install linkage\[embeddings\]"):
        find_neighbourhoods(np.float32([[1, 0], [1, 0]]), np.arange(2), min_similarity=0.9)


def test_a_configuration_names_the_column():
    said = {"embeddings": {"meaning": {"table": "events", "column": "v", "min_similarity": 0.8}}}
    config = Config.from_dict(said)
    assert config.embeddings["meaning"].min_similarity == 0.8
    assert config.get_kind("meaning").family == "content"


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"table": "events"}, "must name a table and a column"),
        ({"table": "moon", "column": "v"}, "a table of"),
        ({"table": "events", "column": "v", "min_similarity": 2.0}, "between 0 and 1"),
        ({"table": "events", "column": "v", "max_chance": 0.0}, "between 0 and 1"),
        ({"table": "events", "column": "v", "closeness": 1.0}, "unknown setting"),
    ],
)
def test_a_wrong_setting_is_named(said, match):
    with pytest.raises(ConfigError, match=match):
        Config.from_dict({"embeddings": {"meaning": said}})


def test_neighbourhoods_are_evidence_of_the_family_content():
    rng = np.random.default_rng(8)
    ring, crowd = [f"a{i:02}" for i in range(40)], [f"z{i:03}" for i in range(600)]
    vectors = np.concatenate([draw_near(rng, 40, spread=0.4), draw_vectors(rng, 600)])
    events = make_events(vectors, ring + crowd)
    # pairs of the crowd share a card too: so do families, whatever they write
    cards = [f"ring{i // 8}" for i in range(40)] + [f"card{i // 2}" for i in range(600)]
    payments = events[["account_id", "ts"]].assign(payment_method=cards)
    found = link(events, payments, config=OF_EVENTS)
    assert set(found.clusters["families"]) == {"content+payment"}
    assert set(found.members["account_id"]) == set(ring)
    said = found.evidence[found.evidence["kind"] == "meaning"]
    assert set(said["account_id"]) == set(ring)
    assert len(set(said["value"])) == 1
    without = link(events, payments)
    assert "content+payment" not in set(without.clusters["families"])
