"""Colours, sizes and positions."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from linkage.errors import SchemaError
from linkage.export import add_viz
from linkage.export.packing import pack_circles


def make_graph(sizes, n_loose=0, seed=0):
    """Clusters of accounts with two hubs, an identifier for three accounts, and a card each."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    n = len(cluster)
    accounts = pd.DataFrame({"id": [f"a{i}" for i in range(n + n_loose)], "type": "account"})
    accounts["cluster_id"] = pd.array([*cluster, *[pd.NA] * n_loose], dtype="Int64")
    held = np.column_stack(
        (cluster * 10_000, cluster * 10_000 + 1, cluster * 10_000 + 2 + np.arange(n) // 3 % 900)
    )
    edges = pd.DataFrame({"source": np.repeat(accounts["id"][:n], 3), "target": held.ravel()})
    loose = pd.DataFrame(
        {"source": accounts["id"][n:], "target": rng.choice(held[:, 0], n_loose) if n else 0}
    )
    edges = pd.concat([edges, loose], ignore_index=True)
    identifiers = pd.DataFrame({"id": edges["target"].unique(), "type": "identifier"})
    identifiers["cluster_id"] = pd.array(identifiers["id"] // 10_000, dtype="Int64")
    identifiers["n_accounts"] = identifiers["id"].map(edges["target"].value_counts())
    identifiers["id"] = "i" + identifiers["id"].astype(str)
    edges["target"] = "i" + edges["target"].astype(str)
    return pd.concat([accounts, identifiers], ignore_index=True), edges


def test_no_two_nodes_overlap():
    nodes, edges = make_graph([400, 120, 40, 9, 3, 2, 1], n_loose=60)
    drawn = add_viz(nodes, edges)
    xy = drawn[["x", "y"]].to_numpy()
    radius = drawn["size"].to_numpy() / 2
    pairs = cKDTree(xy).query_pairs(2 * radius.max(), output_type="ndarray")
    gap = np.linalg.norm(xy[pairs[:, 0]] - xy[pairs[:, 1]], axis=1) - radius[pairs].sum(axis=1)
    assert gap.min() > -0.02


def test_large_identifiers_without_a_cluster_do_not_overlap_either():
    nodes, edges = make_graph([30, 20], n_loose=40)
    nodes["cluster_id"] = nodes["cluster_id"].mask(nodes["type"].eq("identifier"))
    drawn = add_viz(nodes, edges)
    z, radius = (drawn["x"] + 1j * drawn["y"]).to_numpy(), drawn["size"].to_numpy() / 2
    gap = np.abs(z[:, None] - z) - radius[:, None] - radius
    assert gap[~np.eye(len(z), dtype=bool)].min() > -0.02


def test_clusters_are_discs_apart_from_each_other_and_strangers_lie_outside():
    nodes, edges = make_graph([300, 60, 60, 8], n_loose=20)
    drawn = add_viz(nodes, edges)
    middle = drawn.groupby("cluster_id")[["x", "y"]].mean()
    away = drawn[["x", "y"]].to_numpy() - middle.reindex(drawn["cluster_id"]).to_numpy()
    inside = drawn.assign(reach=np.hypot(*away.T)).groupby("cluster_id")["reach"].max()
    for one in range(4):
        for two in range(one):
            apart = np.hypot(*(middle.loc[one] - middle.loc[two]))
            assert apart > inside[one] + inside[two]
    far = np.hypot(drawn["x"], drawn["y"])
    assert far[drawn["cluster_id"].isna()].min() > far[drawn["cluster_id"].notna()].max()


def test_hubs_stand_nearer_to_the_middle_than_rare_identifiers_and_accounts():
    nodes, edges = make_graph([90])
    drawn = add_viz(nodes, edges).set_index("id")
    far = np.hypot(drawn["x"], drawn["y"])
    hubs, accounts = far[["i0", "i1"]], far[drawn["type"] == "account"]
    rare = far[(drawn["type"] == "identifier") & (drawn["n_accounts"] == 3)]
    assert hubs.max() < rare.min()
    assert rare.max() < accounts.min()


def test_an_identifier_that_strangers_hold_for_the_greater_part_lies_outside():
    nodes, edges = make_graph([30, 20], n_loose=9)
    taken = edges.assign(
        target=edges["target"].mask(edges["source"].isin(nodes["id"][50:59]), "i2")
    )
    drawn = add_viz(nodes, taken).set_index("id")
    far = np.hypot(drawn["x"], drawn["y"])
    assert far["i2"] > far[drawn["cluster_id"].notna() & (far.index != "i2")].max()


def test_accounts_that_share_a_rare_identifier_are_neighbours():
    nodes, edges = make_graph([90])
    drawn = add_viz(nodes, edges).set_index("id")
    angle = np.angle(drawn["x"] + 1j * drawn["y"])
    for first in range(0, 90, 3):
        trio = np.exp(1j * angle[drawn.index.get_indexer([f"a{first + k}" for k in range(3)])])
        assert abs(trio.mean()) > 0.98  # within about 25 degrees; 90 accounts around the circle


def test_a_cluster_keeps_its_colour_whatever_else_is_in_the_graph():
    nodes, edges = make_graph([30, 20, 10])
    colour = add_viz(nodes, edges).set_index("id")[["r", "g", "b"]]
    part = nodes[nodes["cluster_id"] == 2]
    alone = add_viz(part, edges[edges["source"].isin(part["id"])]).set_index("id")[["r", "g", "b"]]
    pd.testing.assert_frame_equal(alone, colour.loc[alone.index])


def test_unclustered_nodes_are_grey_and_identifiers_darker_than_their_accounts():
    drawn = add_viz(*make_graph([5], n_loose=2)).set_index("id")
    assert len(set(drawn.loc["a6", ["r", "g", "b"]])) == 1
    light = drawn.loc["a0", ["r", "g", "b"]].sum()
    assert drawn.loc["i0", ["r", "g", "b"]].sum() < 0.8 * light


def test_an_identifiers_area_is_in_proportion_to_its_accounts():
    drawn = add_viz(*make_graph([36])).set_index("id")
    assert drawn.loc["i0", "size"] == pytest.approx(drawn.loc["i2", "size"] * np.sqrt(36 / 3), 0.01)


def test_row_order_and_index_do_not_matter():
    nodes, edges = make_graph([50, 20], n_loose=9)
    shuffled = nodes.sample(frac=1, random_state=3)
    drawn = add_viz(shuffled, edges.sample(frac=1, random_state=4))
    assert drawn.index.equals(shuffled.index)
    pd.testing.assert_frame_equal(drawn.sort_index(), add_viz(nodes, edges))


def test_the_seed_turns_clusters_and_moves_none():
    nodes, edges = make_graph([50, 20])
    one, two = (add_viz(nodes, edges, seed=seed) for seed in (0, 1))
    assert not np.allclose(one["x"], two["x"])
    for frame in (one, two):
        frame["z"] = frame["x"] + 1j * frame["y"]
    apart = [
        np.abs(frame["z"][frame["id"] == "i0"].item() - frame["z"][frame["id"] == "a0"].item())
        for frame in (one, two)
    ]
    assert apart[0] == pytest.approx(apart[1], abs=0.05)


def test_without_clusters_components_are_drawn_apart():
    nodes, edges = make_graph([40, 30])
    drawn = add_viz(nodes.drop(columns="cluster_id"), edges)
    left = drawn["x"][nodes["cluster_id"] == 0]
    right = drawn["x"][nodes["cluster_id"] == 1]
    assert left.max() < right.min() or right.max() < left.min()


def test_nothing_and_a_single_node_can_be_drawn():
    nodes, edges = make_graph([1])
    assert add_viz(nodes.iloc[:0], edges.iloc[:0]).empty
    assert np.isfinite(add_viz(nodes.iloc[:1], edges.iloc[:0])[["x", "y"]].to_numpy()).all()


def test_an_edge_to_nowhere_is_named():
    nodes, edges = make_graph([3])
    with pytest.raises(SchemaError, match="the first is in row 1"):
        add_viz(nodes, edges.assign(source=["a0", "ghost", *edges["source"][2:]]))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 50, 900])
def test_packed_circles_do_not_overlap_and_waste_little(n):
    radius = np.sort(np.random.default_rng(n).pareto(1.5, n) + 0.2)
    centre = pack_circles(radius)
    apart = np.hypot(*(centre[:, None] - centre[None]).transpose(2, 0, 1))
    touch = radius[:, None] + radius[None]
    np.fill_diagonal(apart, np.inf)
    assert (apart / touch).min() > 1 - 1e-6
    around = (np.hypot(*centre.T) + radius).max()
    assert n > 600 or (radius**2).sum() / around**2 > 0.3
