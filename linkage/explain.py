"""Explanations: what a run found, in words and tables that can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from linkage.prompts import spell_templates

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Explanation", "explain_account", "explain_cluster", "explain_pair", "summarise"]

MAX_ROWS: Final = 12  # rows of a table that are printed; the table itself has them all
MAX_VALUE_CHARS: Final = 48
TIER_MEANING: Final = {
    "operator": (
        "tied by two or more independent families, with something of its own in two, or a purpose"
    ),
    "coordinated": "tied by more than chance, not attributable to one operator",
    "shared": "really linked, and explained innocently",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explanation:
    """Why accounts are linked.

    Attributes
    ----------
    title : str
        What is explained.
    sentences : tuple of str
        The conclusion and what it rests on.
    table : pandas.DataFrame
        The identifiers behind it, strongest first.
    """

    title: str
    sentences: tuple[str, ...]
    table: pd.DataFrame

    def __repr__(self) -> str:
        """Return the explanation as text."""
        shown = self.table.head(MAX_ROWS)
        for name in ("value", "skeleton"):
            if name in shown:
                shown = shown.assign(**{name: shown[name].map(_shorten)})
        lines = [self.title, *(f"  {sentence}" for sentence in self.sentences)]
        if len(shown):
            text = shown.to_string(index=False, float_format="{:.1f}".format)
            lines += ["", *(f"  {line}" for line in text.splitlines())]
        if len(self.table) > MAX_ROWS:
            lines.append(f"  ... and {len(self.table) - MAX_ROWS} more in .table")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the explanation as a notebook shows it."""
        from linkage.desk.display import show_explanation

        return show_explanation(self.title, self.sentences, self.table)


def explain_cluster(
    cluster: pd.Series[Any],
    members: pd.DataFrame,
    evidence: pd.DataFrame,
    templates: pd.DataFrame | None = None,
) -> Explanation:
    """Explain a cluster by the identifiers that hold it together.

    Parameters
    ----------
    cluster : pandas.Series
        Its row of the clusters table.
    members : pandas.DataFrame
        Its members.
    evidence : pandas.DataFrame
        Its evidence.
    templates : pandas.DataFrame, optional
        What prompts have in common, with the columns of `linkage.prompts.TEMPLATES`.

    Returns
    -------
    Explanation
        The table has ``family``, ``kind``, ``value``, ``members`` (that hold it), ``share`` of the
        cluster, ``everyone`` (accounts that hold it anywhere), ``bits`` (mean), and where a
        template can be read, ``skeleton``.
    """
    from linkage.desk.words import say_hierarchy

    n = int(cluster["n_accounts"])
    table = (
        evidence.groupby(["family", "kind", "value"])
        .agg(
            members=("account_id", "nunique"),
            everyone=("n_accounts", "first"),
            bits=("bits", "mean"),
        )
        .reset_index()
    )
    table.insert(4, "share", table["members"] / n)
    total = table["members"] * table["bits"]
    order = total.sort_values(ascending=False, kind="stable").index
    explained = (
        cluster["explanation"] or "none that was tested (household, organisation, gathering, tool)"
    )
    sentences = (
        f"{n} accounts, tier {cluster['tier']}: {TIER_MEANING[cluster['tier']]}.",
        f"confidence that it is one operator {cluster['confidence']:.3f}, "
        f"q-value {cluster['q_value']:.2g}, risk {cluster['risk']:.2f}.",
        f"families that support at least half of the accounts: {cluster['families'] or 'none'}; "
        f"{cluster['corroborated']:.0%} of the accounts rest on two independent ones.",
        f"innocent explanation: {explained}.",
        f"membership probability: median {members['probability'].median():.3f}, "
        f"lowest {members['probability'].min():.3f}.",
        *say_hierarchy(cluster, members),
        *_say_span(cluster["first_seen"], cluster["last_seen"]),
    )
    return Explanation(
        title=f"Cluster {cluster['cluster_id']}",
        sentences=sentences,
        table=_add_skeletons(table.loc[order].reset_index(drop=True), templates),
    )


