"""From inputs to canonical observations: who was seen with what, when, and how often.

Every source is grouped by account and raw value in one scan; only the distinct raw values are
spelt canonically, and what is left is numbers. Rows and cells that cannot be used are counted on
the way and looked up in a second scan, for which good data never pays.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.config import Config
from linkage.edges import LATEST, Holders, count_alone, merge_edges, sort_keys
from linkage.engine import Engine
from linkage.errors import InputError
from linkage.groups import (
    drop_tables,
    group_rows,
    insert,
    judge_accounts,
    judge_values,
    make_tables,
    number_kinds,
)
from linkage.memory import release_memory
from linkage.prompts import TEMPLATES
from linkage.readings import Reading, read_source
from linkage.refusals import (
    Refused,
    find_refused,
    find_refusing,
    list_sources,
    list_unread,
    remove_refused,
    require_usable,
)
from linkage.singles import ALONE, UNKNOWN_TIME, Held, count_fingerprints, hold_fingerprints
from linkage.sources import open_sources

__all__ = ["Observed", "SourceInfo", "observe"]

FindTemplates = Callable[[Iterable[pa.RecordBatch]], tuple[pa.Table, pa.Table]]
Progress = Callable[[str], None]

TEMPLATE: Final = -2  # in place of a raw kind; -1 is one that is none
PROMPT_BATCH_ROWS: Final = 8_192  # prompts are long: a batch of them must fit into memory

Ints = np.ndarray[Any, np.dtype[np.int32]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Columns = dict[str, np.ndarray[Any, Any]]

UTC: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What was read from one file or frame.

    Attributes
    ----------
    table : str
        The contract's table.
    source : str
        The path as it was given, or what the frame is called.
    digest : str or None
        SHA-256 of a file's bytes, hexadecimal; None for a frame.
    n_rows : int
        Data rows.
    n_refused_rows, n_dropped_cells : int
        Rows that were not used at all; cells that were left out of rows that were.
    columns : mapping of contract column or kind -> column of the source
        What was understood.
    ignored : tuple of str
        Columns that were not.
    """

    table: str
    source: str
    digest: str | None
    n_rows: int
    n_refused_rows: int
    n_dropped_cells: int
    columns: Mapping[str, str]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Canonical observations: accounts, identifiers, and which account was seen with which.

    Attributes
    ----------
    accounts : pyarrow.Table
        account_id (string; unique, sorted: the row number is the account's code), created_at,
        country, status, banned_at, first_seen, last_seen (null where unknown), n_events (int64:
        rows of the events table).
    identifiers : pyarrow.Table
        kind, value (unique, sorted: the row number is the identifier's code), family,
        n_accounts (int64, at least 1).
    edges : pyarrow.Table
        account, identifier (int32 codes; unique, sorted), count (int64, at least 1), first_seen,
        last_seen (null where no time was given).
    alone : pyarrow.Table
        account (int32 code), kind, n, count (int64): how many further identifiers of a kind an
        account has that nobody else holds, and how often they were seen; sorted. Of prompts that
        come as text, those that follow no shared template, each of which counts as one, and
        ``count`` is what is missing from the prompts sent: below zero where they follow several.
    templates : pyarrow.Table
        What was found in prompts, with the columns of `TEMPLATES`; by template_id.
    rejected : pyarrow.Table
        source, row (int64, from 1; null for a whole source), column, reason; sorted.
    sources : tuple of SourceInfo
        In the order of the tables, then of the paths.
    """

    accounts: pa.Table
    identifiers: pa.Table
    edges: pa.Table
    alone: pa.Table
    templates: pa.Table
    rejected: pa.Table
    sources: tuple[SourceInfo, ...]


def observe(
    engine: Engine,
    inputs: Mapping[str, Any],
    config: Config,
    *,
    find_templates: FindTemplates | None = None,
    keep_alone: bool = True,
    progress: Progress | None = None,
) -> Observed:
    """Read inputs into canonical observations.

    Parameters
    ----------
    engine : Engine
        Runs the SQL.
    inputs : mapping of table -> path, folder, glob, frame, or a list of those
        ``events``, ``payments``, ``accounts``, ``observations``; some may be missing, not all.
    config : Config
        Renamed columns, declared kinds, limits.
    find_templates : callable, optional
        Takes batches of account_id (int32 codes), prompt (string), ts (timestamp[us]) and returns
        templates, with the columns of `TEMPLATES` at least, and holdings: account_id, template_id,
        count, first_seen, last_seen. Without it, prompts are not read.
    keep_alone : bool, default True
        Whether to keep what one account alone holds, which ties nobody, or to count it only. Of a
        kind of which nothing is shared, one value is kept in any case.
    progress : callable, optional
        Told in a few words what happens next.

    Returns
    -------
    Observed
        Equal for equal rows, whatever their order, the files that hold them, and the threads.

    Raises
    ------
    InputError
        If nothing is given, a file cannot be read, or a table has rows of which none can be used;
        its subclasses where a path names nothing or a column is missing or of a wrong type.

    Examples
    --------
    >>> seen = pa.table({"account_id": ["b", "a"], "kind": ["ip", "IP"],
    ...                  "value": ["192.0.2.1", "192.0.2.1:443"]})
    >>> with Engine(threads=1) as engine:
    ...     observed = observe(engine, {"observations": seen}, Config())
    >>> observed.identifiers.select(["kind", "value", "n_accounts"]).to_pylist()
    [{'kind': 'ip', 'value': '192.0.2.1', 'n_accounts': 2}]
    """
    tell = progress or _say_nothing
    tell("opening the input")
    readings = [read_source(source, config) for source in open_sources(engine, inputs, config)]
    _require_rows(readings)
    tell("grouping rows by account and value")
    make_tables(engine)
    kinds = number_kinds(engine, readings, config)
    group_rows(engine, readings, kinds, with_fingerprints=keep_alone)
    fingerprints = None
    if not keep_alone:
        tell("counting who holds fingerprints")
        fingerprints = count_fingerprints(engine, readings, kinds, config)
        release_memory()
    tell("spelling accounts and identifiers canonically")
    judge_accounts(engine, config)
    judge_values(engine, kinds, config)
    engine.drop("texts")
    refusing = find_refusing(engine, readings)
    if refusing:
        remove_refused(engine, readings, refusing)
        require_usable(engine, readings, kinds, config)
    number_accounts(engine)
    long_prompts: set[int] = set()
    templates, others = TEMPLATES.empty_table(), ALONE.empty_table()
    if find_templates is not None:
        tell("finding templates in prompts")
        long_prompts, templates, others = hold_templates(engine, readings, config, find_templates)
    alone = ALONE.empty_table()
    kept: list[Held] = []  # one or none, which is used up
    if not keep_alone:
        tell("reading shared fingerprints")
        alone, held = hold_fingerprints(engine, readings, kinds, config, fingerprints)
        kept += [] if held is None else [held]
        del fingerprints, held
    release_memory()
    tell("counting edges")
    tables = _assemble(engine, readings, kinds, config, kept, keep_alone=keep_alone)
    alone = _add_up([tables.pop("alone"), alone, others], kinds)
    tell("looking up what was refused")
    refused = [
        find_refused(engine, reading, kinds, config, with_prompts=i in long_prompts)
        if i in refusing | long_prompts
        else list_unread(reading)
        for i, reading in enumerate(readings)
    ]
    drop_tables(engine)
    rejected = pa.concat_tables(found.table for found in refused).sort_by(
        [
            ("source", "ascending"),
            ("row", "ascending"),
            ("column", "ascending"),
            ("reason", "ascending"),
        ]
    )
    sources = tuple(
        info
        for reading, found in zip(readings, refused, strict=True)
        for info in _describe(reading, found)
    )
    return Observed(**tables, alone=alone, templates=templates, rejected=rejected, sources=sources)


def _say_nothing(_: str) -> None:
    """Ignore progress."""


def _require_rows(readings: list[Reading]) -> None:
    if not any(file.n_rows for reading in readings for file in reading.source.files):
        labels = [reading.source.label for reading in readings]
        raise InputError(f"the input has no rows: {', '.join(labels[:5])}")


# --- prompts -----------------------------------------------------------------------------------

PROMPTS: Final = """
WITH parsed AS ({parsed})
SELECT account_codes.code AS account_id, parsed.prompt, CAST({first} AS TIMESTAMP) AS ts
FROM parsed
JOIN account_codes ON hash(parsed.account) = account_codes.key
WHERE {good} AND parsed.prompt <> '' AND {no_fingerprint}
"""


def hold_templates(
    engine: Engine, readings: list[Reading], config: Config, find_templates: FindTemplates
) -> tuple[set[int], pa.Table, pa.Table]:
    """Fill `holdings` with the templates that the accounts' prompts follow.

    Returns
    -------
    too_long : set of int
        Sources with prompts that are too long to be read.
    templates : pyarrow.Table
    others : pyarrow.Table
        `ALONE`: of each account, how many of its prompts follow no template, at least. One that
        follows several is counted with each of them, so that there may be more; ``count`` is below
        zero where more were followed than sent. All counts add up to the prompts that were sent.
    """
    with_prompts = [i for i, r in enumerate(readings) if "prompt" in r.source.columns.found]
    if not with_prompts:
        return set(), TEMPLATES.empty_table(), ALONE.empty_table()
    too_long: set[int] = set()
    n_prompts = np.zeros(engine.query(COUNT_ACCOUNTS).column("n")[0].as_py(), np.int64)

    def read() -> Iterator[pa.RecordBatch]:
        for i in with_prompts:
            for batch in _stream_prompts(engine, readings, i, config, too_long):
                np.add.at(n_prompts, batch.column("account_id").to_numpy(), 1)
                yield batch

    templates, found = find_templates(read())
    columns = [
        found.column("account_id").cast(pa.int32()),
        found.column("template_id").cast(pa.string()),
        found.column("count").cast(pa.int64()),
        found.column("first_seen").cast(pa.timestamp("us")),
        found.column("last_seen").cast(pa.timestamp("us")),
    ]
    insert(engine, "holdings", columns)
    follow = np.bincount(columns[0], weights=columns[2], minlength=len(n_prompts))
    beside = n_prompts - follow.astype(np.int64)
    rest = np.flatnonzero(beside)
    others = pa.table(
        {
            "account": rest.astype(np.int32),
            "kind": pa.array(["prompt"]).take(np.zeros(len(rest), np.int32)),
            "n": np.maximum(beside[rest], 0),
            "count": beside[rest],
        }
    )
    return too_long, templates, others.cast(ALONE)


def _stream_prompts(
    engine: Engine, readings: list[Reading], i: int, config: Config, too_long: set[int]
) -> Iterator[pa.RecordBatch]:
    """Yield the usable prompts of one source; note whether some are too long."""
    reading, limit = readings[i], config.limits.max_prompt_chars
    sql = PROMPTS.format(
        parsed=reading.get_parsed_sql(),
        first=reading.first,
        good=reading.get_good_sql(),
        no_fingerprint=reading.get_unprinted_sql(),
    )
    for batch in engine.stream(sql, source=reading.source.label, batch_rows=PROMPT_BATCH_ROWS):
        prompt = batch.column("prompt")
        if pc.max(pc.binary_length(prompt)).as_py() <= limit:
            yield batch
            continue
        is_usable = pc.less_equal(pc.utf8_length(prompt), limit)
        if not pc.all(is_usable).as_py():
            too_long.add(i)
        yield batch.filter(is_usable)


# --- codes and counts --------------------------------------------------------------------------

ACCOUNT_IDS: Final = "SELECT DISTINCT account_id FROM spellings ORDER BY account_id"

COUNT_ACCOUNTS: Final = "SELECT count(DISTINCT code) AS n FROM account_codes"

CODE_ACCOUNTS: Final = """
INSERT INTO account_codes
SELECT spellings.key, account_ids.code
FROM spellings
JOIN account_ids ON spellings.account_id = account_ids.account_id
"""

ACCOUNTS: Final = """
WITH seen AS (
    SELECT account_codes.code, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
        sum(CASE WHEN source IN ({events}) THEN n_rows ELSE 0 END) AS n_events
    FROM account_rows
    JOIN account_codes ON account_rows.key = account_codes.key
    GROUP BY account_codes.code
),
known AS (
    SELECT account_codes.code, min(created_at) AS created_at, min(country) AS country,
        min(status) AS status, min(banned_at) AS banned_at
    FROM attributes
    JOIN account_codes ON attributes.account = account_codes.key
    GROUP BY account_codes.code
)
SELECT account_ids.account_id, known.created_at, known.country, known.status, known.banned_at,
    seen.first_seen, seen.last_seen, CAST(seen.n_events AS BIGINT) AS n_events
FROM account_ids
JOIN seen ON account_ids.code = seen.code
LEFT JOIN known ON account_ids.code = known.code
ORDER BY account_ids.code
"""

# Templates of prompts have a number of their own in place of a raw kind.
MEANINGS: Final = """
SELECT raw_kind, raw_key, kind, hash(value) AS key FROM meanings
UNION ALL
SELECT DISTINCT {template}, hash(value), {prompt}, hash(value) FROM holdings
"""

IDENTIFIERS: Final = """
WITH known AS (
    SELECT raw_kind, raw_key, kind, value FROM meanings
    UNION ALL
    SELECT DISTINCT {template}, hash(value), {prompt}, value FROM holdings
)
SELECT known.kind, known.value, kept_values.code
FROM known
JOIN kept_values ON known.raw_kind = kept_values.raw_kind AND known.raw_key = kept_values.raw_key
    AND known.kind = kept_values.kind
ORDER BY known.kind, known.value
"""

SEEN: Final = """
WITH seen AS (
    SELECT account_codes.code AS account, kind, value, n, first_seen, last_seen
    FROM raw
    JOIN account_codes ON raw.account = account_codes.key
    UNION ALL
    SELECT account, {template}, hash(value), n, first_seen, last_seen
    FROM holdings
)
SELECT seen.account, value_codes.code AS identifier, seen.n AS "count", seen.first_seen,
    seen.last_seen
FROM seen
JOIN value_codes ON seen.kind = value_codes.raw_kind AND seen.value = value_codes.raw_key
"""


def number_accounts(engine: Engine) -> None:
    """Fill `account_codes`: an account's code is its place among the sorted ids."""
    engine.register("account_ids", _number_rows(engine.query(ACCOUNT_IDS)))
    engine.execute(CODE_ACCOUNTS)


def _number_rows(table: pa.Table) -> pa.Table:
    """Append a column of row numbers from 0."""
    return table.append_column("code", pa.array(np.arange(len(table), dtype=np.int32)))


def _add_up(alone: list[pa.Table], kinds: list[str]) -> pa.Table:
    """Add up tables of what accounts have alone, and sort them."""
    found = pa.concat_tables(table.cast(ALONE) for table in alone).unify_dictionaries()
    kind = pc.index_in(found.column("kind").cast(pa.string()), pa.array(kinds)).to_numpy()
    key = found.column("account").to_numpy().astype(np.int64) * len(kinds) + kind
    order = np.argsort(key, kind="stable")  # which is quick where tables are sorted already
    key = key[order]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    n, count = (
        np.add.reduceat(found.column(name).to_numpy()[order], begins) if len(key) else key
        for name in ("n", "count")
    )
    key = key[begins]
    return _name_alone((key // len(kinds)).astype(np.int32), key % len(kinds), n, count, kinds)


def _name_alone(account: Ints, kind: Any, n: Any, count: Any, kinds: list[str]) -> pa.Table:
    """Return what accounts have alone as `ALONE`."""
    names = pa.DictionaryArray.from_arrays(pa.array(kind, pa.int32()), pa.array(kinds, pa.string()))
    return pa.table([account, names, n, count], schema=ALONE)


def _assemble(
    engine: Engine,
    readings: list[Reading],
    kinds: list[str],
    config: Config,
    kept: list[Held],
    *,
    keep_alone: bool,
) -> dict[str, pa.Table]:
    """Build the tables of the result; fingerprints that are kept are used up."""
    events = list_sources(readings, "events")
    accounts = engine.query(ACCOUNTS.format(events=events))
    engine.drop("account_rows", "attributes")
    words = {"template": TEMPLATE, "prompt": kinds.index("prompt")}
    meanings = engine.query(MEANINGS.format(**words))
    kind = meanings.column("kind").to_numpy()
    holders = Holders.start(kind, meanings.column("key").to_numpy())
    meanings = _number_rows(meanings.drop_columns("key"))
    engine.register("value_codes", meanings)
    seen = engine.query(SEEN.format(**words))
    engine.unregister("value_codes")
    engine.drop("raw")  # as large as what it became
    parts = [_get_columns(seen)]
    del seen
    if kept:
        prompts = meanings.filter(pc.equal(meanings.column("raw_kind"), words["prompt"]))
        parts.append(_get_held(kept.pop(), prompts))
        del prompts
    for part in parts:
        holders.add(part["account"], part["identifier"])
    is_kept = holders.find_kept(kind, keep_alone=keep_alone)
    left = [_set_aside(part, is_kept) for part in parts]
    alone = _name_alone(*count_alone(_join(left), holders, kind, len(kinds)), kinds)
    del left
    engine.register("kept_values", meanings.filter(pa.array(is_kept)))
    texts = engine.query(IDENTIFIERS.format(**words))
    engine.unregister("kept_values")
    engine.drop("meanings")
    identifiers, code = _number_identifiers(texts, len(meanings))
    del texts, meanings, holders, is_kept
    for part in parts:
        part["identifier"] = code[part["identifier"]]
    edges = merge_edges(_join(parts), len(accounts))
    engine.unregister("account_ids")
    families = [config.get_kind(kind).family for kind in kinds]
    number = identifiers.column("kind")
    held = np.bincount(edges.column("identifier").to_numpy(), minlength=len(identifiers))
    named = pa.table(
        {
            "kind": pc.take(pa.array(kinds), number),
            "value": identifiers.column("value"),
            "family": pc.take(pa.array(families), number),
            "n_accounts": pa.array(held, pa.int64()),
        }
    )
    return {
        "accounts": _mark_utc(accounts),
        "identifiers": named,
        "edges": _mark_utc(edges),
        "alone": alone,
    }


def _number_identifiers(texts: pa.Table, n_meanings: int) -> tuple[pa.Table, Ints]:
    """Return distinct (kind, value), and the code of each meaning, -1 of those that are not there.

    Parameters
    ----------
    texts : pyarrow.Table
        kind, value, code (number of the meaning); sorted by the first two.
    n_meanings : int
    """
    kind, value = texts.column("kind"), texts.column("value")
    is_new = np.ones(len(texts), bool)
    if len(texts) > 1:
        differs = [pc.not_equal(column[1:], column[:-1]) for column in (kind, value)]
        is_new[1:] = pc.or_(*differs).to_numpy()
    code = np.full(n_meanings, -1, np.int32)
    code[texts.column("code").to_numpy()] = np.cumsum(is_new) - 1
    return texts.select(["kind", "value"]).filter(pa.array(is_new)), code


def _set_aside(part: Columns, is_kept: Flags) -> Columns:
    """Take rows of what is not kept out of columns, and return them, without their times."""
    kept = is_kept[part["identifier"]]
    left = {name: part[name][~kept] for name in ("account", "identifier", "count")}
    if not kept.all():
        for name in list(part):
            part[name] = part[name][kept]
    return left


def _join(parts: list[Columns]) -> Columns:
    """Put columns of the same names together; they are used up, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}


def _get_columns(seen: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
    """Return columns as numbers, times in microseconds.

    Where no time was given, the largest stands for the first one, and the smallest for the last.
    """
    columns = {name: seen.column(name).to_numpy() for name in ("account", "identifier", "count")}
    for name, unknown in (("first_seen", LATEST), ("last_seen", UNKNOWN_TIME)):
        times = pc.fill_null(seen.column(name).cast(pa.int64()), unknown)
        columns[name] = times.to_numpy()
    return columns


def _get_held(held: Held, codes: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
    """Return the same of fingerprints; ``codes`` are of the raw values of their kind."""
    key, number = (codes.column(name).to_numpy() for name in ("raw_key", "code"))
    order = sort_keys(key)  # what is looked up in order is found nearby
    key, number = key[order], number[order]
    place = np.minimum(np.searchsorted(held.keys, key), len(held.keys) - 1)
    is_held = held.keys[place] == key
    code = np.zeros(len(held.keys), np.int32)
    code[place[is_held]] = number[is_held]
    return {
        "account": held.account,
        "identifier": code[held.place],
        "count": held.n,
        "first_seen": np.where(held.first_seen == UNKNOWN_TIME, LATEST, held.first_seen),
        "last_seen": held.last_seen,
    }


def _mark_utc(table: pa.Table) -> pa.Table:
    """Mark times, which are UTC, as such."""
    schema = pa.schema(
        [
            field.with_type(UTC) if pa.types.is_timestamp(field.type) else field
            for field in table.schema
        ]
    )
    return table.cast(schema)


def _describe(reading: Reading, refused: Refused) -> Iterator[SourceInfo]:
    """Yield what was read from each file of a source."""
    source = reading.source
    columns = dict(source.columns.found)
    columns |= {
        kind: column for column, kind in source.columns.kinds if column not in columns.values()
    }
    for file in source.files:
        yield SourceInfo(
            table=source.table,
            source=file.label,
            digest=file.digest,
            n_rows=file.n_rows,
            n_refused_rows=refused.n_rows.get(file.label, 0),
            n_dropped_cells=refused.n_cells.get(file.label, 0),
            columns=columns,
            ignored=source.columns.ignored,
        )
