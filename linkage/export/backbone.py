"""A readable part of a large graph: each account's strongest edges."""

import pandas as pd

__all__ = ["keep_strongest"]


def keep_strongest(
    nodes: pd.DataFrame, edges: pd.DataFrame, n_edges: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep each account's strongest edges, and the nodes at their ends.

    Parameters
    ----------
    nodes, edges : pandas.DataFrame
        A graph's tables; an edge's ``source`` is an account.
    n_edges : int
        Edges kept an account: those of most ``bits``, those without bits last.

    Returns
    -------
    nodes, edges : pandas.DataFrame
        All accounts stay; identifiers that lose every edge go.

    Examples
    --------
    >>> nodes = pd.DataFrame({"id": ["a", "i", "j"], "type": ["account", "ip", "ip"]})
    >>> edges = pd.DataFrame({"source": ["a", "a"], "target": ["i", "j"], "bits": [1.0, 2.0]})
    >>> keep_strongest(nodes, edges, 1)[1]["target"].tolist()
    ['j']
    """
    order = edges.sort_values(
        ["source", "bits", "target"], ascending=[True, False, True], na_position="last"
    )
    kept = edges.loc[order.groupby("source").head(n_edges).index.sort_values()]
    alive = nodes["type"].eq("account") | nodes["id"].isin(kept["target"])
    return nodes[alive], kept
