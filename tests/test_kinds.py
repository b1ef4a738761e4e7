"""What kinds are worth, judged from the data."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import METHOD, get_edges, make_graph

from linkage.kinds import find_dependent, find_determined, measure_background, tabulate_kinds
from linkage.overlaps import count_overlaps, expect_overlaps

NOTHING = frozenset()


def make_people(seed=0, n=400, extra=""):
    """Return accounts with a name and its first part, and a town beside it."""
    rng = np.random.default_rng(seed)
    people = {}
    for i in range(n):
        first, last, town = rng.integers(20), rng.integers(8), rng.integers(40)
        people[f"a{i:04}"] = f"full:{first}-{last} first:{first} town:{town} {extra}"
    return people


def determine(graph):
    names = sorted(graph.identifiers["kind"].unique())
    found = find_determined(graph)
    return {(names[i], names[j]) for i, j in np.argwhere(found).tolist() if i != j}


def test_a_kind_that_is_part_of_another_is_found_in_one_direction():
    assert determine(make_graph(make_people())) == {("full", "first")}


def test_a_few_shared_identifiers_say_nothing():
    crowd = {f"z{i}": f"card:{i} phone:{i}" for i in range(200)}
    ring = dict.fromkeys("abcdef", "card:x phone:x")
    assert not determine(make_graph(ring | crowd))


def test_a_kind_that_only_one_of_two_accounts_has_is_no_counterexample():
    people = make_people()
    some = {a: held if i % 3 else held.replace("first", "other")
            for i, (a, held) in enumerate(people.items())}  # fmt: skip
    assert ("full", "first") in determine(make_graph(some))


def test_kinds_with_a_common_part_are_dependent():
    people = {f"a{i:03}": f"xy:{i % 35}-{i % 3} xz:{i % 35}-{i % 2} x:{i % 35}" for i in range(420)}
    graph = make_graph(people)
    assert determine(graph) >= {("xy", "x"), ("xz", "x")}
    assert find_dependent(graph, find_determined(graph), NOTHING) == (
        ("x", "xy"),
        ("x", "xz"),
        ("xy", "xz"),
    )


def test_families_that_were_declared_are_believed():
    graph = make_graph(make_people())
    determined = find_determined(graph)
    assert find_dependent(graph, determined, frozenset({"full"})) == (("first", "full"),)
    assert find_dependent(graph, determined, frozenset({"full", "first"})) == ()


def test_what_the_data_show_to_be_dependent_is_not_independent():
    graph = replace(make_graph(make_people()), dependent=(("first", "full"),))
    names = graph.family_names
    independent = graph.find_independent(METHOD.dependent_families)
    assert not independent[names.index("first"), names.index("full")]
    assert independent[names.index("first"), names.index("town")]


def measure(people, declared=NOTHING):
    graph = make_graph(people)
    edges = get_edges(graph)
    pairs = count_overlaps(graph, edges, METHOD)
    expected = expect_overlaps(graph, pairs, np.zeros(graph.n_accounts, np.int64))
    names = sorted(graph.identifiers["kind"].unique())
    background = measure_background(graph, edges, pairs, expected, declared)
    return {(a, b): background[i, j] for i, a in enumerate(names) for j, b in enumerate(names)}


def test_declared_kinds_have_no_background():
    rng = np.random.default_rng(0)
    people = dict(draw(rng, 1_000, nested=True))
    assert measure(people)["street", "town"] > 5
    assert measure(people, frozenset({"street"}))["street", "town"] > 5
    assert measure(people, frozenset({"street", "town"}))["street", "town"] == 1


def draw(rng, n, nested):
    for i in range(n):
        town = rng.integers(20)
        street = town * 2 + rng.integers(2) if nested else rng.integers(40)
        yield f"a{i:04}", f"town:{town} street:{street}"


def test_independent_kinds_have_no_background_and_nested_ones_do():
    rng = np.random.default_rng(1)
    apart, nested = (measure(dict(draw(rng, 2_000, nested))) for nested in (False, True))
    assert apart["street", "town"] == pytest.approx(1, abs=0.15)
    # A street is in one town of twenty.
    assert nested["street", "town"] == pytest.approx(20, rel=0.1)
    assert nested["street", "town"] == nested["town", "street"]


def test_a_campaign_does_not_raise_the_background():
    rng = np.random.default_rng(2)
    crowd = dict(draw(rng, 2_000, nested=False))
    campaign = {f"c{i:04}": f"town:c{i % 5} street:c{i % 5}" for i in range(800)}
    assert measure(crowd | campaign)["street", "town"] < 2


def test_few_accounts_tell_no_background():
    assert set(measure(make_people(n=50)).values()) == {1.0}


def test_the_table_tells_what_was_found():
    graph = make_graph(make_people())
    n_kinds = 3
    background = np.ones((n_kinds, n_kinds))
    background[0, 2] = background[2, 0] = 3.5
    table = tabulate_kinds(graph, find_determined(graph), background).set_index("kind")
    assert table.index.tolist() == ["first", "full", "town"]
    assert table.loc["full", "repeats"] == "first"
    assert table.loc["first", "comes_with"] == "town x3.5"
    assert table["n_accounts"].tolist() == [400] * 3
    assert table.loc["town", "max_holders"] == graph.holders[graph.kind_codes == 2].max()
    # Twenty first names, nearly alike in number: two accounts share one in a case of twenty.
    assert table.loc["first", "bits"] == pytest.approx(np.log2(20), abs=0.15)


def test_an_empty_graph_has_no_kinds():
    graph = make_graph({})
    determined = find_determined(graph)
    assert find_dependent(graph, determined, NOTHING) == ()
    assert tabulate_kinds(graph, determined, np.ones((0, 0))).empty
