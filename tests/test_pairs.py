"""Direct evidence between two accounts, against a loop and by hand."""

from dataclasses import replace
from itertools import combinations
from math import exp, log2

import numpy as np
import pytest
from worlds import METHOD, get_edges, make_graph, make_random_graph, make_strangers

from linkage.pairs import MAX_HOLDERS, link_pairs

FREE = replace(METHOD, dependent_families=())
CROWD = make_strangers(1_000, "payment", "device", "ip", "prompt")


def link(graph, config=METHOD):
    pairs = link_pairs(graph, get_edges(graph), config)
    names = graph.accounts["account_id"].tolist()
    return {
        (names[a], names[b]): bits
        for a, b, bits in zip(pairs["left"], pairs["right"], pairs["bits"], strict=True)
    }


def link_by_loop(graph, config):
    """Weigh every pair as the formula says; families independent, nothing chosen."""
    n, kinds, holders = graph.n_accounts, graph.kind_codes, graph.holders
    held = {a: set() for a in range(n)}
    for edge in graph.edges.itertuples():
        held[edge.account].add(edge.identifier)
    found = {}
    for a, b in combinations(range(n), 2):
        families = {}
        for j in held[a] & held[b]:
            if holders[j] > MAX_HOLDERS:
                continue
            of_kind = np.flatnonzero(kinds == kinds[j])
            meetings = sum(holders[i] * (holders[i] - 1) for i in of_kind
                           if holders[i] <= holders[j])  # fmt: skip
            degrees = [sum(kinds[i] == kinds[j] for i in held[x]) for x in (a, b)]
            chance = degrees[0] * degrees[1] * meetings / holders[of_kind].sum() ** 2
            bits = min(-log2(1 - exp(-chance)), log2((n - 1) / (holders[j] - 1)))
            family = graph.family_codes[j]
            families[family] = max(families.get(family, 0), bits)
        total = sum(min(bits, config.max_family_bits) for bits in families.values()) - log2(n)
        strong = sum(bits >= config.min_bits for bits in families.values())
        if total >= (config.min_bits if strong >= 2 else config.single_family_bits):
            found[a, b] = pytest.approx(total)
    return found


@pytest.mark.parametrize("min_bits", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_those_of_a_loop(seed, min_bits):
    graph = make_random_graph(seed, 40, "ip device prompt phone")
    config = replace(FREE, min_bits=min_bits, single_family_bits=0.0)
    pairs = link_pairs(graph, get_edges(graph), config)
    keys = zip(pairs["left"].tolist(), pairs["right"].tolist(), strict=True)
    found = dict(zip(keys, pairs["bits"].tolist(), strict=True))
    assert found == link_by_loop(graph, config)


def test_two_accounts_that_share_rare_things_of_two_families_are_linked():
    graph = make_graph(dict.fromkeys("ab", "payment:card device:phone") | CROWD)
    assert list(link(graph)) == [("a", "b")]


def test_one_family_alone_links_nobody():
    held = "device:phone device:tablet device:laptop"
    assert not link(make_graph(dict.fromkeys("ab", held) | CROWD))


def test_dependent_families_count_once():
    held = dict.fromkeys("ab", "user_agent:rare prompt:rare")
    graph = make_graph(held | make_strangers(1_000, "user_agent", "prompt"))
    assert not link(graph)
    assert list(link(graph, FREE)) == [("a", "b")]


def test_what_many_hold_leads_to_no_pair():
    crowd = {f"n{i:03}": f"payment:card device:phone ip:own{i}" for i in range(MAX_HOLDERS + 1)}
    assert not link(make_graph(crowd | CROWD))


def test_two_busy_accounts_meet_by_chance():
    ring = {"a": "prompt:x ip:x", "b": "prompt:x ip:x"}
    pool = {f"p{i:03}": f"prompt:t{i % 200} ip:p{i % 150}" for i in range(400)}
    busy = {name: held + "".join(f" prompt:{name}{i} ip:{name}{i}" for i in range(200))
            for name, held in ring.items()}  # fmt: skip
    quiet, loud = (link(make_graph(who | pool)).get(("a", "b"), 0.0) for who in (ring, busy))
    assert quiet > loud + 5


def test_strangers_who_share_nothing_make_a_pair_more_telling():
    few, many = (
        link(make_graph(dict.fromkeys("ab", "payment:card device:phone")
                        | make_strangers(n, "payment", "device")))["a", "b"]
        for n in (500, 2_000)
    )  # fmt: skip
    assert many > few


def test_pairs_are_sorted_and_each_comes_once():
    graph = make_random_graph(5, 60, "ip device prompt phone")
    pairs = link_pairs(graph, get_edges(graph), replace(FREE, min_bits=0.0))
    assert (pairs["left"] < pairs["right"]).all()
    assert not pairs.duplicated(["left", "right"]).any()
    assert pairs[["left", "right"]].apply(tuple, axis=1).is_monotonic_increasing
    assert len(pairs) > 20


@pytest.mark.parametrize("holdings", [{}, {"a": ""}, {"a": "ip:1"}])
def test_without_shared_identifiers_there_are_no_pairs(holdings):
    assert not link(make_graph(holdings))
