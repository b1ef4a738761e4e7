"""Attribution of accounts to clusters and merging, by hand and against loops."""

from dataclasses import replace
from math import lgamma, log, log1p, log2

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.isotonic import IsotonicRegression
from worlds import (
    METHOD,
    get_code,
    get_edges,
    make_graph,
    make_random_graph,
    make_strangers,
    name_rows,
)

from linkage.attribution import (
    Scores,
    attribute_accounts,
    find_crowds,
    merge_clusters,
    score_accounts,
)
from linkage.attribution.attribute import _find_margin
from linkage.attribution.likelihood import _pool_adjacent, _sort_by_score, keep_independent
from linkage.attribution.profiles import (
    MIN_MEMBERS,
    Edges,
    Profiles,
    match_accounts,
    weigh_members,
)

FREE = replace(METHOD, dependent_families=(), common_causes=())
RING = dict.fromkeys("abcde", "payment:card ip:proxy device:phone")
CROWD = make_strangers(400, "payment", "ip", "device")


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


def match_edges(graph, edges, labels):
    taken = Edges.take(graph, edges)
    return match_accounts(graph, taken, labels, Profiles.count(graph, taken, labels))


def weigh(graph, labels):
    taken = Edges.take(graph, get_edges(graph))
    return weigh_members(graph, taken, labels, Profiles.count(graph, taken, labels))


def attribute(graph, *clusters, config=METHOD):
    return attribute_accounts(graph, get_edges(graph), label(graph, *clusters), config)


def score(graph, *clusters, config=METHOD):
    """Return the score and the bits by family of each (account, cluster)."""
    scores = score_accounts(graph, get_edges(graph), label(graph, *clusters), config)
    names = graph.accounts["account_id"].tolist()
    return {
        (names[a], int(c)): (s, dict(zip(graph.family_names, bits.tolist(), strict=True)))
        for a, c, s, bits in zip(
            scores.account, scores.cluster, scores.score, scores.bits, strict=True
        )
    }


