"""Significance of overlaps and of clusters."""

from dataclasses import replace
from math import exp, factorial, log2

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from worlds import METHOD, get_code, get_edges, make_graph, make_random_graph, make_strangers

from linkage import significance
from linkage.overlaps import count_overlaps, count_tests, expect_overlaps
from linkage.significance import adjust_p_values

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)

NO_MATCHES = pd.DataFrame({"account": [], "cluster": [], "family": []}).astype(np.int64)


def judge_clusters(graph, edges, labels, overlaps, n_tests, *, matches=NO_MATCHES, strata=None):
    strata = np.zeros(graph.n_accounts, np.int64) if strata is None else strata
    return significance.judge_clusters(graph, edges, labels, strata, matches, overlaps, n_tests)


def validate_overlaps(pairs, expected, n_tests, config, holders=None):
    """Validate overlaps, of identifiers that are far larger than these by default."""
    holders = np.full(len(pairs) + 1, 10**9) if holders is None else holders
    return significance.validate_overlaps(pairs, expected, holders, n_tests, config)


def make_pairs(*n):
    rows = np.arange(len(n))
    return pd.DataFrame({"left": rows, "right": rows + 1, "n": n}).astype(np.int64)


def test_an_overlap_has_the_upper_tail_of_a_poisson_law():
    table = validate_overlaps(make_pairs(4), np.array([0.1]), 1, METHOD)
    below = sum(exp(-0.1) * 0.1**k / factorial(k) for k in range(4))
    assert table["p_value"].tolist() == pytest.approx([1 - below])
    assert table["q_value"].tolist() == pytest.approx([1 - below])
    assert table["expected"].tolist() == [0.1]


def test_bits_are_those_of_the_lower_bound_of_the_rate():
    table = validate_overlaps(make_pairs(2), np.array([0.001]), 1, METHOD)
    # The 5 % quantile of Gamma(2): 1 - (1 + x) exp(-x) = 0.05.
    rate = 0.355361
    assert 1 - (1 + rate) * exp(-rate) == pytest.approx(0.05, abs=1e-6)
    assert table["bits"].tolist() == pytest.approx([log2(rate / 0.001)], abs=1e-5)


def test_overlaps_are_tested_again_against_another_null():
    found = validate_overlaps(make_pairs(4), np.array([0.1]), 1, METHOD)
    again = significance.retest_overlaps(found, np.array([2.0]))
    assert again["p_value"].tolist() == pytest.approx([stats.poisson.sf(3, 2.0)])
    assert again["expected"].tolist() == [2.0]
    pd.testing.assert_frame_equal(
        again.drop(columns=["p_value", "expected"]), found.drop(columns=["p_value", "expected"])
    )


def test_bits_are_those_of_the_odds_ratio():
    # Of 1,000 accounts 40 hold one identifier, 50 the other, 30 both.
    table = validate_overlaps(make_pairs(30), np.array([2.0]), 1, METHOD, np.array([40, 50]))
    n = stats.gamma.ppf(0.05, 30)
    odds_ratio = n * (1_000 - 40 - 50 + n) / ((40 - n) * (50 - n))
    assert table["bits"].tolist() == pytest.approx([log2(odds_ratio)])


def test_an_operator_of_half_the_accounts_is_no_less_evidence():
    pairs, small, large = make_pairs(90), np.array([100, 100]), np.array([5_000, 5_000])
    few = validate_overlaps(pairs, np.array([1.0]), 1, METHOD, small)
    many = validate_overlaps(make_pairs(4_500), np.array([2_500.0]), 1, METHOD, large)
    assert few["bits"].tolist()[0] > 5
    assert many["bits"].tolist()[0] > 5  # where n / mu would say 0.8


def test_more_common_holders_or_fewer_expected_ones_are_more_bits():
    table = validate_overlaps(make_pairs(5, 6, 5), np.array([0.1, 0.1, 0.05]), 3, METHOD)
    bits = table["bits"].tolist()
    assert bits[0] < bits[1]
    assert bits[2] == pytest.approx(bits[0] + 1)


