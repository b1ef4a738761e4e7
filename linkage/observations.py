"""From inputs to canonical observations: who was seen with what, when, and how often.

Every source is grouped by account and raw value in one scan; only the distinct raw values are
spelt canonically, and what is left is numbers. Rows and cells that cannot be used are counted on
the way and looked up in a second scan, for which good data never pays.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.config import Config
from linkage.engine import Engine, quote_text
from linkage.errors import InputError
from linkage.identifiers import (
    CANONICAL_KINDS,
    canonicalise,
    canonicalise_kind_names,
    describe_refusals,
)
from linkage.readings import Reading, Rule, read_source
from linkage.sources import KEPT, REJECTED, make_rejected, open_sources

__all__ = ["Observed", "SourceInfo", "observe"]

FindTemplates = Callable[[Iterable[pa.RecordBatch]], pa.Table]
Progress = Callable[[str], None]

PROMPT_BATCH_ROWS: Final = 8_192  # prompts are long: a batch of them must fit into memory

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
    rejected : pyarrow.Table
        source, row (int64, from 1; null for a whole source), column, reason; sorted.
    sources : tuple of SourceInfo
        In the order of the tables, then of the paths.
    """

    accounts: pa.Table
    identifiers: pa.Table
    edges: pa.Table
    rejected: pa.Table
    sources: tuple[SourceInfo, ...]


