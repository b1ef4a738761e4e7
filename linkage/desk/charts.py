"""Charts for notebooks, in altair: what a case holds, and what is behind one cluster.

Notebooks show them as SVG, drawn in Python. Altair's own way loads its code from a server: it fails
offline, and tells the server that somebody looks at a case.
"""

from __future__ import annotations

from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import numpy as np
import pandas as pd

from linkage.desk import words
from linkage.desk.extras import import_extra
from linkage.desk.facts import gather_facts, spread_rows
from linkage.desk.palette import TIER_COLOURS, find_family_colours
from linkage.errors import UnknownIdError
from linkage.export.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkage.desk.background import Background
    from linkage.desk.facts import CaseTables, ClusterFacts

__all__ = [
    "chart_account",
    "chart_cells",
    "chart_cluster",
    "chart_clusters",
    "chart_families",
    "chart_splits",
    "chart_timeline",
]

P = ParamSpec("P")

MAX_CELLS: Final = 60  # accounts and identifiers of a heat map, each
MAX_BARS: Final = 24  # identifiers of a waterfall
MAX_LABEL: Final = 44
_WIDTH: Final = 560


@cache
def _define_offline(kind: type) -> type:
    """Return a class of chart that shows itself without a server."""

    def _repr_mimebundle_(self: Any, *_: Any, **__: Any) -> dict[str, str]:
        convert = import_extra("vl_convert", "notebook")
        return {"image/svg+xml": convert.vegalite_to_svg(self.to_dict())}

    return type(kind.__name__, (kind,), {"_repr_mimebundle_": _repr_mimebundle_})


def _offline(draw: Callable[P, Any]) -> Callable[P, Any]:
    """Make a function's charts show themselves without a server; they stay altair charts."""

    @wraps(draw)
    def draw_offline(*args: P.args, **kwargs: P.kwargs) -> Any:
        chart = draw(*args, **kwargs)
        object.__setattr__(chart, "__class__", _define_offline(type(chart)))  # type: ignore[arg-type]
        return chart

    return draw_offline


@_offline
def chart_clusters(case: CaseTables) -> Any:
    """Chart all clusters: accounts to the right, confidence up, colour and shape by tier.

    Parameters
    ----------
    case : Result, or anything with its tables

    Returns
    -------
    altair.Chart
    """
    alt = import_extra("altair", "notebook")
    names = ["cluster_id", "tier", "n_accounts", "confidence", "risk", "families"]
    table = case.clusters[names].assign(
        families=[words.name_families(str(x), short=True) for x in case.clusters["families"]],
        tier=_clean(case.clusters["tier"]),
    )
    tiers = list(TIER_COLOURS)
    scale = alt.Scale(domain=tiers, range=list(TIER_COLOURS.values()))
    base = alt.Chart(_plain(table), title="Clusters: the surer, the higher; the larger, the "
                     "further right")  # fmt: skip
    ends = [table["n_accounts"].min() * 0.8, table["n_accounts"].max() * 1.3]
    x = alt.X(
        "n_accounts:Q",
        title="accounts",
        axis=alt.Axis(format=",d"),
        scale=alt.Scale(type="log", domain=ends if len(table) else [1, 10], nice=False),
    )
    y = alt.Y("confidence:Q", scale=alt.Scale(domain=[0, 1.03], nice=False))
    dots = base.mark_point(filled=True, opacity=0.8).encode(
        x=x,
        y=y,
        size=alt.Size("risk:Q", scale=alt.Scale(range=[30, 220], domain=[0, 1])),
        color=alt.Color("tier:N", scale=scale),
        shape=alt.Shape("tier:N", scale=alt.Scale(domain=tiers)),
        tooltip=["cluster_id:N", "tier:N", "n_accounts:Q", "confidence:Q", "risk:Q", "families:N"],
    )
    top = alt.Chart(_plain(_spread_labels(table.head(8)))).mark_text(dy=-14, color="#777")
    layers = dots + top.encode(x=x, y=y, text="cluster_id:N")
    return layers.properties(width=_WIDTH, height=280)


def _spread_labels(clusters: pd.DataFrame) -> pd.DataFrame:
    """Leave out the ids that would be written over one of a riskier cluster."""
    place = np.column_stack(
        [np.log(clusters["n_accounts"].to_numpy(float)) / 0.12, clusters["confidence"] / 0.06]
    )
    kept: list[int] = []
    for row in range(len(clusters)):
        if all(np.abs(place[row] - place[other]).max() >= 1 for other in kept):
            kept.append(row)
    return clusters.iloc[kept]


