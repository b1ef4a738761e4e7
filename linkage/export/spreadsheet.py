"""Two CSV files with Gephi's own column headers, safe to open in a spreadsheet."""

from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from linkage.export.files import Written, replace_files
from linkage.export.tables import Attribute, as_text, number_rows, read_tables

__all__ = ["write_csv"]

# A cell that begins with one of these is run as a formula (OWASP, "CSV Injection"); so is what
# follows a separator where the spreadsheet's locale separates by another character than ours.
_BEFORE: Final = "(^|[,;|\"\\t\\r\\n])([ \\x{A0}]*'*)"
_TRIGGERS: Final = (r"([\t\r])", r"([=+\-@＝＋－＠])")  # noqa: RUF001
_SAFE: Final = r"\1'\2\3"

_NODE_HEADERS: Final = {"id": "Id", "label": "Label"}
_EDGE_HEADERS: Final = {"source": "Source", "target": "Target", "kind": "Kind", "label": "Label"}


def neutralise_formulas(texts: Any) -> Any:
    r"""Put an apostrophe before what a spreadsheet would run as a formula.

    Parameters
    ----------
    texts : pyarrow.Array of large_string

    Returns
    -------
    pyarrow.Array of large_string
        Different texts stay different: where there are apostrophes already, one more is put.

    Examples
    --------
    >>> import pyarrow as pa
    >>> texts = ["=cmd()", "a;@b", "x-y", "'=1"]
    >>> neutralise_formulas(pa.array(texts, pa.large_string())).to_pylist()
    ["'=cmd()", "a;'@b", 'x-y', "''=1"]
    """
    # In two passes: a match swallows its last character, which may be the next one's separator.
    for trigger in _TRIGGERS:
        texts = pc.replace_substring_regex(texts, _BEFORE + trigger, _SAFE)
    return texts


def _spell(column: Attribute) -> Any:
    if column.type != "string":
        return as_text(column) if column.type == "time" else column.data
    safe = neutralise_formulas(column.data.dictionary)
    return pa.DictionaryArray.from_arrays(column.data.indices, safe).cast(pa.large_string())


def _write_table(handle: BinaryIO, columns: dict[str, Any]) -> None:
    names = neutralise_formulas(pa.array(list(columns), pa.large_string())).to_pylist()
    csv.write_csv(pa.table(list(columns.values()), names=names), handle)


def _split_path(path: Path) -> tuple[Path, Path]:
    """Return the paths of nodes and edges: case.csv gives case_nodes.csv and case_edges.csv."""
    is_csv = path.suffix.lower() == ".csv"
    stem, suffix = (path.stem, path.suffix) if is_csv else (path.name, ".csv")
    return path.with_name(f"{stem}_nodes{suffix}"), path.with_name(f"{stem}_edges{suffix}")


def write_csv(nodes: pd.DataFrame, edges: pd.DataFrame, path: str | PathLike[str]) -> Written:
    """Write a graph as a table of nodes and a table of edges.

    Parameters
    ----------
    nodes, edges : DataFrame
        As for `write_gexf`. Gephi's headers are used where it has them (Id, Label; Source, Target,
        Type, Kind, Weight); all other columns keep their names.
    path : str or path
        NAME.csv stands for NAME_nodes.csv and NAME_edges.csv. The folder must exist.

    Returns
    -------
    Written
        Both paths, the counts, and every text that had to be changed.

    Raises
    ------
    SchemaError
        A frame lacks a column, an id is repeated, an edge's end is not a node, a span is backwards.
    InputError
        A file cannot be written.

    Notes
    -----
    A text that a spreadsheet would run (``=``, ``+``, ``-``, ``@``, tab or carriage return, at its
    start or after a separator) gets an apostrophe before that character, in ids as elsewhere.

    Examples
    --------
    >>> import pandas as pd, tempfile, pathlib
    >>> nodes = pd.DataFrame({"id": ["a", "i"], "label": ["anna", "=1+1"],
    ...                       "type": ["account", "identifier"], "kind": ["account", "ip"]})
    >>> edges = pd.DataFrame({"source": ["a"], "target": ["i"], "kind": ["ip"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = write_csv(nodes, edges, pathlib.Path(folder) / "graph.csv")
    ...     print(written.paths[0].read_text())
    "Id","Label","type","kind"
    "a","anna","account","account"
    "i","'=1+1","identifier","ip"
    """
    tables = read_tables(nodes, edges)
    node_columns = {
        _NODE_HEADERS.get(name, name): _spell(column) for name, column in tables.nodes.items()
    }
    ends = {name: _spell(tables.edges[name]) for name in ("source", "target")}
    edge_columns = {"Source": ends["source"], "Target": ends["target"]}
    edge_columns["Type"] = pa.repeat("Undirected", tables.n_edges)
    edge_columns["Id"] = number_rows(tables.n_edges).data
    edge_columns["Weight"] = tables.weight.data
    edge_columns |= {
        _EDGE_HEADERS.get(name, name): _spell(column)
        for name, column in tables.edges.items()
        if name not in ends
    }
    targets = _split_path(Path(path))
    with replace_files(*targets) as (node_file, edge_file):
        _write_table(node_file, node_columns)
        _write_table(edge_file, edge_columns)
    return Written(
        paths=targets, n_nodes=tables.n_nodes, n_edges=tables.n_edges, changes=tables.changes
    )
