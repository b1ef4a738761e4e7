import argparse
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from linkage.cli.main import main
from linkage.cli.simulate import PRESETS as CLI_PRESETS
from linkage.cli.simulate import add_arguments
from linkage.errors import ConfigError, InputError
from linkage.schema import INPUTS, TRUTH_COLUMNS
from linkage.simulate import PRESETS, World, load_preset, simulate

WORLD = World.from_dict(
    {
        "days": 12,
        "innocents": {"accounts": 400, "events": 4_000, "banned": 0.1},
        "lookalikes": {"campuses": {"size": [20, 40]}, "hackathons": {"share": 0.1, "size": 20}},
        "operators": [
            {"name": "heron", "accounts": 30, "events": 600, "behaviour": {"bans": 1.0}},
            {"accounts": [3, 9], "events": 60, "count": 3},
        ],
    }
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("world"), world=WORLD, seed=5)


@pytest.fixture(scope="module")
def tables(made):
    return {name: pd.read_parquet(getattr(made, name)) for name in ("events", "accounts", "truth")}


@pytest.mark.parametrize("name", ["events", "payments", "accounts"])
def test_tables_have_the_contracts_columns_and_types(made, name):
    schema = pq.read_schema(getattr(made, name))
    assert set(schema.names) <= {column.name for column in INPUTS[name].columns}
    for column in INPUTS[name].columns:
        if column.name in schema.names:
            wanted = pa.timestamp("us", tz="UTC") if column.type == "timestamp" else pa.string()
            assert schema.field(column.name).type == wanted, column.name


def test_truth_has_its_columns_and_every_account_once(made, tables):
    assert tuple(tables["truth"].columns) == TRUTH_COLUMNS
    assert tables["truth"]["account_id"].is_unique
    assert set(tables["truth"]["account_id"]) == set(tables["accounts"]["account_id"])
    assert len(tables["truth"]) == made.n_accounts


def test_operators_are_as_many_and_as_large_as_described(tables):
    sizes = tables["truth"].groupby("operator_id").size()
    assert sizes["heron"] == 30
    assert len(sizes) == 4
    assert sizes.drop("heron").between(3, 9).all()


def test_expected_events_are_met_within_chance(tables):
    truth = tables["truth"].set_index("account_id")
    role = truth["role"].reindex(tables["events"]["account_id"])
    n_operator = int((role == "operator").sum())
    assert abs(n_operator - 780) < 6 * np.sqrt(780 * 4)
    assert abs(len(role) - n_operator - 4_000) < 6 * np.sqrt(4_000 * 8)


def test_events_follow_each_other_in_time(tables):
    events = tables["events"]
    assert events["ts"].is_monotonic_increasing
    assert events["ts"].min() >= pd.Timestamp("2026-04-22", tz="UTC")
    assert events["ts"].max() < pd.Timestamp("2026-05-04", tz="UTC")


def test_nobody_sends_before_sign_up_or_after_a_ban(tables):
    seen = tables["events"].groupby("account_id")["ts"].agg(["min", "max"])
    life = seen.join(tables["accounts"].set_index("account_id"))
    assert (life["min"] >= life["created_at"]).all()
    banned = life[life["status"] == "banned"]
    assert len(banned) > 5
    assert (banned["max"] <= banned["banned_at"]).all()


def test_a_ban_and_its_time_come_together(tables):
    accounts = tables["accounts"]
    assert ((accounts["status"] == "banned") == accounts["banned_at"].notna()).all()


def test_account_ids_do_not_tell_who_runs_them(tables):
    truth = tables["truth"].sort_values("account_id", ignore_index=True)
    place = truth.index[truth["role"] == "operator"] / len(truth)
    # Uniform places have mean 1/2 and standard deviation sqrt(1/12).
    assert abs(place.to_numpy().mean() - 0.5) < 4 * np.sqrt(1 / 12 / len(place))
    assert truth["account_id"].str.fullmatch(r"acc_[0-9a-z]{13}").all()


def test_values_that_should_be_unique_are(tables):
    assert tables["accounts"]["email"].is_unique
    assert tables["accounts"]["email"].str.endswith(".example").all()


def test_same_seed_same_bytes(made, tmp_path):
    again = simulate(tmp_path, world=WORLD, seed=5)
    for name in ("events", "payments", "accounts", "truth"):
        assert getattr(again, name).read_bytes() == getattr(made, name).read_bytes(), name


def test_another_seed_is_another_world(tables, tmp_path):
    other = pd.read_parquet(simulate(tmp_path, world=WORLD, seed=6).truth)
    assert set(other["account_id"]).isdisjoint(tables["truth"]["account_id"])


