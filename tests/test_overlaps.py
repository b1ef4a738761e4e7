"""Overlaps and their null, by hand, against brute force and against simulated worlds."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from worlds import (
    METHOD,
    get_code,
    get_edges,
    get_names,
    make_graph,
    make_random_graph,
    make_strangers,
    name_rows,
)

from linkage import overlaps
from linkage.config import Config
from linkage.overlaps import (
    count_overlaps,
    count_tests,
    expect_overlaps,
    select_edges,
)


def no_strata(graph):
    return np.zeros(graph.n_accounts, np.int64)


def pair_up(graph, *names):
    codes = [sorted(get_code(graph, name) for name in pair.split()) for pair in names]
    return pd.DataFrame(codes, columns=["left", "right"], dtype=np.int64)


def test_an_account_keeps_the_rarest_shared_identifier_of_each_family():
    graph = make_graph(
        {"a": "ip:hub ip:two payment:own payment:card", "b": "ip:hub ip:two", "c": "ip:hub"}
        | {"d": "payment:card ip:hub"}
    )
    kept = select_edges(graph, 2)
    of_a = [name for account, name in name_rows(graph, kept, "account", "identifier")
            if account == "a"]  # fmt: skip
    assert of_a == ["ip:two", "payment:card"]
    assert "payment:own" not in {name for (name,) in name_rows(graph, kept, "identifier")}


def test_a_family_of_which_an_account_has_many_does_not_crowd_out_the_others():
    prompts = " ".join(f"prompt:{i}" for i in range(9))
    holdings = {"a": f"{prompts} ip:x payment:y", "b": f"{prompts} ip:x payment:y"}
    others = {f"c{i}": "ip:x payment:y" for i in range(5)}
    graph = make_graph(holdings | others)
    kept = select_edges(graph, 3)
    kept = kept[kept["account"] == 0]
    assert sorted(graph.identifiers["kind"][kept["identifier"]]) == ["ip", "payment", "prompt"]


def test_of_a_family_the_rarest_and_the_commonest_are_kept_in_turn():
    held = {f"a{i}": " ".join(f"prompt:{n}" for n in range(9) if i <= n + 1) for i in range(11)}
    graph = make_graph(held)  # prompt:n has n + 2 holders
    of_all = [name for account, name in name_rows(graph, select_edges(graph, 4), "account",
              "identifier") if account == "a0"]  # fmt: skip
    assert of_all == ["prompt:0", "prompt:1", "prompt:7", "prompt:8"]


def test_equally_rare_identifiers_are_kept_by_their_order():
    graph = make_graph({"a": "ip:1 ip:2 ip:3", "b": "ip:1 ip:2 ip:3"})
    assert name_rows(graph, select_edges(graph, 2), "account", "identifier") == [
        (account, name) for account in "ab" for name in ("ip:1", "ip:3")
    ]


@pytest.mark.parametrize("most", [1, 3, 100])
def test_no_account_keeps_more_than_allowed_and_edges_stay_sorted(most):
    kept = select_edges(make_random_graph(0), most)
    assert kept.groupby("account").size().max() <= most
    assert_frame_equal(kept, kept.sort_values(["account", "identifier"], ignore_index=True))


def count_by_hand(graph, edges, config):
    held = edges.groupby("account")["identifier"].apply(sorted)
    together = pd.Series([pair for row in held for pair in combinations(row, 2)]).value_counts()
    independent = graph.find_independent(config.dependent_families)
    chosen, family = graph.identifiers["chosen"], graph.family_codes
    return sorted(
        (i, j, n)
        for (i, j), n in together.items()
        if n >= 2
        and (
            independent[family[i], family[j]]
            or (family[i] == family[j] and chosen[i] and chosen[j])
        )
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("room", [1, 10**6], ids=["room grows", "room enough"])
def test_overlaps_are_those_of_a_loop_over_accounts(seed, room, monkeypatch):
    monkeypatch.setattr(overlaps, "MIN_ROOM", room)
    graph = make_random_graph(seed, 60, "payment ip device prompt user_agent")
    edges = select_edges(graph, METHOD.max_identifiers)
    found = count_overlaps(graph, edges, METHOD)
    expected = count_by_hand(graph, edges, METHOD)
    assert list(found.itertuples(index=False, name=None)) == expected
    assert len(expected) > 100


def test_within_a_family_only_chosen_kinds_overlap():
    graph = make_graph(dict.fromkeys("abc", "payment:1 payment:2 ip:1 ip:2"))
    found = count_overlaps(graph, get_edges(graph), METHOD)
    assert ("payment:1", "payment:2", 3) in name_rows(graph, found, "left", "right", "n")
    assert ("ip:1", "ip:2", 3) not in name_rows(graph, found, "left", "right", "n")
    assert len(found) == 5


def test_a_chosen_kind_does_not_overlap_with_one_of_its_family_that_is_not():
    kinds = {"voucher": {"family": "payment", "chosen": False}}
    graph = make_graph(
        dict.fromkeys("abc", "payment:1 payment:2 voucher:v"), Config.from_dict({"kinds": kinds})
    )
    found = count_overlaps(graph, get_edges(graph), METHOD)
    assert name_rows(graph, found, "left", "right", "n") == [("payment:1", "payment:2", 3)]
    assert count_tests(graph, get_edges(graph), METHOD) == 1


def test_dependent_families_overlap_only_where_the_settings_allow_it():
    graph = make_graph(dict.fromkeys("abc", "prompt:p user_agent:u"))
    free = replace(METHOD, dependent_families=())
    assert count_overlaps(graph, get_edges(graph), METHOD).empty
    assert count_overlaps(graph, get_edges(graph), free)["n"].tolist() == [3]
    assert count_tests(graph, get_edges(graph), METHOD) == 0
    assert count_tests(graph, get_edges(graph), free) == 1


@pytest.mark.parametrize("holdings", [{}, {"a": ""}, {"a": "ip:1"}, {"a": "ip:1 payment:1"}])
def test_where_nothing_is_shared_nothing_overlaps(holdings):
    graph = make_graph(holdings)
    edges = select_edges(graph, 64)
    found = count_overlaps(graph, edges, METHOD)
    assert found.columns.tolist() == ["left", "right", "n"]
    assert found.empty
    assert count_tests(graph, edges, METHOD) == 0
    assert expect_overlaps(graph, found, no_strata(graph)).shape == (0,)


def may_corroborate(graph, left, right):
    chosen = graph.identifiers["chosen"].to_numpy(bool)
    first, second = graph.family_codes[left], graph.family_codes[right]
    independent = graph.find_independent(METHOD.dependent_families)[first, second]
    return independent | ((first == second) & chosen[left] & chosen[right])


@pytest.mark.parametrize("seed", range(3))
def test_the_tests_are_all_pairs_that_could_have_overlapped(seed):
    graph = make_random_graph(seed, 12, "payment ip prompt user_agent device")
    edges = get_edges(graph)
    held = np.bincount(edges["identifier"], minlength=graph.n_identifiers)
    left, right = np.array(list(combinations(np.flatnonzero(held >= 2), 2))).T
    assert count_tests(graph, edges, METHOD) == may_corroborate(graph, left, right).sum()


def test_an_overlap_is_expected_in_proportion_to_both_degrees():
    graph = make_graph({"a": "payment:p ip:x", "b": "payment:p ip:x", "c": "payment:q ip:y",
                        "d": "payment:r ip:z"})  # fmt: skip
    pairs = pair_up(graph, "payment:p ip:x", "payment:q ip:x", "payment:q ip:y")
    # Four accounts of one card and one address each: G = 4 / (4 * 4).
    assert expect_overlaps(graph, pairs, no_strata(graph)).tolist() == [1.0, 0.5, 0.25]


def test_within_a_kind_an_account_of_one_value_cannot_hold_two():
    graph = make_graph({"a": "payment:p payment:q", "b": "payment:p payment:q", "c": "payment:r"})
    # sum deg (deg - 1) = 4, E = 5: G = 4 / 25.
    pairs = pair_up(graph, "payment:p payment:q")
    assert expect_overlaps(graph, pairs, no_strata(graph)) == pytest.approx(2 * 2 * 4 / 25)


def test_chance_mixes_accounts_of_one_stratum_only():
    graph = make_graph({"a": "payment:p ip:x", "b": "payment:q ip:y", "c": "payment:p ip:y",
                        "d": "payment:q ip:x"})  # fmt: skip
    strata = np.array([0, 0, 1, 1])
    pairs = pair_up(graph, "payment:p ip:x")
    # In each stratum d_p = d_x = 1 and G = 2 / (2 * 2).
    assert expect_overlaps(graph, pairs, strata) == pytest.approx(0.5 + 0.5)
    apart = make_graph({"a": "payment:p ip:y", "b": "payment:q ip:y", "c": "payment:r ip:x"})
    assert expect_overlaps(apart, pair_up(apart, "payment:p ip:x"), np.array([0, 0, 1])) == 0


def test_what_nobody_shares_makes_what_is_shared_surprising():
    pairs = "payment:p ip:x"
    ring = dict.fromkeys("abc", "payment:p ip:x")
    alone = make_graph(ring)
    crowd = make_graph(ring | make_strangers(97, "payment", "ip"))
    assert expect_overlaps(alone, pair_up(alone, pairs), no_strata(alone)) == pytest.approx(3)
    assert expect_overlaps(crowd, pair_up(crowd, pairs), no_strata(crowd)) == pytest.approx(0.09)


@pytest.mark.parametrize("n_strata", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_null_keeps_the_number_of_pairs_of_two_kinds(seed, n_strata):
    graph = make_random_graph(seed, 50, "payment ip")
    strata = np.random.default_rng(seed).integers(0, n_strata, 50)
    matrix, kind = graph.to_matrix().toarray(), graph.kind_codes
    left, right = np.meshgrid(np.flatnonzero(kind == 0), np.flatnonzero(kind == 1))
    pairs = pd.DataFrame({"left": left.ravel(), "right": right.ravel()})
    seen = (matrix[:, kind == 0].sum(axis=1) * matrix[:, kind == 1].sum(axis=1)).sum()
    assert expect_overlaps(graph, pairs, strata).sum() == pytest.approx(seen)


@pytest.mark.parametrize("n_strata", [1, 2])
def test_expected_overlaps_are_the_mean_of_worlds_that_keep_all_degrees(n_strata):
    rng = np.random.default_rng(0)
    graph = make_random_graph(5, 80, "payment ip")
    strata = rng.integers(0, n_strata, 80)
    account = graph.edges["account"].to_numpy()
    identifier = graph.edges["identifier"].to_numpy()
    # Holdings change hands within a kind and a stratum.
    group = graph.kind_codes[identifier] * n_strata + strata[account]
    order = np.argsort(group, kind="stable")
    n_draws, total = 3_000, np.zeros((graph.n_identifiers, graph.n_identifiers))
    for _ in range(n_draws):
        dealt = np.empty_like(identifier)
        dealt[order] = identifier[np.lexsort((rng.random(len(group)), group))]
        world = np.zeros((80, graph.n_identifiers))
        np.add.at(world, (account, dealt), 1)
        total += world.T @ world
    across = (pair for pair in combinations(get_names(graph), 2) if pair[0][0] != pair[1][0])
    pairs = pair_up(graph, *map(" ".join, across))
    mean = total[pairs["left"], pairs["right"]] / n_draws
    assert expect_overlaps(graph, pairs, strata) == pytest.approx(mean, rel=0.05)


def test_one_busy_account_makes_overlaps_likelier_than_many_quiet_ones():
    quiet = {f"q{i}": f"payment:c{i % 3} ip:x{i % 3}" for i in range(9)}
    busy = {"busy": " ".join(f"payment:b{i} ip:b{i}" for i in range(9))}
    hectic = make_graph(quiet | busy)
    spread = make_graph(quiet | {f"s{i}": f"payment:b{i} ip:b{i}" for i in range(9)})
    wanted = "payment:c0 ip:x1"
    busy_one, many = (
        expect_overlaps(g, pair_up(g, wanted), no_strata(g))[0] for g in (hectic, spread)
    )
    assert busy_one == pytest.approx(3 * 3 * (9 + 81) / 18**2)
    assert many == pytest.approx(3 * 3 * (9 + 9) / 18**2)


@pytest.mark.parametrize("seed", range(3))
def test_renamed_accounts_have_the_same_overlaps(seed):
    rng = np.random.default_rng(seed)
    graph = make_random_graph(seed, 40)
    held = graph.edges.groupby("account")["identifier"].apply(
        lambda codes: " ".join(get_names(graph)[code] for code in codes)
    )
    other = make_graph(
        {f"b{i:02}": words for i, words in enumerate(rng.permutation(held.tolist()))}
    )
    found = [count_overlaps(g, get_edges(g), METHOD) for g in (graph, other)]
    assert_frame_equal(*found)
    before, after = (
        expect_overlaps(g, p, no_strata(g)) for g, p in zip((graph, other), found, strict=True)
    )
    assert before == pytest.approx(after)


def test_a_stranger_adds_no_overlap_and_no_test():
    ring = dict.fromkeys("abc", "payment:p ip:x")
    names = []
    for holdings in (ring, ring | make_strangers(5, "payment", "ip", "device")):
        graph = make_graph(holdings)
        edges = select_edges(graph, 64)
        found = count_overlaps(graph, edges, METHOD)
        names.append((name_rows(graph, found, "left", "right", "n"),
                      count_tests(graph, edges, METHOD)))  # fmt: skip
    assert names[0] == names[1] == ([("ip:x", "payment:p", 3)], 1)


def test_arguments_are_not_changed():
    graph = make_random_graph(2)
    edges = select_edges(graph, 64)
    pairs = count_overlaps(graph, edges, METHOD)
    before = edges.copy(), pairs.copy(), graph.edges.copy()
    count_overlaps(graph, edges, METHOD)
    expect_overlaps(graph, pairs, no_strata(graph))
    for left, right in zip(before, (edges, pairs, graph.edges), strict=True):
        assert_frame_equal(left, right)
