"""Confidence follows what an analyst found out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import linkage
from linkage.cli.main import main
from linkage.datafiles import read_texts
from linkage.errors import InputError, MissingInputError, SchemaError
from linkage.recalibration import judge_labelled, recalibrate_clusters


def make_clusters(confidence):
    clusters = pd.DataFrame({"cluster_id": np.arange(1, len(confidence) + 1), "n_accounts": 4})
    clusters["confidence"] = np.asarray(confidence, np.float64)
    clusters["risk"] = clusters["confidence"] * 0.75
    accounts = [f"a{i}" for i in clusters["cluster_id"]]
    return clusters, pd.DataFrame({"account_id": accounts, "cluster_id": clusters["cluster_id"]})


def label(verdicts):
    accounts = [f"a{i}" for i in verdicts]
    return pd.DataFrame({"account_id": accounts, "is_operator": list(verdicts.values())})


def recalibrate(clusters, members, labels):
    return recalibrate_clusters(clusters, judge_labelled(members, labels))


def test_without_labels_confidence_stays():
    clusters, members = make_clusters([0.9, 0.5, 0.02, 0.0])
    found = recalibrate(clusters, members, label({}))
    pd.testing.assert_frame_equal(found, clusters)


def test_many_verdicts_against_a_confidence_decide():
    clusters, members = make_clusters([0.9, *[0.5] * 400, 0.1])
    verdicts = {i: i % 10 == 0 for i in range(2, 402)}
    found = recalibrate(clusters, members, label(verdicts)).set_index("cluster_id")
    assert found.loc[2, "confidence"] == pytest.approx(0.1, abs=0.02)
    assert found.loc[1, "confidence"] > 0.6
    assert (found["risk"] == found["confidence"] * 0.75).all()


def test_a_single_verdict_corrects_a_little():
    clusters, members = make_clusters([0.8, 0.5])
    found = recalibrate(clusters, members, label({2: False})).set_index("cluster_id")
    assert 0.1 < found.loc[2, "confidence"] < 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.lists(st.booleans(), max_size=30))
def test_the_order_of_confidence_never_turns_round(confidence, verdicts):
    clusters, members = make_clusters(confidence)
    known = {i + 1: verdict for i, verdict in enumerate(verdicts[: len(confidence)])}
    found = recalibrate(clusters, members, label(known)).set_index("cluster_id")
    after = found["confidence"].reindex(clusters["cluster_id"]).to_numpy()
    assert ((after >= 0) & (after <= 1)).all()
    order = np.argsort(clusters["confidence"].to_numpy(), kind="stable")
    assert (np.diff(after[order]) >= -1e-12).all()


def test_a_cluster_is_judged_by_its_labelled_accounts():
    members = pd.DataFrame({"account_id": list("abcd"), "cluster_id": [1, 1, 1, 2]})
    labels = pd.DataFrame({"account_id": list("abdx"), "is_operator": ["Yes", "no", " ", "true"]})
    assert judge_labelled(members, labels).to_dict() == {1: 0.5}


def test_labels_that_say_nothing_clear_are_refused():
    members = pd.DataFrame({"account_id": ["a"], "cluster_id": [1]})
    with pytest.raises(SchemaError, match=r"lack \['is_operator'\]"):
        judge_labelled(members, members)
    with pytest.raises(InputError, match="is true or false; got 'maybe'"):
        judge_labelled(members, pd.DataFrame({"account_id": ["a"], "is_operator": ["maybe"]}))
    both = pd.DataFrame({"account_id": ["a", "a"], "is_operator": [True, False]})
    with pytest.raises(InputError, match="both that an operator runs it and not"):
        judge_labelled(members, both)


def test_labels_are_read_from_two_types_of_file(tmp_path):
    labels = label({1: True, 2: False})
    labels.to_csv(tmp_path / "l.csv", index=False)
    labels.to_parquet(tmp_path / "l.parquet")
    for name in ("l.csv", "l.parquet"):
        read = read_texts(tmp_path / name, "table of labels")
        assert read["account_id"].tolist() == ["a1", "a2"]
    with pytest.raises(MissingInputError, match="no table of labels at"):
        read_texts(tmp_path / "none.csv", "table of labels")
    (tmp_path / "l.xlsx").touch()
    with pytest.raises(InputError, match=r"read from \.parquet or \.csv"):
        read_texts(tmp_path / "l.xlsx", "table of labels")


def test_the_command_writes_another_case(ring, tmp_path, capsys):
    case = tmp_path / "case"
    before = linkage.link(observations=ring, out=case)
    (tmp_path / "l.csv").write_text("account_id,is_operator\nring0,no\nring1,no\n")
    words = ["recalibrate", str(case), "--labels", str(tmp_path / "l.csv")]
    assert main([*words, "--out", str(tmp_path / "new")]) == 0
    assert "by 1 reviewed cluster:" in capsys.readouterr().out
    after = linkage.read_case(tmp_path / "new")
    assert after.clusters["confidence"].iloc[0] < before.clusters["confidence"].iloc[0]
    assert after.manifest["recalibrated"] == {"clusters": 1}
    pd.testing.assert_frame_equal(after.members, before.members)
