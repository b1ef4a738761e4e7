"""What a run found: tables to explore, graphs to draw, and why accounts were linked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.errors import UnknownIdError
from linkage.explain import (
    Explanation,
    explain_account,
    explain_cluster,
    explain_pair,
    summarise,
)
from linkage.graph import to_igraph, to_networkx
from linkage.prompts import TEMPLATES, label_templates
from linkage.recalibration import judge_labelled, recalibrate_clusters

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from pathlib import Path

    import igraph
    import networkx

    from linkage.desk import Background

__all__ = ["TABLES", "Result"]

TABLES: Final = (
    "clusters", "members", "evidence", "kinds", "templates", "rejected", "observations",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Result:
    """Attributed clusters and everything that supports them.

    Attributes
    ----------
    clusters : pandas.DataFrame
        One row a cluster, the riskiest first: ``cluster_id``, ``tier`` (operator, coordinated,
        shared), ``n_accounts``, ``confidence`` (probability that it is one operator), ``q_value``,
        ``risk`` (0 to 1, for ranking), ``families``, ``first_seen``, ``last_seen``,
        ``explanation`` (the innocent one that covers it, or empty), ``corroborated`` (share of
        accounts that two independent families support), ``purpose`` (share of the accounts'
        activity that are prompts which mostly they use), ``infrastructure`` (clusters of one number
        run on addresses in common, a proxy vendor's say; 0 where no other cluster does).
    members : pandas.DataFrame
        ``account_id``, ``cluster_id``, ``probability``, ``cell`` (within its cluster, from 1:
        accounts that share cards, devices or addresses); an account is in one cluster at most.
    evidence : pandas.DataFrame
        ``cluster_id``, ``account_id``, ``kind``, ``value``, ``bits`` (its part of the log2
        likelihood ratio of its family), ``family``, ``n_accounts`` (that hold it anywhere),
        ``count``, ``first_seen``, ``last_seen``.
    kinds : pandas.DataFrame
        What each kind of identifier was found to be worth: ``kind``, ``family``, ``n_accounts``,
        ``n_values``, ``n_shared``, ``max_holders``, ``bits``, ``repeats``, ``comes_with``.
    templates : pandas.DataFrame
        What two accounts' prompts or more have in common: ``template_id`` (the value of a prompt
        identifier), ``skeleton`` (redacted, with slots; None for all but the most widely
        held), ``n_accounts``, ``n_prompts``, ``public``, ``first_seen``, ``last_seen``; with
        ``keep_text``, one prompt as ``example``. Empty where the input has fingerprints in place
        of prompts.
    rejected : pandas.DataFrame
        ``source``, ``row``, ``column``, ``reason``: input that was refused.
    observations : pandas.DataFrame
        ``account_id``, ``kind``, ``value``, ``family``, ``count``, ``first_seen``, ``last_seen``:
        what accounts were seen with, identifiers of a single account left out.
    manifest : dict
        Versions, configuration, seed, input digests, counts, timings.
    """

    clusters: pd.DataFrame
    members: pd.DataFrame
    evidence: pd.DataFrame
    rejected: pd.DataFrame
    observations: pd.DataFrame
    manifest: dict[str, Any]
    kinds: pd.DataFrame = field(default_factory=pd.DataFrame)
    templates: pd.DataFrame = field(default_factory=lambda: TEMPLATES.empty_table().to_pandas())

    def __repr__(self) -> str:
        """Say in a few lines what was found."""
        return summarise(self.clusters, self.members, self.rejected, self.manifest)

    def _repr_html_(self) -> str:
        """Show in a notebook what was found."""
        from linkage.desk.display import show_case

        return show_case(self)

    def charts(self, what: int | str | None = None, *, background: Background | None = None) -> Any:
        """Chart the case, a cluster or an account, with altair (extra ``notebook``).

        Parameters
        ----------
        what : int or str, optional
            A cluster's id: evidence by family, timeline, who holds what, where it would split. An
            account's: how its evidence adds up. By default all clusters.
        background : Background, optional
            Brings sign-ups and bans to a cluster's timeline; see `linkage.desk.read_background`.
            By default the accounts file of the run, if it is there unchanged.

        Returns
        -------
        altair.Chart or altair.VConcatChart

        Raises
        ------
        UnknownIdError
            If the case has no such cluster, or nothing ties the account to one.
        InputError
            If altair is not installed.
        """
        from linkage.desk import charts, find_background

        if what is None:
            return charts.chart_clusters(self)
        if isinstance(what, str):
            return charts.chart_account(self, what)
        beside = background or find_background(self.manifest)
        return charts.chart_cluster(self, what, beside)

    def plot(self, cluster_id: int, *, max_nodes: int = 60_000) -> Any:
        """Open a cluster's graph as an interactive widget (extra ``notebook``).

        Parameters
        ----------
        cluster_id : int
        max_nodes : int
            Accounts always stay; identifiers beyond, those that the fewest accounts hold, are left
            out, and the widget says so.

        Returns
        -------
        anywidget.AnyWidget
            Its ``selected`` holds the accounts that were picked.

        Raises
        ------
        UnknownIdError
            If the case has no such cluster.
        InputError
            If anywidget is not installed.
        """
        from linkage.desk.widget import plot_cluster

        return plot_cluster(self, cluster_id, max_nodes=max_nodes)

    def report(
        self,
        path: str | PathLike[str],
        cluster_id: int | None = None,
        *,
        redact: bool = False,
        background: Background | None = None,
    ) -> Path:
        """Write a dossier: one HTML file about a cluster, or about all (extra ``report``).

        Parameters
        ----------
        path : path
            The file to write.
        cluster_id : int, optional
            By default an overview of all clusters.
        redact : bool
            For outside readers: names become numbers, times days; texts are left out.
        background : Background, optional
            Brings sign-ups, bans and what the prompts aim at. By default the accounts file of the
            run, if it is there unchanged.

        Returns
        -------
        Path

        Raises
        ------
        UnknownIdError
            If the case has no such cluster.
        InputError
            If jinja2 is not installed or the file cannot be written.
        """
        from linkage import desk

        settings = desk.DossierSettings(redact=redact)
        if cluster_id is None:
            return desk.write_page(desk.render_overview(self, settings=settings), path)
        beside = background or desk.find_background(self.manifest)
        page = desk.render_dossier(self, cluster_id, background=beside, settings=settings)
        return desk.write_page(page, path)

    def explain(self, a: int | str, b: str | None = None) -> Explanation:
        """Say why a cluster is one, why an account is in it, or what ties two accounts.

        Parameters
        ----------
        a : int or str
            A cluster's id, or an account's.
        b : str, optional
            A second account.

        Returns
        -------
        Explanation
            Prints as text; its tables are frames.

        Raises
        ------
        UnknownIdError
            If the case has no such cluster or account.
        """
        if b is not None:
            return self._explain_pair(str(a), b)
        if isinstance(a, str):
            return self._explain_account(a)
        row = self.clusters[self.clusters["cluster_id"] == a]
        if row.empty:
            raise UnknownIdError(
                f"there is no cluster {a!r}; the case has {len(self.clusters)}, "
                "listed in result.clusters"
            )
        evidence = self.evidence[self.evidence["cluster_id"] == a]
        members = self.members[self.members["cluster_id"] == a]
        return explain_cluster(row.iloc[0], members, evidence, self.templates)

    def recalibrate(self, labels: pd.DataFrame) -> Result:
        """Correct the confidence of clusters by what has been found out about some accounts.

        Parameters
        ----------
        labels : pandas.DataFrame
            ``account_id`` and ``is_operator`` (true or false): whether the account turned out to be
            one of many that somebody runs.

        Returns
        -------
        Result
            The same clusters and members; ``confidence`` and ``risk`` are corrected, and the order
            of clusters follows them. ``manifest["recalibrated"]`` says by how many clusters.

        Raises
        ------
        SchemaError
            Where a column is missing.
        InputError
            Where a verdict is neither true nor false, or an account has both.

        Notes
        -----
        By isotonic regression: see :func:`linkage.recalibration.recalibrate_clusters`.
        """
        verdict = judge_labelled(self.members, labels)
        clusters = recalibrate_clusters(self.clusters, verdict)
        said = {"recalibrated": {"clusters": len(verdict)}}
        return replace(self, clusters=clusters, manifest=self.manifest | said)

    def to_networkx(self, cluster_id: int | None = None) -> networkx.Graph[str]:
        """Return accounts and identifiers as a networkx graph.

        Parameters
        ----------
        cluster_id : int, optional
            Only this cluster's accounts and what they hold; by default everything.

        Returns
        -------
        networkx.Graph
            Node ids are ``account:ID`` and ``KIND:VALUE``.
        """
        return to_networkx(*self.graph_tables(None if cluster_id is None else [cluster_id]))

    def to_igraph(self, cluster_id: int | None = None) -> igraph.Graph:
        """Return accounts and identifiers as an igraph graph.

        Parameters
        ----------
        cluster_id : int, optional
            Only this cluster's accounts and what they hold; by default everything.

        Returns
        -------
        igraph.Graph
            Vertex attribute ``name`` is ``account:ID`` or ``KIND:VALUE``.
        """
        return to_igraph(*self.graph_tables(None if cluster_id is None else [cluster_id]))

    def graph_tables(
        self, cluster_ids: Iterable[int] | None = None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the graph as a table of nodes and a table of edges.

        Parameters
        ----------
        cluster_ids : iterable of int, optional
            Only these clusters' accounts and what they hold; by default everything.

        Returns
        -------
        nodes : pandas.DataFrame
            ``id``, ``label`` (of a template that can be read: what it says, and its id), ``type``
            (account, identifier), ``kind``, ``family``,
            ``cluster_id``, ``tier``, ``probability``, ``n_accounts``, ``first_seen``,
            ``last_seen``. An identifier carries the cluster that holds most of it.
        edges : pandas.DataFrame
            ``source`` (account), ``target`` (identifier), ``kind``, ``bits``, ``count``,
            ``first_seen``, ``last_seen``.

        Raises
        ------
        UnknownIdError
            If the case has no such cluster.
        """
        seen = self._select_observations(cluster_ids)
        bits = self.evidence[["account_id", "kind", "value", "bits"]]
        seen = seen.merge(bits, on=["account_id", "kind", "value"], how="left")
        seen["source"] = "account:" + seen["account_id"]
        seen["target"] = seen["kind"] + ":" + seen["value"]
        accounts = self._list_account_nodes(seen, cluster_ids)
        clusters = accounts.set_index("id")["cluster_id"]
        identifiers = _list_identifier_nodes(seen.assign(cluster_id=seen["source"].map(clusters)))
        identifiers = identifiers.assign(label=label_templates(identifiers, self.templates))
        nodes = pd.concat([accounts, identifiers], ignore_index=True)
        edges = seen[["source", "target", "kind", "bits", "count", "first_seen", "last_seen"]]
        return nodes, edges.sort_values(["source", "target"], ignore_index=True)

    def _select_observations(self, cluster_ids: Iterable[int] | None) -> pd.DataFrame:
        if cluster_ids is None:
            return self.observations
        wanted = list(cluster_ids)
        missing = sorted(set(wanted) - set(self.clusters["cluster_id"]))
        if missing:
            raise UnknownIdError(
                f"there is no cluster {missing[0]!r}; the case has {len(self.clusters)}"
            )
        chosen = self.members[self.members["cluster_id"].isin(wanted)]
        return self.observations[self.observations["account_id"].isin(chosen["account_id"])]

    def _list_account_nodes(
        self, seen: pd.DataFrame, cluster_ids: Iterable[int] | None
    ) -> pd.DataFrame:
        members = self.members
        if cluster_ids is not None:
            members = members[members["cluster_id"].isin(list(cluster_ids))]
        span = seen.groupby("account_id").agg(
            first_seen=("first_seen", "min"), last_seen=("last_seen", "max")
        )
        nodes = span.reset_index().merge(
            members, on="account_id", how="left" if cluster_ids is None else "right"
        )
        nodes = nodes.merge(self.clusters[["cluster_id", "tier"]], on="cluster_id", how="left")
        return nodes.assign(
            id="account:" + nodes["account_id"],
            label=nodes["account_id"],
            type="account",
            kind="account",
            family=None,
            cluster_id=nodes["cluster_id"].astype("Int64"),
            n_accounts=pd.array([pd.NA] * len(nodes), dtype="Int64"),
        )[_NODE_COLUMNS]

    def _explain_account(self, account: str) -> Explanation:
        self._require_account(account)
        evidence = self.evidence[self.evidence["account_id"] == account]
        member = self.members[self.members["account_id"] == account]
        return explain_account(account, member, evidence, self.templates)

    def _explain_pair(self, a: str, b: str) -> Explanation:
        seen = self.observations
        both = seen[seen["account_id"].isin([a, b])]  # one pass over what may be millions of rows
        left, right = both[both["account_id"] == a], both[both["account_id"] == b]
        for account, rows in ((a, left), (b, right)):
            if rows.empty:
                self._require_account(account)
        shared = left.merge(right, on=["kind", "value", "family"], suffixes=("_a", "_b"))
        candidates = seen[seen["value"].isin(shared["value"])]
        holders = candidates.merge(shared[["kind", "value"]], on=["kind", "value"])
        counted = holders.groupby(["kind", "value"]).size().rename("n_accounts").reset_index()
        shared = shared.merge(counted, on=["kind", "value"], how="left")
        n_accounts = max(int(self.manifest["counts"]["accounts"]), 2)
        shared["bits"] = np.log2((n_accounts - 1) / (shared["n_accounts"] - 1))
        member = self.members[self.members["account_id"].isin([a, b])]
        return explain_pair(a, b, member, shared, self.templates)

    def _require_account(self, account: str) -> None:
        known = self.observations["account_id"].eq(account).any()
        if not known and not self.members["account_id"].eq(account).any():
            raise UnknownIdError(
                f"account {account!r} shares no identifier with another account in this case, "
                "or is not in it"
            )


