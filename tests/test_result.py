import pytest

import linkage
from linkage.errors import UnknownIdError


@pytest.fixture
def result(ring):
    return linkage.link(observations=ring)


def test_repr_counts_what_was_found(result):
    assert "1 clusters of 9 accounts" in repr(result)


def test_a_cluster_is_explained_by_its_identifiers(result):
    found = result.explain(1)
    assert set(found.table["value"]) == {"card", "phone", "192.0.2.1"}
    card = found.table.set_index("value").loc["card"]
    assert (card["members"], card["everyone"]) == (9, 9)
    assert "tier operator" in repr(found)


def test_an_account_is_explained_by_bits(result):
    found = result.explain("ring0")
    assert found.table.set_index("value").loc["card", "bits"] > 3
    assert "cluster 1 with probability" in repr(found)


def test_a_neighbour_is_said_to_be_in_no_cluster(result):
    assert "in no cluster" in repr(result.explain("neighbour00"))


def test_two_accounts_share_what_both_hold(result):
    found = result.explain("ring0", "ring1")
    assert set(found.table["value"]) == {"card", "phone", "192.0.2.1"}
    assert set(result.explain("ring0", "neighbour00").table["value"]) == {"192.0.2.1"}


def test_unknown_ids_are_named(result):
    with pytest.raises(UnknownIdError, match="no cluster 7"):
        result.explain(7)
    with pytest.raises(UnknownIdError, match="'nobody'"):
        result.explain("nobody")
    with pytest.raises(UnknownIdError, match="no cluster 9"):
        result.to_networkx(9)


def test_networkx_and_igraph_agree(result):
    one, other = result.to_networkx(), result.to_igraph()
    assert set(one.nodes) == set(other.vs["name"])
    assert one.number_of_edges() == other.ecount()


def test_a_cluster_graph_holds_its_members_and_what_they_share(result):
    graph = result.to_networkx(1)
    assert {n for n in graph if graph.nodes[n]["type"] == "account"} == {
        f"account:ring{i}" for i in range(9)
    }
    assert graph.degree("payment:card") == 9
    assert graph.nodes["payment:card"]["n_accounts"] == 9


def test_an_identifier_wears_the_colour_of_the_cluster_that_holds_it(result):
    assert result.to_networkx().nodes["device:phone"]["cluster_id"] == 1


def test_saved_and_read_back_explains_the_same(result, tmp_path):
    back = linkage.read_case(linkage.write_case(result, tmp_path / "case"))
    assert repr(back.explain(1)) == repr(result.explain(1))
    assert repr(back.explain("ring0", "ring1")) == repr(result.explain("ring0", "ring1"))
