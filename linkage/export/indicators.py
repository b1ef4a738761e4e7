"""What a cluster leaves behind that others can act on: its accounts, and identifiers of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from linkage.errors import InputError
from linkage.export.text import MAX_TEXT, clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["INDICATOR_COLUMNS", "list_indicators"]

INDICATOR_COLUMNS: Final = (
    "cluster_id",
    "tier",
    "type",
    "kind",
    "family",
    "value",
    "n_inside",
    "n_outside",
    "confidence",
    "first_seen",
    "last_seen",
)

PAYMENT_DATA: Final = ("payment", "issuer")  # families that leave only when asked for


def list_indicators(
    clusters: pd.DataFrame,
    members: pd.DataFrame,
    evidence: pd.DataFrame,
    cluster_ids: Sequence[int] | None = None,
    *,
    max_outside: float = 0.1,
    min_probability: float = 0.9,
    payment: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """List the accounts of clusters, and the identifiers that hardly anybody else holds.

    Parameters
    ----------
    clusters, members, evidence : pandas.DataFrame
        A result's tables.
    cluster_ids : sequence of int, optional
        By default those of tier ``operator``: the others are left open, or explained innocently.
    max_outside : float, 0 to 1
        Largest share of an identifier's holders that may stand outside its cluster. An address of
        a proxy that a thousand others use is no indicator of anybody.
    min_probability : float, 0 to 1
        Accounts below it are left out.
    payment : bool
        Take payment data as well: cards, and their issuers, who have innocent customers.

    Returns
    -------
    indicators : pandas.DataFrame
        `INDICATOR_COLUMNS`; ``type`` is account or identifier; an account's ``confidence`` is its
        probability of membership, an identifier's its cluster's confidence. Sorted by cluster,
        type, kind, value.
    left_out : pandas.DataFrame
        ``reason`` and ``n``: what was left out and why.

    Raises
    ------
    InputError
        If there is nothing to list, or a share lies outside 0 to 1.
    """
    for name, share in (("max_outside", max_outside), ("min_probability", min_probability)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} must lie between 0 and 1, got {share!r}")
    chosen = _choose(clusters, cluster_ids)
    accounts = members[members["cluster_id"].isin(chosen["cluster_id"])]
    sure = accounts["probability"] >= min_probability
    identifiers = _count_holders(evidence[evidence["cluster_id"].isin(chosen["cluster_id"])])
    outside = identifiers["n_outside"] / (identifiers["n_inside"] + identifiers["n_outside"])
    is_payment = identifiers["family"].isin(PAYMENT_DATA) & (not payment)
    own = outside <= max_outside
    listed = pd.concat(
        [_describe_accounts(accounts[sure]), identifiers[own & ~is_payment]], ignore_index=True
    )
    listed = listed.merge(chosen[["cluster_id", "tier", "confidence"]], on="cluster_id")
    listed["confidence"] = listed["probability"].fillna(listed["confidence"])
    whole = _is_writable(listed["value"])
    reasons = {
        f"accounts with a membership below {min_probability:g}": int((~sure).sum()),
        f"identifiers of which others hold more than {max_outside:.0%}": int((~own).sum()),
        "payment data": int((own & is_payment).sum()),
        "texts that are too long or cannot be written as they are": int((~whole).sum()),
    }
    listed = listed.loc[whole, list(INDICATOR_COLUMNS)]
    left_out = pd.DataFrame({"reason": list(reasons), "n": list(reasons.values())})
    order = ["cluster_id", "type", "kind", "value"]
    return (
        listed.sort_values(order, ignore_index=True),
        left_out[left_out["n"] > 0].reset_index(drop=True),
    )


def _choose(clusters: pd.DataFrame, cluster_ids: Sequence[int] | None) -> pd.DataFrame:
    if cluster_ids is not None:
        missing = sorted(set(cluster_ids) - set(clusters["cluster_id"]))
        if missing:
            raise InputError(f"there is no cluster {missing[0]!r}; the case has {len(clusters)}")
        return clusters[clusters["cluster_id"].isin(list(cluster_ids))]
    chosen = clusters[clusters["tier"] == "operator"]
    if chosen.empty:
        raise InputError(
            "no cluster of the case is of tier 'operator'; name the clusters that you judged"
        )
    return chosen


def _count_holders(evidence: pd.DataFrame) -> pd.DataFrame:
    keys = ["cluster_id", "kind", "family", "value"]
    table = evidence.groupby(keys, sort=True).agg(
        n_inside=("account_id", "nunique"),
        n_all=("n_accounts", "first"),
        first_seen=("first_seen", "min"),
        last_seen=("last_seen", "max"),
    )
    table = table[table["n_inside"] >= 2].reset_index()
    table["n_outside"] = (table.pop("n_all") - table["n_inside"]).clip(lower=0)
    return table.assign(type="identifier", probability=np.nan)


def _describe_accounts(members: pd.DataFrame) -> pd.DataFrame:
    empty = pd.Series(pd.NaT, index=members.index, dtype="datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "cluster_id": members["cluster_id"],
            "type": "account",
            "kind": "account",
            "family": "",
            "value": members["account_id"],
            "probability": members["probability"],
            "n_inside": 1,
            "n_outside": 0,
            "first_seen": empty,
            "last_seen": empty,
        }
    )


def _is_writable(values: pd.Series[str]) -> pd.Series[bool]:
    """Say which texts leave the cleaning as they came: a changed one would block something else."""
    _, changes = clean_text(values.drop_duplicates().to_numpy(dtype=object), MAX_TEXT)
    return ~values.isin(changes["value"])