def explain_account(
    account: str,
    member: pd.DataFrame,
    evidence: pd.DataFrame,
    templates: pd.DataFrame | None = None,
) -> Explanation:
    """Explain an account's membership by its identifiers.

    Parameters
    ----------
    account : str
    member : pandas.DataFrame
        Its row of the members table; empty where it is in no cluster.
    evidence : pandas.DataFrame
        Its evidence.
    templates : pandas.DataFrame, optional
        As in `explain_cluster`.

    Returns
    -------
    Explanation
        The table has ``family``, ``kind``, ``value``, ``bits``, ``everyone``, ``count``, and where
        a template can be read, ``skeleton``.
    """
    table = evidence.rename(columns={"n_accounts": "everyone"})
    table = table[["family", "kind", "value", "bits", "everyone", "count"]]
    table = table.sort_values("bits", ascending=False, kind="stable", ignore_index=True)
    if member.empty:
        sentences: tuple[str, ...] = ("is in no cluster: nothing ties it to others enough.",)
    else:
        row = member.iloc[0]
        sentences = (
            f"is in cluster {row['cluster_id']} with probability {row['probability']:.3f}.",
            "bits: what each identifier adds. Those of a family add up to what the family says, "
            "which is no more than how rare such a match is among accounts outside the cluster.",
        )
    table = _add_skeletons(table, templates)
    return Explanation(title=f"Account {account}", sentences=sentences, table=table)


def explain_pair(
    a: str,
    b: str,
    members: pd.DataFrame,
    shared: pd.DataFrame,
    templates: pd.DataFrame | None = None,
) -> Explanation:
    """Explain what ties two accounts directly.

    Parameters
    ----------
    a, b : str
        Accounts.
    members : pandas.DataFrame
        Their rows of the members table.
    shared : pandas.DataFrame
        Identifiers that both hold: ``family``, ``kind``, ``value``, ``n_accounts``, ``bits``.
    templates : pandas.DataFrame, optional
        As in `explain_cluster`.

    Returns
    -------
    Explanation
        The table has ``family``, ``kind``, ``value``, ``bits`` (log2 of how rarely a stranger holds
        it), ``everyone``, ``count_a``, ``count_b``, and where a template can be read, ``skeleton``.
    """
    table = shared.rename(columns={"n_accounts": "everyone"})
    table = table[["family", "kind", "value", "bits", "everyone", "count_a", "count_b"]]
    table = table.sort_values("bits", ascending=False, kind="stable", ignore_index=True)
    cluster = dict(zip(members["account_id"], members["cluster_id"], strict=True))
    if cluster.get(a) is not None and cluster.get(a) == cluster.get(b):
        verdict = f"are both in cluster {cluster[a]}."
    else:
        where = [f"{x} in {f'cluster {cluster[x]}' if x in cluster else 'none'}" for x in (a, b)]
        verdict = f"are not in one cluster: {', '.join(where)}."
    if table.empty:
        tie = "They share no identifier directly; only others in the cluster tie them."
    else:
        families = table["family"].nunique()
        tie = f"They share {len(table)} identifiers of {families} families."
    table = _add_skeletons(table, templates)
    return Explanation(title=f"Accounts {a} and {b}", sentences=(verdict, tie), table=table)


def _add_skeletons(table: pd.DataFrame, templates: pd.DataFrame | None) -> pd.DataFrame:
    """Add what templates say, where one of the table's identifiers is one that can be read."""
    if templates is None:
        return table
    said = spell_templates(table, templates)
    return table.assign(skeleton=said) if said.ne("").any() else table


def summarise(
    clusters: pd.DataFrame,
    members: pd.DataFrame,
    rejected: pd.DataFrame,
    manifest: Mapping[str, Any],
) -> str:
    """Say in a few lines what a run found.

    Parameters
    ----------
    clusters, members, rejected : pandas.DataFrame
        Tables of a result.
    manifest : mapping
        Its ``counts``.

    Returns
    -------
    str
    """
    counts = manifest["counts"]
    lines = [
        f"{counts['accounts']:,} accounts, {counts['identifiers']:,} identifiers, "
        f"{counts['edges']:,} edges; {len(rejected):,} refusals",
        f"{len(clusters):,} clusters of {len(members):,} accounts",
    ]
    if clusters.empty:
        return "\n".join([*lines, _say_why_empty(counts)])
    for tier, meaning in TIER_MEANING.items():
        of_tier = clusters[clusters["tier"] == tier]
        lines.append(
            f"  {tier:<12}{len(of_tier):>6,} clusters {of_tier['n_accounts'].sum():>9,} accounts"
            f"   {meaning}"
        )
    return "\n".join(lines)


def _say_why_empty(counts: Mapping[str, Any]) -> str:
    if counts["shared_identifiers"] == 0:
        return "  no identifier is held by two accounts: there is nothing that could tie them"
    return (
        f"  {counts['shared_identifiers']:,} identifiers are held by two accounts or more, but no "
        "two of them together more often than chance explains"
    )


def _say_span(first: Any, last: Any) -> tuple[str, ...]:
    if pd.isna(first) or pd.isna(last):
        return ()
    return (f"seen from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC.",)


def _shorten(value: str) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in value)
    return clean if len(clean) <= MAX_VALUE_CHARS else clean[: MAX_VALUE_CHARS - 1] + "…"