_NODE_COLUMNS: Final = [
    "id",
    "label",
    "type",
    "kind",
    "family",
    "cluster_id",
    "tier",
    "probability",
    "n_accounts",
    "first_seen",
    "last_seen",
]


def _list_identifier_nodes(seen: pd.DataFrame) -> pd.DataFrame:
    """Return one node an identifier, coloured by the cluster that holds most of it."""
    grouped = seen.groupby("target", sort=True)
    nodes = grouped.agg(
        label=("value", "first"),
        kind=("kind", "first"),
        family=("family", "first"),
        n_accounts=("source", "size"),
        first_seen=("first_seen", "min"),
        last_seen=("last_seen", "max"),
    )
    held = seen.dropna(subset="cluster_id").groupby(["target", "cluster_id"]).size()
    most = held.rename("n").reset_index().sort_values(["n", "cluster_id"], ascending=[False, True])
    nodes["cluster_id"] = most.drop_duplicates("target").set_index("target")["cluster_id"]
    nodes = nodes.rename_axis("id").reset_index()
    return nodes.assign(
        type="identifier",
        tier=None,
        probability=np.nan,
        cluster_id=nodes["cluster_id"].astype("Int64"),
        n_accounts=nodes["n_accounts"].astype("Int64"),
    )[_NODE_COLUMNS]
