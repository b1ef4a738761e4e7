"""Figures as plain numbers that a template turns into SVG: no script, no style attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.desk.palette import find_family_colours

if TYPE_CHECKING:
    from linkage.desk.facts import ClusterFacts

__all__ = ["draw_days", "draw_families", "draw_graph", "draw_splits", "shape_path"]

WIDTH: Final = 720.0
_GRAPH_HEIGHT: Final = 520.0
_MARGIN: Final = 18.0
_ARM: Final = 0.36  # half the width of a cross's arm
# The marks of families, as the widget draws them: corners in units of the mark's reach, y down.
_MARKS: Final = {
    "payment": ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),
    "network": ((0.0, -0.95), (0.85, 0.5), (-0.85, 0.5)),
    "content": ((0.86, -0.5), (0.86, 0.5), (0.0, 1.0), (-0.86, 0.5), (-0.86, -0.5), (0.0, -1.0)),
    "client": (
        (-_ARM, -0.95), (_ARM, -0.95), (_ARM, -_ARM), (0.95, -_ARM), (0.95, _ARM), (_ARM, _ARM),
        (_ARM, 0.95), (-_ARM, 0.95), (-_ARM, _ARM), (-0.95, _ARM), (-0.95, -_ARM), (-_ARM, -_ARM),
    ),
    "software": ((-0.95, -0.5), (0.95, -0.5), (0.95, 0.5), (-0.95, 0.5)),
}  # fmt: skip
_DIAMOND: Final = ((0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))


def shape_path(family: str, x: float, y: float, radius: float) -> str:
    """Return the outline of a family's mark.

    Parameters
    ----------
    family : str
    x, y, radius : float
        Centre and reach in units of the drawing.

    Returns
    -------
    str
        A polygon's points; a diamond for a family without a mark of its own.

    Examples
    --------
    >>> shape_path("network", 0.0, 0.0, 10.0)
    '0.0,-9.5 8.5,5.0 -8.5,5.0'
    """
    corners = _MARKS.get(family, _DIAMOND)
    return " ".join(f"{x + radius * dx:.1f},{y + radius * dy:.1f}" for dx, dy in corners)


def draw_graph(nodes: pd.DataFrame, edges: pd.DataFrame) -> dict[str, Any]:
    """Place a backbone's nodes and edges on the page.

    Parameters
    ----------
    nodes, edges : pandas.DataFrame
        As `linkage.desk.backbone.pick_backbone` returns them.

    Returns
    -------
    dict
        ``width``, ``height``, ``lines`` (x1, y1, x2, y2, colour), ``discs`` (x, y, r, title),
        ``marks`` (points, colour, title), ``legend`` (family, colour, points).
    """
    if nodes.empty:
        return {"width": WIDTH, "height": 0, "lines": [], "discs": [], "marks": [], "legend": []}
    centred = nodes[["x", "y"]] - (nodes[["x", "y"]].max() + nodes[["x", "y"]].min()) / 2
    reach = float(np.abs(centred.to_numpy()).max()) or 1.0
    scale = (_GRAPH_HEIGHT / 2 - _MARGIN) / reach
    x = centred["x"].to_numpy() * scale + _GRAPH_HEIGHT / 2
    y = centred["y"].to_numpy() * scale + _GRAPH_HEIGHT / 2
    families = sorted(set(nodes.loc[nodes["type"] == "identifier", "family"]))
    colours = find_family_colours(families)
    at = pd.Series(np.arange(len(nodes)), index=nodes["id"])
    a, b = at.loc[edges["source"]].to_numpy(), at.loc[edges["target"]].to_numpy()
    ends = np.round(np.column_stack([x[a], y[a], x[b], y[b]]), 1).tolist()
    radius = np.where(
        nodes["type"] == "account",
        max(2.2, 5.0 - len(nodes) / 120),
        5.0 + 9.0 * np.sqrt(nodes["n_accounts"].astype("Float64").fillna(0).to_numpy(np.float64)
                            / max(float(nodes["n_accounts"].max() or 1), 1.0)),
    )  # fmt: skip
    rows = list(zip(nodes.to_dict("records"), x, y, radius, strict=True))
    return {
        "width": WIDTH,
        "height": _GRAPH_HEIGHT,
        "lines": [
            (*end, colours[family]) for end, family in zip(ends, edges["family"], strict=True)
        ],
        "discs": [
            (round(px, 1), round(py, 1), round(r, 1), node["label"])
            for node, px, py, r in rows
            if node["type"] == "account"
        ],
        "marks": [
            (
                shape_path(node["family"], px, py, r),
                colours[node["family"]],
                f"{node['kind']} {node['label']}",
            )
            for node, px, py, r in rows
            if node["type"] != "account"
        ],
        "legend": [
            (name, colours[name], shape_path(name, _GRAPH_HEIGHT + 26.0, 44.0 + 26 * row, 8.0),
             _GRAPH_HEIGHT + 42.0, 49.0 + 26 * row)
            for row, name in enumerate(families, start=1)
        ],
    }  # fmt: skip


def draw_families(facts: ClusterFacts) -> list[dict[Any, Any]]:
    """Return one bar a family: how many of the accounts it supports."""
    colours = find_family_colours(facts.families["family"])
    rows = facts.families.to_dict("records")
    return [
        {**row, "width": round(row["share"] * 300, 1), "colour": colours[row["family"]]}
        for row in rows
    ]


def draw_days(facts: ClusterFacts) -> dict[str, Any] | None:
    """Return the timeline: an area of active accounts, bars of sign-ups and of bans.

    Parameters
    ----------
    facts : ClusterFacts

    Returns
    -------
    dict or None
        None where nothing is dated. Weeks take the place of days in a period beyond 120 days.
    """
    if facts.days.empty:
        return None
    table = facts.days.set_index("day")
    unit = "day"
    if len(table) > 120:
        unit = "week"
        sums = table[["joined", "banned", "successors"]].resample("7D").sum()
        table = sums.assign(active=table["active"].resample("7D").max())
    width = WIDTH / len(table)
    top, bottom = 14.0, 110.0
    peak = max(int(table["active"].max()), 1)
    heights = (bottom - top) * table["active"].to_numpy() / peak
    x = np.arange(len(table)) * width
    outline = [f"0.0,{bottom}"]
    for left, height in zip(x, heights, strict=True):
        outline += [
            f"{left:.1f},{bottom - height:.1f}",
            f"{left + width:.1f},{bottom - height:.1f}",
        ]
    outline.append(f"{WIDTH:.1f},{bottom}")
    most = max(int(table[["joined", "banned"]].max().max()), 1)
    bars = [
        (round(left + width * (0.08 if name == "joined" else 0.52), 1),
         round(174 - 46 * count / most, 1), round(width * 0.4, 2), round(46 * count / most, 1),
         name, f"{when:%Y-%m-%d}: {count} {name}")
        for name in ("joined", "banned")
        for left, when, count in zip(x, table.index, table[name], strict=True)
        if count
    ]  # fmt: skip
    return {
        "width": WIDTH,
        "height": 200,
        "outline": " ".join(outline),
        "peak": peak,
        "most": most,
        "bars": bars,
        "first": f"{table.index[0]:%d %b %Y}",
        "last": f"{table.index[-1]:%d %b %Y}",
        "unit": unit,
        "joined": "signed up" if facts.has_accounts else "first seen",
        "earlier": _count_earlier(facts),
        "has_bans": bool(table["banned"].sum()),
    }


def _count_earlier(facts: ClusterFacts) -> int:
    """Count the sign-ups before the first day that is drawn."""
    if "created_at" not in facts.members:
        return 0
    start = facts.days["day"].iloc[0].tz_localize("UTC")
    return int((facts.members["created_at"] < start).sum())


def draw_splits(facts: ClusterFacts) -> dict[str, Any]:
    """Return the curve of how a cluster falls apart as its identifiers are taken away."""
    table = facts.splits
    total = max(int(table["removed"].max()), 1)
    n = max(len(facts.members), 1)
    x = 40 + (WIDTH - 60) * table["removed"].to_numpy() / total

    def line(column: str) -> str:
        y = 130 - 116 * table[column].to_numpy() / n
        return " ".join(f"{px:.1f},{py:.1f}" for px, py in zip(x, y, strict=True))

    return {
        "width": WIDTH,
        "height": 160,
        "largest": line("largest"),
        "second": line("second"),
        "total": total,
        "n": n,
    }