@_offline
def chart_timeline(case: CaseTables, cluster_id: int, background: Background | None = None) -> Any:
    """Chart when a cluster was active, joined, was banned and replaced.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int
    background : Background, optional
        Brings sign-ups and bans; without it, first observations stand for sign-ups.

    Returns
    -------
    altair.VConcatChart
        Above the accounts between their first and last observation, below what happened by day.
    """
    return _draw_timeline(gather_facts(case, cluster_id, background))


def _draw_timeline(facts: ClusterFacts) -> Any:
    alt = import_extra("altair", "notebook")
    cluster_id = facts.cluster["cluster_id"]
    joined = "signed up" if facts.has_accounts else "first seen"
    kinds = {"joined": joined, "banned": "banned", "successors": "signed up soon after a ban"}
    shown = [name for name in kinds if len(facts.days) and facts.days[name].any()]
    long = facts.days.melt("day", shown, "happened", "accounts").replace({"happened": kinds})
    long = long[long["accounts"] > 0]
    axis = alt.Axis(format="%d %b", labelFlush=True, tickCount=8, grid=False)
    x = alt.X("day:T", title=None, axis=axis)
    area = (
        alt.Chart(_plain(facts.days), title=f"Cluster {cluster_id}: accounts active")
        .mark_area(color="#86b6dc", interpolate="step-after")
        .encode(x=x, y=alt.Y("active:Q", title="accounts"), tooltip=["day:T", "active:Q"])
        .properties(width=_WIDTH, height=110)
    )
    colours = alt.Scale(domain=list(kinds.values()), range=["#0072b2", "#d55e00", "#009e73"])
    bars = (
        alt.Chart(_plain(long))
        .mark_bar()
        .encode(
            x=alt.X("yearmonthdate(day):T", title=None, axis=axis),
            y=alt.Y("accounts:Q", title="accounts", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("happened:N", scale=colours, legend=None),
            row=alt.Row("happened:N", title=None, sort=list(kinds.values()),
                        header=alt.Header(labelAngle=0, labelAnchor="start", labelLimit=180,
                                          labelOrient="top", labelPadding=2)),
            tooltip=["day:T", "happened:N", "accounts:Q"],
        )
        .properties(width=_WIDTH, height=46)
    )  # fmt: skip
    return alt.vconcat(area, bars) if len(long) else alt.vconcat(area)


@_offline
def chart_cells(case: CaseTables, cluster_id: int) -> Any:
    """Chart which account holds which identifier: a heat map of the strongest.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int

    Returns
    -------
    altair.Chart
        Up to 60 accounts (evenly spread from the surest to the least sure) and 60 identifiers,
        ordered so that accounts that share more stand together: blocks are cells of an operation.
    """
    return _draw_cells(case, gather_facts(case, cluster_id))


def _draw_cells(case: CaseTables, facts: ClusterFacts) -> Any:
    alt = import_extra("altair", "notebook")
    cluster_id = facts.cluster["cluster_id"]
    accounts = spread_rows(facts.members, MAX_CELLS)["account_id"]
    turn = facts.identifiers.groupby("family").cumcount()
    order = turn.sort_values(kind="stable").index[:MAX_CELLS]
    chosen = facts.identifiers.loc[order].sort_values(
        ["family", "members"], ascending=[True, False], kind="stable"
    )
    rows = case.evidence[case.evidence["cluster_id"] == cluster_id]
    rows = rows[rows["account_id"].isin(accounts)].merge(
        chosen[["kind", "value"]], on=["kind", "value"]
    )
    table = rows[["account_id", "family", "kind", "value", "bits"]].assign(
        account=_clean(rows["account_id"]),
        identifier=_clean(rows["kind"] + " " + rows["value"]),
    )
    lines = list(dict.fromkeys(_clean(chosen["kind"] + " " + chosen["value"])))
    colours = find_family_colours(facts.families["family"])
    most = max(round(float(table["bits"].max()), 1), 1.0) if len(table) else 1.0
    return (
        alt.Chart(
            _plain(table.drop(columns=["account_id", "value"])),
            title=f"Cluster {cluster_id}: who holds what ({len(accounts):,} of "
            f"{len(facts.members):,} accounts)",
        )
        .mark_rect()
        .encode(
            x=alt.X("account:N", sort=_order_accounts(table), axis=None),
            y=alt.Y("identifier:N", sort=lines, title=None,
                    axis=alt.Axis(labelLimit=260, labelFontSize=9)),
            color=alt.Color("family:N", scale=alt.Scale(domain=list(colours),
                                                        range=list(colours.values()))),
            opacity=alt.Opacity("bits:Q", scale=alt.Scale(domain=[0, most], range=[0.3, 1.0],
                                                          clamp=True)),
            tooltip=["account", "identifier", "family", alt.Tooltip("bits:Q", format=".1f")],
        )
        .properties(width=_WIDTH, height=alt.Step(11))
    )  # fmt: skip


def _order_accounts(table: pd.DataFrame) -> list[str]:
    """Order accounts so that those with common identifiers are neighbours (leading vector)."""
    grid = pd.crosstab(table["account"], table["identifier"]).clip(upper=1)
    if len(grid) < 3:
        return [str(name) for name in grid.index]
    centred = grid.to_numpy(float) - grid.to_numpy(float).mean(axis=0)
    leading = np.linalg.svd(centred, full_matrices=False)[0][:, 0]
    leading = leading * (np.sign(leading[np.abs(leading).argmax()]) or 1.0)
    return [str(name) for name in grid.index[np.argsort(leading.round(9), kind="stable")]]


@_offline
def chart_account(case: CaseTables, account: str) -> Any:
    """Chart how an account's evidence adds up: a waterfall of bits, one bar an identifier.

    Parameters
    ----------
    case : Result, or anything with its tables
    account : str

    Returns
    -------
    altair.Chart
        Bars start where the one before ended, family by family; a family stops at its cap. Beyond
        24 identifiers, or beyond the cap, the rest of a family is one bar.

    Raises
    ------
    UnknownIdError
        If no evidence ties the account to a cluster.
    """
    alt = import_extra("altair", "notebook")
    rows = case.evidence[case.evidence["account_id"] == account]
    if rows.empty:
        raise UnknownIdError(f"no evidence ties account {account!r} to a cluster")
    table = stack_bits(rows, float(_read_cap(case)))
    colours = find_family_colours(table["family"])
    table = table.assign(label=_clean(table["label"]))
    labels = [str(label) for label in table["label"]]
    return (
        alt.Chart(
            _plain(table),
            title=f"{_clean(pd.Series([account])).iloc[0]}: evidence for cluster "
            f"{int(rows['cluster_id'].iloc[0])} adds up to {table['end'].iloc[-1]:.0f} bits",
        )
        .mark_bar(height={"band": 0.8})
        .encode(
            x=alt.X("start:Q", title="bits, added up (a family stops at its cap)"),
            x2=alt.X2("end:Q"),
            y=alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelLimit=300)),
            color=alt.Color("family:N", scale=alt.Scale(domain=list(colours),
                                                        range=list(colours.values()))),
            # Written out: what a bare name means takes altair as long as all the rest.
            tooltip=[alt.Tooltip("label:N"), alt.Tooltip("family:N"),
                     alt.Tooltip("bits:Q", format=".2f")],
        )
        .properties(width=_WIDTH, height=alt.Step(17))
    )  # fmt: skip


