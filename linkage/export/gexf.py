"""GEXF 1.3, the format of Gephi, with colours, sizes, positions and a timeline."""

from os import PathLike
from pathlib import Path
from typing import Final

import pandas as pd

from linkage.export.files import Written, replace_files
from linkage.export.markup import Field, escape_one, write_rows
from linkage.export.tables import Attribute, GraphTables, number_rows, read_tables
from linkage.export.viz import VIZ_COLUMNS

__all__ = ["write_gexf"]

_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<gexf xmlns="http://gexf.net/1.3" xmlns:viz="http://gexf.net/1.3/viz" version="1.3">
<meta>
<creator>linkage</creator>
<description>Accounts and the identifiers they share; weights are bits of evidence</description>
</meta>
"""
_TAIL: Final = "</edges>\n</graph>\n</gexf>\n"

_NODE_OWN: Final = ("id", "label")
_EDGE_OWN: Final = ("source", "target", "label")
_SPAN: Final = (("first_seen", "start"), ("last_seen", "end"))
_SPAN_COLUMNS: Final = ("first_seen", "last_seen")


def _list_attributes(columns: dict[str, Attribute], own: tuple[str, ...]) -> list[Attribute]:
    return [column for name, column in columns.items() if name not in own]


def _declare(kind: str, attributes: list[Attribute]) -> str:
    """Declare the attributes; GEXF 1.3 has no type for times, so that they are strings."""
    lines = [
        f'<attribute id="{name}" title="{name}" '
        f'type="{"string" if attribute.type == "time" else attribute.type}"/>\n'
        for attribute in attributes
        for name in (escape_one(attribute.name),)
    ]
    return f'<attributes class="{kind}">\n{"".join(lines)}</attributes>\n'


def _has_times(tables: GraphTables) -> bool:
    times = [
        columns[name].data
        for columns in (tables.nodes, tables.edges)
        for name, _ in _SPAN
        if name in columns
    ]
    return any(values.null_count < len(values) for values in times)


def _open_graph(*, timeline: bool) -> str:
    if not timeline:
        return '<graph defaultedgetype="undirected" idtype="string" mode="static">\n'
    return (
        '<graph defaultedgetype="undirected" idtype="string" mode="dynamic" timeformat="dateTime" '
        'timerepresentation="interval" timezone="UTC">\n'
    )


def _put_attribute(column: Attribute, name: str) -> Field:
    return Field(before=f' {name}="', column=column, after='"')


def _put_span(columns: dict[str, Attribute], *, timeline: bool) -> list[str | Field]:
    if not timeline:
        return []
    return [_put_attribute(columns[name], word) for name, word in _SPAN if name in columns]


def _put_values(attributes: list[Attribute]) -> list[str | Field]:
    values = [
        Field(
            before=f'<attvalue for="{escape_one(attribute.name)}" value="',
            column=attribute,
            after='"/>',
        )
        for attribute in attributes
    ]
    return ["<attvalues>", *values, "</attvalues>"]


def _put_viz(columns: dict[str, Attribute]) -> list[str | Field]:
    """Write colour, size, position and shape; all or none, since a colour needs its channels."""
    return [
        Field(before='<viz:color r="', column=columns["r"], after='"'),
        Field(before=' g="', column=columns["g"], after='"'),
        Field(before=' b="', column=columns["b"], after='"/>'),
        Field(before='<viz:size value="', column=columns["size"], after='"/>'),
        Field(before='<viz:position x="', column=columns["x"], after='"'),
        Field(before=' y="', column=columns["y"], after='" z="0"/>'),
        Field(before='<viz:shape value="', column=columns["shape"], after='"/>'),
    ]


def _lay_out_nodes(
    tables: GraphTables, *, timeline: bool
) -> tuple[list[Attribute], list[str | Field]]:
    columns = tables.nodes
    has_viz = all(name in columns and not columns[name].data.null_count for name in VIZ_COLUMNS)
    viz = VIZ_COLUMNS if has_viz else ()
    spans = _SPAN_COLUMNS if timeline else ()
    attributes = _list_attributes(columns, (*_NODE_OWN, *spans, *viz))
    pieces: list[str | Field] = [
        "<node",
        _put_attribute(columns["id"], "id"),
        _put_attribute(columns["label"], "label"),
        *_put_span(columns, timeline=timeline),
        ">",
        *_put_values(attributes),
        *(_put_viz(columns) if has_viz else []),
        "</node>\n",
    ]
    return attributes, pieces


def _lay_out_edges(
    tables: GraphTables, *, timeline: bool
) -> tuple[list[Attribute], list[str | Field]]:
    columns = tables.edges
    spans = _SPAN_COLUMNS if timeline else ()
    attributes = _list_attributes(columns, (*_EDGE_OWN, *spans))
    pieces: list[str | Field] = [
        "<edge",
        _put_attribute(number_rows(tables.n_edges), "id"),
        _put_attribute(columns["source"], "source"),
        _put_attribute(columns["target"], "target"),
        _put_attribute(columns["kind"], "kind"),
        *([_put_attribute(columns["label"], "label")] if "label" in columns else []),
        _put_attribute(tables.weight, "weight"),
        *_put_span(columns, timeline=timeline),
        ">",
        *_put_values(attributes),
        "</edge>\n",
    ]
    return attributes, pieces


def write_gexf(
    nodes: pd.DataFrame, edges: pd.DataFrame, path: str | PathLike[str], *, timeline: bool = True
) -> Written:
    """Write a graph as GEXF 1.3.

    Parameters
    ----------
    nodes : DataFrame, one row a node
        id (unique), label, type, kind, and any further column as an attribute. first_seen and
        last_seen become the node's time span; r, g, b, size, x, y and shape, which `add_viz`
        gives, become its looks.
    edges : DataFrame, one row an edge
        source, target (ids of nodes), kind, and any further column as an attribute. bits becomes
        the weight as well; an edge without bits, or with fewer than 0.1, weighs 0.1, because
        Gephi refuses weights of zero and below.
    path : str or path
        The file to write; its folder must exist. An existing file is replaced in one step.
    timeline : bool
        Write first_seen and last_seen as time spans. Without, they are attributes (ISO 8601
        texts): networkx, up to 3.6 at least, refuses GEXF's dateTime.

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

    Notes
    -----
    The bytes depend on the rows and not on their order. Time is written as intervals
    (``mode="dynamic"``, ``timeformat="dateTime"``, UTC) where any node or edge has one. Labels are
    cut to 120 characters, other texts to 1,000, ids to 256 with a digest; characters that XML
    cannot hold and bidirectional controls are replaced. GEXF 1.3: gexf.net.

    Examples
    --------
    >>> import pandas as pd, tempfile, pathlib
    >>> nodes = pd.DataFrame({"id": ["a", "i"], "label": ["anna", "10.0.0.1"],
    ...                       "type": ["account", "identifier"], "kind": ["account", "ip"]})
    >>> edges = pd.DataFrame({"source": ["a"], "target": ["i"], "kind": ["ip"], "bits": [3.5]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write_gexf(nodes, edges, pathlib.Path(folder) / "graph.gexf")
    >>> written.n_nodes, written.n_edges
    (2, 1)
    """
    tables = read_tables(nodes, edges)
    spans = timeline and _has_times(tables)
    node_attributes, node_pieces = _lay_out_nodes(tables, timeline=spans)
    edge_attributes, edge_pieces = _lay_out_edges(tables, timeline=spans)
    head = _HEAD + _open_graph(timeline=spans)
    head += _declare("node", node_attributes) + _declare("edge", edge_attributes)
    target = Path(path)
    with replace_files(target) as (handle,):
        handle.write(f'{head}<nodes count="{tables.n_nodes}">\n'.encode())
        write_rows(handle, node_pieces, tables.n_nodes)
        handle.write(f'</nodes>\n<edges count="{tables.n_edges}">\n'.encode())
        write_rows(handle, edge_pieces, tables.n_edges)
        handle.write(_TAIL.encode())
    return Written(
        paths=(target,), n_nodes=tables.n_nodes, n_edges=tables.n_edges, changes=tables.changes
    )