def test_what_chance_explains_is_dropped_and_so_is_what_means_little():
    pairs, expected = make_pairs(2, 5_000, 9), np.array([1.0, 4_000.0, 0.1])
    table = validate_overlaps(pairs, expected, 3, METHOD)
    assert table["n"].tolist() == [9]
    assert validate_overlaps(pairs, expected, 3, replace(METHOD, min_bits=0.0))["n"].tolist() == [
        5_000,
        9,
    ]


def test_the_more_could_have_been_found_the_less_is_believed():
    pairs, expected = make_pairs(3), np.array([0.05])
    assert len(validate_overlaps(pairs, expected, 1, METHOD)) == 1
    assert validate_overlaps(pairs, expected, 10_000, METHOD).empty


def test_rows_keep_their_order_and_an_impossible_overlap_is_finite():
    pairs, expected = make_pairs(9, 800, 9), np.array([0.2, 0.0, 0.1])
    table = validate_overlaps(pairs, expected, 10, METHOD)
    assert table["left"].tolist() == [0, 1, 2]
    assert np.isfinite(table["bits"]).all()
    assert table["p_value"].tolist()[1] == 0


def test_nothing_found_is_nothing_validated():
    table = validate_overlaps(make_pairs(), np.empty(0), 0, METHOD)
    assert table.empty
    assert {"left", "right", "n", "expected", "p_value", "q_value", "bits"} == set(table)


@given(P_VALUES)
def test_adjusted_p_values_are_those_of_scipy(p_value):
    expected = stats.false_discovery_control(p_value, method="bh")
    assert adjust_p_values(p_value, len(p_value)) == pytest.approx(expected)


@given(P_VALUES, st.integers(0, 50))
def test_hypotheses_without_a_p_value_count_as_ones(p_value, n_more):
    padded = np.concatenate([p_value, np.ones(n_more)])
    expected = stats.false_discovery_control(padded, method="bh")[: len(p_value)]
    assert adjust_p_values(p_value, len(padded)) == pytest.approx(expected)


@given(P_VALUES, st.randoms(use_true_random=False))
def test_adjusting_does_not_depend_on_the_order(p_value, shuffler):
    order = list(range(len(p_value)))
    shuffler.shuffle(order)
    adjusted = adjust_p_values(p_value, len(p_value) + 3)
    assert np.array_equal(adjust_p_values(p_value[order], len(p_value) + 3), adjusted[order])


def test_no_p_values_are_adjusted_to_none():
    assert adjust_p_values(np.empty(0), 0).shape == (0,)


def test_false_discoveries_are_few_in_worlds_without_operators():
    n_found = []
    for seed in range(20):
        graph = make_random_graph(seed, 60, "payment ip device prompt")
        pairs = count_overlaps(graph, get_edges(graph), METHOD)
        expected = expect_overlaps(graph, pairs, np.zeros(60, np.int64))
        n_tests = count_tests(graph, get_edges(graph), METHOD)
        loose = replace(METHOD, fdr=0.05, min_bits=0.0)
        n_found.append(len(validate_overlaps(pairs, expected, n_tests, loose)))
    assert np.mean(np.array(n_found) > 0) <= 0.1  # all are false, so that FDR is the share


def judge(graph, members, overlaps, n_tests=100):
    """Return q-values of clusters of accounts, given overlaps ``{"name name": p}``."""
    accounts = graph.accounts["account_id"].tolist()
    labels = np.full(graph.n_accounts, -1, np.int64)
    for cluster, names in enumerate(members):
        labels[[accounts.index(name) for name in names.split()]] = cluster
    rows = [(*sorted(get_code(graph, name) for name in pair.split()), p)
            for pair, p in overlaps.items()]  # fmt: skip
    table = pd.DataFrame(sorted(rows), columns=["left", "right", "p_value"])
    table = table.astype({"left": np.int64, "right": np.int64, "p_value": float})
    return judge_clusters(graph, get_edges(graph), labels, table, n_tests)


