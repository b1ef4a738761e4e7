"""Check a graph's two frames and bring them into one fixed order and form."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from linkage.errors import SchemaError
from linkage.export.text import CHANGE_COLUMNS, MAX_LABEL, MAX_TEXT, clean_ids, clean_text

__all__ = [
    "EDGE_COLUMNS",
    "MIN_WEIGHT",
    "NODE_COLUMNS",
    "Attribute",
    "AttributeType",
    "GraphTables",
    "as_text",
    "number_rows",
    "read_tables",
]

AttributeType = Literal["string", "long", "double", "boolean", "time"]

NODE_COLUMNS: Final = (
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
)
EDGE_COLUMNS: Final = ("source", "target", "kind", "bits", "count", "first_seen", "last_seen")
_REQUIRED: Final = {
    "nodes": ("id", "label", "type", "kind"),
    "edges": ("source", "target", "kind"),
}
# Names to which the formats or Gephi give a meaning of their own.
_RESERVED: Final = {
    "nodes": ("timeset", "interval", "start", "end"),
    "edges": ("id", "type", "weight", "timeset", "interval", "start", "end"),
}

MIN_WEIGHT: Final = 0.1  # bits; the weight of an edge without evidence: layouts need one above 0

_MAX_LONG: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One column, ready to be written.

    `data` is a pyarrow array with nulls where nothing is known: a dictionary of large strings for
    ``string``, else int64, float64, bool, or timestamp[us] in UTC for ``time``.
    """

    name: str
    type: AttributeType
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTables:
    """A checked graph: nodes sorted by id, edges by source, target, then all other columns."""

    nodes: dict[str, Attribute]
    edges: dict[str, Attribute]
    weight: Attribute  # an edge's bits, at least MIN_WEIGHT
    n_nodes: int
    n_edges: int
    changes: pd.DataFrame


def _check_columns(frame: pd.DataFrame, table: str) -> None:
    names = list(frame.columns)
    missing = [name for name in _REQUIRED[table] if name not in names]
    if missing:
        raise SchemaError(f"{table} lack {missing}; they have {names}")
    if not all(isinstance(name, str) and name for name in names):
        raise SchemaError(f"{table} need text as column names; they have {names}")
    unsafe = clean_text(np.asarray(names, dtype=object), MAX_LABEL)[1]["value"].tolist()
    if unsafe:
        raise SchemaError(f"{table} have column names {unsafe} that cannot be written")
    lower = pd.Index(names).str.lower()
    if lower.has_duplicates:
        repeated = pd.Index(names)[lower.duplicated(keep=False)].tolist()
        raise SchemaError(f"{table} have columns that differ in case only: {repeated}")
    reserved = [name for name in names if name.lower() in _RESERVED[table]]
    if reserved:
        raise SchemaError(f"{table} have columns with reserved names {reserved}; rename them")


def _one_text(value: Any) -> str | None:
    """Turn one value into text; a list's items are joined."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        items = sorted(map(str, value)) if isinstance(value, (set, frozenset)) else map(str, value)
        return ", ".join(items)
    return None if pd.isna(value) else str(value)


def _to_objects(series: "pd.Series[Any]") -> NDArray[np.object_]:
    """Return the column's texts as Python objects; other values are spelled out."""
    objects: NDArray[np.object_] = series.astype(object).to_numpy()
    if pd.api.types.infer_dtype(objects, skipna=True) in {"string", "empty"}:
        return objects
    out = np.empty(len(objects), dtype=object)
    out[:] = [_one_text(value) for value in objects]
    return out


def _read_text(series: "pd.Series[Any]", limit: int, *, one_line: bool) -> tuple[Any, pd.DataFrame]:
    codes, distinct = pd.factorize(_to_objects(series))
    safe, changes = clean_text(np.asarray(distinct, dtype=object), limit, one_line=one_line)
    indices = pa.array(codes, pa.int32(), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, safe), changes


def _read_time(series: "pd.Series[Any]") -> Any:
    stamps = series
    if not isinstance(series.dtype, pd.DatetimeTZDtype):
        stamps = series.dt.tz_localize("UTC")
    micros = stamps.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")
    return pa.array(micros.to_numpy(), pa.timestamp("us"), from_pandas=True)


def _find_type(series: "pd.Series[Any]") -> AttributeType:
    kinds = pd.api.types
    if kinds.is_bool_dtype(series.dtype):
        return "boolean"
    if kinds.is_integer_dtype(series.dtype):
        too_large = kinds.is_unsigned_integer_dtype(series.dtype) and bool(
            (series.dropna() > _MAX_LONG).any()
        )
        return "string" if too_large else "long"
    if kinds.is_float_dtype(series.dtype):
        return "double"
    return "time" if kinds.is_datetime64_any_dtype(series.dtype) else "string"


