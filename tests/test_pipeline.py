import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import linkage
from linkage.case import SCHEMAS
from linkage.errors import CaseError, ConfigError, InputError, MissingInputError
from linkage.schema import CASE_TABLES

FRAMES = ("clusters", "members", "evidence", "observations")


def read_bytes(case: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(case.glob("*.parquet"))}


def test_a_ring_is_found_and_its_neighbours_are_left_alone(ring):
    result = linkage.link(observations=ring)
    assert set(result.members["account_id"]) == {f"ring{i}" for i in range(9)}
    assert result.clusters["tier"].tolist() == ["operator"]


def test_a_shared_address_alone_links_nobody(ring):
    result = linkage.link(observations=ring[ring["kind"] == "ip"])
    assert result.clusters.empty


def test_an_operator_that_fills_much_of_its_country_is_found():
    rng = np.random.default_rng(0)
    countries = {"op": "AA", "neighbour": "AA", "other": "BB"}
    rows = []
    for group, n in (("op", 100), ("neighbour", 150), ("other", 1500)):
        n_ips, n_tasks = (20, 4) if group == "op" else (n // 4, n // 3)
        for i in range(n):
            name, country = f"{group}{i}", countries[group]
            ips = rng.choice(n_ips, 3, replace=False)
            rows += [(name, country, "device", f"{group}-{ip}") for ip in ips]
            tasks = rng.choice(n_tasks, 2, replace=False)
            rows += [(name, country, "prompt", f"{group}-{task}") for task in tasks]
    table = pd.DataFrame(rows, columns=["account_id", "country", "kind", "value"])
    accounts = table[["account_id", "country"]].drop_duplicates()
    result = linkage.link(observations=table.drop(columns="country"), accounts=accounts)
    first = result.members[result.members["cluster_id"] == 1]["account_id"]
    assert result.clusters["tier"].iloc[0] == "operator"
    assert set(first) == {f"op{i}" for i in range(100)}


def test_a_stranger_changes_no_members(ring):
    stranger = pd.DataFrame([("stranger", "device", "own")], columns=ring.columns)
    alone = linkage.link(observations=ring)
    joined = linkage.link(observations=pd.concat([ring, stranger]))
    assert_frame_equal(
        alone.members[["account_id", "cluster_id"]], joined.members[["account_id", "cluster_id"]]
    )


def test_duplicate_rows_only_raise_counts(ring):
    once, twice = (
        linkage.link(observations=ring),
        linkage.link(observations=pd.concat([ring, ring])),
    )
    assert_frame_equal(once.members, twice.members)
    assert_frame_equal(once.evidence.drop(columns="count"), twice.evidence.drop(columns="count"))
    assert (twice.evidence["count"] == 2 * once.evidence["count"]).all()


def test_frames_of_three_libraries_give_the_same(ring):
    results = [
        linkage.link(observations=frame)
        for frame in (ring, pa.Table.from_pandas(ring), pl.from_pandas(ring))
    ]
    for other in results[1:]:
        assert_frame_equal(results[0].evidence, other.evidence)


def test_renaming_accounts_renames_members_only(ring):
    renamed = ring.assign(account_id="x" + ring["account_id"].str[::-1])
    before, after = linkage.link(observations=ring), linkage.link(observations=renamed)
    expected = sorted("x" + before.members["account_id"].str[::-1])
    assert sorted(after.members["account_id"]) == expected


def test_shuffled_rows_other_threads_and_hash_seed_give_the_same_bytes(
    demo_inputs, demo_case, tmp_path
):
    shuffled = {}
    for name, path in demo_inputs.items():
        frame = pd.read_parquet(path).sample(frac=1, random_state=7)
        shuffled[name] = tmp_path / f"{name}.parquet"
        frame.to_parquet(shuffled[name], index=False)
    words = [sys.executable, "-m", "linkage.cli.main", "run", "--quiet", "--threads", "1"]
    for name, path in shuffled.items():
        words += [f"--{name}", str(path)]
    words += ["--out", str(tmp_path / "case")]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONHASHSEED": "99"})
    assert read_bytes(tmp_path / "case") == read_bytes(demo_case)


def test_the_demo_holds_operators_and_the_run_finds_most_of_them(demo_result):
    truth = linkage.datasets.demo().truth.set_index("account_id")
    members = demo_result.members.join(truth, on="account_id")
    found = members.dropna(subset="operator_id")["operator_id"].nunique()
    assert found >= 0.5 * truth["operator_id"].nunique()


def test_few_innocents_of_the_demo_are_called_an_operator(demo_result):
    truth = linkage.datasets.demo().truth.set_index("account_id")
    operators = demo_result.clusters.query("tier == 'operator'")["cluster_id"]
    accused = demo_result.members[demo_result.members["cluster_id"].isin(operators)]
    innocent = truth.loc[accused["account_id"], "operator_id"].isna()
    assert innocent.mean() < 0.1


def test_an_account_is_in_one_cluster_at_most(demo_result):
    assert demo_result.members["account_id"].is_unique


def test_evidence_traces_back_to_rows_of_the_input(demo_result):
    payments = linkage.datasets.demo().payments
    row = demo_result.evidence.query("kind == 'payment'").iloc[0]
    used = payments[payments["payment_method"] == row["value"]]
    assert (used["account_id"] == row["account_id"]).sum() == row["count"]
    assert used["account_id"].nunique() == row["n_accounts"]


def test_tables_have_the_columns_of_the_contract(demo_case):
    for name, columns in CASE_TABLES.items():
        schema = pq.read_schema(demo_case / f"{name}.parquet")
        assert schema.names[: len(columns)] == list(columns)
        assert schema.equals(SCHEMAS[name])


def test_probabilities_and_risks_are_probabilities(demo_result):
    for table, column in [("clusters", "confidence"), ("clusters", "q_value"),
                          ("clusters", "risk"), ("members", "probability")]:  # fmt: skip
        values = getattr(demo_result, table)[column]
        assert np.isfinite(values).all()
        assert values.between(0, 1).all()


def test_nothing_to_link_is_said():
    with pytest.raises(InputError, match="events"):
        linkage.link()


def test_one_account_alone_is_no_cluster():
    one = pd.DataFrame([("a", "ip", "192.0.2.1")], columns=["account_id", "kind", "value"])
    result = linkage.link(observations=one)
    assert result.clusters.empty
    assert result.members.empty


def test_no_shared_identifier_is_no_cluster(tmp_path):
    frame = pd.DataFrame({"account_id": list("abc"), "kind": "ip", "value": ["192.0.2.1",
                          "192.0.2.2", "192.0.2.3"]})  # fmt: skip
    result = linkage.link(observations=frame, out=tmp_path / "case")
    assert len(result.clusters) == 0
    assert "no identifier is held by two accounts" in repr(result)
    assert len(linkage.read_case(tmp_path / "case").clusters) == 0


def test_everybody_sharing_everything_is_no_cluster():
    frame = pd.DataFrame(
        [(f"a{i}", k, "same") for i in range(50) for k in ("device", "payment")],
        columns=["account_id", "kind", "value"],
    )
    result = linkage.link(observations=frame)
    assert result.clusters.empty
    assert "more often than chance" in repr(result)


def test_a_missing_file_leaves_nothing_behind(tmp_path):
    with pytest.raises(MissingInputError, match="nowhere"):
        linkage.link(events=tmp_path / "nowhere.parquet", out=tmp_path / "case")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_taken_is_refused_before_any_work(ring, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(CaseError, match=r"diary\.txt"):
        linkage.link(observations=ring, out=tmp_path)


def test_an_unknown_setting_is_answered_with_the_nearest(ring, tmp_path):
    config = tmp_path / "linkage.toml"
    config.write_text("[method]\nfdrr = 0.1\n")
    with pytest.raises(ConfigError, match="did you mean 'fdr'"):
        linkage.link(observations=ring, config=config)


def test_kinds_declared_in_one_family_do_not_corroborate_each_other(ring):
    wallets = ring.replace({"kind": {"payment": "wallet", "device": "purse"}})
    wallets = wallets[wallets["kind"] != "ip"]
    apart = linkage.link(observations=wallets)
    family = {"wallet": {"family": "money"}, "purse": {"family": "money"}}
    together = linkage.link(
        observations=wallets, config=linkage.Config.from_dict({"kinds": family})
    )
    assert apart.clusters["tier"].tolist() == ["operator"]
    assert "operator" not in together.clusters["tier"].tolist()


def test_progress_is_told(ring):
    said: list[str] = []
    linkage.link(observations=ring, progress=said.append)
    assert "finding communities" in said


def test_a_case_has_the_observations_that_the_result_does_not_keep(ring, tmp_path, monkeypatch):
    whole = linkage.link(observations=ring, out=tmp_path / "whole")
    monkeypatch.setattr("linkage.pipeline.ROWS_NAMED", 5)  # in many parts
    lean = linkage.link(observations=ring, out=tmp_path / "lean", keep_observations=False)
    assert lean.observations.empty
    assert list(lean.observations) == list(whole.observations)
    assert len(whole.observations) > 5
    read = linkage.read_case(tmp_path / "lean")
    assert_frame_equal(read.observations, linkage.read_case(tmp_path / "whole").observations)
    assert_frame_equal(read.members, whole.members)
