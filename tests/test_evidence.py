"""Corroborated edges, by hand and against a loop."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from worlds import METHOD, get_code, get_edges, get_names, make_graph, make_random_graph, name_rows

from linkage.evidence import corroborate_edges


def say_pairs(graph, bits):
    """Return validated overlaps from ``{"kind:value kind:value": bits}``."""
    rows = [(*sorted(get_code(graph, name) for name in pair.split()), weight)
            for pair, weight in bits.items()]  # fmt: skip
    return pd.DataFrame(sorted(rows), columns=["left", "right", "bits"])


def weigh(graph, bits, config=METHOD):
    weighed = corroborate_edges(graph, get_edges(graph), say_pairs(graph, bits), config)
    return {row[:2]: row[2] for row in name_rows(graph, weighed, "account", "identifier", "bits")}


def test_both_sides_of_an_overlap_support_each_other_in_whoever_holds_both():
    graph = make_graph({"a": "payment:p ip:x", "b": "payment:p", "c": "ip:x"})
    assert weigh(graph, {"payment:p ip:x": 5.0}) == {("a", "ip:x"): 5.0, ("a", "payment:p"): 5.0}


def test_of_one_family_the_strongest_overlap_counts_and_families_add_up():
    graph = make_graph({"a": "payment:p ip:x ip:y device:d"})
    weighed = weigh(
        graph, {"payment:p ip:x": 5.0, "payment:p ip:y": 7.0, "payment:p device:d": 4.0}
    )
    assert weighed == {
        ("a", "payment:p"): 7.0 + 4.0,
        ("a", "ip:x"): 5.0,
        ("a", "ip:y"): 7.0,
        ("a", "device:d"): 4.0,
    }


def test_one_family_adds_no_more_than_its_cap():
    graph = make_graph({"a": "payment:p ip:x device:d"})
    bits = {"payment:p ip:x": 900.0, "payment:p device:d": 4.0}
    config = replace(METHOD, max_family_bits=6.0)
    assert weigh(graph, bits, config)[("a", "payment:p")] == 10.0


def test_two_chosen_identifiers_of_one_family_support_each_other():
    graph = make_graph({"a": "payment:p payment:q"})
    assert weigh(graph, {"payment:p payment:q": 3.0}) == {
        ("a", "payment:p"): 3.0,
        ("a", "payment:q"): 3.0,
    }


def test_an_innocent_on_the_operators_proxy_weighs_nothing():
    ring = dict.fromkeys("abc", "payment:p ip:proxy")
    crowd = {f"z{i}": "ip:proxy" for i in range(20)}
    weighed = weigh(make_graph(ring | crowd), {"payment:p ip:proxy": 6.0})
    assert {account for account, _ in weighed} == set("abc")


@pytest.mark.parametrize("bits", [{}, {"payment:p ip:y": 5.0}])
def test_without_an_overlap_of_its_own_an_account_has_no_evidence(bits):
    graph = make_graph({"a": "payment:p ip:x", "b": "ip:y"})
    weighed = corroborate_edges(graph, get_edges(graph), say_pairs(graph, bits), METHOD)
    assert weighed.empty
    assert weighed.columns.tolist() == ["account", "identifier", "bits"]


def test_no_edges_have_no_evidence():
    graph = make_graph({"a": ""})
    assert corroborate_edges(graph, get_edges(graph), say_pairs(graph, {}), METHOD).empty


def weigh_by_loop(graph, pairs, cap):
    held = graph.edges.groupby("account")["identifier"].apply(list)
    table = {(row.left, row.right): min(row.bits, cap) for row in pairs.itertuples()}
    found = {}
    for account, codes in held.items():
        for i in codes:
            best: dict[int, float] = {}
            for j in codes:
                bits = table.get((min(i, j), max(i, j)), 0.0)
                best[graph.family_codes[j]] = max(best.get(graph.family_codes[j], 0.0), bits)
            if sum(best.values()) > 0:
                found[account, i] = sum(best.values())
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_does_what_a_loop_does(seed):
    rng = np.random.default_rng(seed)
    graph = make_random_graph(seed, 60, "payment ip device prompt")
    n = graph.n_identifiers
    left, right = np.triu_indices(n, 1)
    keep = rng.random(len(left)) < 0.3
    pairs = pd.DataFrame({"left": left[keep], "right": right[keep]})
    pairs["bits"] = rng.uniform(3, 30, len(pairs))
    weighed = corroborate_edges(graph, get_edges(graph), pairs, METHOD)
    found = {row[:2]: row[2] for row in weighed.itertuples(index=False, name=None)}
    assert found == pytest.approx(weigh_by_loop(graph, pairs, METHOD.max_family_bits))
    assert len(found) > 100


def test_edges_come_back_sorted_and_arguments_unchanged():
    graph = make_random_graph(1)
    edges = get_edges(graph)
    pairs = say_pairs(graph, {"ip:0 payment:0": 4.0, "ip:1 payment:0": 9.0})
    before = edges.copy(), pairs.copy()
    weighed = corroborate_edges(graph, edges, pairs, METHOD)
    assert_frame_equal(weighed, weighed.sort_values(["account", "identifier"], ignore_index=True))
    assert_frame_equal(before[0], edges)
    assert_frame_equal(before[1], pairs)


def test_an_extra_identifier_of_one_account_and_a_stranger_change_nothing():
    holdings = {"a": "payment:p ip:x device:d", "b": "payment:p ip:x"}
    bits = {"payment:p ip:x": 5.0, "ip:x device:d": 4.0}
    before = weigh(make_graph(holdings), bits)
    more = holdings | {"a": holdings["a"] + " ip:a0 prompt:own", "stranger": "payment:p device:e"}
    graph = make_graph(more)
    assert weigh(graph, bits) == before
    assert "ip:a0" in get_names(graph)
