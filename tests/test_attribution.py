"""Attribution of accounts to clusters and merging, by hand and against a loop."""

from dataclasses import replace
from math import log2

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from worlds import (
    METHOD,
    get_edges,
    make_graph,
    make_random_graph,
    make_strangers,
    name_rows,
)

from linkage.attribution import (
    _keep_independent,
    attribute_accounts,
    merge_clusters,
    score_accounts,
)

FREE = replace(METHOD, dependent_families=())
RING = dict.fromkeys("abcde", "payment:card ip:proxy device:phone")


def label(graph, *clusters):
    """Return labels from the accounts of each cluster, said as one text each."""
    accounts = graph.accounts["account_id"].tolist()
    labels = np.full(graph.n_accounts, -1, np.int64)
    for number, names in enumerate(clusters):
        labels[[accounts.index(name) for name in names.split()]] = number
    return labels


def get_members(graph, labels):
    accounts = graph.accounts["account_id"].to_numpy()
    found = (" ".join(accounts[labels == number]) for number in range(labels.max(initial=-1) + 1))
    return sorted(members for members in found if members)


def score(graph, labels, config=METHOD):
    scores, _ = score_accounts(graph, get_edges(graph), labels, config)
    return {
        row[:2]: row[2:]
        for row in name_rows(graph, scores, "account", "cluster", "score", "n_families")
    }


def score_by_loop(graph, labels, config):
    """Score as the formula says, one account and cluster at a time; independent families only."""
    held = {a: set() for a in range(graph.n_accounts)}
    for edge in graph.edges.itertuples():
        held[edge.account].add(edge.identifier)
    family, chosen = graph.family_codes, graph.identifiers["chosen"].tolist()
    clusters = range(labels.max() + 1)
    by_family = {}
    for a, codes in held.items():
        for c in clusters:
            members = [m for m in held if labels[m] == c and m != a]
            said = {}
            for j in codes:
                n = sum(j in held[m] for m in members)
                rest = sum(j in held[m] for m in held if m != a or labels[a] != c)
                rate = rest / (graph.n_accounts - 1)
                if n and (n + (labels[a] == c)) >= 2:
                    bits = log2((n + rate) / (len(members) + 1) / rate)
                    if bits > 0:
                        said.setdefault(family[j], []).append((bits, chosen[j]))
            by_family[a, c] = {
                f: min(
                    max(
                        sum(bits for bits, is_chosen in found if is_chosen),
                        max((bits for bits, is_chosen in found if not is_chosen), default=0),
                    ),
                    config.max_family_bits,
                )
                for f, found in said.items()
            }
    scores = {}
    for (a, c), said in by_family.items():
        if not said:
            continue
        size = np.sum(labels == c)
        total = log2(max(size - (labels[a] == c), 1) / graph.n_accounts) + sum(said.values())
        for f in {family[j] for j in held[a]} - set(said):
            n_sharing = sum(f in by_family[m, c] for m in held if labels[m] == c)
            total += log2(1 - (n_sharing + 0.5) / (size + 1))
        strong = sum(bits >= config.min_bits for bits in said.values())
        scores[graph.accounts["account_id"][a], c] = (pytest.approx(total), strong)
    return scores


def test_a_member_is_scored_without_itself():
    crowd = make_strangers(95, "payment")
    graph = make_graph(dict.fromkeys("abcde", "payment:card") | crowd)
    labels = label(graph, "a b c d e")
    rate = 4 / 99
    bits = log2((4 + rate) / 5 / rate)
    _, evidence = score_accounts(graph, get_edges(graph), labels, METHOD)
    assert evidence["bits"].tolist() == pytest.approx([bits] * 5)
    assert score(graph, labels)["a", 0] == (pytest.approx(log2(4 / 100) + bits), 1)


def test_an_account_that_is_no_member_is_scored_against_all_of_them():
    crowd = make_strangers(94, "payment")
    graph = make_graph(dict.fromkeys("abcdef", "payment:card") | crowd)
    rate = 6 / 99
    expected = log2(5 / 100) + log2((5 + rate) / 6 / rate)
    assert score(graph, label(graph, "a b c d e"))["f", 0] == (pytest.approx(expected), 1)


def test_a_family_in_which_an_account_shares_nothing_costs():
    crowd = make_strangers(94, "payment", "device")
    ring = dict.fromkeys("abcde", "payment:card device:phone")
    same, other, unknown = (
        score(graph, label(graph, "a b c d e"))["f", 0][0]
        for graph in (
            make_graph(ring | {"f": held} | crowd)
            for held in ("payment:card device:phone", "payment:card device:else", "payment:card")
        )
    )
    assert other == pytest.approx(unknown + log2(1 - 5.5 / 6))
    assert other < unknown < same