def stack_bits(rows: pd.DataFrame, cap: float, max_bars: int = MAX_BARS) -> pd.DataFrame:
    """Stack an account's evidence: where each identifier's bar starts and ends.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``family``, ``kind``, ``value``, ``bits``.
    cap : float
        Most that one family adds, in bits.
    max_bars : int

    Returns
    -------
    pandas.DataFrame
        ``label``, ``family``, ``bits``, ``start``, ``end``. The last ``end`` is the sum over the
        families of their bits up to the cap.

    Examples
    --------
    >>> rows = pd.DataFrame({"family": ["a", "a", "b"], "kind": "k", "value": ["x", "y", "z"],
    ...                      "bits": [6.0, 5.0, 2.0]})
    >>> stack_bits(rows, cap=8.0)[["start", "end"]].to_numpy().tolist()
    [[0.0, 6.0], [6.0, 8.0], [8.0, 10.0]]
    """
    table = rows[["family", "kind", "value", "bits"]].copy()
    table["total"] = table.groupby("family")["bits"].transform("sum").clip(upper=cap)
    table = table.sort_values(
        ["total", "family", "bits", "value"], ascending=[False, True, False, True],
        ignore_index=True,
    )  # fmt: skip
    reached = table.groupby("family")["bits"].cumsum().clip(upper=cap)
    table["added"] = reached.groupby(table["family"]).diff().fillna(reached)
    table["label"] = table["kind"] + " " + table["value"]
    strong = table["added"].abs().sort_values(ascending=False, kind="stable").index[:max_bars]
    weak = ~table.index.isin(strong) | (table["added"] == 0)
    if weak.any():
        sums = (
            table[weak]
            .groupby("family", sort=False)
            .agg(
                bits=("bits", "sum"),
                added=("added", "sum"),
                n=("bits", "size"),
                total=("total", "max"),
            )
        )
        sums["label"] = [f"{n} more of {name}" for name, n in sums["n"].items()]
        table = pd.concat([table[~weak], sums.reset_index()], ignore_index=True)
        table = table.sort_values(["total", "family"], ascending=[False, True], kind="stable")
    end = table["added"].cumsum()
    stacked = table[["label", "family", "bits"]].assign(start=end - table["added"], end=end)
    return stacked.reset_index(drop=True)


