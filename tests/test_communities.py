"""Communities of supported edges, and whose random numbers they use."""

import random

import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest

from linkage import communities

NO_PAIRS = pd.DataFrame({"left": [], "right": [], "bits": []})


def find_communities(edges, n_accounts, *, seed, pairs=NO_PAIRS):
    return communities.find_communities(edges, pairs, n_accounts, seed=seed)


def tie(accounts, identifiers, bits=5.0):
    """Return edges from each of the accounts to each of the identifiers."""
    held = [(account, identifier, bits) for account in accounts for identifier in identifiers]
    return pd.DataFrame(held, columns=["account", "identifier", "bits"])


def join(*parts):
    return pd.concat(parts, ignore_index=True)


def make_noise(seed, n_accounts=40, n_identifiers=30, share=0.06):
    rng = np.random.default_rng(seed)
    account, identifier = np.nonzero(rng.random((n_accounts, n_identifiers)) < share)
    bits = rng.uniform(3, 16, len(account))
    return pd.DataFrame({"account": account, "identifier": identifier, "bits": bits})


def group(labels):
    """Return which accounts are together, whatever the numbers."""
    return {frozenset(np.flatnonzero(labels == label)) for label in set(labels) - {-1}}


def test_groups_that_share_nothing_are_apart_and_the_rest_is_in_none():
    edges = join(tie([1, 2, 3], [0, 1]), tie([5, 6], [2, 3]))
    assert find_communities(edges, 8, seed=0).tolist() == [-1, 0, 0, 0, -1, 1, 1, -1]


def test_two_groups_with_one_account_between_them_are_cut():
    edges = join(tie(range(6), [0, 1, 2]), tie(range(6, 12), [3, 4, 5]), tie([0], [3], bits=3.0))
    assert find_communities(edges, 12, seed=0).tolist() == [0] * 6 + [1] * 6


def test_strong_evidence_decides_where_an_account_belongs():
    groups = tie(range(5), [0, 1]), tie(range(5, 10), [2, 3])
    left = join(*groups, tie([10], [0, 1], 9.0), tie([10], [2], 3.0))
    right = join(*groups, tie([10], [0], 3.0), tie([10], [2, 3], 9.0))
    for edges, mate in ((left, 0), (right, 5)):
        labels = find_communities(edges, 11, seed=0)
        assert labels[10] == labels[mate]
        assert labels[0] != labels[5]


@pytest.mark.parametrize("n_accounts", [2, 3, 9, 30])
@pytest.mark.parametrize("n_identifiers", [1, 2, 3, 4])
@pytest.mark.parametrize("resolution", [None, 1.0], ids=["ours", "plain"])
def test_accounts_that_hold_the_same_identifiers_stay_together(
    n_accounts, n_identifiers, resolution, monkeypatch
):
    if resolution is not None:
        monkeypatch.setattr(communities, "RESOLUTION", resolution)
    edges = tie(range(n_accounts), range(n_identifiers))
    for seed in range(3):
        assert not find_communities(edges, n_accounts, seed=seed).any()


def test_no_edges_make_no_communities():
    assert find_communities(tie([], []), 3, seed=0).tolist() == [-1, -1, -1]
    assert find_communities(tie([], []), 0, seed=0).tolist() == []