TWO_RINGS = {
    **dict.fromkeys("ab", "payment:p ip:x"),
    **dict.fromkeys("cd", "payment:q ip:y"),
    "e": "payment:q ip:x",
}


def test_a_cluster_is_as_significant_as_its_overlap_is_among_all_tests():
    q_value = judge(make_graph(TWO_RINGS), ["a b"], {"ip:x payment:p": 1e-6}, n_tests=100)
    assert q_value == pytest.approx([1e-4])


def test_each_cluster_is_judged_by_its_own_overlaps():
    overlaps = {"ip:x payment:p": 1e-6, "ip:y payment:q": 1e-9}
    q_value = judge(make_graph(TWO_RINGS), ["a b", "c d"], overlaps, n_tests=100)
    assert q_value == pytest.approx([1e-6 * 100 / 2, 1e-9 * 100])


def test_an_overlap_that_one_member_alone_has_supports_no_cluster():
    overlaps = {"ip:x payment:p": 1e-6}
    assert judge(make_graph(TWO_RINGS), ["a c d"], overlaps).tolist() == [1.0]
    assert judge(make_graph(TWO_RINGS), ["c d"], overlaps).tolist() == [1.0]


def test_a_third_family_multiplies_by_its_search_over_its_own_identifiers():
    ring = dict.fromkeys("ab", "payment:p ip:x device:d")
    others = {"c": "device:e", "d": "device:e"}  # two devices could have been it
    overlaps = {"ip:x payment:p": 1e-9, "device:d ip:x": 1e-4, "device:d payment:p": 1e-3}
    q_value = judge(make_graph(ring | others), ["a b"], overlaps, n_tests=100)
    assert q_value == pytest.approx([1e-9 * 100 * 2 * 1e-4])


def test_a_family_without_an_overlap_changes_nothing():
    ring = dict.fromkeys("ab", "payment:p ip:x device:d")
    q_value = judge(make_graph(ring), ["a b"], {"ip:x payment:p": 1e-9}, n_tests=100)
    assert q_value == pytest.approx([1e-7])


def test_overlaps_apart_from_the_strongest_do_not_add_to_it():
    ring = dict.fromkeys("ab", "payment:p ip:x device:d prompt:t")
    overlaps = {"ip:x payment:p": 1e-9, "device:d prompt:t": 1e-4}
    assert judge(make_graph(ring), ["a b"], overlaps, n_tests=100) == pytest.approx([1e-7])


def test_overlaps_within_a_single_family_are_judged():
    graph = make_graph(dict.fromkeys("ab", "payment:p payment:q"))
    assert judge(graph, ["a b"], {"payment:p payment:q": 1e-6}, 10) == pytest.approx([1e-5])


def test_significance_does_not_run_out_of_small_numbers():
    ring = dict.fromkeys("ab", "payment:p ip:x device:d prompt:t")
    overlaps = {"ip:x payment:p": 0.0, "device:d ip:x": 0.0, "ip:x prompt:t": 1e-320}
    q_value = judge(make_graph(ring), ["a b"], overlaps)
    assert q_value.tolist() == pytest.approx([0.0])


@pytest.mark.parametrize("holdings", [{"a": ""}, {"a": "ip:1 payment:1", "b": "ip:1"}])
def test_without_clusters_there_is_nothing_to_judge(holdings):
    assert judge(make_graph(holdings), [], {}).shape == (0,)


def test_a_cluster_without_any_overlap_is_not_significant():
    assert judge(make_graph(TWO_RINGS), ["a b", "c d"], {}).tolist() == [1.0, 1.0]


