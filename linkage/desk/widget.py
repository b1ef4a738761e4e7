"""The interactive graph of a cluster, for JupyterLab, Notebook, VS Code and Colab.

Everything that is heavy is done here: the layout, the colours, the texts; what the browser gets is
a few typed columns. Its code is bundled in the package (source in ``js/``) and loads nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.desk.extras import import_extra
from linkage.desk.palette import ACCOUNT_COLOUR, find_family_colours
from linkage.desk.words import SHORT_FAMILY_WORDS
from linkage.export.text import clean_text
from linkage.export.viz import add_viz

if TYPE_CHECKING:
    from linkage.desk.facts import CaseTables

__all__ = ["Payload", "make_payload", "pack_columns", "plot_cluster"]

MAX_LABEL: Final = 160
_EPOCH: Final = pd.Timestamp("1970-01-01", tz="UTC")
_UNKNOWN_DAY: Final = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What the widget draws.

    Attributes
    ----------
    accounts : list of str
        The accounts as the case names them; they are the first nodes, in this order.
    header : dict
        Labels, kinds, families with their colours, counts; all texts made printable and short.
    columns : dict of arrays
        Of nodes ``x``, ``y``, ``size`` (float32), ``kind``, ``family`` (uint16, 65535 for none),
        ``first``, ``last`` (float32, days since 1970, -1 unknown), ``probability`` (float32, -1
        none), ``holders`` (uint32); of edges ``source``, ``target`` (uint32), ``bits`` (float32,
        -1 none), ``begin``, ``end`` (float32, days).
    """

    accounts: list[str]
    header: dict[str, Any]
    columns: dict[str, np.ndarray[Any, Any]]


def make_payload(case: CaseTables, cluster_id: int, *, max_nodes: int = 60_000) -> Payload:
    """Turn a cluster's graph into what the widget draws.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int
    max_nodes : int
        Identifiers that the fewest accounts hold are left out beyond it.

    Returns
    -------
    Payload

    Raises
    ------
    UnknownIdError
        If the case has no such cluster.
    """
    nodes, edges = case.graph_tables([cluster_id])
    n_all = len(nodes)
    nodes, edges = _limit(nodes, edges, max_nodes)
    nodes = add_viz(nodes, edges).reset_index(drop=True)
    at = pd.Series(np.arange(len(nodes)), index=nodes["id"])
    kinds = sorted(set(nodes["kind"]))
    families = sorted(set(nodes["family"].dropna()))
    row = case.clusters[case.clusters["cluster_id"] == cluster_id].iloc[0]
    header = {
        "title": f"Cluster {cluster_id}: {int(row['n_accounts']):,} accounts, {row['tier']}",
        "labels": _clean(nodes["label"]),
        "kinds": _clean(pd.Series(kinds)),
        "families": _clean(pd.Series(families, dtype=object)),
        "family_words": _clean(
            pd.Series([SHORT_FAMILY_WORDS.get(f, f) for f in families], dtype=object)
        ),
        "colours": list(find_family_colours(families).values()),
        "account_colour": ACCOUNT_COLOUR,
        "left_out": n_all - len(nodes),
        "n_accounts": int((nodes["type"] == "account").sum()),
    }
    columns = {
        "x": nodes["x"].to_numpy(np.float32),
        "y": nodes["y"].to_numpy(np.float32),
        "size": nodes["size"].to_numpy(np.float32),
        "kind": pd.Index(kinds).get_indexer(pd.Index(nodes["kind"])).astype(np.uint16),
        "family": pd.Index(families).get_indexer(pd.Index(nodes["family"])).astype(np.uint16),
        "first": _to_days(nodes["first_seen"]),
        "last": _to_days(nodes["last_seen"]),
        "probability": nodes["probability"].fillna(-1).to_numpy(np.float32),
        "holders": nodes["n_accounts"].fillna(0).to_numpy(np.uint32),
        "source": at.loc[edges["source"]].to_numpy(np.uint32),
        "target": at.loc[edges["target"]].to_numpy(np.uint32),
        "bits": edges["bits"].fillna(-1).to_numpy(np.float32),
        "begin": _to_days(edges["first_seen"]),
        "end": _to_days(edges["last_seen"]),
    }
    accounts = nodes.loc[nodes["type"] == "account", "id"].str.removeprefix("account:")
    return Payload(accounts=accounts.tolist(), header=header, columns=columns)


