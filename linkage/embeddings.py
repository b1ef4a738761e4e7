"""A user's own embeddings: vectors that lie close together become one identifier.

linkage brings no model. Where a table has a column of vectors, whichever model made them, accounts
whose vectors fall into one neighbourhood hold one identifier, as they do with prompt templates.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from linkage.engine import quote_name
from linkage.errors import ConfigError, SchemaError
from linkage.readings import read_source
from linkage.sources import make_rejected, open_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkage.config import Config
    from linkage.engine import Engine
    from linkage.sources import Rejection, Source

__all__ = ["Neighbourhoods", "find_neighbourhoods", "observe_embeddings"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_BLOCK: Final = 2_048  # vectors that look for a centre together
_PAIRS: Final = 1 << 20  # pairs drawn to learn how close vectors come by chance
_ALIKE: Final = 0.999  # similarity, beyond which vectors count as equal whatever chance says
_NONE: Final = -1
_SEED: Final = 0

ROWS: Final = """
SELECT account AS account_id, CAST({first} AS TIMESTAMP) AS ts, vector
FROM ({parsed}) AS parsed
WHERE {good} AND vector IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhoods:
    """What `find_neighbourhoods` found."""

    labels: Ints  # (n,) the neighbourhood of each vector, -1 where it lies alone
    names: tuple[str, ...]  # of each neighbourhood
    min_similarity: float  # cosine to a neighbourhood's centre, from which on a vector is in it


def observe_embeddings(
    engine: Engine, inputs: Mapping[str, Any], config: Config, *, key: bytes = b"", threads: int = 2
) -> tuple[list[pa.Table], pa.Table]:
    """Turn columns of vectors into observations.

    Parameters
    ----------
    engine : Engine
        Reads the tables; not the one that reads the same inputs for something else.
    inputs : mapping of table -> path, folder, glob, frame, or a list of those
        Parquet or frames, where a column holds lists of numbers.
    config : Config
        Its ``embeddings``.
    key : bytes, optional
        The case's key, up to 64 bytes.
    threads : int, optional
        Threads of the search; the outcome does not depend on them.

    Returns
    -------
    observations : list of pyarrow.Table
        account_id, kind, value, first_seen, last_seen, count: a table for each source and kind.
    rejected : pyarrow.Table
        How many vectors of which source could not be used.

    Raises
    ------
    SchemaError
        If no source has the column, or it holds no vectors, or vectors of unequal length.
    ConfigError
        If usearch is not installed.
    """
    tables: list[pa.Table] = []
    refused: list[tuple[str, int | None, str | None, str]] = []
    for kind, said in config.embeddings.items():
        given = {said.table: inputs[said.table]} if inputs.get(said.table) is not None else {}
        sources = open_sources(engine, given, config) if given else []
        having = [source for source in sources if said.column in source.columns.vectors]
        if not having:
            raise SchemaError(
                f"no input table {said.table} has the column {said.column!r} that "
                f"[embeddings.{kind}] names; it must be Parquet or a frame"
            )
        read = [_read_vectors(engine, source, said.column, config) for source in having]
        widths = {vectors.shape[1] for vectors, _, _ in read if len(vectors)}
        if len(widths) > 1:
            raise SchemaError(
                f"{said.column} holds vectors of {sorted(widths)} numbers; one model makes one size"
            )
        refused += [
            (s.label, *r) for s, (_, _, found) in zip(having, read, strict=True) for r in found
        ]
        rows = [rows for vectors, rows, _ in read if len(vectors)]
        if not rows:
            continue
        vectors = np.concatenate([vectors for vectors, _, _ in read if len(vectors)])
        accounts = pa.chunked_array([c for r in rows for c in r["account_id"].chunks])
        codes = accounts.combine_chunks().dictionary_encode().indices
        found = find_neighbourhoods(
            vectors,
            codes.to_numpy().astype(np.int64),
            min_similarity=said.min_similarity,
            max_chance=said.max_chance,
            key=key,
            threads=threads,
        )
        starts = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
        for part, first, last in zip(rows, starts[:-1], starts[1:], strict=True):
            tables.append(_count_rows(kind, part, found.labels[first:last], found.names))
    return tables, make_rejected(refused)


