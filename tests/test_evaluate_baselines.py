"""The baselines find what is easy, so that a comparison with them says something."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from linkage.evaluate import evaluate

pytest.importorskip("benchmarks", reason="benchmarks are in the source tree, not in the wheel")
from benchmarks.baselines import BASELINES
from benchmarks.baselines.incidence import build_incidence
from benchmarks.baselines.peeling import _find_block
from benchmarks.frontier import BEHAVIOURS, make_world
from benchmarks.frontier import main as frontier
from benchmarks.frontier import write_report as write_frontier
from benchmarks.quality import Outcome, main, write_report
from benchmarks.worlds import World, list_real_worlds, make_observations

LIGHT = [baseline for baseline in BASELINES if baseline.extra is None]


def draw_easy_world(n_groups=8, size=6, n_innocents=200, seed=0):
    """Groups that share identifiers of three kinds, and innocents who share next to nothing."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for group, member in itertools.product(range(n_groups), range(size)):
        account = f"g{group}-{member}"
        truth.append((account, f"o{group}"))
        rows += [(account, kind, f"{kind}-{group}-{member % 2}") for kind in ("ip", "card")]
        rows.append((account, "prompt", f"prompt-{group}"))
    for i in range(n_innocents):
        truth.append((f"i{i}", None))
        rows += [(f"i{i}", kind, f"{kind}-i-{rng.integers(10**6)}") for kind in ("ip", "card")]
    observations = pd.DataFrame(rows, columns=["account_id", "kind", "value"])
    return observations, pd.DataFrame(truth, columns=["account_id", "operator_id"])


@pytest.mark.parametrize("baseline", LIGHT, ids=lambda baseline: baseline.name)
def test_every_baseline_finds_separate_groups_with_its_best_setting(baseline):
    observations, truth = draw_easy_world()
    f1 = [
        evaluate(None, baseline.run(observations, **settings), truth, n_bootstrap=0)["operator_f1"]
        for settings in baseline.grid
    ]
    # Labels stop at the halves of a group; peeling takes equally dense blocks at once; and the top
    # quantile of similarities keeps parts of the groups.
    floor = {"label-propagation": 0.6, "fraudar": 0.2, "similarity": 0.4}.get(baseline.name, 0.99)
    assert max(figure.value for figure in f1) >= floor