@_offline
def chart_families(case: CaseTables, cluster_id: int) -> Any:
    """Chart how many of a cluster's accounts each family of evidence supports.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int

    Returns
    -------
    altair.Chart
    """
    return _draw_families(gather_facts(case, cluster_id))


def _draw_families(facts: ClusterFacts) -> Any:
    alt = import_extra("altair", "notebook")
    colours = find_family_colours(facts.families["family"])
    table = facts.families.assign(
        name=[words.FAMILY_WORDS.get(str(x), str(x)) for x in facts.families["family"]]
    )
    return (
        alt.Chart(_plain(table), title=f"Cluster {facts.cluster['cluster_id']}: evidence by family")
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of the accounts that it supports",
                    axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("name:N", sort=list(table["name"]), title=None, axis=alt.Axis(labelLimit=240)),
            color=alt.Color("family:N", legend=None,
                            scale=alt.Scale(domain=list(colours), range=list(colours.values()))),
            tooltip=["name", "supported", "identifiers", alt.Tooltip("bits:Q", format=".1f")],
        )
        .properties(width=_WIDTH - 120, height=alt.Step(24))
    )  # fmt: skip


@_offline
def chart_splits(case: CaseTables, cluster_id: int) -> Any:
    """Chart where a cluster would split, as its identifiers are taken away.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int

    Returns
    -------
    altair.Chart
    """
    return _draw_splits(gather_facts(case, cluster_id))


def _draw_splits(facts: ClusterFacts) -> Any:
    alt = import_extra("altair", "notebook")
    names = {"largest": "largest part", "second": "second part"}
    long = facts.splits.rename(columns=names).melt("removed", list(names.values()), "part",
                                                   "accounts")  # fmt: skip
    colours = alt.Scale(domain=list(names.values()), range=["#0072b2", "#d55e00"])
    return (
        alt.Chart(_plain(long), title=f"Cluster {facts.cluster['cluster_id']}: where it would "
                  "split")
        .mark_line(point=True)
        .encode(
            x=alt.X("removed:Q", title="identifiers taken away, the most widely held first",
                    scale=alt.Scale(nice=False)),
            y=alt.Y("accounts:Q", title="accounts that stay connected"),
            color=alt.Color("part:N", scale=colours, title=None),
            strokeDash=alt.StrokeDash("part:N", legend=None),
            tooltip=["part", "removed", "accounts"],
        )
        .properties(width=_WIDTH - 120, height=180)
    )  # fmt: skip


@_offline
def chart_cluster(case: CaseTables, cluster_id: int, background: Background | None = None) -> Any:
    """Chart a cluster: families, timeline, who holds what, where it would split.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int
    background : Background, optional
        Brings sign-ups and bans.

    Returns
    -------
    altair.VConcatChart
    """
    alt = import_extra("altair", "notebook")
    facts = gather_facts(case, cluster_id, background)
    return alt.vconcat(
        _draw_families(facts),
        _draw_timeline(facts),
        _draw_cells(case, facts),
        _draw_splits(facts),
    ).resolve_scale(color="independent", opacity="independent", strokeDash="independent")


def _read_cap(case: CaseTables) -> float:
    method = case.manifest.get("config", {}).get("method", {})
    return float(method.get("max_family_bits", np.inf))


def _clean(values: pd.Series[Any]) -> pd.Series[Any]:
    codes, distinct = pd.factorize(values.astype(object))
    texts = np.array([str(value) for value in distinct], dtype=object)
    safe = clean_text(texts, MAX_LABEL, one_line=True, keep_distinct=True)[0]
    names = safe.to_numpy(zero_copy_only=False)
    return pd.Series(np.asarray(names, dtype=object)[codes], index=values.index, dtype=object)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a frame that altair writes alike whatever pandas calls its texts."""
    texts = [name for name in table if isinstance(table[name].dtype, pd.StringDtype)]
    return table.astype(dict.fromkeys(texts, object))
