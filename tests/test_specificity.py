"""Whom what no program brings along ties to others, by hand."""

import numpy as np
import pandas as pd
import pytest
from worlds import METHOD, get_code, make_graph, make_strangers

from linkage.graph import find_starts
from linkage.specificity import find_bound, find_own, judge_bound


def bind(holdings, *groups, free=("payment",)):
    """Return the names of those of each group who are bound to others of it."""
    graph = make_graph(holdings)
    names = graph.accounts["account_id"].tolist()
    rows = [(names.index(name), number) for number, group in enumerate(groups) for name in group]
    account, group = np.array(rows).T
    is_free = np.isin(graph.kind_codes, [graph.kind_names.index(kind) for kind in free])
    bound = find_bound(
        find_starts(graph.edges["account"].to_numpy(), graph.n_accounts),
        graph.edges["identifier"].to_numpy(),
        graph.holders,
        is_free,
        account,
        group,
        METHOD.min_bits,
    )
    return ["".join(names[a] for a, g in rows if g == n and bound[rows.index((a, g))])
            for n in range(len(groups))]  # fmt: skip


def test_members_who_hold_an_identifier_make_it_the_clusters_whether_or_not_it_adds_bits():
    # Of nine holders six are members; to two of them other evidence says the same already.
    bits = [2.0] * 4 + [0.0] * 2
    evidence = pd.DataFrame({"cluster": 0, "identifier": 0, "bits": bits})
    assert find_own(evidence, np.array([9])).tolist() == [True] * 4 + [False] * 2
    assert not find_own(evidence, np.array([12])).any()
    others = evidence.assign(cluster=range(6))
    assert not find_own(others, np.array([9])).any()


def test_a_card_binds_those_of_one_group_who_hold_it_and_a_prompt_does_not():
    ring = {name: f"prompt:p payment:{card}" for name, card in zip("abcd", "xxyz", strict=True)}
    world = ring | make_strangers(100, "payment")
    assert bind(world, "abcd") == ["ab"]
    assert bind(world, "acd", "bd", "ab") == ["", "", "ab"]
    assert bind(world, "abcd", free=("payment", "prompt")) == ["abcd"]


@pytest.mark.parametrize(("n_others", "bound"), [(2, "abcd"), (40, "")])
def test_what_is_as_common_elsewhere_binds_nobody(n_others, bound):
    ring = dict.fromkeys("abcd", "payment:card prompt:p")
    others = {f"x{i}": "payment:card" for i in range(n_others)}
    world = ring | others | make_strangers(100, "payment")
    assert get_code(make_graph(world), "payment:card") >= 0
    assert bind(world, "abcd") == [bound]


def test_a_quarter_bound_is_enough_and_few_accounts_are_believed_less():
    n_bound, n = np.array([0, 2, 24, 26, 60]), np.array([50, 4, 96, 96, 96])
    assert judge_bound(n_bound, n).tolist() == pytest.approx([0, 1, 0.96, 1, 1])
    assert judge_bound(np.array([1]), np.array([4])).tolist() == [0.5]
