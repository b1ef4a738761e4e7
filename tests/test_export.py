"""The export writers: what readers that are not ours find in the files."""

import csv
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from gexf_schema import check_gexf
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.errors import InputError, MissingInputError, SchemaError
from linkage.export import add_viz, write_csv, write_gexf, write_graphml

NS = {"g": "http://gexf.net/1.3", "viz": "http://gexf.net/1.3/viz"}
WRITERS = {"gexf": write_gexf, "graphml": write_graphml, "csv": write_csv}
DAY = pd.Timestamp("2026-04-22T10:00:00Z")


def make_nodes(**changes):
    """Two accounts that share an IP; a third node, a card, is anna's alone."""
    frame = pd.DataFrame(
        {
            "id": ["account:anna", "account:bert", "ip:192.0.2.1", "payment:p1"],
            "label": ["anna", "bert", "192.0.2.1", "p1"],
            "type": ["account", "account", "identifier", "identifier"],
            "kind": ["account", "account", "ip", "payment"],
            "family": [None, None, "network", "payment"],
            "cluster_id": pd.array([1, 1, 1, pd.NA], dtype="Int64"),
            "tier": ["operator", "operator", None, None],
            "probability": [0.75, np.nan, np.nan, np.nan],
            "n_accounts": pd.array([pd.NA, pd.NA, 2, 1], dtype="Int64"),
            "first_seen": pd.to_datetime([DAY, DAY, DAY, pd.NaT], utc=True),
            "last_seen": pd.to_datetime([DAY, DAY + pd.Timedelta(hours=1), DAY, pd.NaT], utc=True),
        }
    )
    return frame.assign(**changes)


def make_edges(**changes):
    frame = pd.DataFrame(
        {
            "source": ["account:anna", "account:bert", "account:anna"],
            "target": ["ip:192.0.2.1", "ip:192.0.2.1", "payment:p1"],
            "kind": ["ip", "ip", "payment"],
            "bits": [3.5, 0.0, np.nan],
            "count": pd.array([7, 1, pd.NA], dtype="Int64"),
            "first_seen": pd.to_datetime([DAY, DAY, pd.NaT], utc=True),
            "last_seen": pd.to_datetime([DAY, DAY + pd.Timedelta(hours=1), pd.NaT], utc=True),
        }
    )
    return frame.assign(**changes)


@pytest.fixture
def gexf(tmp_path):
    """The root of the small graph's GEXF."""
    path = tmp_path / "g.gexf"
    nodes, edges = make_nodes(), make_edges()
    write_gexf(add_viz(nodes, edges), edges, path)
    return ET.parse(path).getroot()  # noqa: S314 - our own file


def read_nodes_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- GEXF by hand


def test_gexf_declares_every_attribute_before_the_nodes_with_types_that_gexf_has(gexf):
    graph = gexf.find("g:graph", NS)
    assert [child.tag.rpartition("}")[2] for child in graph] == [
        "attributes",
        "attributes",
        "nodes",
        "edges",
    ]
    types = {
        (block.get("class"), item.get("title")): item.get("type")
        for block in graph.findall("g:attributes", NS)
        for item in block
    }
    assert types == {
        ("node", "type"): "string",
        ("node", "kind"): "string",
        ("node", "family"): "string",
        ("node", "cluster_id"): "long",
        ("node", "tier"): "string",
        ("node", "probability"): "double",
        ("node", "n_accounts"): "long",
        ("edge", "kind"): "string",
        ("edge", "bits"): "double",
        ("edge", "count"): "long",
    }


def test_gexf_values_are_those_of_the_frame_and_missing_ones_are_absent(gexf):
    node = gexf.find(".//g:node[@id='account:anna']", NS)
    values = {item.get("for"): item.get("value") for item in node.iter(f"{{{NS['g']}}}attvalue")}
    assert values == {
        "type": "account",
        "kind": "account",
        "cluster_id": "1",
        "tier": "operator",
        "probability": "0.75",
    }