def match_by_loop(graph, labels):
    """Match accounts and clusters as the formula says, one at a time."""
    held = {a: set() for a in range(graph.n_accounts)}
    for edge in graph.edges.itertuples():
        held[edge.account].add(edge.identifier)
    found = {}
    for a, codes in held.items():
        for c in range(labels.max() + 1):
            members = [m for m in held if labels[m] == c and m != a]
            for j in codes:
                n = sum(j in held[m] for m in members)
                others = sum(j in held[m] for m in held if m != a or labels[a] != c)
                if not n:
                    continue
                everybody = graph.n_accounts - 1
                rate, chance = others / everybody, others * len(members) / everybody
                if n <= chance:
                    continue
                tries = sum(graph.family_codes[i] == graph.family_codes[j] for i in codes)
                log_p = n * log(chance) - chance - lgamma(n + 1) - log1p(-chance / (n + 1))
                surprise = -log_p / log(2) - log2(tries)
                if len(members) >= MIN_MEMBERS:
                    elsewhere = (others - n + 0.5 * others) / (1.5 * everybody - len(members))
                    rate = min(rate, max(elsewhere, 1 / everybody))
                bits = min(log2((n + rate) / (len(members) + 1) / rate), surprise)
                if bits > 0:
                    found.setdefault((a, c, graph.family_codes[j]), []).append(bits)
    return {
        key: (pytest.approx(max(bits), abs=1e-4), pytest.approx(sum(bits), abs=1e-4), len(bits))
        for key, bits in found.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_matches_are_those_of_a_loop(seed):
    graph = make_random_graph(seed, 40, "payment ip device prompt")
    labels = np.random.default_rng(seed).choice([-1, 0, 1, 2, 3], 40, p=[0.2, 0.4, 0.2, 0.1, 0.1])
    edges = get_edges(graph)
    matches = match_edges(graph, edges, labels)
    row, family = np.nonzero(matches.hits)
    found = {
        (matches.account[r], matches.cluster[r], f): (
            matches.best[r, f], matches.total[r, f], matches.hits[r, f]
        )
        for r, f in zip(row, family, strict=True)
    }  # fmt: skip
    expected = match_by_loop(graph, labels)
    assert found == expected
    assert len(expected) > 50


def test_rows_are_pooled_by_cluster_and_score_members_first_and_as_they_come():
    rng = np.random.default_rng(0)
    cluster, score, own = (
        rng.integers(0, 4, 500),
        rng.integers(0, 9, 500) / 8,
        rng.random(500) < 0.3,
    )
    order = _sort_by_score(cluster, score, own, 5)
    assert order.tolist() == np.lexsort((~own, score, cluster)).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_an_isotonic_regression_of_each_cluster(seed):
    rng = np.random.default_rng(seed)
    cluster, own = np.sort(rng.integers(0, 3, 200)), rng.integers(0, 2, 200)
    stratum, other = rng.integers(0, 4, 200), 1.0 - own
    members, outsiders, local = _pool_adjacent(cluster, own, other, stratum, 4)
    for c in range(3):
        here = np.flatnonzero(cluster == c)
        fitted = IsotonicRegression().fit_transform(np.arange(len(here)), own[here])
        share = members[here] / (members[here] + outsiders[here])
        assert share == pytest.approx(fitted)
        for block in np.unique(fitted):
            rows = here[np.isclose(fitted, block)]
            of_stratum = np.bincount(stratum[rows], other[rows], minlength=4)
            assert local[rows] == pytest.approx(of_stratum[stratum[rows]])


def test_of_dependent_families_those_count_that_say_most_together():
    chain = np.array([[1, 0, 1], [0, 1, 0]], bool)  # 0 - 1 - 2 depend in a row
    bits = np.array([[5.0, 4.0, 3.0], [4.0, 9.0, 4.0], [5.0, 9.0, 5.0], [0.0, -2.0, 1.0]])
    kept = keep_independent(bits, chain)
    assert kept.tolist() == [[5, 0, 3], [0, 9, 0], [5, 0, 5], [0, 0, 1]]


def test_a_member_is_scored_without_itself():
    graph = make_graph(dict.fromkeys("abcde", "payment:card") | make_strangers(95, "payment"))
    rate = 4 / 99
    found = score(graph, "a b c d e")
    bits = log2((4 + rate) / 5 / rate)
    assert found["a", 0][0] == pytest.approx(log2(4 / 100) + bits, abs=1e-4)
    assert {account for account, _ in found} == set("abcde")


def test_a_match_that_outsiders_reach_as_well_says_little():
    crowd = make_strangers(200, "payment", "device")
    ring = dict.fromkeys("abcdef", "payment:card device:phone")
    neighbours = {f"n{i}": f"device:phone payment:own{i}" for i in range(30)}
    alone = score(make_graph(ring | crowd), "a b c d e f")["a", 0][1]
    among = score(make_graph(ring | neighbours | crowd), "a b c d e f")["a", 0][1]
    assert among["client"] < alone["client"] - 2
    # 6 members and 30 outsiders match alike.
    assert among["client"] <= log2(1.0) - log2((30 + 0.5) / (230 + 1)) + 0.1
    assert among["payment"] == pytest.approx(alone["payment"], abs=0.3)


def test_an_account_that_meets_a_cluster_once_among_much_else_is_not_taken():
    ring = {f"r{i:02}": f"prompt:t{i % 4} prompt:t{(i + 1) % 4} ip:p{i % 5} ip:p{(i + 1) % 5}"
            for i in range(40)}  # fmt: skip
    busy = " ".join(f"prompt:b{i} ip:b{i}" for i in range(20))
    others = {f"x{i}": busy + f" prompt:t{i % 4} ip:p{i % 5}" for i in range(12)}
    graph = make_graph(ring | others | make_strangers(2_000, "prompt", "ip"))
    found = attribute(graph, " ".join(ring))
    assert get_members(graph, found.labels) == [" ".join(sorted(ring))]


def test_a_family_in_which_an_account_shares_nothing_costs():
    crowd = make_strangers(94, "payment", "device")
    ring = dict.fromkeys("abcde", "payment:card device:phone")
    same, other, unknown = (
        score(make_graph(ring | {"f": held} | crowd), "a b c d e")["f", 0][0]
        for held in ("payment:card device:phone", "payment:card device:else", "payment:card")
    )
    least = log2(METHOD.evading)  # a member may evade: no family says less
    assert log2(1 - 5.5 / 6) < least
    assert other == pytest.approx(unknown + least, abs=0.01)
    assert other < unknown < same


def test_what_a_program_brings_counts_only_as_far_as_its_other_users_lack_it():
    ring = dict.fromkeys("abcdef", "user_agent:tool prompt:task")
    users = {f"u{i}": "user_agent:tool prompt:task" for i in range(20)}
    others = {f"v{i}": f"user_agent:tool prompt:own{i}" for i in range(10)}
    graph = make_graph(ring | users | others | make_strangers(600, "user_agent", "prompt"))
    free = score(graph, "a b c d e f", config=replace(METHOD, common_causes=()))["a", 0][1]
    assert free["content"] > 3  # more than the program, which counts instead if it says more
    assert free["software"] == 0
    bits = score(graph, "a b c d e f")["a", 0][1]
    assert bits["content"] == 0
    assert bits["software"] > 3


def test_what_its_users_share_otherwise_a_program_does_not_explain():
    """An operator that pins one version of a client, and is found in part only."""
    ring = dict.fromkeys("abcdef", "user_agent:sdk prompt:task")
    others = {f"v{i}": f"user_agent:sdk prompt:own{i}" for i in range(10)}
    strangers = make_strangers(600, "user_agent", "prompt", "payment")
    content = {}
    for n_bound in (0, 4, 20):
        cards = [f"payment:card{i // 2 if i < n_bound else i + 100}" for i in range(20)]
        fellows = {f"u{i:02}": f"user_agent:sdk prompt:task {cards[i]}" for i in range(20)}
        graph = make_graph(ring | fellows | others | strangers)
        content[n_bound] = score(graph, "a b c d e f")["a", 0][1]["content"]
    assert content[0] == 0  # everybody has the prompt who has the program
    assert content[20] > METHOD.min_bits
    assert content[0] <= content[4] <= content[20]


def test_what_an_account_alone_has_is_known_of_it():
    crowd = make_strangers(94, "payment", "device")
    ring = dict.fromkeys("abcde", "payment:card device:phone")
    held = {"f": "payment:card"}
    nothing = make_graph(ring | held | crowd)
    assert nothing.accounts["account_id"][5] == "f"
    alone = pd.DataFrame({"account": [5]})
    alone = alone.assign(n=1, count=1, kind=pd.Categorical(["device"], nothing.kind_names))
    found = score(nothing.modify(alone=alone), "a b c d e")["f", 0][0]
    assert found == pytest.approx(
        score(nothing, "a b c d e")["f", 0][0] + log2(METHOD.evading), abs=0.01
    )


def test_many_popular_prompts_tell_a_busy_account_and_not_whose_it_is():
    popular = [f"prompt:p{i}" for i in range(40)]
    ring = {f"r{i}": " ".join(["ip:own", *popular]) for i in range(40)}
    crowd = {f"u{i}": " ".join(popular[i % 4 :: 4]) for i in range(400)}
    graph = make_graph(ring | crowd | make_strangers(400, "ip"))
    bits = score(graph, " ".join(ring))["r0", 0][1]
    assert 0 < bits["content"] < METHOD.min_bits  # all forty together would say far more
    assert bits["network"] > METHOD.min_bits


def test_what_members_hold_makes_an_identifier_no_commoner():
    """A cluster that is a fifth of everybody: its own card is rare among the others."""
    ring = {f"r{i:03}": "payment:card device:phone" for i in range(100)}
    graph = make_graph(ring | make_strangers(400, "payment", "device"))
    evidence = weigh(graph, label(graph, " ".join(ring)))
    card = evidence[evidence["identifier"] == get_code(graph, "payment:card")]
    # 99 of 499 others hold it, all members: half a weight of that among 1.5 x 499 - 99 accounts.
    rate = 0.5 * 99 / (1.5 * 499 - 99)
    assert card["alone"].to_numpy() == pytest.approx(log2((99 + rate) / 100 / rate))


TEN = "abcdefghij"


def find_crowd(held, *, n_others, bits=1.0):
    """Say whether accounts are a crowd among others who share the gateway and the prompt."""
    others = {f"x{i}": "ip:gate prompt:popular" for i in range(n_others)}
    graph = make_graph(held | others | make_strangers(400, "ip"))
    labels = label(graph, " ".join(held))
    evidence = weigh(graph, labels).assign(bits=bits)
    return find_crowds(evidence, labels, graph.holders).tolist()


def test_who_shares_only_what_more_others_have_is_a_crowd():
    gateway = dict.fromkeys(TEN, "ip:gate prompt:popular")
    assert find_crowd(gateway, n_others=10) == [True]  # 9 of the 19 others who hold it are members
    assert find_crowd(gateway, n_others=9) == [False]  # 9 of 18
    card = dict.fromkeys(TEN, "ip:gate prompt:popular payment:card")
    assert find_crowd(card, n_others=10) == [False]
    assert find_crowd(card, n_others=10, bits=0.0) == [True]  # it says nothing


def test_half_of_a_crowd_must_hold_something_of_its_own():
    for n_with, crowd in ((4, True), (5, False)):
        card = {name: " payment:card" * (name in TEN[:n_with]) for name in TEN}
        held = {name: f"ip:gate prompt:popular{card[name]}" for name in TEN}
        assert find_crowd(held, n_others=20) == [crowd]


def test_what_few_accounts_share_may_be_rare_only_as_a_whole():
    gateway = dict.fromkeys(TEN[:9], "ip:gate prompt:popular")
    assert find_crowd(gateway, n_others=50) == [False]
    assert find_crowd(gateway | {"j": "ip:gate prompt:popular"}, n_others=50) == [True]


def test_what_an_account_uses_daily_is_more_of_it_than_what_it_met_once():
    ring = dict.fromkeys("abcdef", "prompt:task prompt:x prompt:y prompt:z")
    crowd = {f"u{i}": f"prompt:task prompt:own{i}" for i in range(6)} | make_strangers(90, "prompt")
    graph = make_graph(ring | crowd)
    often = graph.edges["count"].where(
        graph.edges["identifier"] != graph.identifiers["value"].tolist().index("task"), 97
    )
    labels = np.where(graph.accounts["account_id"].isin(list("abcdef")), 0, -1)
    hits = {}
    for name, count in (("once", 1), ("daily", often)):
        edges = get_edges(graph).assign(count=count)
        found = match_edges(graph, edges, labels)
        row = np.flatnonzero(found.account == graph.accounts["account_id"].tolist().index("u0"))
        hits[name] = found.hits[row, 0].tolist()
    assert hits["once"] == [1.0]
    assert hits["daily"] == pytest.approx([2 * 97 / 98])


@pytest.mark.parametrize("n_accounts", [2, 5])
def test_a_ring_in_a_crowd_keeps_its_members_and_nobody_else(n_accounts):
    ring = dict.fromkeys("abcde"[:n_accounts], RING["a"])
    neighbours = {f"n{i}": f"ip:proxy payment:own{i}" for i in range(30)}
    graph = make_graph(ring | neighbours | CROWD)
    members = " ".join(ring)
    found = attribute(graph, members)
    assert get_members(graph, found.labels) == [members]
    assert found.probability[:n_accounts].min() > 0.99
    assert not found.probability[n_accounts:].any()


def test_a_cluster_grows_from_a_few_of_its_accounts():
    ring = {f"r{i:02}": f"prompt:t{i % 3} ip:p{i % 7} payment:c{i % 9}" for i in range(60)}
    graph = make_graph(ring | make_strangers(1_000, "prompt", "ip", "payment"))
    found = attribute(graph, " ".join(sorted(ring)[:20]))
    assert get_members(graph, found.labels) == [" ".join(sorted(ring))]


def test_a_stratum_whose_outsiders_match_more_often_is_believed_less():
    # All who are matched in one family only live in one country.
    ring = dict.fromkeys("abcdef", "ip:gateway email_pattern:common")
    crowd = make_strangers(500, "ip", "email_pattern")
    locals_ = {f"l{i}": f"ip:gateway email_pattern:own{i}" for i in range(30)}
    graph = make_graph(ring | locals_ | crowd)
    edges, labels = get_edges(graph), label(graph, "a b c d e f")
    names = graph.accounts["account_id"]
    strata = np.where(names.str.startswith("z"), 1, 0)
    plain = score_accounts(graph, edges, labels, METHOD)
    local = score_accounts(graph, edges, labels, METHOD, strata=strata)
    network = graph.family_names.index("network")
    assert (local.bits[local.own, network] < plain.bits[plain.own, network] - 2).all()


def test_evidence_is_of_members_and_adds_up_to_what_families_say():
    graph = make_graph(RING | {"s": "ip:proxy"} | make_strangers(400, "payment", "ip"))
    found = attribute(graph, "a b c d e")
    rows = name_rows(graph, found.evidence, "cluster", "account", "identifier")
    assert rows == [
        (0, account, name)
        for account in "abcde"
        for name in ("device:phone", "ip:proxy", "payment:card")
    ]
    assert (found.evidence["bits"] > 0).all()
    family = graph.family_codes[found.evidence["identifier"].to_numpy()]
    said = found.evidence["bits"].groupby([found.evidence["account"], family]).sum()
    own = found.scores.own
    bits = dict(zip(found.scores.account[own].tolist(), found.scores.bits[own], strict=True))
    assert said.to_dict() == {key: pytest.approx(bits[key[0]][key[1]]) for key in said.index}


def test_a_single_family_needs_more_than_two_do():
    crowd = make_strangers(200, "payment", "device")
    found = {}
    for held in ("payment:card payment:cash", "payment:card device:phone"):
        graph = make_graph(dict.fromkeys("abcde", held) | crowd)
        for bits in (8.0, 0.0):
            config = replace(METHOD, single_family_bits=bits)
            labels = attribute(graph, "a b c d e", config=config).labels
            found[held, bits] = len(get_members(graph, labels))
    assert found == {
        ("payment:card payment:cash", 8.0): 0,
        ("payment:card payment:cash", 0.0): 1,
        ("payment:card device:phone", 8.0): 1,
        ("payment:card device:phone", 0.0): 1,
    }


def test_what_everybody_holds_ties_nobody():
    graph = make_graph(dict.fromkeys("abcdefgh", "payment:card ip:proxy device:phone"))
    found = attribute(graph, "a b c d")
    assert (found.labels == -1).all()
    assert found.evidence.empty


def test_clusters_below_the_smallest_size_are_dissolved():
    graph = make_graph(RING | make_strangers(400, "payment", "ip"))
    found = attribute(graph, "a b c d e", config=replace(METHOD, min_accounts=6))
    assert (found.labels == -1).all()
    assert not found.probability.any()


@pytest.mark.parametrize("holdings", [{}, {"a": ""}, {"a": "ip:1"}, {"a": "ip:1", "b": "ip:1"}])
def test_without_clusters_nobody_is_attributed_and_nothing_merges(holdings):
    graph = make_graph(holdings)
    found = attribute(graph)
    assert np.array_equal(found.labels, label(graph))
    assert not len(merge_clusters(found.labels, found.scores, METHOD))
    assert found.evidence.columns.tolist() == ["account", "cluster", "identifier", "alone", "bits"]
    assert found.evidence.empty


def test_a_chance_cluster_of_accounts_that_share_nothing_is_dissolved():
    graph = make_graph(make_strangers(50, "payment", "ip"))
    assert (attribute(graph, "z0000 z0001 z0002").labels == -1).all()


def test_strangers_only_make_what_is_shared_more_telling():
    scores = []
    for n_strangers in (100, 300):
        graph = make_graph(RING | make_strangers(n_strangers, "payment", "ip", "device"))
        found = attribute(graph, "a b c d e")
        assert get_members(graph, found.labels) == ["a b c d e"]
        scores.append(found.evidence["bits"].min())
    assert scores[0] < scores[1]


def test_renumbered_clusters_are_the_same_clusters():
    other = dict.fromkeys("vwxy", "payment:cash ip:proxy device:tablet")
    graph = make_graph(RING | other | make_strangers(400, "payment", "ip"))
    first = attribute(graph, "a b c d e", "v w x y")
    second = attribute(graph, "v w x y", "a b c d e")
    assert get_members(graph, first.labels) == get_members(graph, second.labels)
    assert first.probability == pytest.approx(second.probability)


def test_scores_of_clusters_that_did_not_change_are_those_of_scoring_all():
    graph = make_random_graph(3, 60, "payment ip device prompt")
    edges = get_edges(graph)
    found = attribute_accounts(
        graph, edges, np.random.default_rng(3).integers(-1, 5, 60), replace(FREE, rounds=3)
    )
    again = score_accounts(graph, edges, found.labels, FREE)
    assert np.array_equal(found.scores.account, again.account)
    order = [np.lexsort((s.cluster, s.account)) for s in (found.scores, again)]
    assert np.array_equal(found.scores.score[order[0]], again.score[order[1]])


def test_parts_that_share_only_what_they_are_for_are_merged():
    prompts = " ".join(f"prompt:p{i}" for i in range(5))
    cells = {
        f"c{cell}{i:03}": f"payment:card{cell} device:phone{cell} ip:proxy{cell} {prompts}"
        for cell in range(2) for i in range(200)
    }  # fmt: skip
    graph = make_graph(cells | make_strangers(2_000, "payment", "device", "ip", "prompt"))
    first, second = (" ".join(sorted(n for n in cells if n[1] == c)) for c in "01")
    assert len(set(merge(graph, first, second))) == 1


def test_parts_that_share_a_public_prompt_stay_apart():
    offices = {
        f"c{cell}{i:02}": f"payment:card{cell} device:phone{cell} ip:nat{cell} prompt:tool"
        for cell in range(2) for i in range(40)
    }  # fmt: skip
    users = {f"u{i:04}": f"payment:own{i} prompt:tool" for i in range(600)}
    graph = make_graph(offices | users | make_strangers(2_000, "payment", "ip", "prompt"))
    first, second = (" ".join(sorted(n for n in offices if n[1] == c)) for c in "01")
    assert merge(graph, first, second) == [0, 1]


def merge_cells(kind):
    """Merge ten cells that have identifiers of one kind in common, as a few loose accounts do."""
    held = " ".join(f"{kind}:p{i}" for i in range(5))
    cells = {
        f"c{cell}{i:02}": f"payment:card{cell} device:phone{cell} {held}"
        for cell in range(10) for i in range(40)
    }  # fmt: skip
    loose = {f"u{i:02}": f"payment:own{i} {held}" for i in range(8)}
    graph = make_graph(cells | loose | make_strangers(2_000, "payment", "device", kind))
    clusters = [" ".join(sorted(n for n in cells if n[1] == c)) for c in "0123456789"]
    return merge(graph, *clusters)


def test_cells_of_one_purpose_that_a_few_loose_accounts_resemble_are_merged():
    assert len(set(merge_cells("prompt"))) == 1


def test_cells_do_not_merge_by_a_kind_that_is_no_purpose():
    assert merge_cells("wallet") == list(range(10))


def make_reseller(customers):
    """Return twenty accounts of an operator, and others on the same card and proxy."""
    operator = {f"o{i:02}": "payment:card ip:proxy prompt:p prompt:q" for i in range(20)}
    customers = {name: f"payment:card ip:proxy {held}" for name, held in customers.items()}
    strangers = {f"u{i:02}": f"prompt:a{i} prompt:b{i} prompt:c{i}" for i in range(18)}
    crowd = make_strangers(1_000, "payment", "ip", "prompt")
    return make_graph(operator | customers | strangers | crowd), " ".join([*operator, *customers])


def test_customers_who_share_card_and_proxy_and_ask_other_things_are_set_apart():
    customers = {f"r{i:02}": f"prompt:a{i} prompt:b{i} prompt:c{i}" for i in range(18)}
    graph, everybody = make_reseller(customers)
    members = get_members(graph, attribute(graph, everybody).labels)
    assert sorted(part.split() for part in members) == [
        [f"o{i:02}" for i in range(20)],
        sorted(customers),
    ]


@pytest.mark.parametrize("purposeful", [True, False])
def test_customers_do_not_take_in_whom_they_use_unless_they_do_the_same(purposeful):
    # Of ten accounts eight lack the prompts of two others, who fit all ten.
    labels = np.repeat([0, 1], [10, 2])
    account, cluster = np.repeat(np.arange(12), 2), np.tile([0, 1], 12)
    own = labels[account] == cluster
    strong = np.full(24, 20.0)
    scores = Scores(
        account=account,
        cluster=cluster,
        own=own,
        bits=np.full((24, 2), 15.0),
        score=strong,
        n_families=np.full(24, 2),
        apart=strong,
        silence=np.zeros(24),
        kin=np.zeros(24),
        purposeful=np.where(cluster == 0, purposeful, own),
        aimless=(account < 8) & (cluster == 1),
    )
    assert merge_clusters(labels, scores, METHOD).tolist() == [0, 0 if purposeful else 1]


def test_one_family_needs_the_less_odds_the_more_a_second_one_says():
    second = np.array([0.0, METHOD.min_bits / 2, METHOD.min_bits, 9.0])
    bits = np.stack([np.full(4, 12.0), second, np.full(4, -2.0)], axis=1)
    nothing, flags = np.zeros(4), np.zeros(4, bool)
    scores = Scores(
        account=np.arange(4),
        cluster=np.zeros(4, np.int64),
        own=flags,
        bits=bits,
        score=nothing,
        n_families=(bits >= METHOD.min_bits).sum(axis=1),
        apart=nothing,
        silence=nothing,
        kin=nothing,
        purposeful=flags,
        aimless=flags,
    )
    most = METHOD.single_family_bits
    assert _find_margin(scores, METHOD).tolist() == [most, most / 2, 0, 0]


def test_accounts_without_prompts_are_no_customers():
    graph, everybody = make_reseller({f"r{i:02}": f"device:own{i}" for i in range(15)})
    members = get_members(graph, attribute(graph, everybody).labels)
    assert [len(part.split()) for part in members] == [35]


def test_arguments_are_not_changed():
    graph = make_random_graph(0)
    labels, edges = np.random.default_rng(0).integers(-1, 3, 30), get_edges(graph)
    before = labels.copy(), edges.copy()
    attribute_accounts(graph, edges, labels, METHOD)
    assert np.array_equal(before[0], labels)
    assert_frame_equal(before[1], edges)


def merge(graph, *clusters, config=METHOD):
    labels = label(graph, *clusters)
    scores = score_accounts(graph, get_edges(graph), labels, config)
    return merge_clusters(labels, scores, config).tolist()


def test_parts_of_one_ring_are_merged():
    ring = dict.fromkeys("abcdef", RING["a"])
    assert len(set(merge(make_graph(ring | CROWD), "a b", "c d", "e f"))) == 1


def test_clusters_that_share_nothing_stay_apart():
    other = dict.fromkeys("vwxyz", "payment:cash ip:home device:tablet")
    assert merge(make_graph(RING | other | CROWD), "a b c d e", "v w x y z") == [0, 1]


def test_clusters_that_share_what_vendors_sell_stay_apart():
    ring = dict.fromkeys("abcde", "payment:card ip:proxy tls_fingerprint:gateway device:phone")
    other = dict.fromkeys("vwxyz", "payment:cash ip:proxy tls_fingerprint:gateway device:tablet")
    graph = make_graph(ring | other | make_strangers(400, "payment", "ip", "tls_fingerprint"))
    assert merge(graph, "a b c d e", "v w x y z", config=FREE) == [0, 1]


@pytest.mark.parametrize(("silence", "kin", "merged"), [(0, 0, 1), (-4, 0, 0), (-4, 100, 1)])
def test_what_a_part_does_not_share_counts_unless_they_have_one_purpose(silence, kin, merged):
    # A mail pattern and a program are in common; cards and prompts are not.
    labels = np.repeat([0, 1], [8, 60])
    account, cluster = np.repeat(np.arange(68), 2), np.tile([0, 1], 68)
    own = labels[account] == cluster
    guest = (labels[account] == 0) & ~own
    scores = Scores(
        account=account,
        cluster=cluster,
        own=own,
        bits=np.full((136, 2), 6.0),
        score=np.where(own | guest, 3.0, -3.0),
        n_families=np.full(136, 2),
        apart=np.where(guest, 6.0, 0.0),
        silence=np.where(guest, float(silence), 0.0),
        kin=np.where(guest, float(kin), 0.0),
        purposeful=own,
        aimless=np.zeros(136, bool),
    )
    assert merge_clusters(labels, scores, METHOD).tolist() == [merged, 1]


def test_merging_needs_half_of_the_accounts():
    # One of six accounts of the second ring has the card and the phone of the first.
    other = dict.fromkeys("uvwxy", "payment:cash ip:home device:tablet")
    bridge = {"z": "payment:card device:phone payment:cash device:tablet"}
    graph = make_graph(RING | other | bridge | CROWD)
    assert merge(graph, "a b c d e", "u v w x y z") == [0, 1]
