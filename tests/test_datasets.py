import json

import networkx as nx
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from linkage import datasets
from linkage.datasets import demo_world
from linkage.errors import MissingInputError
from linkage.schema import INPUTS, TRUTH_COLUMNS
from linkage.simulate import load_preset, simulate


def test_demo_frames_are_the_contracts_tables():
    world = datasets.demo()
    for name in ("events", "payments", "accounts"):
        known = {column.name for column in INPUTS[name].columns}
        assert set(getattr(world, name).columns) <= known, name
        assert getattr(world, f"{name}_path").is_file()
    assert tuple(world.truth.columns) == TRUTH_COLUMNS


def test_demo_has_eight_operators_among_innocents():
    truth = datasets.demo().truth
    sizes = truth.groupby("operator_id").size()
    assert len(truth) == 3_000
    assert sorted(sizes) == [5, 9, 16, 24, 36, 50, 90, 170]
    assert truth["role"].nunique() >= 9


def test_demo_is_small_enough_to_ship():
    folder = datasets.demo().folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4.2e6


def test_demo_is_what_its_data_card_says(tmp_path):
    folder = datasets.demo().folder
    card = (folder / "README.md").read_text()
    assert "linkage simulate --preset demo --seed 1" in card
    said = json.loads((folder / "world.json").read_text())
    assert (said["seed"], said["prompts"]) == (1, "text")
    again = simulate(tmp_path, world=load_preset("demo"), seed=1)
    assert_frame_equal(pd.read_parquet(again.truth), datasets.demo().truth)
    assert again.n_payments == said["payments"]
    # Logarithms may differ in the last bit between machines, and with them a request or two.
    assert abs(again.n_events - said["events"]) < 0.001 * said["events"]


def test_a_package_without_its_data_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_world, "__file__", str(tmp_path / "a" / "b" / "demo_world.py"))
    with pytest.raises(MissingInputError, match="linkage simulate --preset demo"):
        datasets.demo()


def test_an_installed_package_has_its_own_copy(monkeypatch, tmp_path):
    for name in ("events", "payments", "accounts", "truth"):
        (tmp_path / "demo").mkdir(exist_ok=True)
        (tmp_path / "demo" / f"{name}.parquet").touch()
    monkeypatch.setattr(demo_world, "__file__", str(tmp_path / "demo_world.py"))
    assert datasets.demo().folder == tmp_path / "demo"


def test_southern_women_are_the_classic_ones():
    women = datasets.southern_women()
    assert women.observations["account_id"].nunique() == 18
    assert women.observations["value"].nunique() == 14
    graph = nx.davis_southern_women_graph()
    pairs = zip(women.observations["account_id"], women.observations["value"], strict=True)
    assert {frozenset(pair) for pair in pairs} == {frozenset(edge) for edge in graph.edges}


def test_southern_women_know_their_groups_and_their_place_in_them():
    truth = datasets.southern_women().truth.set_index("account_id")
    assert truth["operator_id"].value_counts().to_dict() == {"group-1": 9, "group-2": 9}
    assert truth.loc["Evelyn Jefferson", "operator_id"] == "group-1"
    assert truth.loc["Sylvia Avondale", "operator_id"] == "group-2"
    assert truth["role"].value_counts().to_dict() == {"core": 7, "primary": 5, "secondary": 6}
    inner = truth[truth["role"] == "core"].groupby("operator_id").groups
    assert sorted(inner["group-1"]) == [
        "Brenda Rogers", "Evelyn Jefferson", "Laura Mandeville", "Theresa Anderson",
    ]  # fmt: skip
    assert sorted(inner["group-2"]) == ["Helen Lloyd", "Nora Fayette", "Sylvia Avondale"]
    assert truth.loc["Ruth DeSand", "role"] == "secondary"