def test_strangers_change_no_q_value():
    overlaps = {"ip:x payment:p": 1e-6}
    more = make_graph(TWO_RINGS | make_strangers(5, "payment", "ip", "device"))
    assert judge(more, ["a b"], overlaps) == pytest.approx(
        judge(make_graph(TWO_RINGS), ["a b"], overlaps)
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_has_the_smallest_p_value_of_those_that_two_members_hold(seed):
    graph, rng = make_random_graph(seed), np.random.default_rng(seed)
    overlaps = count_overlaps(graph, get_edges(graph), METHOD)
    overlaps = overlaps.assign(p_value=rng.random(len(overlaps)))
    labels = rng.integers(-1, 4, graph.n_accounts)
    held, family = graph.to_matrix().toarray(), graph.family_codes
    expected = np.ones((4, len(graph.family_names), len(graph.family_names)))
    for left, right, _, p_value in overlaps.itertuples(index=False):
        for cluster in range(4):
            if (held[:, left] * held[:, right])[labels == cluster].sum() >= 2:
                for f, g in [family[[left, right]], family[[right, left]]]:
                    expected[cluster, f, g] = min(expected[cluster, f, g], p_value)
    found = significance._find_best_by_families(graph, labels, overlaps)
    assert found.tolist() == expected.tolist()
    assert (expected < 1).sum() > 20


@pytest.mark.parametrize("n_tests", [10**4, 10**8])
def test_overlaps_that_are_not_tested_would_not_have_been_kept(n_tests, monkeypatch):
    rng = np.random.default_rng(0)
    pairs, expected = make_pairs(*rng.integers(2, 12, 400)), 10 ** rng.uniform(-3, -1, 400)
    monkeypatch.setattr("linkage.significance.PAIRS_TESTED", 64)
    found = validate_overlaps(pairs, expected, n_tests, replace(METHOD, min_bits=0.0))
    q_value = adjust_p_values(stats.poisson.sf(pairs["n"] - 1, expected), n_tests)
    assert found["left"].tolist() == np.flatnonzero(q_value <= METHOD.fdr).tolist()
    assert found["q_value"].to_numpy() == pytest.approx(q_value[found["left"]])
    assert 0 < len(found) < 400


def match(*rows):
    return pd.DataFrame(rows, columns=["account", "cluster", "family"])


def test_matching_a_cluster_in_two_families_is_judged_by_how_many_match_it_in_each():
    graph = make_graph(make_strangers(100, "device", "payment"))
    labels = np.full(100, -1, np.int64)
    labels[:4] = 0
    # Four members match in both families, and six outsiders in the first.
    rows = [(account, 0, 0) for account in range(10)] + [(account, 0, 1) for account in range(4)]
    found = judge_clusters(
        graph, get_edges(graph), labels, make_pairs().assign(p_value=[]), 1, matches=match(*rows)
    )
    assert found.tolist() == pytest.approx([stats.poisson.sf(3, 10 * 4 / 100)])


def test_matches_are_expected_within_strata():
    graph = make_graph(make_strangers(100, "device", "payment"))
    labels = np.full(100, -1, np.int64)
    labels[:4] = 0
    strata = np.repeat([0, 1], [20, 80])
    rows = [(account, 0, family) for account in range(4) for family in (0, 1)]
    found = judge_clusters(
        graph, get_edges(graph), labels, make_pairs().assign(p_value=[]), 1,
        matches=match(*rows), strata=strata,
    )  # fmt: skip
    assert found.tolist() == pytest.approx([stats.poisson.sf(3, 4 * 4 / 20)])


def test_matches_in_one_family_are_not_significant():
    graph = make_graph(make_strangers(100, "device", "payment"))
    labels = np.zeros(100, np.int64)
    rows = [(account, 0, 0) for account in range(50)]
    found = judge_clusters(
        graph, get_edges(graph), labels, make_pairs().assign(p_value=[]), 1, matches=match(*rows)
    )
    assert found.tolist() == [1.0]