def observe(
    engine: Engine,
    inputs: Mapping[str, Any],
    config: Config,
    *,
    find_templates: FindTemplates | None = None,
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
        holdings: account_id, template_id, count, first_seen, last_seen. Without it, prompts are
        not read.
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
    group_rows(engine, readings)
    tell("spelling accounts and identifiers canonically")
    judge_accounts(engine, config)
    judge_values(engine, config)
    has_refused = _find_refusing(engine, readings)
    if has_refused:
        remove_refused(engine, readings)
    _require_usable(engine, readings, config)
    number_accounts(engine)
    long_prompts: set[int] = set()
    if find_templates is not None:
        tell("finding templates in prompts")
        long_prompts = hold_templates(engine, readings, config, find_templates)
    tell("counting edges")
    tables = _assemble(engine, readings, config)
    if has_refused or long_prompts:
        tell("looking up what was refused")
    refused = [
        find_refused(engine, reading, config, with_prompts=i in long_prompts)
        if i in has_refused | long_prompts
        else _list_unread(reading)
        for i, reading in enumerate(readings)
    ]
    _drop_tables(engine)
    rejected = pa.concat_tables(refused).sort_by(
        [
            ("source", "ascending"),
            ("row", "ascending"),
            ("column", "ascending"),
            ("reason", "ascending"),
        ]
    )
    sources = tuple(
        info
        for reading, table in zip(readings, refused, strict=True)
        for info in _describe(reading, table)
    )
    return Observed(**tables, rejected=rejected, sources=sources)


def _say_nothing(_: str) -> None:
    """Ignore progress."""


def _require_rows(readings: list[Reading]) -> None:
    if not any(file.n_rows for reading in readings for file in reading.source.files):
        labels = [reading.source.label for reading in readings]
        raise InputError(f"the input has no rows: {', '.join(labels[:5])}")


# --- grouping ----------------------------------------------------------------------------------

# Every table of the stage, in one place: what they hold, and what to drop at the end.
TABLES: Final = {
    # One row an (account, raw value) of a source. Without a slot: the account's rows as such.
    "raw": "source INTEGER, slot INTEGER, kind VARCHAR, account VARCHAR, value VARCHAR, "
    "n BIGINT, n_rows BIGINT, n_bad BIGINT, first_seen TIMESTAMP, last_seen TIMESTAMP",
    "attributes": "account VARCHAR, created_at TIMESTAMP, country VARCHAR, status VARCHAR, "
    "banned_at TIMESTAMP",
    # What a raw value means; no row where it means nothing.
    "meanings": "raw_kind VARCHAR, raw_value VARCHAR, kind VARCHAR, value VARCHAR",
    "refused_values": "kind VARCHAR, value VARCHAR, is_missing BOOLEAN, reason VARCHAR",
    "spellings": "raw VARCHAR, account_id VARCHAR",
    "refused_accounts": "raw VARCHAR, reason VARCHAR",
    "account_codes": "raw VARCHAR, code INTEGER",
    "holdings": "account INTEGER, value VARCHAR, n BIGINT, first_seen TIMESTAMP, "
    "last_seen TIMESTAMP",
}

GROUP_WIDE: Final = """
INSERT INTO raw
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS seen, CAST({bad} AS BIGINT) AS bad FROM parsed WHERE {good}),
grouped AS (
    SELECT {slot} AS slot, account, {value} AS value, count(*) AS n, sum(bad) AS n_bad,
        min(seen) AS first_seen, max(seen) AS last_seen
    FROM good
    GROUP BY GROUPING SETS ({sets})
)
SELECT {source}, slot, {kind}, account, value, n, n, n_bad, first_seen, last_seen
FROM grouped
WHERE slot IS NULL OR value IS NOT NULL
"""

GROUP_LONG: Final = """
INSERT INTO raw
WITH parsed AS ({parsed}),
good AS (
    SELECT account, kind, value_0 AS value, n, {first} AS first_seen, {last} AS last_seen,
        CAST({bad} AS BIGINT) AS bad
    FROM parsed
    WHERE {good}
)
SELECT {source}, 0, kind, account, value, sum(n), count(*), sum(bad), min(first_seen),
    max(last_seen)
FROM good
GROUP BY kind, account, value
"""

GROUP_ATTRIBUTES: Final = """
INSERT INTO attributes
WITH parsed AS ({parsed})
SELECT account, {columns}
FROM parsed
WHERE {good}
GROUP BY account
"""


def group_rows(engine: Engine, readings: list[Reading]) -> None:
    """Fill `raw` and `attributes`: one scan a source, one more for what accounts are."""
    for name, columns in TABLES.items():
        engine.drop(name)
        engine.execute(f"CREATE TABLE {name} ({columns})")
    for i, reading in enumerate(readings):
        template = GROUP_LONG if reading.is_long else GROUP_WIDE
        bad = [f"({rule.good}) IS NOT TRUE" for rule in reading.cell_rules]
        sql = template.format(
            source=i,
            parsed=reading.get_parsed_sql(),
            good=reading.get_good_sql(),
            first=reading.first,
            last=reading.last,
            bad=f"({' OR '.join(bad) or 'FALSE'})",
            slot=_choose_slot([str(k) for k in range(len(reading.slots))]),
            value=_choose_slot([f"value_{k}" for k in range(len(reading.slots))]),
            kind=_choose_kind([kind for _, kind in reading.slots]),
            sets=", ".join(
                ["(account)", *(f"(account, value_{k})" for k in range(len(reading.slots)))]
            ),
        )
        engine.execute(sql, source=reading.source.label)
        if reading.attributes:
            _group_attributes(engine, reading)


def _choose_slot(choices: list[str]) -> str:
    """Return SQL that gives the choice of the column by which rows were grouped."""
    cases = [f"WHEN GROUPING(value_{k}) = 0 THEN {choice}" for k, choice in enumerate(choices)]
    return f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"


def _choose_kind(kinds: list[str]) -> str:
    cases = [f"WHEN {k} THEN {quote_text(kind)}" for k, kind in enumerate(kinds)]
    return f"CASE slot {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"


def _group_attributes(engine: Engine, reading: Reading) -> None:
    """Keep the smallest value of each attribute of an account, whatever the order of rows."""
    said = dict(reading.attributes)
    columns = ", ".join(
        f"min({said[name]})" if name in said else "NULL"
        for name in ("created_at", "country", "status", "banned_at")
    )
    engine.execute(
        GROUP_ATTRIBUTES.format(
            parsed=reading.get_parsed_sql(), columns=columns, good=reading.get_good_sql()
        ),
        source=reading.source.label,
    )


# --- accounts and values, spelt canonically ----------------------------------------------------


def judge_accounts(engine: Engine, config: Config) -> None:
    """Fill `spellings` and `refused_accounts`: what a raw account is, or why it is none."""
    raw = engine.query("SELECT DISTINCT account FROM raw").column("account").combine_chunks()
    limit = config.limits.max_value_chars
    text = pc.utf8_trim_whitespace(raw)
    is_missing = pc.fill_null(pc.equal(text, ""), fill_value=True)
    is_long = pc.fill_null(pc.greater(pc.utf8_length(text), limit), fill_value=False)
    is_bad = pc.or_(is_missing, is_long)
    reason = pc.if_else(
        is_missing, "the account is missing", f"the account is longer than {limit} characters"
    )
    is_good = pc.invert(is_bad)
    _insert(engine, "spellings", [pc.filter(raw, is_good), pc.filter(text, is_good)])
    _insert(engine, "refused_accounts", [pc.filter(raw, is_bad), pc.filter(reason, is_bad)])


RAW_KINDS: Final = "SELECT DISTINCT kind FROM raw WHERE slot IS NOT NULL"

RAW_VALUES: Final = """
SELECT DISTINCT raw.kind AS raw_kind, kind_names.kind, raw.value
FROM raw
JOIN kind_names ON raw.kind IS NOT DISTINCT FROM kind_names.raw
WHERE kind_names.treatment = $treatment AND raw.slot IS NOT NULL
"""


def judge_values(engine: Engine, config: Config) -> None:
    """Fill `meanings` and `refused_values`: what raw values are, or why they are nothing."""
    raw = engine.query(RAW_KINDS).column("kind").combine_chunks()
    kinds = canonicalise_kind_names(raw, config)
    # Kinds without rules of their own are treated together: there may be very many of them.
    special = pc.is_in(kinds, value_set=pa.array(CANONICAL_KINDS))
    treatments = pc.if_else(special, kinds, "text")
    engine.register("kind_names", pa.table({"raw": raw, "kind": kinds, "treatment": treatments}))
    for treatment in sorted(set(treatments.to_pylist())):
        for batch in engine.stream(RAW_VALUES, treatment=treatment):
            _judge_batch(engine, treatment, batch, config)
    engine.unregister("kind_names")


def _judge_batch(engine: Engine, treatment: str, batch: pa.RecordBatch, config: Config) -> None:
    """Spell one batch of raw values and store what they mean."""
    raw_kind, kind, raw_value = batch.columns
    spelt = canonicalise(treatment, raw_value, config)
    for name, values in spelt.items():
        kinds = kind if name == treatment else pa.array([name] * len(values), pa.string())
        is_usable = pc.and_(pc.is_valid(values), pc.is_valid(kinds))
        columns = [pc.filter(c, is_usable) for c in (raw_kind, raw_value, kinds, values)]
        _insert(engine, "meanings", columns)
    is_refused = pc.or_(pc.is_null(spelt[treatment]), pc.is_null(kind))
    if not pc.any(is_refused).as_py():
        return
    bad_kind, kind, value = (pc.filter(c, is_refused) for c in batch.columns)
    reason = describe_refusals(treatment, value, config)
    is_missing = pc.is_null(reason)
    reason = pc.fill_null(reason, "the value is missing")
    reason = pc.if_else(
        pc.is_null(kind), "the kind is missing or longer than 100 characters", reason
    )
    _insert(engine, "refused_values", [bad_kind, value, is_missing, reason])


INSERT: Final = "INSERT INTO {table} SELECT * FROM batch"


def _insert(engine: Engine, table: str, columns: list[pa.Array]) -> None:
    """Append columns to a table, in its order."""
    names = [f"c{i}" for i in range(len(columns))]
    engine.register("batch", pa.table(columns, names=names))
    engine.execute(INSERT.format(table=table))
    engine.unregister("batch")


# --- what was refused --------------------------------------------------------------------------

COUNT_USED: Final = """
SELECT source, CAST(sum(n_rows) AS BIGINT) AS n_used, CAST(sum(n_bad) AS BIGINT) AS n_bad
FROM raw
WHERE slot IS NULL OR source IN ({long})
GROUP BY source
"""

SOURCES_OF_BAD_ACCOUNTS: Final = """
SELECT DISTINCT raw.source
FROM raw
JOIN refused_accounts AS refused ON raw.account IS NOT DISTINCT FROM refused.raw
"""

# In the observations table the value is the row, so a missing one is refused, not passed over.
SOURCES_OF_BAD_VALUES: Final = """
SELECT DISTINCT raw.source
FROM raw
JOIN refused_values AS refused
    ON raw.kind IS NOT DISTINCT FROM refused.kind AND raw.value IS NOT DISTINCT FROM refused.value
WHERE raw.slot IS NOT NULL AND (NOT refused.is_missing OR raw.source IN ({long}))
"""

REMOVE_REFUSED: Final = (
    """
    DELETE FROM raw
    WHERE EXISTS (
        SELECT 1 FROM refused_accounts AS refused
        WHERE refused.raw IS NOT DISTINCT FROM raw.account
    )
    """,
    """
    DELETE FROM raw
    WHERE source IN ({long}) AND EXISTS (
        SELECT 1 FROM refused_values AS refused
        WHERE refused.kind IS NOT DISTINCT FROM raw.kind
            AND refused.value IS NOT DISTINCT FROM raw.value
    )
    """,
    """
    DELETE FROM spellings
    WHERE NOT EXISTS (SELECT 1 FROM raw WHERE raw.account = spellings.raw)
    """,
    """
    DELETE FROM meanings
    WHERE NOT EXISTS (
        SELECT 1 FROM raw WHERE raw.kind = meanings.raw_kind AND raw.value = meanings.raw_value
    )
    """,
)


def _list_sources(readings: list[Reading], table: str) -> str:
    """Return the numbers of a table's sources as an SQL list."""
    numbers = [i for i, reading in enumerate(readings) if reading.source.table == table]
    return ", ".join(map(str, numbers or [-1]))


def _count_used(engine: Engine, readings: list[Reading]) -> dict[int, tuple[int, int]]:
    """Return for each source how many rows are used, and how many of them lose a cell."""
    sql = COUNT_USED.format(long=_list_sources(readings, "observations"))
    rows = engine.query(sql).to_pylist()
    return {row["source"]: (row["n_used"], row["n_bad"]) for row in rows}


def _find_refusing(engine: Engine, readings: list[Reading]) -> set[int]:
    """Return the sources of which something was refused."""
    used = _count_used(engine, readings)
    refusing = {
        i
        for i, reading in enumerate(readings)
        if used.get(i, (0, 0))[0] < reading.source.n_rows or used[i][1]
    }
    long = _list_sources(readings, "observations")
    for sql in (SOURCES_OF_BAD_ACCOUNTS, SOURCES_OF_BAD_VALUES):
        refusing |= set(engine.query(sql.format(long=long)).column("source").to_pylist())
    return refusing


def remove_refused(engine: Engine, readings: list[Reading]) -> None:
    """Take refused rows, and accounts and values that only they had, out of the tables."""
    for sql in REMOVE_REFUSED:
        engine.execute(sql.format(long=_list_sources(readings, "observations")))


def _require_usable(engine: Engine, readings: list[Reading], config: Config) -> None:
    """Refuse to go on without a table of which not one row can be used."""
    used = _count_used(engine, readings)
    for table in dict.fromkeys(reading.source.table for reading in readings):
        own = [i for i, reading in enumerate(readings) if reading.source.table == table]
        n_rows = sum(file.n_rows for i in own for file in readings[i].source.files)
        if n_rows and not any(i in used for i in own):
            refused = pa.concat_tables(find_refused(engine, readings[i], config) for i in own)
            reason, n = Counter(refused.column("reason").to_pylist()).most_common(1)[0]
            raise InputError(
                f"not one usable row in {table}: {n_rows} refused, {n} of them because {reason}; "
                "correct them, or map other columns in linkage.toml under "
                f"[columns.{table}]"
            )


VERDICTS: Final = """
WITH parsed AS ({parsed}),
judged AS (
    SELECT parsed.*, accounts.reason AS account_reason{value_reason}
    FROM parsed
    LEFT JOIN refused_accounts AS accounts ON parsed.account IS NOT DISTINCT FROM accounts.raw
    {value_join}
),
verdicts AS (
    SELECT *, CASE {columns} END AS row_column, CASE {reasons} END AS row_reason
    FROM judged
)
SELECT origin_file, origin_row, row_column AS "column", row_reason AS reason
FROM verdicts
WHERE row_reason IS NOT NULL
"""

VALUE_JOIN: Final = """LEFT JOIN refused_values AS refused
    ON parsed.kind IS NOT DISTINCT FROM refused.kind
    AND parsed.value_0 IS NOT DISTINCT FROM refused.value"""

VERDICTS_CELLS: Final = """
UNION ALL
SELECT origin_file, origin_row, {column}, refused.reason || {kept}
FROM verdicts
JOIN refused_values AS refused ON refused.kind = {kind} AND verdicts.{value} = refused.value
WHERE row_reason IS NULL AND NOT refused.is_missing
"""

VERDICTS_RULE: Final = """
UNION ALL
SELECT origin_file, origin_row, {column}, {reason} || {kept}
FROM verdicts
WHERE row_reason IS NULL AND ({good}) IS NOT TRUE
"""


def find_refused(
    engine: Engine, reading: Reading, config: Config, *, with_prompts: bool = False
) -> pa.Table:
    """Look up every row and cell of a source that was refused, and say why.

    Parameters
    ----------
    engine : Engine
        Holds `refused_accounts` and `refused_values`.
    reading : Reading
        The source.
    config : Config
        Its limits.
    with_prompts : bool, default False
        Whether prompts are to be looked at too.

    Returns
    -------
    pyarrow.Table
        source, row, column, reason.
    """
    rules = [*reading.cell_rules]
    if with_prompts:
        rules.append(_rule_prompt(reading, config))
    sql = _write_verdicts(reading) + "".join(
        VERDICTS_RULE.format(
            column=quote_text(rule.column),
            reason=rule.reason,
            good=rule.good,
            kept=quote_text(KEPT),
        )
        for rule in rules
    )
    found = engine.query(sql, source=reading.source.label)
    table = pa.table(
        [
            _label_files(reading, found.column("origin_file")),
            found.column("origin_row").cast(pa.int64()),
            found.column("column"),
            found.column("reason"),
        ],
        schema=REJECTED,
    )
    return pa.concat_tables([_list_unread(reading), table])


def _write_verdicts(reading: Reading) -> str:
    """Write the query that judges rows and the cells of columns of identifiers."""
    blame = [(reading.account_column, "account_reason IS NOT NULL", "account_reason")]
    blame += [(r.column, f"({r.good}) IS NOT TRUE", r.reason) for r in reading.row_rules]
    if reading.is_long:
        blame.append((reading.slots[0][0], "value_reason IS NOT NULL", "value_reason"))
    sql = VERDICTS.format(
        parsed=reading.get_parsed_sql(with_origin=True),
        value_reason=", refused.reason AS value_reason" if reading.is_long else "",
        value_join=VALUE_JOIN if reading.is_long else "",
        columns=" ".join(f"WHEN {bad} THEN {quote_text(column)}" for column, bad, _ in blame),
        reasons=" ".join(f"WHEN {bad} THEN {reason}" for _, bad, reason in blame),
    )
    if reading.is_long:
        return sql
    return sql + "".join(
        VERDICTS_CELLS.format(
            column=quote_text(column),
            kept=quote_text(KEPT),
            kind=quote_text(kind),
            value=f"value_{k}",
        )
        for k, (column, kind) in enumerate(reading.slots)
    )


def _label_files(reading: Reading, files: pa.ChunkedArray) -> pa.Array:
    """Return what people call the files in which rows stand."""
    known = reading.source.files
    if not reading.source.has_file_column:
        return pa.array([known[0].label] * len(files), pa.string())
    paths = pa.array([str(file.path) for file in known])
    return pc.take(pa.array([file.label for file in known]), pc.index_in(files, value_set=paths))


def _list_unread(reading: Reading) -> pa.Table:
    """Return what was refused before any SQL ran, and that a source is empty."""
    source = reading.source
    rows = [(source.files[0].label, *rejection) for rejection in source.rejections]
    rows += [(file.label, None, None, "no rows") for file in source.files if not file.n_rows]
    return make_rejected(rows)


def _describe(reading: Reading, refused: pa.Table) -> Iterator[SourceInfo]:
    """Yield what was read from each file of a source."""
    source = reading.source
    is_cell = pc.ends_with(refused.column("reason"), KEPT)
    is_row = pc.and_(pc.is_valid(refused.column("row")), pc.invert(is_cell))
    columns = dict(source.columns.found)
    columns |= {
        kind: column for column, kind in source.columns.kinds if column not in columns.values()
    }
    for file in source.files:
        is_here = pc.equal(refused.column("source"), file.label)
        yield SourceInfo(
            table=source.table,
            source=file.label,
            digest=file.digest,
            n_rows=file.n_rows,
            n_refused_rows=pc.sum(pc.and_(is_here, is_row)).as_py() or 0,
            n_dropped_cells=pc.sum(pc.and_(is_here, is_cell)).as_py() or 0,
            columns=columns,
            ignored=source.columns.ignored,
        )


# --- prompts -----------------------------------------------------------------------------------

PROMPTS: Final = """
WITH parsed AS ({parsed})
SELECT account_codes.code AS account_id, parsed.prompt, {first} AS ts
FROM parsed
JOIN account_codes ON parsed.account = account_codes.raw
WHERE {good} AND parsed.prompt <> '' AND {no_fingerprint}
"""


def hold_templates(
    engine: Engine, readings: list[Reading], config: Config, find_templates: FindTemplates
) -> set[int]:
    """Fill `holdings` with the templates that the accounts' prompts follow.

    Returns
    -------
    set of int
        Sources with prompts that are too long to be read.
    """
    with_prompts = [i for i, r in enumerate(readings) if "prompt" in r.source.columns.found]
    if not with_prompts:
        return set()
    too_long: set[int] = set()
    batches = (
        batch
        for i in with_prompts
        for batch in _stream_prompts(engine, readings, i, config, too_long)
    )
    found = find_templates(batches)
    columns = [
        found.column("account_id").cast(pa.int32()),
        found.column("template_id").cast(pa.string()),
        found.column("count").cast(pa.int64()),
        found.column("first_seen").cast(pa.timestamp("us")),
        found.column("last_seen").cast(pa.timestamp("us")),
    ]
    _insert(engine, "holdings", columns)
    return too_long


def _stream_prompts(
    engine: Engine, readings: list[Reading], i: int, config: Config, too_long: set[int]
) -> Iterator[pa.RecordBatch]:
    """Yield the usable prompts of one source; note whether some are too long."""
    reading, limit = readings[i], config.limits.max_prompt_chars
    sql = PROMPTS.format(
        parsed=reading.get_parsed_sql(),
        first=reading.first,
        good=reading.get_good_sql(),
        no_fingerprint=_lacks_fingerprint(reading),
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


def _lacks_fingerprint(reading: Reading) -> str:
    """Return SQL that is true for rows whose prompt has no fingerprint yet."""
    column = reading.source.columns.found.get("prompt_fingerprint")
    values = [f"value_{k}" for k, (name, _) in enumerate(reading.slots) if name == column]
    return f"({values[0]} IS NULL OR trim({values[0]}) = '')" if values else "TRUE"


def _rule_prompt(reading: Reading, config: Config) -> Rule:
    """Return the rule that a prompt that is read is not too long."""
    limit = config.limits.max_prompt_chars
    return Rule(
        column=reading.source.columns.found["prompt"],
        good=f"prompt IS NULL OR length(prompt) <= {limit} OR NOT {_lacks_fingerprint(reading)}",
        reason=f"'the prompt is longer than {limit} characters'",
    )


# --- codes and counts --------------------------------------------------------------------------

ACCOUNT_IDS: Final = "SELECT DISTINCT account_id FROM spellings ORDER BY account_id"

CODE_ACCOUNTS: Final = """
INSERT INTO account_codes
SELECT spellings.raw, account_ids.code
FROM spellings
JOIN account_ids ON spellings.account_id = account_ids.account_id
"""

ACCOUNTS: Final = """
WITH seen AS (
    SELECT account_codes.code, min(raw.first_seen) AS first_seen, max(raw.last_seen) AS last_seen,
        sum(CASE WHEN raw.source IN ({events}) THEN raw.n_rows ELSE 0 END) AS n_events
    FROM raw
    JOIN account_codes ON raw.account = account_codes.raw
    WHERE raw.slot IS NULL OR raw.source IN ({long})
    GROUP BY account_codes.code
),
known AS (
    SELECT account_codes.code, min(created_at) AS created_at, min(country) AS country,
        min(status) AS status, min(banned_at) AS banned_at
    FROM attributes
    JOIN account_codes ON attributes.account = account_codes.raw
    GROUP BY account_codes.code
)
SELECT account_ids.account_id, known.created_at, known.country, known.status, known.banned_at,
    seen.first_seen, seen.last_seen, CAST(seen.n_events AS BIGINT) AS n_events
FROM account_ids
JOIN seen ON account_ids.code = seen.code
LEFT JOIN known ON account_ids.code = known.code
ORDER BY account_ids.code
"""

IDENTIFIERS: Final = """
SELECT kind, value FROM meanings
UNION
SELECT 'prompt', value FROM holdings
ORDER BY kind, value
"""

EDGES: Final = """
WITH value_codes AS (
    SELECT meanings.raw_kind, meanings.raw_value, identifiers.code
    FROM meanings
    JOIN identifiers ON meanings.kind = identifiers.kind AND meanings.value = identifiers.value
),
seen AS (
    SELECT account_codes.code AS account, value_codes.code AS identifier, raw.n, raw.first_seen,
        raw.last_seen
    FROM raw
    JOIN account_codes ON raw.account = account_codes.raw
    JOIN value_codes ON raw.kind = value_codes.raw_kind AND raw.value = value_codes.raw_value
    UNION ALL
    SELECT holdings.account, identifiers.code, holdings.n, holdings.first_seen, holdings.last_seen
    FROM holdings
    JOIN identifiers ON identifiers.kind = 'prompt' AND holdings.value = identifiers.value
)
SELECT account, identifier, CAST(sum(n) AS BIGINT) AS "count", min(first_seen) AS first_seen,
    max(last_seen) AS last_seen
FROM seen
GROUP BY account, identifier
ORDER BY account, identifier
"""


def number_accounts(engine: Engine) -> None:
    """Fill `account_codes`: an account's code is its place among the sorted ids."""
    engine.register("account_ids", _number_rows(engine.query(ACCOUNT_IDS)))
    engine.execute(CODE_ACCOUNTS)


def _number_rows(table: pa.Table) -> pa.Table:
    """Append a column of row numbers from 0."""
    return table.append_column("code", pa.array(np.arange(len(table), dtype=np.int32)))


def _assemble(engine: Engine, readings: list[Reading], config: Config) -> dict[str, pa.Table]:
    """Build the tables of the result."""
    accounts = engine.query(
        ACCOUNTS.format(
            events=_list_sources(readings, "events"), long=_list_sources(readings, "observations")
        )
    )
    identifiers = engine.query(IDENTIFIERS)
    engine.register("identifiers", _number_rows(identifiers))
    edges = engine.query(EDGES)
    engine.unregister("identifiers")
    engine.unregister("account_ids")
    held = np.bincount(edges.column("identifier").to_numpy(), minlength=len(identifiers))
    identifiers = identifiers.append_column("family", _name_families(identifiers, config))
    return {
        "accounts": _mark_utc(accounts),
        "identifiers": identifiers.append_column("n_accounts", pa.array(held, pa.int64())),
        "edges": _mark_utc(edges),
    }


def _name_families(identifiers: pa.Table, config: Config) -> pa.Array:
    """Return the family of each identifier's kind."""
    kinds = pc.unique(identifiers.column("kind"))
    families = pa.array([config.get_kind(kind).family for kind in kinds.to_pylist()], pa.string())
    return pc.take(families, pc.index_in(identifiers.column("kind"), value_set=kinds))


def _mark_utc(table: pa.Table) -> pa.Table:
    """Mark times, which are UTC, as such."""
    schema = pa.schema(
        [
            field.with_type(UTC) if pa.types.is_timestamp(field.type) else field
            for field in table.schema
        ]
    )
    return table.cast(schema)


def _drop_tables(engine: Engine) -> None:
    engine.drop(*TABLES)