def find_neighbourhoods(
    vectors: Floats,
    accounts: Ints,
    *,
    min_similarity: float = 0.0,
    max_chance: float = 1e-6,
    key: bytes = b"",
    threads: int = 2,
) -> Neighbourhoods:
    """Gather vectors around centres.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n, dimensions)
        Finite, none of them zero.
    accounts : ndarray of int64, shape (n,)
        Whose each is.
    min_similarity : float, optional
        Cosine of a vector to its centre, at least. 0 learns it: by chance, no more than a share
        ``max_chance`` of the pairs of two accounts' vectors are closer.
    max_chance : float, optional
    key : bytes, optional
        The case's key, up to 64 bytes.
    threads : int, optional

    Returns
    -------
    Neighbourhoods
        The same for any order of the vectors.

    Raises
    ------
    ConfigError
        If usearch is not installed.

    Notes
    -----
    Leaders: a vector joins a leader that is close enough, or leads. Then leaders move to the mean
    of their followers, those that came close are one, and every vector goes to the nearest centre
    that is close enough. So no chain of neighbours ties what lies far apart, as connected
    components would, and a neighbourhood may have any number of vectors, as a list of nearest
    neighbours may not. Centres are found by a navigable small world graph (Malkov and Yashunin
    2018, doi:10.1109/TPAMI.2018.2889473): some are missed where there are many.

    Examples
    --------
    >>> found = find_neighbourhoods(np.float32([[1, 0], [0.99, 0.1], [0, 1]]), np.arange(3),
    ...                             min_similarity=0.9)
    >>> found.labels.tolist()
    [0, 0, -1]
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    digests = _digest_rows(unit)
    _, first, which = np.unique(digests, return_index=True, return_inverse=True)
    distinct = np.ascontiguousarray(unit[first])  # in the order of digests
    wanted = min_similarity or _learn_similarity(unit, digests, accounts, max_chance)
    _, leaders = _lead(distinct, wanted, threads)
    followed = _assign(distinct, leaders, wanted, threads)
    means = _find_means(distinct, followed, np.bincount(which))
    kept, _ = _lead(means, wanted, threads)
    near = _assign(distinct, _build_index(means[kept]), wanted, threads)
    labels = _drop_alone(near[which], accounts)
    n = int(labels.max(initial=_NONE)) + 1
    smallest = np.full(n, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, labels[labels != _NONE], digests[labels != _NONE])
    return Neighbourhoods(
        labels=labels,
        names=tuple(_name(value, key) for value in smallest.astype("<u8")),
        min_similarity=float(wanted),
    )


def _read_vectors(
    engine: Engine, source: Source, column: str, config: Config
) -> tuple[Floats, pa.Table, list[Rejection]]:
    """Return the usable vectors of a source and, row by row, whose they are and when."""
    found = source.types[column]
    is_list = pa.types.is_list(found) or pa.types.is_large_list(found)
    is_list |= pa.types.is_fixed_size_list(found)
    if not is_list or not (
        pa.types.is_floating(found.value_type) or pa.types.is_integer(found.value_type)
    ):
        raise SchemaError(
            f"{column} of {source.label} must hold lists of numbers; it holds {found}"
        )
    reading = read_source(source, config)
    reading = replace(reading, parsed=(*reading.parsed, ("vector", quote_name(column))))
    sql = ROWS.format(
        first=reading.first, parsed=reading.get_parsed_sql(), good=reading.get_good_sql()
    )
    parts, rows, n_bad = [np.empty((0, 0), np.float32)], [], 0
    for batch in engine.stream(sql, source=source.label):
        table = pa.Table.from_batches([batch])
        vectors = _stack(table["vector"].combine_chunks(), source.label, column)
        with np.errstate(over="ignore"):
            is_good = np.isfinite(vectors).all(axis=1) & (np.linalg.norm(vectors, axis=1) > 0)
        n_bad += int((~is_good).sum())
        parts.append(vectors[is_good])
        rows.append(table.select(["account_id", "ts"]).filter(pa.array(is_good)))
    parts = [part for part in parts if len(part)] or parts[:1]
    if len({part.shape[1] for part in parts}) > 1:
        raise SchemaError(f"{column} of {source.label} holds vectors of unequal length")
    said = f"{n_bad} vectors are zero or hold something that is no number; they were not used"
    refused: list[Rejection] = [(None, column, said)] if n_bad else []
    return np.concatenate(parts), pa.concat_tables(rows) if rows else pa.table({}), refused


def _stack(column: pa.Array, label: str, name: str) -> Floats:
    """Return lists of one length as rows."""
    if len(column) == 0:
        return np.empty((0, 0), np.float32)
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    if lengths.min() != lengths.max() or lengths[0] == 0:
        raise SchemaError(
            f"{name} of {label} holds vectors of {lengths.min()} to {lengths.max()} numbers; "
            "one model makes one size"
        )
    values = column.flatten().to_numpy(zero_copy_only=False)
    stacked: Floats = values.astype(np.float32).reshape(len(column), -1)
    return stacked


def _digest_rows(unit: Floats) -> npt.NDArray[np.uint64]:
    """Hash each vector, so that order and names come from the vectors alone."""
    octets = np.ascontiguousarray(unit, "<f4").view(np.uint8).reshape(len(unit), -1)
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in octets]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _name(value: np.uint64, key: bytes) -> str:
    named = hashlib.blake2b(value.tobytes(), digest_size=8, key=key, person=b"linkage vectors")
    return "n" + named.hexdigest()


def _learn_similarity(
    unit: Floats, digests: npt.NDArray[np.uint64], accounts: Ints, max_chance: float
) -> float:
    """Return how close no more than a share of the pairs of two accounts' vectors come by chance.

    The tail of the pairs is full of what is sought: one text, written by many. So the bulk tells:
    its median and the half above it, and a normal tail beyond; or the share itself, if lower.
    """
    order = np.argsort(digests, kind="stable")
    # equal vectors of several accounts come in any order: which of them is drawn changes nothing
    # but whether a pair is of one account, and those pairs are as close
    left, right = order[np.random.default_rng(_SEED).integers(0, len(unit), (2, _PAIRS))]
    is_apart = accounts[left] != accounts[right]
    left, right = left[is_apart], right[is_apart]
    if len(left) == 0:
        return _ALIKE
    cosines = np.concatenate(
        [
            np.einsum("ij,ij->i", unit[left[at : at + _BLOCK]], unit[right[at : at + _BLOCK]])
            for at in range(0, len(left), _BLOCK)
        ]
    )
    middle, above, tail = np.quantile(cosines, [0.5, special.ndtr(1.0), 1 - max_chance])
    by_chance = middle + -special.ndtri(max_chance) * (above - middle)
    return float(min(by_chance, tail, _ALIKE))


def _make_index(dimensions: int) -> Any:
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ConfigError(
            "embeddings need usearch: install linkage[embeddings], or take [embeddings] out of the "
            "configuration"
        ) from error
    # half of usearch's defaults: what is sought is close, or it is not sought
    return Index(
        ndim=dimensions, dtype="f32", connectivity=8, expansion_add=32, expansion_search=32
    )


def _build_index(centres: Floats) -> Any:
    index = _make_index(centres.shape[1])
    _add(index, centres)
    return index


def _add(index: Any, centres: Floats) -> None:
    """Append centres, numbered in their order; by one thread, as the graph depends on it."""
    if len(centres):
        index.add(np.arange(len(index), len(index) + len(centres)), centres, threads=1)


def _find_nearest(index: Any, block: Floats, threads: int) -> tuple[Ints, Floats]:
    """Return the nearest centre of each vector, and its cosine."""
    if len(index) == 0:
        return np.full(len(block), _NONE), np.full(len(block), -np.inf, np.float32)
    found = index.search(block, 1, threads=threads)
    keys, distances = np.atleast_2d(found.keys), np.atleast_2d(found.distances)
    return keys.reshape(-1).astype(np.int64), 1 - distances.reshape(-1)


def _lead(vectors: Floats, wanted: float, threads: int) -> tuple[Ints, Any]:
    """Return which vectors lead, and an index of them: none is within reach of one before."""
    index, leaders = _make_index(vectors.shape[1]), [np.empty(0, np.int64)]
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        _, cosine = _find_nearest(index, block, threads)
        left = np.flatnonzero(cosine < wanted)
        is_close = block[left] @ block[left].T >= wanted
        is_free = np.ones(len(left), bool)
        new = []
        while is_free.any():
            at = int(is_free.argmax())
            new.append(left[at])
            is_free &= ~is_close[at]
            is_free[at] = False
        leaders.append(start + np.array(new, np.int64))
        _add(index, vectors[leaders[-1]])
    return np.concatenate(leaders), index


def _assign(vectors: Floats, index: Any, wanted: float, threads: int) -> Ints:
    """Return the nearest centre of each vector within reach, or -1."""
    labels = [np.empty(0, np.int64)]
    for start in range(0, len(vectors), _BLOCK):
        nearest, cosine = _find_nearest(index, vectors[start : start + _BLOCK], threads)
        labels.append(np.where(cosine >= wanted, nearest, _NONE))
    return np.concatenate(labels)


def _find_means(vectors: Floats, labels: Ints, weights: Ints) -> Floats:
    """Return the means of groups of two and more, the heaviest first."""
    n = int(labels.max(initial=_NONE)) + 1
    is_in = labels != _NONE
    sums = np.zeros((n, vectors.shape[1]), np.float64)
    np.add.at(sums, labels[is_in], vectors[is_in] * weights[is_in, None])
    total = np.bincount(labels[is_in], weights[is_in], minlength=n)
    norms = np.linalg.norm(sums, axis=1)
    order = np.argsort(-total, kind="stable")
    order = order[(norms[order] > 0) & (total[order] > 1)]
    return np.ascontiguousarray(sums[order] / norms[order, None], np.float32)


def _drop_alone(labels: Ints, accounts: Ints) -> Ints:
    """Forget the neighbourhoods of one account, and number those that are left."""
    n = int(labels.max(initial=_NONE)) + 1
    low, high = np.full(n, np.iinfo(np.int64).max), np.full(n, _NONE)
    is_in = labels != _NONE
    np.minimum.at(low, labels[is_in], accounts[is_in])
    np.maximum.at(high, labels[is_in], accounts[is_in])
    numbers = np.full(n + 1, _NONE)  # the last stands for none
    kept = np.flatnonzero(low < high)
    numbers[kept] = np.arange(len(kept))
    return numbers[labels]


def _count_rows(kind: str, rows: pa.Table, labels: Ints, names: tuple[str, ...]) -> pa.Table:
    """Count the vectors of each account in each neighbourhood."""
    held = rows.append_column("label", pa.array(labels)).filter(pa.array(labels != _NONE))
    grouped = held.group_by(["account_id", "label"]).aggregate(
        [("ts", "min"), ("ts", "max"), ("label", "count")]
    )
    values = pa.array(names, pa.string()).take(grouped["label"])
    return pa.table(
        {
            "account_id": grouped["account_id"],
            "kind": pa.array([kind] * len(grouped), pa.string()),
            "value": values,
            "first_seen": grouped["ts_min"],
            "last_seen": grouped["ts_max"],
            "count": grouped["label_count"],
        }
    )