def test_gexf_spans_are_utc_date_times_and_absent_where_unknown(gexf):
    graph = gexf.find("g:graph", NS)
    assert graph.get("mode") == "dynamic"
    assert graph.get("timeformat") == "dateTime"
    bert = gexf.find(".//g:node[@id='account:bert']", NS)
    assert (bert.get("start"), bert.get("end")) == ("2026-04-22T10:00:00Z", "2026-04-22T11:00:00Z")
    card = gexf.find(".//g:node[@id='payment:p1']", NS)
    assert "start" not in card.attrib
    assert "end" not in card.attrib


def test_microseconds_and_other_zones_keep_the_instant(tmp_path):
    late = pd.Series([pd.Timestamp("2026-04-22T12:00:00.000250+02:00")] * 4)
    write_gexf(make_nodes(first_seen=late, last_seen=late), make_edges(), tmp_path / "g.gexf")
    text = (tmp_path / "g.gexf").read_text()
    assert 'start="2026-04-22T10:00:00.000250Z"' in text


def test_a_graph_without_times_is_static(tmp_path):
    drop = ["first_seen", "last_seen"]
    write_gexf(make_nodes().drop(columns=drop), make_edges().drop(columns=drop), tmp_path / "g")
    assert 'mode="static">' in (tmp_path / "g").read_text()


def test_weight_is_bits_and_small_but_positive_without_evidence(gexf):
    weights = {edge.get("target"): edge.get("weight") for edge in gexf.iter(f"{{{NS['g']}}}edge")}
    first = gexf.find(".//g:edge[@source='account:anna'][@kind='ip']", NS)
    bert = gexf.find(".//g:edge[@source='account:bert']", NS)
    assert float(first.get("weight")) == 3.5
    assert bert.get("weight") == "0.1"
    assert weights["payment:p1"] == "0.1"
    assert bert.find(".//g:attvalue[@for='bits']", NS).get("value") == "0"


def test_edge_ids_are_distinct(gexf):
    ids = [edge.get("id") for edge in gexf.iter(f"{{{NS['g']}}}edge")]
    assert sorted(ids) == ["0", "1", "2"]


def test_looks_are_written_in_the_viz_namespace(gexf):
    node = gexf.find(".//g:node[@id='ip:192.0.2.1']", NS)
    assert node.find("viz:shape", NS).get("value") == "diamond"
    assert 0 <= int(node.find("viz:color", NS).get("r")) <= 255
    assert float(node.find("viz:size", NS).get("value")) > 0
    assert np.isfinite(float(node.find("viz:position", NS).get("x")))


def test_user_columns_are_typed(tmp_path):
    nodes = make_nodes(
        vip=pd.array([True, False, pd.NA, pd.NA], dtype="boolean"),
        seen=[DAY.tz_localize(None)] * 4,
        tags=[["x", "y"], [], None, ["z"]],
        huge=np.array([2**64 - 1, 0, 0, 0], dtype=np.uint64),
        ratio=[np.inf, -np.inf, 0.1, 1e300],
    )
    write_gexf(nodes, make_edges(), tmp_path / "g.gexf", timeline=False)
    anna = nx.read_gexf(tmp_path / "g.gexf").nodes["account:anna"]
    assert anna["vip"] is True
    assert anna["seen"] == "2026-04-22T10:00:00Z"
    assert anna["tags"] == "x, y"
    assert anna["huge"] == "18446744073709551615"
    assert anna["ratio"] == np.inf


# --- readers that are not ours


def test_networkx_reads_the_same_graph_from_gexf(tmp_path):
    write_gexf(make_nodes(), make_edges(), tmp_path / "g.gexf", timeline=False)
    graph = nx.read_gexf(tmp_path / "g.gexf")
    assert set(graph) == set(make_nodes()["id"])
    assert not graph.is_directed()
    edge = graph.edges["account:anna", "ip:192.0.2.1"]
    assert (edge["bits"], edge["weight"], edge["count"]) == (3.5, 3.5, 7)
    assert edge["first_seen"] == "2026-04-22T10:00:00Z"


def test_networkx_reads_the_spans_where_they_are_called_dates(tmp_path):
    path = tmp_path / "g.gexf"
    write_gexf(make_nodes(), make_edges(), path)
    path.write_text(path.read_text().replace('timeformat="dateTime"', 'timeformat="date"'))
    edge = nx.read_gexf(path).edges["account:bert", "ip:192.0.2.1"]
    assert (edge["start"], edge["end"]) == ("2026-04-22T10:00:00Z", "2026-04-22T11:00:00Z")


