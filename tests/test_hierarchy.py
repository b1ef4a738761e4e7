"""Cells below a cluster and infrastructure above it, by hand."""

import numpy as np
from worlds import METHOD, make_graph, make_strangers

from linkage.hierarchy import find_cells, find_infrastructure

CROWD = make_strangers(20, "payment", "ip", "prompt")


def cast(holdings, *clusters):
    """Return a graph, labels by the first letters of accounts, and evidence of 9 bits each."""
    graph = make_graph(holdings | CROWD)
    accounts = graph.accounts["account_id"].tolist()
    labels = np.array(
        [next((k for k, c in enumerate(clusters) if a[0] in c), -1) for a in accounts], np.int64
    )
    held = graph.edges[["account", "identifier"]]
    evidence = held[labels[held["account"].to_numpy()] >= 0].assign(alone=9.0)
    evidence["cluster"] = labels[evidence["account"].to_numpy()]
    return graph, evidence.reset_index(drop=True), labels


def find_cells_of(holdings, *clusters):
    graph, evidence, labels = cast(holdings, *clusters)
    cells = find_cells(graph, evidence, labels, seed=0)
    return dict(zip(graph.accounts["account_id"], cells.tolist(), strict=True))


def make_accounts(letter, n, held):
    return {f"{letter}{i}": held for i in range(n)}


def test_cells_share_what_they_run_on_and_prompts_do_not_join_them():
    first = make_accounts("a", 6, "payment:card ip:proxy prompt:task")
    second = make_accounts("b", 6, "payment:cash ip:home prompt:task")
    cells = find_cells_of(first | second, "ab")
    assert [cells[name] for name in (*first, *second)] == [1] * 6 + [2] * 6
    assert {cells[name] for name in CROWD} == {0}


def test_one_address_for_all_is_one_cell():
    first = make_accounts("a", 6, "payment:card ip:proxy")
    second = make_accounts("b", 6, "payment:cash ip:proxy")
    assert set(find_cells_of(first | second, "ab").values()) == {0, 1}


def test_cells_are_numbered_within_their_cluster():
    rings = {
        name: held
        for letter in "abcd"
        for name, held in make_accounts(letter, 4, f"payment:{letter} ip:{letter}").items()
    }
    cells = find_cells_of(rings, "ab", "cd")
    assert [cells[f"{letter}0"] for letter in "abcd"] == [1, 2, 1, 2]


def find_shared(holdings, *clusters):
    graph, evidence, labels = cast(holdings, *clusters)
    return find_infrastructure(graph, evidence, labels, METHOD).tolist()


def test_clusters_on_common_addresses_are_on_one_infrastructure():
    rings = {
        name: held
        for letter in "abcd"
        for name, held in make_accounts(letter, 4, f"payment:{letter}").items()
    }
    for letter in "abc":
        rings |= {f"{letter}{i}": f"payment:{letter} ip:vendor" for i in range(2)}
    assert find_shared(rings, "d", "a", "b", "c") == [0, 1, 1, 1]


def test_a_few_accounts_at_common_addresses_are_not_enough():
    rings = make_accounts("a", 10, "payment:a ip:a") | make_accounts("b", 10, "payment:b ip:b")
    rings |= {f"{letter}{i}": f"payment:{letter} ip:cafe" for letter in "ab" for i in range(4)}
    assert find_shared(rings, "a", "b") == [0, 0]
    rings |= {f"{letter}4": f"payment:{letter} ip:cafe" for letter in "ab"}
    assert find_shared(rings, "a", "b") == [1, 1]


def test_a_common_card_is_no_infrastructure():
    rings = make_accounts("a", 4, "payment:card") | make_accounts("b", 4, "payment:card")
    assert find_shared(rings, "a", "b") == [0, 0]


def test_without_clusters_there_is_neither():
    graph, evidence, labels = cast({}, "q")
    assert find_cells(graph, evidence, labels, seed=0).tolist() == [0] * graph.n_accounts
    assert find_infrastructure(graph, evidence, labels, METHOD).tolist() == []
