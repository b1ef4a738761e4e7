"""The figures behind a cluster's page: one place for dossier, charts and notebook to agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from linkage.errors import UnknownIdError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from linkage.desk.background import Background

__all__ = [
    "CaseTables",
    "ClusterFacts",
    "count_days",
    "find_splits",
    "gather_facts",
    "list_families",
    "list_identifiers",
    "remove_each_family",
    "spread_rows",
]

DEFAULT_MIN_BITS: Final = 3.0  # of a family, to support an account; the case's own setting wins
LEAD_DAYS: Final = 60  # sign-ups up to so long before the first observation are shown
SUCCESSION_DAYS: Final = 3  # a sign-up so soon after a ban may replace the banned account
PLACE_KINDS: Final = {
    "household": ("ip",),
    "gathering": ("ip",),
    "organisation": ("email_domain", "ip"),
    "tool": ("prompt", "ip"),  # what it may bring along
}


class CaseTables(Protocol):
    """What is needed of a result: its tables."""

    @property
    def clusters(self) -> pd.DataFrame:
        """One row a cluster."""
        ...

    @property
    def members(self) -> pd.DataFrame:
        """One row an account of a cluster."""
        ...

    @property
    def evidence(self) -> pd.DataFrame:
        """One row an identifier of an account."""
        ...

    @property
    def observations(self) -> pd.DataFrame:
        """What accounts were seen with."""
        ...

    @property
    def templates(self) -> pd.DataFrame:
        """What prompts have in common."""
        ...

    @property
    def rejected(self) -> pd.DataFrame:
        """Refused input."""
        ...

    @property
    def manifest(self) -> dict[str, Any]:
        """How the case was made."""
        ...

    def graph_tables(
        self, cluster_ids: Iterable[int] | None = None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Nodes and edges."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """Everything that a page about one cluster says, as tables.

    Attributes
    ----------
    cluster : pandas.Series
        Its row of the clusters table.
    members : pandas.DataFrame
        ``account_id``, ``probability``, ``bits`` (sum of its evidence), ``families`` (that support
        it), ``first_seen``, ``last_seen``, and what is known of ``created_at``, ``banned_at``,
        ``status``, ``country``; the surest first.
    identifiers : pandas.DataFrame
        ``family``, ``kind``, ``value``, ``members``, ``share``, ``outside`` (accounts beyond the
        cluster that hold it), ``bits`` (mean), ``first_seen``, ``last_seen``; strongest first.
    families : pandas.DataFrame
        ``family``, ``identifiers``, ``supported`` (accounts with ``min_bits`` of it), ``share``,
        ``bits`` (mean sum over the supported accounts).
    without : pandas.DataFrame
        ``family``, ``share`` of the accounts that two independent families support when this one
        is left out.
    splits : pandas.DataFrame
        ``removed`` (identifiers, the most widely held first), ``largest`` and ``second`` (accounts
        in the largest part and in the next).
    days : pandas.DataFrame
        By day: ``active``, ``joined``, ``banned``, ``successors``.
    explanations : pandas.DataFrame
        ``name``, ``share`` of the accounts at one place, ``place`` (kind), ``covers``.
    has_accounts : bool
        Whether ``joined``, ``banned`` and ``successors`` come from an accounts table; if not,
        ``joined`` counts first observations.
    """

    cluster: pd.Series[Any]
    members: pd.DataFrame
    identifiers: pd.DataFrame
    families: pd.DataFrame
    without: pd.DataFrame
    splits: pd.DataFrame
    days: pd.DataFrame
    explanations: pd.DataFrame
    has_accounts: bool


def gather_facts(
    case: CaseTables, cluster_id: int, background: Background | None = None
) -> ClusterFacts:
    """Gather what there is to say about a cluster.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int
    background : Background, optional
        Tables beside the case.

    Returns
    -------
    ClusterFacts

    Raises
    ------
    UnknownIdError
        If the case has no such cluster.
    """
    row = case.clusters[case.clusters["cluster_id"] == cluster_id]
    if row.empty:
        raise UnknownIdError(
            f"there is no cluster {cluster_id!r}; the case has {len(case.clusters)}"
        )
    cluster = row.iloc[0]
    evidence = case.evidence[case.evidence["cluster_id"] == cluster_id]
    accounts = None if background is None else background.accounts
    support = _support(evidence, case.manifest)
    members = _describe_members(case, cluster_id, support, accounts)
    return ClusterFacts(
        cluster=cluster,
        members=members,
        identifiers=list_identifiers(evidence, len(members)),
        families=list_families(evidence, support, len(members)),
        without=remove_each_family(support, members["account_id"], _find_dependent(case.manifest)),
        splits=find_splits(evidence),
        days=count_days(members),
        explanations=_test_explanations(case, members, str(cluster.get("explanation") or "")),
        has_accounts=accounts is not None,
    )


def list_identifiers(evidence: pd.DataFrame, n_members: int) -> pd.DataFrame:
    """List what ties a cluster, strongest first.

    Parameters
    ----------
    evidence : pandas.DataFrame
        The cluster's rows of the evidence table.
    n_members : int
        Accounts of the cluster.

    Returns
    -------
    pandas.DataFrame
        As `ClusterFacts.identifiers`. Strength is accounts times mean bits.
    """
    table = (
        evidence.groupby(["family", "kind", "value"], sort=True)
        .agg(
            members=("account_id", "nunique"),
            everyone=("n_accounts", "first"),
            bits=("bits", "mean"),
            first_seen=("first_seen", "min"),
            last_seen=("last_seen", "max"),
        )
        .reset_index()
    )
    table["share"] = table["members"] / max(n_members, 1)
    table["outside"] = (table["everyone"] - table["members"]).clip(lower=0)
    order = (table["members"] * table["bits"]).sort_values(ascending=False, kind="stable").index
    columns = ["family", "kind", "value", "members", "share", "outside", "bits"]
    return table.loc[order, [*columns, "first_seen", "last_seen"]].reset_index(drop=True)


def _support(evidence: pd.DataFrame, manifest: dict[str, Any]) -> pd.DataFrame:
    """Return ``account_id``, ``family``, ``bits``, ``supports``: a family's sum, up to its cap."""
    method = manifest.get("config", {}).get("method", {})
    cap = float(method.get("max_family_bits", np.inf))
    least = float(method.get("min_bits", DEFAULT_MIN_BITS))
    table = evidence.groupby(["account_id", "family"], sort=True).agg(bits=("bits", "sum"))
    table["bits"] = table["bits"].clip(upper=cap)
    table["supports"] = table["bits"] >= least
    return table.reset_index()


