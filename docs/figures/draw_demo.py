"""Draw the picture of the README: the demo world's clusters, as Gephi opens them.

Run from the project's root, with the extra ``bench`` installed:
``python docs/figures/draw_demo.py``.
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

import linkage
from linkage.export import add_viz

mpl.use("Agg")
HERE = Path(__file__).parent
N_CLUSTERS = 8


def main() -> None:
    """Link the demo world and draw its riskiest clusters."""
    demo = linkage.datasets.demo()
    result = linkage.link(demo.events_path, demo.payments_path, demo.accounts_path)
    shown = result.clusters.head(N_CLUSTERS)
    nodes, edges = result.graph_tables(shown["cluster_id"].tolist())
    degree = edges["target"].value_counts()
    keep = nodes["type"].eq("account") | nodes["id"].map(degree).ge(2)
    nodes = nodes[keep]
    edges = edges[edges["target"].isin(nodes["id"])]
    nodes = add_viz(nodes, edges)
    own = nodes[nodes["type"] == "account"].groupby("cluster_id")[["x", "y"]]
    centre = nodes[["cluster_id"]].join(own.mean(), on="cluster_id")[["x", "y"]]
    radius = nodes["cluster_id"].map((own.max() - own.min()).max(axis=1) / 2)
    away = np.hypot(*(nodes[["x", "y"]] - centre).to_numpy(float).T)
    # What is mostly held by others lies far outside.
    nodes = nodes[nodes["type"].eq("account") | (away <= 1.05 * radius.to_numpy(float))]
    edges = edges[edges["source"].isin(nodes["id"]) & edges["target"].isin(nodes["id"])]
    place = nodes.set_index("id")[["x", "y"]]
    lines = list(
        zip(*(place.loc[edges[end]].to_numpy() for end in ("source", "target")), strict=True)
    )
    figure, axes = plt.subplots(figsize=(7, 7), dpi=110)
    axes.add_collection(LineCollection(lines, colors="#8a94a6", linewidths=0.25, alpha=0.35))
    for kind, marker in (("identifier", "s"), ("account", "o")):
        part = nodes[nodes["type"] == kind]
        colours = part[["r", "g", "b"]].to_numpy() / 255
        sizes = 16 if kind == "account" else 5 + 1.2 * part["id"].map(degree).fillna(1)
        axes.scatter(
            part["x"], part["y"], s=sizes, c=colours, marker=marker, linewidths=0, zorder=3
        )
    for row in shown.itertuples():
        part = nodes[nodes["cluster_id"].eq(row.cluster_id) & nodes["type"].eq("account")]
        axes.annotate(
            str(row.cluster_id),
            (part["x"].mean(), part["y"].mean()),
            ha="center",
            va="center",
            fontsize=11,
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": "none"},
            zorder=5,
        )
        axes.scatter(
            [],
            [],
            color=part[["r", "g", "b"]].iloc[0].to_numpy(float) / 255,
            label=f"{row.cluster_id}  {row.tier}, {row.n_accounts} accounts: "
            + row.families.replace("+", ", "),
        )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    axes.set_aspect("equal")
    axes.margins(0.06)
    axes.set_axis_off()
    figure.savefig(HERE / "demo.png", bbox_inches="tight", facecolor="white")


if __name__ == "__main__":
    main()