@pytest.mark.parametrize("baseline", LIGHT, ids=lambda baseline: baseline.name)
def test_every_baseline_gives_the_same_members_twice(baseline):
    observations, _ = draw_easy_world()
    one, two = (baseline.run(observations, **baseline.grid[0]) for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    assert one["account_id"].is_unique


def test_peeling_agrees_with_a_loop():
    rng = np.random.default_rng(3)
    dense = (rng.random((14, 11)) < 0.25).astype(float)
    dense[:4, :4] = 1
    rows, columns = _find_block(sparse.csr_array(dense))
    weights = dense / np.log(dense.sum(axis=0) + 5)
    left = {("r", i) for i in range(14) if dense[i].any()}
    left |= {("c", j) for j in range(11) if dense[:, j].any()}
    best, block = -1.0, set()
    while left:
        r, c = ([i for side, i in left if side == which] for which in "rc")
        density = weights[np.ix_(r, c)].sum() / len(left)
        if density > best:
            best, block = density, set(left)
        degree = {("r", i): weights[i, c].sum() for i in r}
        degree |= {("c", j): weights[r, j].sum() for j in c}
        left.remove(min(left, key=lambda node: degree[node]))
    assert {("r", i) for i in np.flatnonzero(rows)} | {
        ("c", j) for j in np.flatnonzero(columns)
    } == block


def test_incidence_counts_a_holder_once_and_caps_hubs():
    observations = pd.DataFrame(
        {
            "account_id": list("aabbcabc"),
            "kind": "ip",
            "value": ["x", "x", "x", "y", "y", "hub", "hub", "hub"],
        }
    )
    assert sorted(build_incidence(observations).holders) == [2, 2, 3]
    capped = build_incidence(observations, max_holders=2)
    assert capped.matrix.toarray().tolist() == [[1, 0], [1, 1], [0, 1]]


def test_identifier_columns_become_observations_in_canonical_spelling():
    accounts = pd.DataFrame({"account_id": ["a", "b"], "email": ["Jo@Acme-1.example", None]})
    events = pd.DataFrame({"account_id": ["a", "b"], "ip": ["10.0.0.1", None]})
    observations = make_observations({"events": events, "accounts": accounts})
    found = set(observations.itertuples(index=False, name=None))
    assert {("a", "ip", "10.0.0.1"), ("a", "email_domain", "acme-1.example")} <= found
    assert set(observations["account_id"]) == {"a"}


def test_prompts_become_templates():
    text = "act as a senior reviewer and list every defect of the patch below, worst first: "
    prompts = [text + "x = 1", text + "print(y)", "hello, how are you?"]
    events = pd.DataFrame({"account_id": list("abc"), "prompt": prompts})
    observations = make_observations({"events": events})
    assert observations["account_id"].tolist() == ["a", "b"]
    assert len(set(observations["value"])) == 1


def test_a_missing_world_and_a_failed_method_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.quality.list_real_worlds", lambda: list_real_worlds(tmp_path))
    assert main(["--real", "--out", str(tmp_path / "q.md")]) == 0
    text = (tmp_path / "q.md").read_text()
    assert "skipped: no folder er_febrl3 under LINKAGE_DATA" in text
    assert "python -m benchmarks.quality --real" in text


def test_a_baseline_is_not_run_twice_on_what_it_has_seen(tmp_path, monkeypatch):
    observations, truth = draw_easy_world(n_groups=2, n_innocents=9)
    world = World(name="easy", tables={"observations": observations}, truth=truth)
    monkeypatch.setattr("benchmarks.quality._list_worlds", lambda _: [world])
    words = ["--methods", "components", "--out", str(tmp_path / "q.md")]
    cached = [*words, "--cache", str(tmp_path / "cache")]
    assert main(cached) == 0
    first = (tmp_path / "q.md").read_text()
    assert "0.0 | max_holders" in first
    monkeypatch.setattr("benchmarks.quality._run_baseline", None)  # would fail if it were called
    assert main(cached) == 0
    assert (tmp_path / "q.md").read_text() == first
    another = world.truth.assign(operator_id="x")
    monkeypatch.setattr(
        "benchmarks.quality._list_worlds", lambda _: [replace(world, truth=another)]
    )
    with pytest.raises(TypeError, match="not callable"):
        main(cached)


def test_every_behaviour_can_be_turned_up():
    for behaviour in [*BEHAVIOURS, "level"]:
        low, high = (make_world(behaviour, x, level=2, accounts=50) for x in (0.0, 1.0))
        assert low != high, behaviour


def test_the_frontier_runs_end_to_end(tmp_path):
    pytest.importorskip("matplotlib", reason="drawing needs the extra bench")
    drawn, table = tmp_path / "f.png", tmp_path / "f.csv"
    words = [
        "--behaviours",
        "virtual_cards",
        "--steps",
        "2",
        "--accounts",
        "60",
        "--method",
        "components",
    ]
    assert frontier([*words, "--figure", str(drawn), "--out", str(table)]) == 0
    rows = pd.read_csv(table)
    assert rows["intensity"].tolist() == [0.0, 1.0]
    assert rows[["recall", "precision"]].min().min() > 0
    assert "| virtual_cards |" in table.with_suffix(".md").read_text()
    assert drawn.stat().st_size > 0


def test_the_frontier_says_in_words_where_recall_falls():
    points = [("cells", 0.0, 0.9, 1.0), ("cells", 1.0, 0.2, 1.0), ("slots", 0.0, 0.8, 0.9),
              ("slots", 1.0, 0.85, 0.9), ("cards", 0.0, 0.6, 1.0), ("cards", 1.0, 0.52, 1.0),
              ("mail", 0.0, 0.9, 1.0), ("mail", 1.0, 0.7, 1.0)]  # fmt: skip
    table = pd.DataFrame(points, columns=["behaviour", "intensity", "recall", "precision"])
    text = write_frontier(table.assign(seed=0, n_strangers=1, n_innocents=50), "--steps 2")
    blind, costly = text.split("Recall falls by 0.1 or more:")
    assert "- **cells**: from 0.90 to 0.20 at intensity 1" in blind
    assert costly.startswith("\n\n- **mail**: from 0.90 to 0.70 at intensity 1\n\n")
    assert "less than 0.1: cards, slots." in text
    assert "(precision below 0.95): slots. Over all 8 worlds, 8 of 400 innocents" in text
    assert "| slots | 0.80 / 0.90 | 0.85 / 0.90 |" in text


def test_the_report_says_where_others_do_better_and_what_linkage_said_of_itself():
    truth = pd.DataFrame({"account_id": list("abcdef"), "operator_id": [*"xxxx", None, None]})
    whole = pd.DataFrame({"account_id": list("abcd"), "cluster_id": 1})
    clusters = pd.DataFrame({"cluster_id": [1], "tier": ["operator"], "q_value": [0.01],
                             "confidence": [0.8], "risk": [0.9]})  # fmt: skip
    outcomes = [
        Outcome(world="w", method="linkage", evaluation=evaluate(clusters, whole[:3], truth)),
        Outcome(world="w", method="splink", evaluation=evaluate(None, whole, truth)),
        Outcome(world="w", method="fraudar", evaluation=evaluate(None, whole[:2], truth)),
    ]
    text = write_report(outcomes, "operator_bcubed_f1", "")
    better = text.split("## Where others do better")[1].split("##")[0]
    assert "operator F1 0.857 against splink 1.000" in better
    assert "fraudar" not in better
    assert "| w | 1 | 0 | 0 | 0.000 | 1.000 | 0.200 |  | 0 |" in text


def test_the_report_of_nothing_has_no_rows():
    assert "| method |" in write_report([], "operator_f1", "")