def list_families(evidence: pd.DataFrame, support: pd.DataFrame, n_members: int) -> pd.DataFrame:
    """Count what each family of evidence supports.

    Parameters
    ----------
    evidence : pandas.DataFrame
        The cluster's.
    support : pandas.DataFrame
        ``account_id``, ``family``, ``bits``, ``supports``.
    n_members : int

    Returns
    -------
    pandas.DataFrame
        As `ClusterFacts.families`, the one that supports most accounts first.
    """
    strong = support[support["supports"]]
    table = pd.DataFrame(
        {
            "identifiers": evidence.groupby("family")["value"].nunique(),
            "supported": strong.groupby("family").size(),
            "bits": strong.groupby("family")["bits"].mean(),
        }
    )
    table = table.fillna(0).rename_axis("family").reset_index()
    table = table.astype({"identifiers": "int64", "supported": "int64"})
    table["share"] = table["supported"] / max(n_members, 1)
    return table.sort_values(["supported", "family"], ascending=[False, True], ignore_index=True)


def _find_dependent(manifest: dict[str, Any]) -> frozenset[frozenset[str]]:
    """Return the pairs of families that were declared, or found, to be one piece of evidence."""
    method = manifest.get("config", {}).get("method", {})
    declared = {frozenset(pair.split("+")) for pair in method.get("dependent_families", ())}
    return frozenset(declared | {frozenset(p) for p in manifest.get("dependent_families", ())})


