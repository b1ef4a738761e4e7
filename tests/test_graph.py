"""The graph of accounts and identifiers, against brute force and networkx."""

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse.csgraph import connected_components
from worlds import get_names, make_graph, make_random_graph, name_rows

from linkage.graph import build_graph, to_igraph, to_networkx

TRIO = {"a": "payment:card ip:home", "b": "payment:card ip:cafe", "c": "ip:cafe"}


def make_tables(graph):
    accounts = pd.DataFrame({"id": graph.accounts["account_id"], "n_accounts": np.nan})
    identifiers = pd.DataFrame(
        {"id": get_names(graph), "n_accounts": graph.identifiers["n_accounts"]}
    )
    held = name_rows(graph, graph.edges, "account", "identifier")
    edges = pd.DataFrame(held, columns=["source", "target"]).assign(count=graph.edges["count"])
    return pd.concat([accounts, identifiers], ignore_index=True), edges


def test_identifiers_know_their_holders_kinds_and_families():
    graph = make_graph(TRIO)
    assert get_names(graph) == ["ip:cafe", "ip:home", "payment:card"]
    assert graph.holders.tolist() == [2, 1, 2] == graph.identifiers["n_accounts"].tolist()
    assert graph.kind_codes.tolist() == graph.family_codes.tolist() == [0, 0, 1]
    assert graph.family_names == ["network", "payment"]
    assert graph.identifiers["chosen"].tolist() == [False, False, True]


def test_kinds_of_one_family_share_its_code():
    graph = make_graph({"a": "user_agent:x tls_fingerprint:y device:z"})
    names = [graph.family_names[code] for code in graph.family_codes]
    assert dict(zip(get_names(graph), names, strict=True)) == {
        "device:z": "client",
        "tls_fingerprint:y": "software",
        "user_agent:x": "software",
    }
    assert len(set(graph.kind_codes)) == 3


def test_the_matrix_has_a_one_where_an_account_holds_an_identifier():
    graph = make_random_graph(3)
    dense = np.zeros((graph.n_accounts, graph.n_identifiers))
    for edge in graph.edges.itertuples():
        dense[edge.account, edge.identifier] = 1
    assert np.array_equal(graph.to_matrix().toarray(), dense)
    assert np.array_equal(graph.holders, dense.sum(axis=0))


def test_dependent_families_are_not_independent_and_unknown_ones_are_ignored():
    graph = make_graph({"a": "prompt:p user_agent:u ip:i"})
    independent = graph.find_independent(("content+software", "client+software", "x+y"))
    content, network, software = (
        graph.family_names.index(name) for name in ("content", "network", "software")
    )
    assert not independent[content, software]
    assert independent[content, network]
    assert independent[network, software]
    assert np.array_equal(independent, independent.T)
    assert not independent.diagonal().any()


def test_independent_sets_are_the_largest_ones():
    graph = make_graph({"a": "prompt:p user_agent:u ip:i payment:c"})
    sets = graph.list_independent(("content+software", "network+software"))
    named = [[n for n, held in zip(graph.family_names, row, strict=True) if held] for row in sets]
    assert named == [["content", "network", "payment"], ["payment", "software"]]
    assert graph.list_independent(()).tolist() == [[True] * 4]


@pytest.mark.parametrize("holdings", [{}, {"a": "", "b": ""}], ids=["no accounts", "no edges"])
def test_a_graph_without_edges_has_empty_parts(holdings):
    graph = make_graph(holdings)
    assert graph.n_accounts == len(holdings)
    assert graph.n_identifiers == len(graph.edges) == len(graph.holders) == 0
    assert graph.family_names == []
    assert graph.find_independent(("content+software",)).shape == (0, 0)
    assert graph.to_matrix().shape == (len(holdings), 0)


@pytest.mark.parametrize("seed", range(3))
def test_components_are_those_of_networkx(seed):
    graph = make_random_graph(seed, 40, "payment ip")
    matrix = graph.to_matrix()
    n_found, _ = connected_components(matrix @ matrix.T)
    drawn = to_networkx(*make_tables(graph))
    accounts = set(graph.accounts["account_id"])
    assert n_found == sum(bool(part & accounts) for part in nx.connected_components(drawn))


def test_networkx_has_the_same_nodes_edges_and_attributes_and_leaves_out_what_is_missing():
    drawn = to_networkx(*make_tables(make_graph(TRIO)))
    assert set(drawn.edges) == {
        ("a", "payment:card"),
        ("a", "ip:home"),
        ("b", "payment:card"),
        ("b", "ip:cafe"),
        ("c", "ip:cafe"),
    }
    assert drawn.nodes["ip:cafe"] == {"n_accounts": 2}
    assert drawn.nodes["a"] == {}
    assert drawn.edges["a", "ip:home"] == {"count": 1}


def test_igraph_has_the_same_edges_as_networkx():
    nodes, edges = make_tables(make_random_graph(1))
    drawn = to_igraph(nodes, edges)
    named = {frozenset((drawn.vs[e.source]["name"], drawn.vs[e.target]["name"])) for e in drawn.es}
    assert named == {frozenset(edge) for edge in to_networkx(nodes, edges).edges}
    assert drawn.vcount() == len(nodes)
    assert drawn.es["count"] == edges["count"].tolist()


def test_igraph_and_networkx_draw_nodes_without_edges():
    nodes, edges = make_tables(make_graph({"a": "", "b": ""}))
    assert to_igraph(nodes, edges).vs["name"] == list(to_networkx(nodes, edges)) == ["a", "b"]


@pytest.mark.parametrize("kinds", [["device", "ip"], ["ip", "device"]])
def test_what_accounts_alone_have_is_of_its_kind_in_whatever_order_kinds_are_written(kinds):
    graph = make_graph({"a": "ip:x device:y", "b": "ip:x device:y"})
    codes = pa.array([kinds.index("ip"), kinds.index("device")], pa.int32())
    kind = pa.DictionaryArray.from_arrays(codes, pa.array(kinds))
    n = pa.array([3, 0])
    alone = pa.table({"account": pa.array([0, 1], pa.int32()), "kind": kind, "n": n, "count": n})
    tables = [pa.Table.from_pandas(part) for part in (graph.accounts, graph.identifiers)]
    edges = pa.Table.from_pandas(graph.edges)
    built = build_graph(*tables, edges, chosen=frozenset(), alone=alone)
    assert built.kind_names == ["device", "ip"]
    assert built.degrees.tolist() == [[1, 4], [1, 1]]


def test_a_modified_graph_keeps_what_was_counted_and_nothing_else():
    graph = make_random_graph(3)
    holders, degrees = graph.holders, graph.degrees
    other = graph.modify(dependent=(("network", "payment"),))
    assert other.__dict__["holders"] is holders
    assert other.__dict__["degrees"] is degrees
    assert "sightings" not in other.__dict__
    assert graph.dependent == ()
    assert other.sightings.tolist() == graph.sightings.tolist()
