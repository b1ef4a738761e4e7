"""The ablation takes away what it says, and its table is the difference."""

from dataclasses import dataclass, fields

import pandas as pd
import pytest

from linkage.config import Config, MethodConfig

pytest.importorskip("benchmarks", reason="benchmarks are in the source tree, not in the wheel")
from benchmarks.ablation import (
    NEUTRAL,
    WHOLE,
    drop_kinds,
    list_families,
    list_steps,
    main,
    make_world,
    write_report,
)

TABLES = {
    "events": pd.DataFrame({"account_id": ["a"], "ip": ["192.0.2.1"], "prompt": ["hello"]}),
    "payments": pd.DataFrame({"account_id": ["a"], "payment_method": ["card"], "bin": ["0"]}),
    "observations": pd.DataFrame(
        {"account_id": ["a", "a"], "kind": ["ip", "wallet"], "value": ["192.0.2.1", "w"]}
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched(MethodConfig):
    clever: bool = True
    other: bool = False


def test_every_switch_that_is_on_is_a_step():
    steps = {step.name: step.settings for step in list_steps(Switched())}
    assert steps["clever"] == {"clever": False}
    assert "other" not in steps
    assert steps["strata"] == {"strata": ()}


def test_neutral_values_are_of_settings_that_exist_and_differ():
    names = {setting.name for setting in fields(MethodConfig)}
    assert set(NEUTRAL) <= names
    assert {step.name for step in list_steps()} >= set(NEUTRAL)


def test_families_are_those_that_the_tables_hold():
    families = {family.name: family.kinds for family in list_families(TABLES, Config())}
    assert families == {
        "family content": {"prompt"},
        "family issuer": {"bin"},
        "family network": {"ip"},
        "family payment": {"payment"},
        "family wallet": {"wallet"},
    }
    assert list_families({"events": TABLES["events"][["account_id", "ip"]]}, Config()) == []


def test_a_family_goes_from_every_table_and_nothing_else_does():
    left = drop_kinds(TABLES, frozenset({"ip"}))
    assert list(left["events"]) == ["account_id", "prompt"]
    assert left["observations"]["kind"].tolist() == ["wallet"]
    pd.testing.assert_frame_equal(left["payments"], TABLES["payments"])
    assert "ip" in TABLES["events"]


def test_the_table_is_the_difference_to_everything():
    scores = {"operator_f1_size_10_up": 0.9, "operator_f1_weighted": 0.8, "operator_pair_f1": 0.7,
              "operator_f1_size_3_9": None, "operator_bcubed_f1": 0.6}  # fmt: skip
    row = {"world": "w", "what": "", "n_strangers": 2, "n_accused": 0, "n_innocents": 50, **scores}
    worse = row | {"name": "strata", "operator_pair_f1": 0.5, "n_strangers": 7}
    text = write_report(pd.DataFrame([row | {"name": WHOLE}, worse]), "--quiet", ["x: skipped, y"])
    assert "| strata | +0.000 | +0.000 |  | -0.200 | +0.000 | +5.0 | +0.0 | 1 |" in text
    assert "| everything | 0.900 | 0.800 |  | 0.700 | 0.600 | 2.0 | 0.0 |" in text
    assert "## w, 50 innocents" in text
    assert text.endswith("- x: skipped, y\n")


def test_worlds_keep_their_operators_among_fewer_innocents():
    world = make_world(5, 500)
    assert world.innocents.accounts == 500
    assert world.innocents.events == pytest.approx(310_000 / 18_064 * 500, abs=1)
    assert (world.evasion, len(world.operators)) == (5, 16)
    assert make_world(None, 500).operators == ()


def test_it_runs_end_to_end(tmp_path, monkeypatch):
    def shrink(evasion, accounts):
        return type(make_world(evasion, accounts)).from_dict(
            {"days": 3, "innocents": {"accounts": accounts, "events": 5 * accounts}}
        )

    monkeypatch.setattr("benchmarks.ablation.make_world", shrink)
    monkeypatch.setattr("benchmarks.ablation.list_steps", lambda: list_steps()[:1])
    monkeypatch.setattr("benchmarks.ablation.list_families", lambda *_: [])
    words = ["--quiet", "--accounts", "40", "--jobs", "1", "--out", str(tmp_path / "a.md")]
    assert main(words) == 0
    text = (tmp_path / "a.md").read_text()
    assert "python -m benchmarks.ablation --quiet --accounts 40" in text
    assert text.count("| everything |") == 1