def remove_each_family(
    support: pd.DataFrame, accounts: pd.Series[str], dependent: frozenset[frozenset[str]]
) -> pd.DataFrame:
    """Say how much of a cluster would stand without each family.

    Parameters
    ----------
    support : pandas.DataFrame
        ``account_id``, ``family``, ``supports``.
    accounts : pandas.Series of str
        The cluster's.
    dependent : frozenset of frozenset of str
        Pairs of families that are not independent of each other.

    Returns
    -------
    pandas.DataFrame
        ``family`` (empty text: nothing is left out) and ``share`` of the accounts that two
        independent families support.
    """
    strong = support[support["supports"]]
    names = sorted(set(strong["family"]))
    has = np.zeros((len(accounts), len(names)), dtype=np.int64)
    rows = pd.Index(accounts).get_indexer(pd.Index(strong["account_id"]))
    known = rows >= 0
    has[rows[known], pd.Index(names).get_indexer(pd.Index(strong["family"]))[known]] = 1
    independent = np.array(
        [[a != b and frozenset((a, b)) not in dependent for b in names] for a in names],
        dtype=np.int64,
    ).reshape(len(names), len(names))
    shares = []
    for left_out in (None, *range(len(names))):
        kept = has.copy()
        if left_out is not None:
            kept[:, left_out] = 0
        shares.append(float(((kept @ independent) * kept).any(axis=1).mean()) if len(has) else 0.0)
    return pd.DataFrame({"family": ["", *names], "share": shares})