def test_networkx_and_igraph_read_the_same_graph_from_graphml(tmp_path):
    nodes, edges = make_nodes(), make_edges()
    path = tmp_path / "g.graphml"
    write_graphml(add_viz(nodes, edges), edges, path)
    graph = nx.read_graphml(path)
    other = igraph.Graph.Read_GraphML(str(path))
    assert dict(graph.nodes(data="cluster_id")) == {
        "account:anna": 1,
        "account:bert": 1,
        "ip:192.0.2.1": 1,
        "payment:p1": None,
    }
    assert sorted(other.vs["id"]) == sorted(nodes["id"])
    assert sorted(other.es["weight"]) == [0.1, 0.1, 3.5]
    assert graph.edges["account:bert", "ip:192.0.2.1"]["last_seen"] == "2026-04-22T11:00:00Z"


def test_csv_has_the_headers_that_gephi_looks_for(tmp_path):
    written = write_csv(make_nodes(), make_edges(), tmp_path / "case.csv")
    assert [path.name for path in written.paths] == ["case_nodes.csv", "case_edges.csv"]
    nodes, edges = (pd.read_csv(path) for path in written.paths)
    assert list(nodes.columns[:2]) == ["Id", "Label"]
    assert list(edges.columns[:6]) == ["Source", "Target", "Type", "Id", "Weight", "Kind"]
    assert set(edges["Type"]) == {"Undirected"}
    assert set(edges["Source"]) | set(edges["Target"]) <= set(nodes["Id"])


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_graph_is_written(name, tmp_path):
    written = WRITERS[name](make_nodes().iloc[:0], make_edges().iloc[:0], tmp_path / f"g.{name}")
    assert (written.n_nodes, written.n_edges) == (0, 0)
    if name == "gexf":
        assert len(nx.read_gexf(written.paths[0])) == 0


def test_more_edges_than_one_chunk_arrive_in_full(tmp_path):
    n = 70_000
    nodes = pd.DataFrame({"id": np.arange(n + 1).astype(str), "label": "n", "type": "account"})
    nodes["kind"] = "account"
    edges = pd.DataFrame({"source": "0", "target": np.arange(1, n + 1).astype(str), "kind": "ip"})
    path = tmp_path / "g.gexf"
    write_gexf(nodes, edges, path)
    counts = {"node": 0, "edge": 0}
    for _, element in ET.iterparse(path):  # noqa: S314 - our own file
        tag = element.tag.rpartition("}")[2]
        counts[tag] = counts.get(tag, 0) + 1
        element.clear()
    assert (counts["node"], counts["edge"]) == (n + 1, n)


# --- the schema


@pytest.mark.parametrize("with_viz", [False, True])
@pytest.mark.parametrize("with_times", [False, True])
def test_gexf_is_valid(with_viz, with_times, tmp_path):
    drop = [] if with_times else ["first_seen", "last_seen"]
    nodes, edges = make_nodes().drop(columns=drop), make_edges(label="e").drop(columns=drop)
    write_gexf(add_viz(nodes, edges) if with_viz else nodes, edges, tmp_path / "g.gexf")
    check_gexf(tmp_path / "g.gexf")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('version="1.3"', 'version="1.2"'),
        ('type="long"', 'type="int"'),
        ('shape value="disc"', 'shape value="blob"'),
        ('weight="', 'weight="-'),
        ('start="2', 'start="yesterday 2'),
        ("<nodes ", "<edges/><nodes "),
        (' id="0"', ""),
    ],
)
def test_the_schema_refuses_what_is_not_gexf(right, wrong, tmp_path):
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed (extra dev)")
    path = tmp_path / "g.gexf"
    nodes, edges = make_nodes(), make_edges()
    write_gexf(add_viz(nodes, edges), edges, path)
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(etree.DocumentInvalid, match=r"\w"):
        check_gexf(path)


# --- hostile text

NASTY = 'a\x00b\x1b[31m & <b c="d"> ]]>\ud800 \ufffe\u202egnp.exe\tx\r\ny 😀 é'


