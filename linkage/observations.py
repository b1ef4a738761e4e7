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
from linkage.kernels import compile_kernel
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

TIME: Final = pa.timestamp("us")
LATEST: Final = np.iinfo(np.int64).max
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
        come as text, those that follow no shared template, each of which counts as one.
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
        Whether to keep prompt fingerprints that one account alone holds, which tie nobody, or to
        count them only.
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
    alone = _add_up([alone, others])
    tell("counting edges")
    tables = _assemble(engine, readings, kinds, config, kept)
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
        `ALONE`: of each account, how many of its prompts follow no template. One that follows
        several is counted with each of them, so that there may be more.
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
    n = np.maximum(n_prompts - follow.astype(np.int64), 0)
    rest = np.flatnonzero(n)
    others = pa.table(
        {
            "account": rest.astype(np.int32),
            "kind": pa.array(["prompt"]).take(np.zeros(len(rest), np.int32)),
            "n": n[rest],
            "count": n[rest],
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
IDENTIFIERS: Final = """
SELECT raw_kind, raw_key, kind, value FROM meanings
UNION ALL
SELECT DISTINCT {template}, hash(value), {prompt}, value FROM holdings
ORDER BY kind, value
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


def _add_up(alone: list[pa.Table]) -> pa.Table:
    """Add up tables of what accounts have alone, and sort them."""
    summed = (
        pa.concat_tables(alone)
        .group_by(["account", "kind"])
        .aggregate([("n", "sum"), ("count", "sum")])
    )
    named = summed.rename_columns(["account", "kind", "n", "count"]).cast(ALONE)
    return named.sort_by([("account", "ascending"), ("kind", "ascending")])


def _assemble(
    engine: Engine, readings: list[Reading], kinds: list[str], config: Config, kept: list[Held]
) -> dict[str, pa.Table]:
    """Build the tables of the result; fingerprints that are kept are used up."""
    events = list_sources(readings, "events")
    accounts = engine.query(ACCOUNTS.format(events=events))
    words = {"template": TEMPLATE, "prompt": kinds.index("prompt")}
    identifiers, codes = _number_identifiers(engine.query(IDENTIFIERS.format(**words)))
    engine.register("value_codes", codes)
    seen = engine.query(SEEN.format(**words))
    engine.unregister("value_codes")
    engine.drop("raw", "meanings", "account_rows", "attributes")  # as large as what they became
    columns = _get_columns(seen)
    del seen
    if kept:
        prompts = codes.filter(pc.equal(codes.column("raw_kind"), words["prompt"]))
        more = _get_held(kept.pop(), prompts)
        columns = {
            name: np.concatenate([columns.pop(name), more.pop(name)]) for name in list(columns)
        }
    del codes
    edges = _merge_edges(columns, len(accounts))
    engine.unregister("account_ids")
    identifiers, edges, n_accounts = _drop_unheld(identifiers, edges)
    families = [config.get_kind(kind).family for kind in kinds]
    number = identifiers.column("kind")
    named = pa.table(
        {
            "kind": pc.take(pa.array(kinds), number),
            "value": identifiers.column("value"),
            "family": pc.take(pa.array(families), number),
            "n_accounts": pa.array(n_accounts, pa.int64()),
        }
    )
    return {"accounts": _mark_utc(accounts), "identifiers": named, "edges": _mark_utc(edges)}


def _number_identifiers(meanings: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return distinct (kind, value), and the code of what each raw value means.

    Parameters
    ----------
    meanings : pyarrow.Table
        raw_kind, raw_key, kind, value; sorted by the last two.
    """
    kind, value = meanings.column("kind"), meanings.column("value")
    is_new = np.ones(len(meanings), bool)
    if len(meanings) > 1:
        differs = [pc.not_equal(column[1:], column[:-1]) for column in (kind, value)]
        is_new[1:] = pc.or_(*differs).to_numpy()
    code = pa.array((np.cumsum(is_new) - 1).astype(np.int32))
    codes = meanings.select(["raw_kind", "raw_key"]).append_column("code", code)
    return meanings.select(["kind", "value"]).filter(pa.array(is_new)), codes


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
    key = codes.column("raw_key").to_numpy()
    place = np.minimum(np.searchsorted(held.keys, key), len(held.keys) - 1)
    is_held = held.keys[place] == key
    code = np.zeros(len(held.keys), np.int32)
    code[place[is_held]] = codes.column("code").to_numpy()[is_held]
    return {
        "account": held.account,
        "identifier": code[held.place],
        "count": held.n,
        "first_seen": np.where(held.first_seen == UNKNOWN_TIME, LATEST, held.first_seen),
        "last_seen": held.last_seen,
    }


def _merge_edges(seen: dict[str, np.ndarray[Any, Any]], n_accounts: int) -> pa.Table:
    """Add up the rows of each account and identifier, and sort them.

    Parameters
    ----------
    seen : dict of array
        account, identifier (codes, int32), count, first_seen, last_seen; used up, since there may
        be so many of them that two copies are too many.
    n_accounts : int
    """
    order = np.empty(len(seen["account"]), np.int32 if len(seen["account"]) < 1 << 31 else np.int64)
    is_new = compile_kernel(_sort_edges)(seen["account"], seen["identifier"], n_accounts, order)
    starts = None if is_new.all() else np.flatnonzero(is_new)
    edges = {}
    for name, ufunc, unknown in (
        ("account", np.minimum, None),
        ("identifier", np.minimum, None),
        ("count", np.add, None),
        ("first_seen", np.minimum, LATEST),
        ("last_seen", np.maximum, UNKNOWN_TIME),
    ):
        column = seen.pop(name)[order]
        if starts is not None:
            column = ufunc.reduceat(column, starts)
        edges[name] = pa.array(column)
        if unknown is not None:
            mask = column == unknown
            edges[name] = pa.array(column, mask=mask if mask.any() else None).cast(TIME)
    return pa.table(edges)


def _sort_edges(account: Any, identifier: Any, n_accounts: int, order: Any) -> Any:
    """Write rows in the order of account and identifier; return which of them begin a pair."""
    begins = np.zeros(n_accounts + 1, np.int64)
    for row in range(len(account)):
        begins[account[row] + 1] += 1
    begins = np.cumsum(begins)
    filled = begins[:-1].copy()
    for row in range(len(account)):
        order[filled[account[row]]] = row
        filled[account[row]] += 1
    is_new = np.ones(len(account), np.bool_)
    for a in range(n_accounts):
        begin, end = begins[a], begins[a + 1]
        rows = order[begin:end].copy()
        codes = identifier[rows]
        by_code = np.argsort(codes)
        for k in range(end - begin):
            order[begin + k] = rows[by_code[k]]
            is_new[begin + k] = k == 0 or codes[by_code[k]] != codes[by_code[k - 1]]
    return is_new


def _drop_unheld(
    identifiers: pa.Table, edges: pa.Table
) -> tuple[pa.Table, pa.Table, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Drop identifiers that only refused rows had; return how many accounts hold the others."""
    code = edges.column("identifier").to_numpy()
    held = np.bincount(code, minlength=len(identifiers))
    is_held = held > 0
    if is_held.all():
        return identifiers, edges, held
    # Dropping keeps the order, so the edges stay sorted.
    codes = pa.array((np.cumsum(is_held) - 1).astype(np.int32)[code])
    edges = edges.set_column(1, "identifier", codes)
    return identifiers.filter(pa.array(is_held)), edges, held[is_held]


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