def spread_rows(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most so many rows, evenly spread over a table.

    Examples
    --------
    >>> spread_rows(pd.DataFrame({"n": range(10)}), 4)["n"].tolist()
    [0, 3, 6, 9]
    """
    if len(table) <= most:
        return table
    return table.iloc[np.linspace(0, len(table) - 1, most).round().astype(np.int64)]


def find_splits(evidence: pd.DataFrame, n_steps: int = 24) -> pd.DataFrame:
    """Take away a cluster's identifiers, the most widely held first, and see where it parts.

    Parameters
    ----------
    evidence : pandas.DataFrame
        The cluster's.
    n_steps : int
        At how many points to look.

    Returns
    -------
    pandas.DataFrame
        ``removed`` (identifiers), ``largest`` and ``second`` (accounts in the largest connected
        part and in the next). A cluster that one shared address holds together falls apart at
        once; one that many identifiers tie stays whole for long.
    """
    if evidence.empty:
        return pd.DataFrame({"removed": [0], "largest": [0], "second": [0]})
    account, _ = pd.factorize(evidence["account_id"])
    identifier = evidence.groupby(["kind", "value"], sort=True).ngroup().to_numpy()
    n_accounts, n_identifiers = int(account.max()) + 1, int(identifier.max()) + 1
    widest = np.argsort(-np.bincount(identifier, minlength=n_identifiers), kind="stable")
    rank = np.empty(n_identifiers, dtype=np.int64)
    rank[widest] = np.arange(n_identifiers)
    steps = np.unique(np.linspace(0, n_identifiers, n_steps + 1).round().astype(np.int64))
    sizes = []
    for removed in steps:
        keep = rank[identifier] >= removed
        ends = (account[keep], n_accounts + identifier[keep])
        total = n_accounts + n_identifiers
        graph = sparse.coo_matrix((np.ones(keep.sum(), np.int8), ends), shape=(total, total))
        labels = connected_components(graph, directed=False)[1][:n_accounts]
        sizes.append(np.sort(np.append(np.bincount(labels), 0))[::-1][:2])
    parts = np.array(sizes)
    return pd.DataFrame({"removed": steps, "largest": parts[:, 0], "second": parts[:, 1]})


def count_days(members: pd.DataFrame) -> pd.DataFrame:
    """Count by day who was active, who joined, who was banned, and who came right after.

    Parameters
    ----------
    members : pandas.DataFrame
        ``first_seen``, ``last_seen``; ``created_at`` and ``banned_at`` where they are known.

    Returns
    -------
    pandas.DataFrame
        ``day`` (UTC midnight), ``active`` (accounts between their first and last observation),
        ``joined``, ``banned``, ``successors`` (sign-ups within three days after a ban).
    """
    start, end = _to_days(members["first_seen"]), _to_days(members["last_seen"])
    joined = _to_days(members["created_at"]) if "created_at" in members else start
    banned = _to_days(members["banned_at"]) if "banned_at" in members else start.iloc[:0]
    active = pd.concat([start, end, banned]).dropna()
    if active.empty:
        return pd.DataFrame(columns=["day", "active", "joined", "banned", "successors"])
    before = active.min() - pd.Timedelta(days=LEAD_DAYS)
    begin = min(active.min(), joined[joined >= before].min(), key=_or_late)
    days = pd.date_range(begin, active.max(), freq="D", unit="us")
    ends = np.sort(end.dropna().to_numpy())
    begun = np.searchsorted(np.sort(start.dropna().to_numpy()), days.to_numpy(), side="right")
    gone = np.searchsorted(ends, days.to_numpy(), side="left")
    table = pd.DataFrame({"day": days, "active": begun - gone})
    table["joined"] = _count_on(joined, days)
    table["banned"] = _count_on(banned, days)
    table["successors"] = 0
    if "created_at" in members and "banned_at" in members:
        table["successors"] = _count_on(_find_successors(members), days)
    return table


def _or_late(moment: Any) -> pd.Timestamp:
    return pd.Timestamp.max if pd.isna(moment) else moment


def _to_days(times: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_datetime(times, utc=True).dt.tz_localize(None).dt.floor("D").astype(
        "datetime64[us]"
    )  # fmt: skip


def _count_on(times: pd.Series[Any], days: pd.DatetimeIndex) -> np.ndarray[Any, Any]:
    return times.dropna().value_counts().reindex(days, fill_value=0).to_numpy()


def _find_successors(members: pd.DataFrame) -> pd.Series[Any]:
    """Return the sign-up days of accounts that were made soon after a ban in the cluster."""
    bans = np.sort(members["banned_at"].dropna().to_numpy())
    created = members["created_at"].dropna()
    before = np.searchsorted(bans, created.to_numpy(), side="right") - 1
    if not len(bans):
        return _to_days(created.iloc[:0])
    waited = created.to_numpy() - bans[np.maximum(before, 0)]
    soon = (before >= 0) & (waited <= np.timedelta64(SUCCESSION_DAYS, "D"))
    return _to_days(created[soon])


def _describe_members(
    case: CaseTables, cluster_id: int, support: pd.DataFrame, accounts: pd.DataFrame | None
) -> pd.DataFrame:
    chosen = case.members[case.members["cluster_id"] == cluster_id]
    members = chosen[[name for name in ("account_id", "probability", "cell") if name in chosen]]
    seen = case.observations[case.observations["account_id"].isin(members["account_id"])]
    span = seen.groupby("account_id").agg(
        first_seen=("first_seen", "min"), last_seen=("last_seen", "max")
    )
    strong = support[support["supports"]]
    sums = pd.DataFrame(
        {
            "bits": support.groupby("account_id")["bits"].sum(),
            "families": strong.groupby("account_id")["family"].nunique(),
        }
    )
    members = members.merge(sums, left_on="account_id", right_index=True, how="left")
    members = members.merge(span, left_on="account_id", right_index=True, how="left")
    members = members.fillna({"bits": 0.0, "families": 0}).astype({"families": "int64"})
    if accounts is not None:
        members = members.merge(accounts, on="account_id", how="left")
    order = ["probability", "bits", "account_id"]
    return members.sort_values(order, ascending=[False, False, True], ignore_index=True)


def _test_explanations(case: CaseTables, members: pd.DataFrame, found: str) -> pd.DataFrame:
    """Return what the innocent explanations look at, and which of them covers the cluster."""
    seen = case.observations[case.observations["account_id"].isin(members["account_id"])]
    held = seen.groupby(["kind", "value"])["account_id"].nunique()
    most = held.groupby("kind").max() if len(held) else pd.Series(dtype=float)
    rows = []
    for name, kinds in PLACE_KINDS.items():
        share = {kind: float(most.get(kind, 0)) / max(len(members), 1) for kind in kinds}
        # Where an organisation was found, it was by its mail domain if that has most of them.
        by = next((kind for kind in kinds if share[kind] > 1 / 2), kinds[0])
        kind = by if name in found else kinds[0]
        rows.append([name, share[kind], kind, name in found])
    if found and not any(covers for *_, covers in rows):
        rows.append([found, np.nan, "", True])
    return pd.DataFrame(rows, columns=["name", "share", "place", "covers"])
