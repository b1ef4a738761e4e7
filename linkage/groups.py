"""Groups rows by account and raw value, and spells accounts and values canonically.

The tables of the stage live in the engine, under the names in `TABLES`. A kind stands in them as
its number among the kinds of the run, which are sorted; a kind that is none as `NO_KIND`.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.config import KINDS, Config
from linkage.engine import Engine
from linkage.identifiers import (
    CANONICAL_KINDS,
    DERIVED_KINDS,
    canonicalise,
    canonicalise_kind_names,
    describe_refusals,
)
from linkage.readings import Reading

__all__ = [
    "FINGERPRINTS",
    "NO_KIND",
    "describe_fingerprints",
    "drop_tables",
    "find_fingerprints",
    "group_rows",
    "insert",
    "judge_accounts",
    "judge_values",
    "make_tables",
    "number_kinds",
]

TABLES: Final = {
    # What kinds of the observations table are called there.
    "kind_names": "raw VARCHAR, kind INTEGER",
    # One row an account of a source.
    "account_rows": "source INTEGER, account VARCHAR, n_rows BIGINT, n_bad BIGINT, "
    "first_seen TIMESTAMP, last_seen TIMESTAMP",
    "attributes": "account VARCHAR, created_at TIMESTAMP, country VARCHAR, status VARCHAR, "
    "banned_at TIMESTAMP",
    # One row an (account, kind, raw value) of a column of a source.
    "raw": "source INTEGER, kind INTEGER, account VARCHAR, value VARCHAR, n BIGINT, "
    "first_seen TIMESTAMP, last_seen TIMESTAMP",
    # What a raw account or value is; no row where it is nothing.
    "spellings": "raw VARCHAR, account_id VARCHAR",
    "meanings": "raw_kind INTEGER, raw_value VARCHAR, kind INTEGER, value VARCHAR",
    "refused_accounts": "raw VARCHAR, reason VARCHAR",
    "refused_values": "kind INTEGER, value VARCHAR, is_missing BOOLEAN, reason VARCHAR",
    "account_codes": "raw VARCHAR, code INTEGER",
    "holdings": "account INTEGER, value VARCHAR, n BIGINT, first_seen TIMESTAMP, "
    "last_seen TIMESTAMP",
}

NO_KIND: Final = -1

FINGERPRINTS: Final = "prompt"  # the kind that may have as many values as there are rows
# Printable ASCII without a blank is spelt as it came.
PLAIN: Final = "regexp_full_match({value}, '[!-~]+') AND length({value}) <= {most}"

ATTRIBUTES: Final = ("created_at", "country", "status", "banned_at")

VALUE_BATCH_ROWS: Final = 262_144

MAKE: Final = "CREATE TABLE {name} ({columns})"
INSERT: Final = "INSERT INTO {table} SELECT * FROM batch"

GROUP_ACCOUNTS: Final = """
INSERT INTO account_rows
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS first_time, {last} AS last_time FROM parsed WHERE {good})
SELECT {source}, account, count(*), {n_bad}, CAST(min(first_time) AS TIMESTAMP),
    CAST(max(last_time) AS TIMESTAMP)
FROM good
GROUP BY account
"""

# Rows that agree in all columns come first, by keys of 64 bits: a client makes many requests from
# one address, and every grouping after this one has fewer rows to look at. Two different groups
# would need equal keys in every column to be taken for one.
GROUP_ROWS: Final = """
CREATE TABLE agreeing AS
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS first_time, {last} AS last_time FROM parsed WHERE {good})
SELECT any_value(account) AS account{carried}, count(*) AS n,
    CAST(min(first_time) AS TIMESTAMP) AS first_time,
    CAST(max(last_time) AS TIMESTAMP) AS last_time
