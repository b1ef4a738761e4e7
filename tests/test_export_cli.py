"""``linkage export``, against a stand-in for the case."""

import sys
from types import SimpleNamespace

import networkx as nx
import pandas as pd
import pytest

from linkage.cli.export import drop_rare_identifiers
from linkage.cli.main import main
from linkage.errors import UnknownIdError

NODES = pd.DataFrame(
    {
        "id": ["a", "b", "i", "j"],
        "label": ["anna", "bert", "192.0.2.1", "p1"],
        "type": ["account", "account", "identifier", "identifier"],
        "kind": ["account", "account", "ip", "payment"],
        "cluster_id": pd.array([1, 1, 1, 1], dtype="Int64"),
    }
)
EDGES = pd.DataFrame(
    {"source": ["a", "b", "a"], "target": ["i", "i", "j"], "kind": ["ip", "ip", "payment"]}
)


@pytest.fixture
def asked(monkeypatch):
    """What the command asks of the case: its path and the clusters."""
    calls = []

    def graph_tables(cluster_ids):
        calls.append(cluster_ids)
        if cluster_ids == [99]:
            raise UnknownIdError("there is no cluster 99")
        return NODES, EDGES

    def read_case(path):
        calls.append(str(path))
        clusters = pd.DataFrame({"cluster_id": [1, 7]})
        return SimpleNamespace(graph_tables=graph_tables, clusters=clusters)

    monkeypatch.setitem(sys.modules, "linkage.case", SimpleNamespace(read_case=read_case))
    return calls


def test_the_format_follows_the_ending_and_identifiers_of_one_account_are_left_out(
    asked, tmp_path, capsys
):
    assert main(["export", "CASE", "--out", str(tmp_path / "g.gexf")]) == 0
    assert asked == ["CASE", [1, 7]]
    assert set(nx.read_gexf(tmp_path / "g.gexf")) == {"a", "b", "i"}
    out = capsys.readouterr().out
    assert "3 nodes, 2 edges" in out
    assert "left out 1 identifiers" in out


def test_clusters_format_and_minimum_are_passed_on(asked, tmp_path):
    out = tmp_path / "g.xml"
    words = ["--format", "graphml", "--cluster", "7", "--cluster", "3", "--out", str(out)]
    assert main(["export", "CASE", *words, "--identifiers-min-accounts", "1"]) == 0
    assert asked == ["CASE", [7, 3]]
    graph = nx.read_graphml(out)
    assert set(graph) == {"a", "b", "i", "j"}
    assert graph.nodes["a"]["r"] == 230


def test_everything_takes_in_accounts_without_a_cluster(asked, tmp_path):
    assert main(["export", "CASE", "--everything", "--out", str(tmp_path / "g.gexf")]) == 0
    assert asked == ["CASE", None]


def test_csv_writes_two_files(asked, tmp_path):
    assert main(["export", "CASE", "--out", str(tmp_path / "g.csv")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g_edges.csv", "g_nodes.csv"]


def test_changed_texts_are_reported(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(NODES, "label", ["x" * 500, "bert\u202e", "i", "j"])
    assert main(["export", "CASE", "--out", str(tmp_path / "g.gexf")]) == 0
    out = capsys.readouterr().out
    assert "shortened to 120 characters in 1 texts of nodes.label" in out
    assert "character replaced in 1 texts of nodes.label" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "g.png"], "cannot tell the format of g.png"),
        (["--cluster", "99", "--out", "g.gexf"], "there is no cluster 99"),
        (["--out", "no/such/g.gexf"], "there is no folder no/such"),
    ],
)
def test_errors_are_one_line(asked, words, message, capsys):
    assert main(["export", "CASE", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_accounts_that_lose_every_edge_stay():
    nodes, edges = drop_rare_identifiers(NODES, EDGES, 3)
    assert nodes["id"].tolist() == ["a", "b"]
    assert edges.empty


def test_edges_may_run_from_the_identifier():
    turned = EDGES.rename(columns={"source": "target", "target": "source"})
    nodes, edges = drop_rare_identifiers(NODES, turned, 2)
    assert nodes["id"].tolist() == ["a", "b", "i"]
    assert len(edges) == 2


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "--cluster 1 --cluster 7" in capsys.readouterr().out