def _read_column(series: "pd.Series[Any]", table: str) -> tuple[Attribute, pd.DataFrame]:
    name = str(series.name)
    kind = _find_type(series)
    changes = pd.DataFrame(columns=list(CHANGE_COLUMNS))
    if name in {"first_seen", "last_seen"} and kind != "time":
        if series.notna().any():
            raise SchemaError(f"{table} need times in {name}; it has {series.dtype}")
        kind, series = "time", pd.Series(pd.NaT, index=series.index, dtype="datetime64[us, UTC]")
    if kind == "string":
        is_label = name == "label"
        values, changes = _read_text(series, MAX_LABEL if is_label else MAX_TEXT, one_line=is_label)
    elif kind == "time":
        values = _read_time(series)
    else:
        types = {"long": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
        values = pa.array(series, types[kind], from_pandas=True)
    return Attribute(name=name, type=kind, data=values), changes.assign(column=name)


def _order_columns(frame: pd.DataFrame, first: tuple[str, ...]) -> list[str]:
    return [name for name in first if name in frame.columns] + [
        name for name in frame.columns if name not in first
    ]


def _read_columns(
    frame: pd.DataFrame, names: list[str], table: str
) -> tuple[dict[str, Attribute], list[pd.DataFrame]]:
    read = [_read_column(frame[name], table) for name in names]
    return {attribute.name: attribute for attribute, _ in read}, [
        changes.assign(table=table) for _, changes in read if not changes.empty
    ]


def _find_ids(series: "pd.Series[Any]", table: str) -> NDArray[np.object_]:
    ids = _to_objects(series)
    empty = np.flatnonzero(pd.isna(ids) | (ids == ""))
    if empty.size:
        raise SchemaError(
            f"{table} need a text in {series.name} in every row; row {empty[0]} has none"
        )
    return ids


def _check_spans(frame: pd.DataFrame, table: str) -> None:
    if not {"first_seen", "last_seen"} <= set(frame.columns):
        return
    rows = np.flatnonzero((frame["first_seen"] > frame["last_seen"]).to_numpy(dtype=bool))
    if rows.size:
        row = frame.iloc[rows[0]]
        raise SchemaError(
            f"{table} need first_seen <= last_seen; row {rows[0]} has "
            f"{row['first_seen']} and {row['last_seen']}"
        )


def _find_ends(edges: pd.DataFrame, name: str, ids: "pd.Index[Any]") -> NDArray[np.int64]:
    ends = _find_ids(edges[name], "edges")
    codes, distinct = pd.factorize(ends)
    rows = ids.get_indexer(pd.Index(distinct, dtype=object))
    unknown = distinct[rows < 0]
    if len(unknown):
        raise SchemaError(
            f"edges name {len(unknown)} {name}s that are not nodes, such as {unknown[0]!r:.80}"
        )
    return rows[codes].astype(np.int64)


def _sort_key(attribute: Attribute) -> NDArray[np.int64]:
    """Rank the column's values; nulls first."""
    values = attribute.data
    if attribute.type == "string":
        texts = values.dictionary.to_numpy(zero_copy_only=False)
        ranks = np.empty(len(texts) + 1, dtype=np.int64)
        ranks[np.argsort(texts, kind="stable")] = np.arange(len(texts))
        ranks[-1] = -1
        rows: NDArray[np.int64] = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return ranks[rows]
    codes, _ = pd.factorize(values.to_numpy(zero_copy_only=False), sort=True)
    return np.asarray(codes, dtype=np.int64)


def _order_edges(
    source: NDArray[np.int64], target: NDArray[np.int64], rest: dict[str, Attribute]
) -> NDArray[np.int64]:
    """Sort edges; the other columns only where two edges have the same ends."""
    order = np.lexsort((target, source))
    same = (np.diff(source[order]) == 0) & (np.diff(target[order]) == 0)
    if not same.any():
        return order
    keys = [_sort_key(attribute) for attribute in rest.values()]
    return np.lexsort((*reversed(keys), target, source))


def _take(attribute: Attribute, order: NDArray[np.int64]) -> Attribute:
    return Attribute(
        name=attribute.name, type=attribute.type, data=attribute.data.take(pa.array(order))
    )


def _make_weight(edges: dict[str, Attribute], n_edges: int) -> Attribute:
    bits = edges.get("bits")
    if bits is None:
        values = pa.array(np.full(n_edges, MIN_WEIGHT))
    else:
        if bits.type not in {"double", "long"}:
            raise SchemaError(f"edges need numbers in bits; it has {bits.type}s")
        known = pc.fill_null(bits.data.cast(pa.float64()), MIN_WEIGHT)
        if not pc.all(pc.is_finite(known)).as_py() and n_edges:
            raise SchemaError("edges need finite numbers in bits; there are infinite ones")
        values = pc.max_element_wise(known, MIN_WEIGHT)
    return Attribute(name="weight", type="double", data=values)


def _read_nodes(
    nodes: pd.DataFrame,
) -> tuple[dict[str, Attribute], "pd.Index[Any]", list[pd.DataFrame]]:
    ids = _find_ids(nodes["id"], "nodes")
    order = np.argsort(ids, kind="stable")
    index = pd.Index(ids[order], dtype=object)
    if index.has_duplicates:
        repeated = index[index.duplicated()]
        raise SchemaError(f"nodes have the id {repeated[0]!r:.80} more than once; ids are unique")
    safe, changes = clean_ids(ids[order])
    names = _order_columns(nodes, NODE_COLUMNS)[1:]
    columns, all_changes = _read_columns(nodes, names, "nodes")
    values = pa.DictionaryArray.from_arrays(pa.array(np.arange(len(ids)), pa.int32()), safe)
    attributes = {"id": Attribute(name="id", type="string", data=values)}
    attributes |= {name: _take(column, order) for name, column in columns.items()}
    return attributes, index, [changes.assign(table="nodes", column="id"), *all_changes]


def _read_edges(
    edges: pd.DataFrame, index: "pd.Index[Any]", safe_ids: Any
) -> tuple[dict[str, Attribute], list[pd.DataFrame]]:
    ends = {name: _find_ends(edges, name, index) for name in ("source", "target")}
    names = _order_columns(edges, EDGE_COLUMNS)[2:]
    columns, changes = _read_columns(edges, names, "edges")
    order = _order_edges(ends["source"], ends["target"], columns)
    attributes = {
        name: Attribute(
            name=name,
            type="string",
            data=pa.DictionaryArray.from_arrays(pa.array(rows[order], pa.int32()), safe_ids),
        )
        for name, rows in ends.items()
    }
    attributes |= {name: _take(column, order) for name, column in columns.items()}
    return attributes, changes


def read_tables(nodes: pd.DataFrame, edges: pd.DataFrame) -> GraphTables:
    """Check a graph's frames and bring them into one order, whatever the order of their rows.

    Parameters
    ----------
    nodes : DataFrame
        Columns id, label, type, kind; further columns become typed attributes.
    edges : DataFrame
        Columns source, target, kind; further columns become typed attributes.

    Returns
    -------
    GraphTables
        Text is cleaned (see `linkage.export.text`); `changes` names what was changed.

    Raises
    ------
    SchemaError
        A column is missing, repeated or reserved; an id is missing or repeated; an edge's end is
        not a node; a first_seen is after its last_seen; bits are infinite.

    Examples
    --------
    >>> import pandas as pd
    >>> nodes = pd.DataFrame({"id": ["b", "a"], "label": "n", "type": "account", "kind": "account"})
    >>> edges = pd.DataFrame({"source": ["b"], "target": ["a"], "kind": ["ip"], "bits": [3.5]})
    >>> tables = read_tables(nodes, edges)
    >>> tables.nodes["id"].data.to_pylist(), tables.weight.data.to_pylist()
    (['a', 'b'], [3.5])
    """
    for frame, table in ((nodes, "nodes"), (edges, "edges")):
        _check_columns(frame, table)
    node_columns, index, changes = _read_nodes(nodes)
    edge_columns, edge_changes = _read_edges(edges, index, node_columns["id"].data.dictionary)
    for frame, table in ((nodes, "nodes"), (edges, "edges")):
        _check_spans(frame, table)
    report = pd.concat([*changes, *edge_changes], ignore_index=True)
    return GraphTables(
        nodes=node_columns,
        edges=edge_columns,
        weight=_make_weight(edge_columns, len(edges)),
        n_nodes=len(nodes),
        n_edges=len(edges),
        changes=report[["table", "column", *CHANGE_COLUMNS]],
    )


def number_rows(n_rows: int) -> Attribute:
    """Return the ids 0, 1, ... that edges carry."""
    return Attribute(name="id", type="long", data=pa.array(np.arange(n_rows), pa.int64()))


def _spell_times(values: Any) -> Any:
    """Write times as 2026-04-22T10:00:00Z, with microseconds only where one of them needs them."""
    whole = pc.all(pc.equal(pc.microsecond(values), 0)).as_py() is not False
    whole = whole and pc.all(pc.equal(pc.millisecond(values), 0)).as_py() is not False
    stamps = values.cast(pa.timestamp("s"), safe=False) if whole else values
    text = pc.replace_substring(stamps.cast(pa.large_string()), " ", "T")
    suffix = pa.scalar("Z", pa.large_string())
    return pc.binary_join_element_wise(text, suffix, pa.scalar("", pa.large_string()))


def as_text(attribute: Attribute) -> Any:
    """Spell out a column: ISO 8601 times in UTC, ``true``, shortest exact numbers.

    Parameters
    ----------
    attribute : Attribute

    Returns
    -------
    pyarrow.Array of large_string
        Null where the value is.
    """
    if attribute.type == "time":
        return _spell_times(attribute.data)
    text = attribute.data.cast(pa.large_string())
    if attribute.type == "double":
        infinite = pc.is_in(text, pa.array(["inf", "-inf"], pa.large_string()))
        if pc.any(infinite).as_py():
            text = pc.replace_substring(text, "inf", "Infinity")
    return text