FROM good
GROUP BY hash(account){keys}
"""

SUM_ACCOUNTS: Final = """
INSERT INTO account_rows
SELECT {source}, account, sum(n), 0, min(first_time), max(last_time)
FROM agreeing
GROUP BY account
"""

SUM_COLUMNS: Final = """
INSERT INTO raw
WITH grouped AS (
    SELECT {kind} AS kind, account, {value} AS value, sum(n) AS n, min(first_time) AS first_seen,
        max(last_time) AS last_seen
    FROM agreeing
    GROUP BY GROUPING SETS ({sets})
)
SELECT {source}, kind, account, value, n, first_seen, last_seen
FROM grouped
WHERE value IS NOT NULL
"""

# One scan for all columns.
GROUP_COLUMNS: Final = """
INSERT INTO raw
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS seen FROM parsed WHERE {good}),
grouped AS (
    SELECT {kind} AS kind, account, {value} AS value, count(*) AS n, min(seen) AS first_seen,
        max(seen) AS last_seen
    FROM good
    GROUP BY GROUPING SETS ({sets})
)
SELECT {source}, kind, account, value, n, CAST(first_seen AS TIMESTAMP),
    CAST(last_seen AS TIMESTAMP)
FROM grouped
WHERE value IS NOT NULL
"""

FIND_ODD: Final = """
WITH parsed AS ({parsed})
SELECT 1 FROM parsed WHERE {good} AND {value} IS NOT NULL AND NOT ({plain}) LIMIT 1
"""

GROUP_SIGNALS: Final = """
INSERT INTO raw
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS first_time, {last} AS last_time FROM parsed WHERE {good}),
grouped AS (
    SELECT kind, account, value_0 AS value, sum(n) AS n, min(first_time) AS first_seen,
        max(last_time) AS last_seen
    FROM good
    GROUP BY kind, account, value_0
)
SELECT {source}, kind_names.kind, account, value, n, CAST(first_seen AS TIMESTAMP),
    CAST(last_seen AS TIMESTAMP)