@pytest.mark.parametrize("name", ["gexf", "graphml"])
def test_hostile_text_cannot_break_xml(name, tmp_path):
    drop = ["first_seen", "last_seen"]
    nasty = pd.Series([NASTY] * 4, dtype=object)
    nodes = make_nodes(label=nasty, family=nasty).drop(columns=drop)
    edges = make_edges(kind=nasty[:3]).drop(columns=drop)
    written = WRITERS[name](nodes, edges, tmp_path / f"g.{name}")
    text = written.paths[0].read_bytes().decode("utf-8")
    ET.fromstring(text)  # noqa: S314 - our own file
    assert not set(text) & set("\x00\x1b\ufffe\u202e")
    graph = getattr(nx, f"read_{name}")(written.paths[0])
    assert graph.nodes["account:anna"]["label"] == (
        'a␀b␛[31m & <b c="d"> ]]>\ufffd \ufffd\ufffdgnp.exe x y 😀 é'
    )
    assert graph.nodes["account:anna"]["family"].endswith("gnp.exe\tx\r\ny 😀 é")


def test_ids_that_would_be_written_alike_stay_apart(tmp_path):
    ids = ["a\u200e", "a\u200f", "a\ufffd", "b"]
    edges = make_edges(source=[ids[0], ids[1], ids[2]], target="b")
    written = write_gexf(make_nodes(id=ids), edges, tmp_path / "g.gexf", timeline=False)
    graph = nx.read_gexf(tmp_path / "g.gexf")
    assert set(graph) == {"a\ufffd", "a\ufffd~2", "a\ufffd~3", "b"}
    assert set(written.changes["value"]) == {"a\u200e", "a\u200f"}


def test_megabytes_are_cut_and_reported(tmp_path):
    long = "x" * 1_000_000
    ids = [long + "1", long + "2", "i", "j"]
    edges = make_edges(source=[ids[0], ids[1], ids[0]], target=["i", "i", "j"])
    written = write_gexf(
        make_nodes(id=ids, label=long, family=long), edges, tmp_path / "g.gexf", timeline=False
    )
    graph = nx.read_gexf(tmp_path / "g.gexf")
    assert len(graph) == 4
    assert max(map(len, graph)) == 256
    assert {len(label) for label in dict(graph.nodes(data="label")).values()} == {120}
    assert len(graph.nodes["i"]["family"]) == 1000
    assert written.changes[["table", "column"]].value_counts().to_dict() == {
        ("nodes", "id"): 2,
        ("nodes", "label"): 1,
        ("nodes", "family"): 1,
    }


def test_nothing_is_reported_where_nothing_was_changed(tmp_path):
    assert write_gexf(make_nodes(), make_edges(), tmp_path / "g.gexf").changes.empty


@pytest.mark.parametrize(
    "text",
    ["=cmd()", "+1", "-1", "@x", "\tx", "\r=x", "  =1", "a;=1", 'a"=1', "a\n=1", "'=1", "＝1"],  # noqa: RUF001
)
def test_no_csv_cell_begins_with_a_formula(text, tmp_path):
    written = write_csv(make_nodes(label=text, family=text), make_edges(), tmp_path / "g.csv")
    row = read_nodes_csv(written.paths[0])[0]
    for cell in (row["Label"], row["family"]):
        for part in cell.replace('"', ";").replace("\n", ";").split(";"):
            assert not part.lstrip(" ").startswith(tuple("=+-@\t\r＝"))  # noqa: RUF001


def test_negative_numbers_in_csv_stay_numbers(tmp_path):
    written = write_csv(make_nodes(), make_edges(bits=-1.5), tmp_path / "g.csv")
    assert pd.read_csv(written.paths[1])["bits"].tolist() == [-1.5] * 3


