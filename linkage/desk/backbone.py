"""The part of a cluster's graph that can be read: its strongest identifiers, and accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from linkage.desk.facts import spread_rows
from linkage.export.viz import add_viz

if TYPE_CHECKING:
    from linkage.desk.facts import CaseTables, ClusterFacts

__all__ = ["pick_backbone"]


def pick_backbone(
    case: CaseTables, facts: ClusterFacts, *, max_accounts: int = 240, max_identifiers: int = 28
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pick a readable part of a cluster's graph and lay it out.

    Parameters
    ----------
    case : Result, or anything with its tables
    facts : ClusterFacts
    max_accounts : int
        Accounts kept: evenly spread from the surest to the least sure.
    max_identifiers : int
        Identifiers kept: the strongest of each family in turn, so that no family crowds out
        another.

    Returns
    -------
    nodes : pandas.DataFrame
        ``id``, ``label``, ``type``, ``kind``, ``family``, ``n_accounts``, ``x``, ``y``, ``size``.
    edges : pandas.DataFrame
        ``source``, ``target``, ``family``, ``bits``.
    """
    accounts = spread_rows(facts.members, max_accounts)["account_id"]
    turn = facts.identifiers.groupby("family").cumcount()
    chosen = facts.identifiers.assign(turn=turn).sort_values(
        ["turn", "members"], ascending=[True, False], kind="stable"
    )
    chosen = chosen.head(max_identifiers)
    rows = case.evidence[case.evidence["cluster_id"] == facts.cluster["cluster_id"]]
    rows = rows[rows["account_id"].isin(accounts)]
    rows = rows.merge(chosen[["kind", "value", "members"]], on=["kind", "value"])
    edges = pd.DataFrame(
        {
            "source": "account:" + rows["account_id"],
            "target": rows["kind"] + ":" + rows["value"],
            "family": rows["family"],
            "bits": rows["bits"],
        }
    )
    nodes = pd.concat(
        [
            pd.DataFrame({"id": "account:" + accounts, "label": accounts, "type": "account",
                          "kind": "account", "family": ""}),
            pd.DataFrame({"id": chosen["kind"] + ":" + chosen["value"], "label": chosen["value"],
                          "type": "identifier", "kind": chosen["kind"],
                          "family": chosen["family"], "n_accounts": chosen["members"]}),
        ],
        ignore_index=True,
    )  # fmt: skip
    nodes["cluster_id"] = pd.array([0] * len(nodes), dtype="Int64")
    laid = add_viz(nodes, edges)
    return laid.drop(columns=["cluster_id", "r", "g", "b", "shape"]), edges