FROM grouped
JOIN kind_names ON grouped.kind IS NOT DISTINCT FROM kind_names.raw
"""

GROUP_ATTRIBUTES: Final = """
INSERT INTO attributes
WITH parsed AS ({parsed})
SELECT account, {attributes}
FROM parsed
WHERE {good}
GROUP BY account
"""

FIND_KINDS: Final = "WITH parsed AS ({parsed}) SELECT DISTINCT kind FROM parsed"

RAW_ACCOUNTS: Final = "SELECT DISTINCT account FROM account_rows"

RAW_VALUES: Final = "SELECT DISTINCT kind, value FROM raw WHERE {condition}"


def make_tables(engine: Engine) -> None:
    """Make the tables of the stage, empty.

    Parameters
    ----------
    engine : Engine
    """
    drop_tables(engine)
    for name, columns in TABLES.items():
        engine.execute(MAKE.format(name=name, columns=columns))


def drop_tables(engine: Engine) -> None:
    """Drop the tables of the stage.

    Parameters
    ----------
    engine : Engine
    """
    engine.drop(*TABLES)


def insert(engine: Engine, table: str, columns: list[pa.Array]) -> None:
    """Append columns to a table.

    Parameters
    ----------
    engine : Engine
    table : str
        One of `TABLES`.
    columns : list of pyarrow.Array
        In the table's order, of equal length.
    """
    names = [f"c{i}" for i in range(len(columns))]
    engine.register("batch", pa.table(columns, names=names))
    engine.execute(INSERT.format(table=table))
    engine.unregister("batch")


def number_kinds(engine: Engine, readings: list[Reading], config: Config) -> list[str]:
    """Fill `kind_names`, and return the kinds of the run.

    Parameters
    ----------
    engine : Engine
    readings : list of Reading
        The sources of the run.
    config : Config
        Its kinds.

    Returns
    -------
    list of str
        Sorted; a kind's number is its place.
    """
    found = [pa.array([], pa.string())]
    for reading in readings:
        if reading.is_long:
            sql = FIND_KINDS.format(parsed=reading.get_parsed_sql())
            table = engine.query(sql, source=reading.source.label)
            found.append(table.column("kind").combine_chunks())
    raw = pc.unique(pa.concat_arrays(found))
    names = canonicalise_kind_names(raw, config)
    declared = {kind for reading in readings for _, kind in reading.slots if not reading.is_long}
    derived = {kind for kinds in DERIVED_KINDS.values() for kind in kinds}
    kinds = sorted({*KINDS, *derived, *declared, *names.drop_null().to_pylist()})
    numbers = pc.index_in(names, value_set=pa.array(kinds))
    numbers = pc.if_else(pc.is_null(names), NO_KIND, numbers)
    insert(engine, "kind_names", [raw, numbers])
    return kinds


def group_rows(
    engine: Engine,
    readings: list[Reading],
    kinds: list[str],
    config: Config,
    *,
    with_fingerprints: bool = True,
) -> frozenset[int]:
    """Fill `account_rows`, `attributes` and `raw` with the rows that keep their rules.

    Parameters
    ----------
    engine : Engine
    readings : list of Reading
        The sources of the run.
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits.
    with_fingerprints : bool, default True
        Whether to group prompt fingerprints as well, all of them as texts; without, only those
        that need to be spelt.

    Returns
    -------
    frozenset of int
        Places of the sources with fingerprints that need to be spelt, where not all are grouped.

    Raises
    ------
    InputError
        If a source cannot be read to its end.
    """
    odd = set()
    for i, reading in enumerate(readings):
        words = {"source": str(i), **_describe_reading(reading)}
        source = reading.source.label
        if reading.attributes:
            engine.execute(GROUP_ATTRIBUTES.format(**words), source=source)
        if reading.is_long:
            for template in (GROUP_ACCOUNTS, GROUP_SIGNALS):
                engine.execute(template.format(**words), source=source)
            continue
        slots, fingerprints = list(range(len(reading.slots))), find_fingerprints(reading)
        if fingerprints is not None:
            slots.remove(fingerprints)
            said = describe_fingerprints(reading, fingerprints, config)
            if with_fingerprints:
                words |= _describe_slots(reading, [fingerprints], kinds)
                engine.execute(GROUP_COLUMNS.format(**words), source=source)
            elif engine.query(FIND_ODD.format(**said), source=source).num_rows:
                words |= _describe_slots(reading, [fingerprints], kinds)
                odd.add(i)
                good = f"{words['good']} AND NOT ({said['plain']})"
                engine.execute(GROUP_COLUMNS.format(**words | {"good": good}), source=source)
        words |= _describe_slots(reading, slots, kinds)
        if reading.cell_rules:
            engine.execute(GROUP_ACCOUNTS.format(**words), source=source)
            if slots:
                engine.execute(GROUP_COLUMNS.format(**words), source=source)
            continue
        engine.execute(GROUP_ROWS.format(**words), source=source)
        engine.execute(SUM_ACCOUNTS.format(**words))
        if slots:
            engine.execute(SUM_COLUMNS.format(**words))
        engine.drop("agreeing")
    return frozenset(odd)


def find_fingerprints(reading: Reading) -> int | None:
    """Return which slot of a source holds prompt fingerprints; None where there is none.

    Parameters
    ----------
    reading : Reading

    Returns
    -------
    int or None
    """
    if reading.is_long:
        return None
    found = [k for k, (_, kind) in enumerate(reading.slots) if kind == FINGERPRINTS]
    return found[0] if len(found) == 1 else None


def describe_fingerprints(reading: Reading, slot: int, config: Config) -> dict[str, str]:
    """Return the words that queries of fingerprints leave open.

    Parameters
    ----------
    reading : Reading
    slot : int
        From `find_fingerprints`.
    config : Config
        Its limits.

    Returns
    -------
    dict of str
        ``parsed``, ``good``, ``first``, ``value`` and ``plain``: the condition under which a
        fingerprint is its own spelling.
    """
    value = f"value_{slot}"
    return {
        "parsed": reading.get_parsed_sql(),
        "good": reading.get_good_sql(),
        "first": reading.first,
        "value": value,
        "plain": PLAIN.format(value=value, most=config.limits.max_value_chars),
    }


def _describe_reading(reading: Reading) -> dict[str, str]:
    """Return the words that the grouping queries leave open."""
    bad = " OR ".join(f"({rule.good}) IS NOT TRUE" for rule in reading.cell_rules)
    said = dict(reading.attributes)
    # The smallest of several values, so that the order of rows does not matter.
    attributes = [f"min({said[name]})" if name in said else "NULL" for name in ATTRIBUTES]
    return {
        "parsed": reading.get_parsed_sql(),
        "good": reading.get_good_sql(),
        "first": reading.first,
        "last": reading.last,
        "n_bad": f"sum(CASE WHEN {bad} THEN 1 ELSE 0 END)" if bad else "0",
        "attributes": ", ".join(attributes),
    }


def _describe_slots(reading: Reading, slots: list[int], kinds: list[str]) -> dict[str, str]:
    """Return the words for grouping some columns of identifiers."""
    values = [f"value_{k}" for k in slots]
    numbers = [kinds.index(reading.slots[k][1]) for k in slots]
    cases = [
        f"WHEN GROUPING({value}) = 0 THEN {number}"
        for value, number in zip(values, numbers, strict=True)
    ]
    return {
        "kind": f"CASE {' '.join(cases)} END",
        "value": f"CASE {' '.join(f'WHEN GROUPING({v}) = 0 THEN {v}' for v in values)} END",
        "sets": ", ".join(f"(account, {value})" for value in values),
        "carried": "".join(f", any_value({value}) AS {value}" for value in values),
        "keys": "".join(f", hash({value})" for value in values),
    }


def judge_accounts(engine: Engine, config: Config) -> None:
    """Fill `spellings` and `refused_accounts`: what a raw account is, or why it is none.

    Parameters
    ----------
    engine : Engine
    config : Config
        Its limits.
    """
    raw = engine.query(RAW_ACCOUNTS).column("account").combine_chunks()
    limit = config.limits.max_value_chars
    text = pc.utf8_trim_whitespace(raw)
    is_missing = pc.fill_null(pc.equal(text, ""), fill_value=True)
    is_long = pc.fill_null(pc.greater(pc.utf8_length(text), limit), fill_value=False)
    # They would steer a terminal, or break the files in which accounts are handed on.
    is_control = pc.fill_null(pc.match_substring_regex(text, r"\p{Cc}"), fill_value=False)
    is_bad = pc.or_(pc.or_(is_missing, is_long), is_control)
    reason = pc.case_when(
        pc.make_struct(is_missing, is_long),
        "the account is missing",
        f"the account is longer than {limit} characters",
        "the account holds control characters",
    )
    is_good = pc.invert(is_bad)
    insert(engine, "spellings", [pc.filter(raw, is_good), pc.filter(text, is_good)])
    insert(engine, "refused_accounts", [pc.filter(raw, is_bad), pc.filter(reason, is_bad)])


def judge_values(engine: Engine, kinds: list[str], config: Config) -> None:
    """Fill `meanings` and `refused_values`: what raw values are, or why they are nothing.

    Parameters
    ----------
    engine : Engine
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits and public domains.
    """
    special = {kind: i for i, kind in enumerate(kinds) if kind in CANONICAL_KINDS}
    wanted = {kind: f"kind = {i}" for kind, i in special.items()}
    # Kinds without rules of their own are treated together: there may be very many of them.
    wanted["text"] = f"kind NOT IN ({', '.join(map(str, [NO_KIND, *special.values()]))})"
    for treatment, condition in wanted.items():
        sql = RAW_VALUES.format(condition=condition)
        for batch in engine.stream(sql, batch_rows=VALUE_BATCH_ROWS):
            _judge_batch(engine, treatment, batch, kinds, config)


def _judge_batch(
    engine: Engine, treatment: str, batch: pa.RecordBatch, kinds: list[str], config: Config
) -> None:
    """Spell one batch of raw values and store what they mean."""
    raw_kind, raw_value = batch.columns
    spelt = canonicalise(treatment, raw_value, config)
    for name, values in spelt.items():
        kind = raw_kind
        if name != treatment:
            kind = pa.array(np.full(len(batch), kinds.index(name), np.int32))
        columns = [raw_kind, raw_value, kind, values]
        if values.null_count:
            columns = [pc.filter(column, pc.is_valid(values)) for column in columns]
        insert(engine, "meanings", columns)
    is_refused = pc.is_null(spelt[treatment])
    if pc.any(is_refused).as_py():
        kind, value = (pc.filter(column, is_refused) for column in batch.columns)
        reason = describe_refusals(treatment, value, config)
        is_missing = pc.is_null(reason)
        reason = pc.fill_null(reason, "the value is missing")
        insert(engine, "refused_values", [kind, value, is_missing, reason])