TEXTS = st.text(
    st.characters() | st.characters(categories=["Cs", "Cc", "Cf"]), min_size=1, max_size=8
)


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(TEXTS, min_size=2, max_size=6, unique=True), label=TEXTS)
def test_any_text_round_trips_as_a_graph(ids, label, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    nodes = pd.DataFrame({"id": ids, "label": [label] * len(ids)}, dtype=object)
    nodes = nodes.assign(type="account", kind=nodes["label"])
    ends = [(ids[0], other, label) for other in ids[1:]]
    edges = pd.DataFrame(ends, columns=["source", "target", "kind"], dtype=object)
    for name, read in (("gexf", nx.read_gexf), ("graphml", nx.read_graphml)):
        WRITERS[name](nodes, edges, folder / name)
        graph = read(folder / name)
        assert len(graph) == len(ids)
        assert graph.number_of_edges() == len(ids) - 1
    paths = write_csv(nodes, edges, folder / "g.csv").paths
    assert len({row["Id"] for row in read_nodes_csv(paths[0])}) == len(ids)


# --- the same input, the same bytes; all or nothing


@pytest.mark.parametrize("name", WRITERS)
def test_row_order_does_not_change_a_byte(name, tmp_path):
    nodes, edges = make_nodes(), pd.concat([make_edges(), make_edges(bits=[1.0, 2.0, None])])
    for folder, frames in {
        "a": (nodes, edges),
        "b": (nodes.sample(frac=1, random_state=1), edges.sample(frac=1, random_state=1)),
    }.items():
        (tmp_path / folder).mkdir()
        WRITERS[name](add_viz(*frames), frames[1], tmp_path / folder / "g.csv")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("name", WRITERS)
def test_arguments_are_not_changed(name, tmp_path):
    nodes, edges = make_nodes(), make_edges()
    WRITERS[name](add_viz(nodes, edges), edges, tmp_path / "g")
    pd.testing.assert_frame_equal(nodes, make_nodes())
    pd.testing.assert_frame_equal(edges, make_edges())


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "g.gexf"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("linkage.export.gexf.write_rows", fail)
    with pytest.raises(InputError, match=r"cannot write .*No space left"):
        write_gexf(make_nodes(), make_edges(), path)
    assert [item.name for item in tmp_path.iterdir()] == ["g.gexf"]
    assert path.read_text() == "old"


def test_a_missing_folder_and_a_folder_in_the_way_are_named(tmp_path):
    with pytest.raises(MissingInputError, match="there is no folder"):
        write_gexf(make_nodes(), make_edges(), tmp_path / "no" / "g.gexf")
    with pytest.raises(InputError, match="it is a folder"):
        write_gexf(make_nodes(), make_edges(), tmp_path)


BAD = {
    r"nodes lack \['kind'\]": (make_nodes().drop(columns="kind"), make_edges()),
    r"edges lack \['target'\]": (make_nodes(), make_edges().drop(columns="target")),
    "account:anna' more than once": (make_nodes(id=["account:anna"] * 4), make_edges()),
    "nodes need a text in id": (make_nodes(id=["a", None, "b", "c"]), make_edges()),
    "1 targets that are not nodes, such as 'ghost'": (make_nodes(), make_edges(target="ghost")),
    "nodes need first_seen <= last_seen; row 0": (
        make_nodes(last_seen=DAY - pd.Timedelta(days=1)),
        make_edges(),
    ),
    "edges need finite numbers in bits": (make_nodes(), make_edges(bits=np.inf)),
    "edges need numbers in bits": (make_nodes(), make_edges(bits="many")),
    "nodes need times in first_seen": (make_nodes(first_seen="monday"), make_edges()),
    r"reserved names \['Weight'\]": (make_nodes(), make_edges(Weight=1)),
    "differ in case only": (make_nodes(Kind=1), make_edges()),
    "cannot be written": (make_nodes(**{"x\x00": 1}), make_edges()),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named_and_nothing_is_written(message, tmp_path):
    with pytest.raises(SchemaError, match=message):
        write_gexf(*BAD[message], tmp_path / "g.gexf")
    assert not list(tmp_path.iterdir())


def test_files_are_as_readable_as_others_in_their_folder(tmp_path):
    Path(tmp_path / "other").touch()
    write_gexf(make_nodes(), make_edges(), tmp_path / "g.gexf")
    assert (tmp_path / "g.gexf").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_global_random_state_is_left_alone():
    random.seed(7)
    before = random.getstate()
    add_viz(make_nodes(), make_edges())
    assert random.getstate() == before