def _limit(
    nodes: pd.DataFrame, edges: pd.DataFrame, max_nodes: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out identifiers of one account, then those of the fewest, down to `max_nodes`."""
    is_account = nodes["type"] == "account"
    room = max(max_nodes - int(is_account.sum()), 0)
    shared = nodes[~is_account & (nodes["n_accounts"] >= 2)]
    kept = shared.sort_values(["n_accounts", "id"], ascending=[False, True]).head(room)
    nodes = nodes[is_account | nodes["id"].isin(kept["id"])]
    return nodes, edges[edges["target"].isin(kept["id"])]


def _to_days(times: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    days = (pd.to_datetime(times, utc=True) - _EPOCH) / pd.Timedelta(days=1)
    return days.fillna(_UNKNOWN_DAY).to_numpy(np.float32)


def _clean(values: pd.Series[Any]) -> list[str]:
    texts = np.array([str(value) for value in values], dtype=object)
    safe: list[str] = clean_text(texts, MAX_LABEL, one_line=True)[0].to_pylist()
    return safe


def pack_columns(
    columns: dict[str, np.ndarray[Any, Any]],
) -> tuple[list[dict[str, Any]], bytes]:
    """Lay arrays behind each other, each from a multiple of four bytes on.

    Parameters
    ----------
    columns : dict of arrays

    Returns
    -------
    index : list of dict
        ``name``, ``type``, ``offset`` (bytes), ``length`` (items).
    data : bytes
        Little endian.

    Examples
    --------
    >>> index, data = pack_columns({"a": np.array([1], np.uint8), "b": np.array([2], np.uint32)})
    >>> [entry["offset"] for entry in index], len(data)
    ([0, 4], 8)
    """
    index, parts, offset = [], [], 0
    for name, column in columns.items():
        data = column.astype(column.dtype.newbyteorder("<")).tobytes()
        entry = {"name": name, "type": column.dtype.name, "offset": offset, "length": len(column)}
        index.append(entry)
        parts.append(data + b"\0" * (-len(data) % 4))
        offset += len(parts[-1])
    return index, b"".join(parts)


def plot_cluster(case: CaseTables, cluster_id: int, *, max_nodes: int = 60_000) -> Any:
    """Open a cluster's graph as an interactive widget.

    Parameters
    ----------
    case : Result, or anything with its tables
    cluster_id : int
    max_nodes : int
        See `make_payload`.

    Returns
    -------
    anywidget.AnyWidget
        ``selected`` is the list of accounts that were picked; set it to pick some from Python.

    Raises
    ------
    UnknownIdError
        If the case has no such cluster.
    InputError
        If anywidget is not installed.
    """
    make_widget = _define_widget()
    payload = make_payload(case, cluster_id, max_nodes=max_nodes)
    index, data = pack_columns(payload.columns)
    header = json.dumps({**payload.header, "columns": index})
    return make_widget(payload.accounts, header=header, data=data)


@cache
def _define_widget() -> Any:
    """Return the widget's constructor; its class exists only where anywidget is installed."""
    anywidget = import_extra("anywidget", "notebook")
    traitlets = import_extra("traitlets", "notebook")
    static = files("linkage.desk").joinpath("static")

    class ClusterGraph(anywidget.AnyWidget):  # type: ignore[name-defined,misc]
        """An interactive graph; ``selected`` holds the accounts that were picked."""

        _esm = static.joinpath("graph.js").read_text(encoding="utf-8")
        _css = static.joinpath("graph.css").read_text(encoding="utf-8")
        header = traitlets.Unicode("{}").tag(sync=True)
        data = traitlets.Bytes(b"").tag(sync=True)
        picked = traitlets.List(traitlets.Int()).tag(sync=True)
        height = traitlets.Int(620).tag(sync=True)

        def __init__(self, accounts: list[str], **traits: Any) -> None:
            super().__init__(**traits)
            self._accounts = accounts

        @property
        def selected(self) -> list[str]:
            """The accounts that were picked, in the order of the case."""
            return [self._accounts[i] for i in self.picked if 0 <= i < len(self._accounts)]

        @selected.setter
        def selected(self, accounts: list[str]) -> None:
            wanted = set(accounts)
            self.picked = [i for i, name in enumerate(self._accounts) if name in wanted]

    return ClusterGraph