def test_fingerprints_replace_texts_and_nothing_else(tables, tmp_path):
    hashed = pd.read_parquet(simulate(tmp_path, world=WORLD, seed=5, prompts="fingerprints").events)
    assert hashed["prompt_fingerprint"].str.fullmatch("[0-9a-f]{16}").all()
    assert_frame_equal(
        hashed.drop(columns="prompt_fingerprint"), tables["events"].drop(columns="prompt")
    )
    together = pd.DataFrame(
        {"text": tables["events"]["prompt"], "print": hashed["prompt_fingerprint"]}
    )
    assert len(together.drop_duplicates()) == together["text"].nunique()


def test_description_tells_how_the_world_was_made(made):
    said = json.loads((made.folder / "world.json").read_text())
    assert (said["seed"], said["accounts"], said["events"]) == (5, made.n_accounts, made.n_events)
    assert said["world"]["operators"][0]["behaviour"] == {"bans": 1.0}


def test_a_world_in_the_way_is_kept(made):
    with pytest.raises(InputError, match=r"already holds events\.parquet"):
        simulate(made.folder, world=WORLD)


def test_a_failed_world_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("disk full")

    monkeypatch.setattr("linkage.simulate.making.write_events", fail)
    with pytest.raises(RuntimeError, match="disk full"):
        simulate(tmp_path / "new", world=WORLD)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "world").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        simulate(tmp_path / "world", world=WORLD)


@pytest.mark.parametrize(
    ("words", "message"),
    [({"seed": -1}, "seed"), ({"prompts": "audio"}, "prompts"), ({"world": "moon"}, "moon")],
)
def test_impossible_wishes_are_refused(tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        simulate(tmp_path, **words)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_promise_their_size(preset):
    accounts = {"demo": 3_000, "small": 20_000, "medium": 100_022, "seed": 1_025_000}
    world = load_preset(preset)
    operators = sum(operator.accounts[0] * operator.count for operator in world.operators)
    assert world.innocents.accounts + operators == accounts.get(preset, 20_000)
    assert (operators == 0) == (preset == "quiet")


def test_command_knows_all_presets():
    assert CLI_PRESETS == PRESETS


def test_command_help_shows_examples(capsys):
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    assert "linkage simulate --preset small" in parser.format_help()


def test_command_makes_a_world_of_ones_own(tmp_path, capsys):
    (tmp_path / "world.toml").write_text(
        "days = 2\n[innocents]\naccounts = 40\nevents = 100\n"
        "[[operators]]\naccounts = 4\nbehaviour = { templates = 1 }\n"
    )
    words = ["simulate", "--config", str(tmp_path / "world.toml"), "--out", str(tmp_path / "out")]
    assert main([*words, "--evasion", "0"]) == 0
    assert "of 44 accounts, 1 operators" in capsys.readouterr().out
    assert main(words) == 2
    assert "already holds" in capsys.readouterr().err


def test_row_groups_do_not_change_the_world(tables, tmp_path, monkeypatch):
    monkeypatch.setattr("linkage.simulate.store._CHUNK", 300)
    made = simulate(tmp_path, world=WORLD, seed=5)
    assert pq.ParquetFile(made.events).num_row_groups == -(-made.n_events // 300)
    assert_frame_equal(pd.read_parquet(made.events), tables["events"])


@pytest.mark.parametrize(
    "said",
    [
        {"days": 1, "innocents": {"accounts": 0}, "operators": [{"accounts": 2}]},
        {"days": 1, "innocents": {"accounts": 1, "events": 0}},
        {"days": 2, "innocents": {"accounts": 3, "events": 9}, "operators": [{"accounts": 2}]},
        {
            "days": 3,
            "innocents": {"accounts": 30, "events": 50, "habits": 0.0},
            "operators": [{"accounts": 9, "days": 0.01, "evasion": 5,
                           "behaviour": {"bans": 9.0, "cells": 8, "framing": 1.0, "framed": 99,
                                         "farming": 0.5, "aged": 1.0, "flooding": 1.0}}],
        },
    ],
)  # fmt: skip
def test_the_smallest_worlds_stand(said, tmp_path):
    world = World.from_dict(said)
    made = simulate(tmp_path, world=world)
    events, accounts = pd.read_parquet(made.events), pd.read_parquet(made.accounts)
    assert len(accounts) == world.innocents.accounts + sum(o.accounts[0] for o in world.operators)
    created = accounts.set_index("account_id")["created_at"]
    assert (events["ts"] >= events["account_id"].map(created)).all()
    assert len(events) == made.n_events
