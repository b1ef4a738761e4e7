"""GraphML, which Gephi, networkx, igraph, Cytoscape and yEd read."""

from os import PathLike
from pathlib import Path
from typing import Final

import pandas as pd

from linkage.export.files import Written, replace_files
from linkage.export.markup import Field, escape_one, write_rows
from linkage.export.tables import Attribute, number_rows, read_tables

__all__ = ["write_graphml"]

_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
"""
_TAIL: Final = "</graph>\n</graphml>\n"


def _declare(kind: str, columns: list[Attribute]) -> str:
    """Declare the keys. Their ids say what they are: Gephi takes yEd's d3 and d7 for labels."""
    return "".join(
        f'<key id="{kind}_{number}" for="{kind}" attr.name="{escape_one(column.name)}" '
        f'attr.type="{"string" if column.type == "time" else column.type}"/>\n'
        for number, column in enumerate(columns)
    )


def _put_values(kind: str, columns: list[Attribute]) -> list[str | Field]:
    return [
        Field(before=f'<data key="{kind}_{number}">', column=column, after="</data>")
        for number, column in enumerate(columns)
    ]


def write_graphml(nodes: pd.DataFrame, edges: pd.DataFrame, path: str | PathLike[str]) -> Written:
    """Write a graph as GraphML.

    Parameters
    ----------
    nodes, edges : DataFrame
        As for `write_gexf`. Times are ISO 8601 texts here: GraphML has neither times nor spans.
        Gephi takes label, r, g, b, size, x and y of nodes, and weight of edges, for what they are.
    path : str or path
        The file to write; its folder must exist. An existing file is replaced in one step.

    Returns
    -------
    Written
        The path, the counts, and every text that had to be changed.

    Raises
    ------
    SchemaError
        A frame lacks a column, an id is repeated, an edge's end is not a node, a span is backwards.
    InputError
        The file cannot be written.

    Examples
    --------
    >>> import pandas as pd, tempfile, pathlib
    >>> nodes = pd.DataFrame({"id": ["a", "i"], "label": ["anna", "10.0.0.1"],
    ...                       "type": ["account", "identifier"], "kind": ["account", "ip"]})
    >>> edges = pd.DataFrame({"source": ["a"], "target": ["i"], "kind": ["ip"], "bits": [3.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write_graphml(nodes, edges, pathlib.Path(folder) / "graph.graphml")
    >>> written.n_nodes, written.n_edges
    (2, 1)
    """
    tables = read_tables(nodes, edges)
    node_columns = [column for name, column in tables.nodes.items() if name != "id"]
    edge_columns = [tables.weight] + [
        column for name, column in tables.edges.items() if name not in {"source", "target"}
    ]
    node_pieces: list[str | Field] = [
        Field(before='<node id="', column=tables.nodes["id"], after='">'),
        *_put_values("node", node_columns),
        "</node>\n",
    ]
    edge_pieces: list[str | Field] = [
        Field(before='<edge id="e', column=number_rows(tables.n_edges), after='"'),
        Field(before=' source="', column=tables.edges["source"], after='"'),
        Field(before=' target="', column=tables.edges["target"], after='">'),
        *_put_values("edge", edge_columns),
        "</edge>\n",
    ]
    keys = _declare("node", node_columns) + _declare("edge", edge_columns)
    target = Path(path)
    with replace_files(target) as (handle,):
        handle.write(f'{_HEAD}{keys}<graph id="G" edgedefault="undirected">\n'.encode())
        write_rows(handle, node_pieces, tables.n_nodes)
        write_rows(handle, edge_pieces, tables.n_edges)
        handle.write(_TAIL.encode())
    return Written(
        paths=(target,), n_nodes=tables.n_nodes, n_edges=tables.n_edges, changes=tables.changes
    )
