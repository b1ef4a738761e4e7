"""The main job on real sets, read where they lie; skipped where they are absent."""

import pandas as pd
import pytest

import linkage
from benchmarks.worlds import DATA


def find_set(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"no folder {name} under LINKAGE_DATA ({DATA})")
    return DATA / name


def test_people_written_down_twice_are_found_again():
    folder = find_set("er_febrl3")
    result = linkage.link(observations=folder / "observations.parquet")
    truth = pd.read_csv(folder / "truth.csv", dtype=str).set_index("account_id")["operator_id"]
    found = result.members.assign(truth=result.members["account_id"].map(truth))
    per_cluster = found.groupby("cluster_id")["truth"].nunique()
    assert (per_cluster == 1).mean() > 0.95
    assert len(found) > 0.5 * len(truth)


def test_a_set_of_a_single_kind_is_never_called_an_operator():
    folder = find_set("coortweet_ru")
    result = linkage.link(observations=folder / "observations.parquet")
    assert len(result.rejected) == 0
    assert set(result.clusters["tier"]) <= {"coordinated"}


def test_real_prompts_go_through_and_those_of_nobody_are_refused():
    folder = find_set("prompts_chat")
    prompts = pd.read_parquet(folder / "prompts.parquet")[["account_id", "ts", "prompt"]]
    result = linkage.link(events=prompts)
    named = prompts[prompts["account_id"] != ""]
    assert result.manifest["counts"]["accounts"] == named["account_id"].nunique()
    assert len(result.rejected) == len(prompts) - len(named)