@pytest.mark.parametrize("cap", [16.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_a_loop(seed, cap):
    graph = make_random_graph(seed, 40, "payment ip device prompt")
    labels = np.random.default_rng(seed).integers(-1, 4, 40)
    config = replace(FREE, max_family_bits=cap)
    expected = score_by_loop(graph, labels, config)
    assert score(graph, labels, config) == expected
    assert len(expected) > 100


@pytest.mark.parametrize("n_accounts", [2, 5])
def test_a_ring_in_a_crowd_keeps_its_members_and_nobody_else(n_accounts):
    ring = dict.fromkeys("abcde"[:n_accounts], RING["a"])
    neighbours = {f"n{i}": f"ip:proxy payment:own{i}" for i in range(30)}
    graph = make_graph(ring | neighbours | make_strangers(400, "payment", "ip", "device"))
    members = " ".join(ring)
    found = attribute_accounts(graph, get_edges(graph), label(graph, members), METHOD)
    assert get_members(graph, found.labels) == [members]
    assert found.probability[:n_accounts].min() > 0.99
    assert not found.probability[n_accounts:].any()


def test_who_was_missed_is_brought_in_and_who_was_wrongly_in_is_put_out():
    graph = make_graph(RING | {"s": "ip:proxy device:own"} | make_strangers(400, "payment", "ip"))
    found = attribute_accounts(graph, get_edges(graph), label(graph, "a b c s"), METHOD)
    assert get_members(graph, found.labels) == ["a b c d e"]


def test_evidence_is_of_members_only_sorted_and_positive():
    graph = make_graph(RING | {"s": "ip:proxy"} | make_strangers(400, "payment", "ip"))
    found = attribute_accounts(graph, get_edges(graph), label(graph, "a b c d e"), METHOD)
    rows = name_rows(graph, found.evidence, "cluster", "account", "identifier")
    assert rows == [
        (0, account, name)
        for account in "abcde"
        for name in ("device:phone", "ip:proxy", "payment:card")
    ]
    assert (found.evidence["bits"] > 0).all()


def test_a_single_family_needs_more_than_two_do():
    crowd = make_strangers(200, "payment", "device")
    found = {}
    for held in ("payment:card payment:cash", "payment:card device:phone"):
        graph = make_graph(dict.fromkeys("abcde", held) | crowd)
        for bits in (8.0, 0.0):
            config = replace(METHOD, single_family_bits=bits)
            labels = label(graph, "a b c d e")
            labels = attribute_accounts(graph, get_edges(graph), labels, config).labels
            found[held, bits] = len(get_members(graph, labels))
    assert found == {
        ("payment:card payment:cash", 8.0): 0,
        ("payment:card payment:cash", 0.0): 1,
        ("payment:card device:phone", 8.0): 1,
        ("payment:card device:phone", 0.0): 1,
    }


def test_what_everybody_holds_ties_nobody():
    graph = make_graph(dict.fromkeys("abcdefgh", "payment:card ip:proxy device:phone"))
    found = attribute_accounts(graph, get_edges(graph), label(graph, "a b c d"), METHOD)
    assert (found.labels == -1).all()
    assert found.evidence.empty


def test_clusters_below_the_smallest_size_are_dissolved():
    graph = make_graph(RING | make_strangers(400, "payment", "ip"))
    config = replace(METHOD, min_accounts=6)
    found = attribute_accounts(graph, get_edges(graph), label(graph, "a b c d e"), config)
    assert (found.labels == -1).all()
    assert not found.probability.any()


@pytest.mark.parametrize("holdings", [{}, {"a": ""}, {"a": "ip:1"}, {"a": "ip:1", "b": "ip:1"}])
def test_without_clusters_nobody_is_attributed_and_nothing_merges(holdings):
    graph = make_graph(holdings)
    labels = label(graph)
    found = attribute_accounts(graph, get_edges(graph), labels, METHOD)
    assert np.array_equal(found.labels, labels)
    assert np.array_equal(merge_clusters(graph, get_edges(graph), labels, METHOD), labels)
    assert found.evidence.columns.tolist() == ["account", "cluster", "identifier", "bits"]
    assert found.evidence.empty


def test_a_chance_cluster_of_accounts_that_share_nothing_is_dissolved():
    graph = make_graph(make_strangers(50, "payment", "ip"))
    found = attribute_accounts(graph, get_edges(graph), label(graph, "z0000 z0001 z0002"), METHOD)
    assert (found.labels == -1).all()


def test_strangers_only_make_what_is_shared_more_telling():
    scores = []
    for n_strangers in (100, 300):
        graph = make_graph(RING | make_strangers(n_strangers, "payment", "ip", "device"))
        found = attribute_accounts(graph, get_edges(graph), label(graph, "a b c d e"), METHOD)
        assert get_members(graph, found.labels) == ["a b c d e"]
        scores.append(found.evidence["bits"].min())
    assert scores[0] < scores[1]


def test_an_extra_identifier_of_one_account_adds_no_evidence():
    crowd = make_strangers(100, "payment", "ip")
    graphs = [make_graph(ring | crowd) for ring in (RING, RING | {"a": RING["a"] + " ip:own"})]
    tables = [
        name_rows(graph, attribute_accounts(
            graph, get_edges(graph), label(graph, "a b c d e"), METHOD
        ).evidence, "account", "identifier", "bits")
        for graph in graphs
    ]  # fmt: skip
    assert tables[0] == tables[1]


def test_renumbered_clusters_are_the_same_clusters():
    other = dict.fromkeys("vwxyz"[:4], "payment:cash ip:proxy device:tablet")
    graph = make_graph(RING | other | make_strangers(400, "payment", "ip"))
    first, second = (
        attribute_accounts(graph, get_edges(graph), label(graph, *clusters), METHOD)
        for clusters in (("a b c d e", "v w x y"), ("v w x y", "a b c d e"))
    )
    assert get_members(graph, first.labels) == get_members(graph, second.labels)
    assert first.probability == pytest.approx(second.probability)


def test_arguments_are_not_changed():
    graph = make_random_graph(0)
    labels, edges = np.random.default_rng(0).integers(-1, 3, 30), get_edges(graph)
    before = labels.copy(), edges.copy()
    attribute_accounts(graph, edges, labels, METHOD)
    merge_clusters(graph, edges, labels, METHOD)
    assert np.array_equal(before[0], labels)
    assert_frame_equal(before[1], edges)


def merge(graph, *clusters, config=METHOD):
    labels = merge_clusters(graph, get_edges(graph), label(graph, *clusters), config)
    return get_members(graph, labels)


def test_parts_of_one_ring_are_merged():
    graph = make_graph(RING | make_strangers(400, "payment", "ip", "device"))
    assert merge(graph, "a b", "c d", "e") == ["a b c d e"]


def test_clusters_that_share_nothing_stay_apart():
    other = dict.fromkeys("vwxyz", "payment:cash ip:home device:tablet")
    graph = make_graph(RING | other | make_strangers(400, "payment", "ip", "device"))
    assert merge(graph, "a b c d e", "v w x y z") == ["a b c d e", "v w x y z"]


def test_addresses_add_nothing_to_what_merges_clusters():
    def make_rings(shared):
        rings = dict.fromkeys("abc", f"prompt:p {shared}") | dict.fromkeys(
            "xyz", f"prompt:q {shared}"
        )
        return make_graph(rings | make_strangers(400, "payment", "ip", "device"))

    apart, together = ["a b c", "x y z"], ["a b c x y z"]
    assert merge(make_rings("ip:0 ip:1 ip:2 device:phone"), "a b c", "x y z") == apart
    assert merge(make_rings("payment:card device:phone"), "a b c", "x y z") == together


def test_what_many_others_use_merges_nothing():
    coupons = " ".join(f"payment:coupon{i}" for i in range(10))

    def make_rings(n_others):
        others = {f"u{i:02}": f"prompt:tool {coupons}" for i in range(n_others)}
        rings = dict.fromkeys("abcxyz", f"prompt:tool {coupons}")
        return make_graph(rings | others | make_strangers(400, "payment", "device"))

    assert merge(make_rings(80), "a b c", "x y z") == ["a b c", "x y z"]
    assert merge(make_rings(8), "a b c", "x y z") == ["a b c x y z"]


def test_what_few_members_use_does_not_stand_for_a_cluster():
    cards = " ".join(f"payment:both{i}" for i in range(6))

    def make_rings(n_sharing):
        return {
            f"{ring}{i:02}": f"payment:{ring} " + (f"{cards} device:both" if i < n_sharing else "")
            for ring in "pq"
            for i in range(30)
        }

    for n_sharing, n_clusters in ((2, 2), (20, 1)):
        graph = make_graph(make_rings(n_sharing) | make_strangers(400, "payment", "device"))
        halves = [" ".join(f"{ring}{i:02}" for i in range(30)) for ring in "pq"]
        assert len(merge(graph, *halves)) == n_clusters


def test_merging_does_not_depend_on_the_numbers_of_clusters():
    graph = make_graph(RING | make_strangers(400, "payment", "ip", "device"))
    assert merge(graph, "e", "c d", "a b") == merge(graph, "a b", "c d", "e")


def test_a_family_that_is_ruled_out_rules_nothing_out():
    families = pd.DataFrame(
        {
            "account": 0,
            "cluster": 0,
            "family": [0, 1, 2],  # client, network, software
            "bits": [4.35, 6.34, 4.76],
        }
    )
    independent = np.array([[False, True, False], [True, False, False], [False, False, False]])
    kept = _keep_independent(families, independent)
    assert kept["family"].tolist() == [0, 1]  # network rules software out, which spares client
