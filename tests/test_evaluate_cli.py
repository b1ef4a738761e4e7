"""``linkage evaluate``: what it prints and what it refuses."""

import json
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console

from linkage.cli.main import main
from linkage.errors import InputError, MissingInputError, SchemaError
from linkage.evaluate import evaluate, read_truth
from linkage.evaluate.text import render

TRUTH = pd.DataFrame({"account_id": ["a", "b", "7"], "operator_id": ["x", "x", None]})


@pytest.fixture
def case(tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    pd.DataFrame(
        {
            "cluster_id": ["1"], "tier": ["operator"], "n_accounts": [2], "confidence": [0.9],
            "q_value": [0.01], "risk": [0.9], "families": [["payment"]],
            "first_seen": pd.to_datetime(["2026-05-01"], utc=True),
            "last_seen": pd.to_datetime(["2026-05-02"], utc=True),
        }
    ).to_parquet(folder / "clusters.parquet")  # fmt: skip
    pd.DataFrame(
        {"account_id": ["a", "b"], "cluster_id": ["1", "1"], "probability": [0.9, 0.8]}
    ).to_parquet(folder / "members.parquet")
    TRUTH.to_csv(folder / "truth.csv", index=False)
    return folder


def test_json_is_the_evaluation_and_nothing_else(case, capsys):
    assert main(["evaluate", str(case), "--truth", str(case / "truth.csv"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    clusters, members = (pd.read_parquet(case / f"{n}.parquet") for n in ("clusters", "members"))
    assert printed == evaluate(clusters, members, TRUTH).to_dict()
    assert printed["scores"]["operator_f1"]["value"] == 1.0


def test_tables_are_printed_for_people(case, capsys):
    assert main(["evaluate", str(case), "--truth", str(case / "truth.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("operator_f1 ") for line in lines)
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines)


def test_a_narrow_terminal_gets_scores_without_explanations(case):
    clusters, members = (pd.read_parquet(case / f"{n}.parquet") for n in ("clusters", "members"))
    console = Console(width=70, record=True, file=StringIO())
    console.print(render(evaluate(clusters, members, TRUTH), explain=False))
    text = console.export_text()
    assert "operator_f1 " in text
    assert "what it is" not in text


def test_no_bootstrap_gives_no_intervals(case, capsys):
    main(["evaluate", str(case), "--truth", str(case / "truth.csv"), "--json", "--bootstrap", "0"])
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {figure["low"] for figure in scores.values()} == {None}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda case: (case / "members.parquet").unlink(), "has no members.parquet; run `linkage"),
        (lambda case: (case / "members.parquet").write_text("x"), "members.parquet is damaged"),
        (
            lambda case: TRUTH.to_parquet(case / "members.parquet"),
            "members.parquet lacks ['cluster_id', 'probability']",
        ),
        (lambda case: (case / "truth.csv").unlink(), "no truth at"),
    ],
)
def test_a_damaged_case_is_told_in_one_line(case, capsys, damage, said):
    damage(case)
    assert main(["evaluate", str(case), "--truth", str(case / "truth.csv")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_case_folder_is_named(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path / "none"), "--truth", "t.csv"]) == 2
    assert "is no case folder" in capsys.readouterr().err


def test_truth_is_the_same_from_csv_and_parquet(tmp_path):
    TRUTH.to_csv(tmp_path / "t.csv", index=False)
    TRUTH.to_parquet(tmp_path / "t.parquet")
    one, other = read_truth(tmp_path / "t.csv"), read_truth(tmp_path / "t.parquet")
    assert one.fillna("").to_numpy().tolist() == other.fillna("").to_numpy().tolist()


def test_a_truth_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(MissingInputError, match="no truth at"):
        read_truth(tmp_path / "none.csv")
    (tmp_path / "t.txt").write_text("account_id,operator_id")
    with pytest.raises(InputError, match=r"from \.parquet or \.csv; got t\.txt"):
        read_truth(tmp_path / "t.txt")
    (tmp_path / "t.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        read_truth(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("account_id,operator\na,x\n")
    with pytest.raises(SchemaError, match=r"lacks \['operator_id'\]"):
        read_truth(tmp_path / "t.csv")