def test_an_account_that_holds_its_identifier_alone_is_a_community_of_one():
    assert find_communities(tie([1], [7]), 2, seed=0).tolist() == [-1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_components_never_mix(seed):
    edges = make_noise(seed)
    drawn = nx.Graph()
    drawn.add_edges_from(zip(edges["account"], "i" + edges["identifier"].astype(str), strict=True))
    parts = list(nx.connected_components(drawn))
    assert len(parts) > 1
    found = group(find_communities(edges, 40, seed=0))
    assert frozenset().union(*found) == set(edges["account"])
    for community in found:
        assert sum(community <= part for part in parts) == 1


@pytest.mark.parametrize("seed", range(5))
def test_communities_are_numbered_in_the_order_of_their_smallest_account(seed):
    labels = find_communities(make_noise(seed), 40, seed=0)
    first = [np.flatnonzero(labels == label)[0] for label in range(labels.max() + 1)]
    assert first == sorted(first)
    assert len(first) > 1


@pytest.mark.parametrize("seed", range(10))
def test_strangers_change_no_communities(seed):
    edges = make_noise(seed, share=0.1)
    before = find_communities(edges, 40, seed=7)
    shifted = edges.assign(account=edges["account"] + 4, identifier=edges["identifier"] + 5)
    after = find_communities(join(tie(range(4), range(5)), shifted), 50, seed=7)
    assert after[:4].tolist() == [0, 0, 0, 0]
    assert group(after[4:44]) == group(before)


def test_the_same_seed_gives_the_same_labels():
    edges = make_noise(3, 200, 150, 0.03)
    labels = [find_communities(edges, 200, seed=seed) for seed in (1, 1, 2)]
    assert np.array_equal(labels[0], labels[1])
    assert not np.array_equal(labels[0], labels[2])


def test_the_state_of_the_process_does_not_matter():
    edges = make_noise(3, 200, 150, 0.03)
    random.seed(1)
    before = find_communities(edges, 200, seed=0)
    random.seed(2)
    assert np.array_equal(find_communities(edges, 200, seed=0), before)


def test_the_random_numbers_of_the_caller_are_left_alone():
    random.seed(11)
    state = random.getstate()
    find_communities(make_noise(0), 40, seed=0)
    assert random.getstate() == state
    random.seed(11)
    first = igraph.Graph.Erdos_Renyi(n=20, p=0.3).get_edgelist()
    assert random.getstate() != state
    random.seed(11)
    assert igraph.Graph.Erdos_Renyi(n=20, p=0.3).get_edgelist() == first


def test_the_callers_stream_is_restored_when_the_detector_fails(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no detector")

    monkeypatch.setattr(igraph.Graph, "community_leiden", fail)
    with pytest.raises(RuntimeError, match="no detector"):
        find_communities(make_noise(0), 40, seed=0)
    random.seed(5)
    state = random.getstate()
    igraph.Graph.Erdos_Renyi(n=20, p=0.3)
    assert random.getstate() != state


@pytest.mark.parametrize("seed", range(3))
def test_planted_groups_are_found_among_weak_ties(seed):
    rng = np.random.default_rng(seed)
    groups = [tie(range(20 * g, 20 * g + 20), range(6 * g, 6 * g + 6), 12.0) for g in range(5)]
    stray = pd.DataFrame({"account": rng.integers(0, 100, 30), "bits": 3.0})
    stray["identifier"] = rng.integers(0, 30, 30)
    edges = join(*groups, stray).drop_duplicates(["account", "identifier"])
    planted = {frozenset(range(20 * g, 20 * g + 20)) for g in range(5)}
    assert group(find_communities(edges, 100, seed=seed)) == planted


def test_pairs_tie_accounts_that_hold_nothing():
    pairs = pd.DataFrame({"left": [1, 2, 5], "right": [2, 3, 6], "bits": [4.0, 4.0, 4.0]})
    assert find_communities(tie([], []), 8, seed=0, pairs=pairs).tolist() == [
        -1, 0, 0, 0, -1, 1, 1, -1,
    ]  # fmt: skip


def test_pairs_and_edges_tie_together():
    edges = tie([0, 1, 2], [0, 1])
    pairs = pd.DataFrame({"left": [2], "right": [3], "bits": [9.0]})
    labels = find_communities(edges, 5, seed=0, pairs=pairs)
    assert labels[2] == labels[3] >= 0
    assert labels[4] == -1


def separate(labels, edges):
    labels = np.array(labels)
    return communities.separate_communities(labels, edges, len(labels), seed=0)


def test_parts_that_only_a_vendor_ties_come_apart():
    edges = join(tie(range(20), [0, 1]), tie(range(20, 40), [2, 3]))
    assert separate([0] * 40, edges).tolist() == [0] * 20 + [1] * 20


def test_parts_that_share_some_of_what_tells_them_apart_stay_together():
    common = tie(range(40), [4, 5, 6])
    edges = join(tie(range(20), [0, 1]), tie(range(20, 40), [2, 3]), common)
    assert separate([0] * 40, edges).tolist() == [0] * 40


def test_small_communities_are_not_looked_into():
    edges = join(tie(range(9), [0, 1]), tie(range(9, 18), [2, 3]))
    assert separate([0] * 18, edges).tolist() == [0] * 18


def test_an_identifier_of_two_communities_does_not_join_them_again():
    edges = tie(range(40), [0])
    assert separate([0] * 20 + [1] * 20, edges).tolist() == [0] * 20 + [1] * 20


def test_who_has_nothing_to_be_told_apart_by_stays_with_the_rest():
    edges = join(tie(range(20), [0, 1]), tie(range(20, 40), [2, 3]))
    assert separate([0] * 41 + [-1], edges).tolist() == [0] * 20 + [1] * 20 + [2, -1]


def make_rings(size, n=3):
    """Return rings of accounts, some of which are tied to some of the next ring."""
    rings = [tie(range(i * size, (i + 1) * size), range(3 * i, 3 * i + 3)) for i in range(n)]
    bridges = [
        tie([i * size + k, ((i + 1) % n) * size + k], [100 + i * size + k])
        for i in range(n)
        for k in range(size - 4)
    ]
    return join(*rings, *bridges)


@pytest.mark.parametrize(("size", "n_groups"), [(12, 1), (9, 3)])
def test_parts_that_are_tied_are_put_together_if_they_are_large_enough(size, n_groups):
    edges, n_accounts = make_rings(size), 3 * size
    labels = find_communities(edges, n_accounts, seed=0)
    assert labels.max() == 2
    joined = communities.join_communities(labels, edges, NO_PAIRS, n_accounts, seed=0)
    assert joined.max() + 1 == n_groups


def test_what_nothing_ties_stays_apart_and_what_is_in_no_community_stays_out():
    edges = join(tie(range(12), [0, 1]), tie(range(12, 24), [2, 3]))
    labels = find_communities(edges, 26, seed=0)
    joined = communities.join_communities(labels, edges, NO_PAIRS, 26, seed=0)
    assert joined.tolist() == labels.tolist() == [0] * 12 + [1] * 12 + [-1] * 2
