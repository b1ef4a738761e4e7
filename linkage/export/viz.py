"""Colours, sizes and positions for a graph's nodes, so that it can be read as soon as it opens."""

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from linkage.errors import SchemaError
from linkage.export.layout import Ends, lay_out

__all__ = ["VIZ_COLUMNS", "add_viz"]

VIZ_COLUMNS: Final = ("r", "g", "b", "size", "x", "y", "shape")

# Okabe and Ito (2008), without black and with yellow last: told apart with any colour vision.
_PALETTE: Final = np.array(
    [
        (0, 114, 178),  # blue
        (230, 159, 0),  # orange
        (0, 158, 115),  # bluish green
        (204, 121, 167),  # reddish purple
        (86, 180, 233),  # sky blue
        (213, 94, 0),  # vermillion
        (240, 228, 66),  # yellow
    ],
    dtype=np.float64,
)
_GREY: Final = np.array((176, 176, 176), dtype=np.float64)
_DARK: Final = 0.62  # an identifier's tone: its cluster's colour, this much of it
_LIGHTEN: Final = (0.0, 0.35, 0.6)  # towards white, each time the palette begins again

_ACCOUNT_SIZE: Final = 5.0  # diameter, in layout units, of an account with one edge
_IDENTIFIER_SIZE: Final = 4.0  # of an identifier that one account holds
_MAX_SIZE: Final = 60.0


def _find_colours(cluster: NDArray[np.int64], is_account: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Colour by cluster id alone, so that a cluster keeps its colour from export to export."""
    turn = np.maximum(cluster, 0)
    tone = np.asarray(_LIGHTEN)[turn // len(_PALETTE) % len(_LIGHTEN)][:, None]
    colour = _PALETTE[turn % len(_PALETTE)]
    colour = colour + (255.0 - colour) * tone
    colour[cluster < 0] = _GREY
    colour[~is_account] *= _DARK
    rounded: NDArray[np.int64] = np.rint(colour).astype(np.int64)
    return rounded


def _find_sizes(
    degree: NDArray[np.int64], n_accounts: NDArray[np.float64], is_account: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Give accounts nearly one size; an identifier's area grows with the accounts that hold it."""
    holders = np.where(np.isnan(n_accounts), degree, n_accounts)
    identifier = _IDENTIFIER_SIZE * np.sqrt(np.maximum(holders, 1.0))
    account = _ACCOUNT_SIZE * np.maximum(degree, 1.0) ** 0.125
    return np.minimum(np.where(is_account, account, identifier), _MAX_SIZE)


def _read_cluster(nodes: pd.DataFrame) -> NDArray[np.int64]:
    if "cluster_id" not in nodes:
        return np.full(len(nodes), -1, dtype=np.int64)
    ids = nodes["cluster_id"].astype("Int64")
    return np.asarray(ids.fillna(-1).to_numpy(), dtype=np.int64)


def _read_n_accounts(nodes: pd.DataFrame) -> NDArray[np.float64]:
    if "n_accounts" not in nodes:
        return np.full(len(nodes), np.nan)
    return np.asarray(
        nodes["n_accounts"].astype("Float64").to_numpy(na_value=np.nan), dtype=np.float64
    )


def _find_ends(edges: pd.DataFrame, ids: "pd.Index[Any]") -> Ends:
    source = ids.get_indexer(pd.Index(edges["source"], dtype=object))
    target = ids.get_indexer(pd.Index(edges["target"], dtype=object))
    if (source < 0).any() or (target < 0).any():
        row = int(np.flatnonzero((source < 0) | (target < 0))[0])
        raise SchemaError(f"edges name nodes that do not exist; the first is in row {row}")
    order = np.lexsort((target, source))
    return Ends(source=source[order], target=target[order])


def add_viz(nodes: pd.DataFrame, edges: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Add colours, sizes and positions to a graph's nodes.

    Parameters
    ----------
    nodes : DataFrame, one row a node
        id (unique) and type; cluster_id (nullable integer) and n_accounts where they are known.
    edges : DataFrame, one row an edge
        source and target.
    seed : int
        Turns each cluster by an angle of its own.

    Returns
    -------
    DataFrame
        A copy of `nodes` with

        ======== ============================================================================
        r, g, b  0..255: a colour-blind safe hue by cluster_id, grey without one; identifiers in a
                 darker tone
        size     4..60: an identifier's area is in proportion to n_accounts (its degree where that
                 is missing); accounts grow slowly with their degree
        x, y     layout units: each cluster is a disc; nodes without a
                 cluster, and identifiers that others hold, lie on rings around them
        shape    disc for an account, diamond for an identifier
        ======== ============================================================================

    Raises
    ------
    SchemaError
        An id is repeated or an edge's end is not a node.

    Notes
    -----
    Takes O(n log n + m) for n nodes and m edges. The result does not depend on the order of the
    rows, and no global random state is read or changed. Palette: Okabe and Ito (2008).

    Examples
    --------
    >>> import pandas as pd
    >>> nodes = pd.DataFrame({"id": ["a", "b", "i"], "type": ["account", "account", "identifier"],
    ...                       "cluster_id": pd.array([0, 0, 0], dtype="Int64")})
    >>> edges = pd.DataFrame({"source": ["a", "b"], "target": ["i", "i"]})
    >>> add_viz(nodes, edges)[["id", "r", "g", "b", "shape"]]
      id  r    g    b    shape
    0  a  0  114  178     disc
    1  b  0  114  178     disc
    2  i  0   71  110  diamond
    """
    names = nodes["id"].astype(object).to_numpy()
    order = np.argsort(names, kind="stable")
    ids = pd.Index(names[order], dtype=object)
    if ids.has_duplicates:
        raise SchemaError(f"nodes have the id {ids[ids.duplicated()][0]!r:.80} more than once")
    ends = _find_ends(edges, ids)
    rows = nodes.iloc[order]
    cluster = _read_cluster(rows)
    is_account = rows["type"].eq("account").to_numpy(dtype=bool)
    degree = np.bincount(ends.source, minlength=len(ids)) + np.bincount(
        ends.target, minlength=len(ids)
    )
    size = _find_sizes(degree, _read_n_accounts(rows), is_account)
    position = lay_out(ends, cluster, is_account, size, seed=seed)
    colour = _find_colours(cluster, is_account)
    back = np.argsort(order, kind="stable")
    return nodes.assign(
        r=colour[back, 0],
        g=colour[back, 1],
        b=colour[back, 2],
        size=np.round(size, 2)[back],
        x=np.round(position[back, 0], 2),
        y=np.round(position[back, 1], 2),
        shape=np.where(is_account, "disc", "diamond")[back],
    )
