"""Groups rows by account and raw value, and spells accounts and values canonically.

The tables of the stage live in the engine, under the names in `TABLES`. A kind stands in them as
its number among the kinds of the run, which are sorted; a kind that is none as `NO_KIND`. A raw
account and a raw value stand as a key, the 64-bit hash of the text, beside which the text is kept
once. Of n texts two have equal keys with a probability of n^2 / 2^65, unless somebody makes such
texts, to be taken for somebody else: values that have the key of another one are refused.
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
    "drop_tables",
    "find_fingerprints",
    "group_odd_fingerprints",
    "group_rows",
    "insert",
    "is_scanned_once",
    "judge_accounts",
    "judge_values",
    "list_slots",
    "make_tables",
    "number_kinds",
]

TABLES: Final = {
    # What kinds of the observations table are called there.
    "kind_names": "raw VARCHAR, kind INTEGER",
    # One row an account of a source.
    "account_rows": "source INTEGER, account VARCHAR, key UBIGINT, n_rows BIGINT, n_bad BIGINT, "
    "first_seen TIMESTAMP, last_seen TIMESTAMP",
    "attributes": "account UBIGINT, created_at TIMESTAMP, country VARCHAR, status VARCHAR, "
    "banned_at TIMESTAMP",
    # One row an (account, kind, raw value) of a column of a source, and the texts of the values.
    "raw": "source INTEGER, kind INTEGER, account UBIGINT, value UBIGINT, n BIGINT, "
    "first_seen TIMESTAMP, last_seen TIMESTAMP",
    "texts": "kind INTEGER, key UBIGINT, value VARCHAR",
    # What a raw account or value is; no row where it is nothing.
    "spellings": "raw VARCHAR, key UBIGINT, account_id VARCHAR",
    "meanings": "raw_kind INTEGER, raw_key UBIGINT, kind INTEGER, value VARCHAR",
    "refused_accounts": "raw VARCHAR, reason VARCHAR",
    "refused_values": "kind INTEGER, key UBIGINT, value VARCHAR, is_missing BOOLEAN, "
    "reason VARCHAR",
    "account_codes": "key UBIGINT, code INTEGER",
    "holdings": "account INTEGER, value VARCHAR, n BIGINT, first_seen TIMESTAMP, "
    "last_seen TIMESTAMP",
}

NO_KIND: Final = -1
NOTHING: Final = "hash(CAST(NULL AS VARCHAR))"  # the key of a value that is missing

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
SELECT {source}, account, hash(account), count(*), {n_bad}, CAST(min(first_time) AS TIMESTAMP),
    CAST(max(last_time) AS TIMESTAMP)
FROM good
GROUP BY account
"""

# Rows that agree in all columns come first: a client makes many requests from one address, and
# every grouping after this one has fewer rows to look at.
GROUP_ROWS: Final = """
CREATE TABLE agreeing AS
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS first_time, {last} AS last_time FROM parsed WHERE {good}),
keyed AS (SELECT hash(account) AS account{keys}, first_time, last_time FROM good)
SELECT account{names}, count(*) AS n,
    CAST(min(first_time) AS TIMESTAMP) AS first_time,
    CAST(max(last_time) AS TIMESTAMP) AS last_time
FROM keyed
GROUP BY account{names}
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
WHERE value <> {nothing}
"""

# One scan for all columns.
GROUP_COLUMNS: Final = """
INSERT INTO raw
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS seen FROM parsed WHERE {good}),
keyed AS (SELECT hash(account) AS account{keys}, seen FROM good),
grouped AS (
    SELECT {kind} AS kind, account, {value} AS value, count(*) AS n, min(seen) AS first_seen,
        max(seen) AS last_seen
    FROM keyed
    GROUP BY GROUPING SETS ({sets})
)
SELECT {source}, kind, account, value, n, CAST(first_seen AS TIMESTAMP),
    CAST(last_seen AS TIMESTAMP)
FROM grouped
WHERE value <> {nothing}
"""

# Carrying texts through the groupings would cost more, above all memory. They are told apart by
# themselves, so that two with one key show.
LIST_TEXTS: Final = """
INSERT INTO texts
WITH parsed AS ({parsed}),
found AS (SELECT DISTINCT {value} AS value FROM parsed WHERE {good} AND {value} IS NOT NULL)
SELECT {kind}, hash(value), value FROM found
"""

GROUP_SIGNALS: Final = """
INSERT INTO raw
WITH parsed AS ({parsed}),
good AS (SELECT *, {first} AS first_time, {last} AS last_time FROM parsed WHERE {good}),
grouped AS (
    SELECT kind, hash(account) AS account, hash(value_0) AS value, sum(n) AS n,
        min(first_time) AS first_seen, max(last_time) AS last_seen
    FROM good
    GROUP BY kind, hash(account), hash(value_0)
)
SELECT {source}, kind_names.kind, account, value, n, CAST(first_seen AS TIMESTAMP),
    CAST(last_seen AS TIMESTAMP)
FROM grouped
JOIN kind_names ON grouped.kind IS NOT DISTINCT FROM kind_names.raw
"""

LIST_SIGNALS: Final = """
INSERT INTO texts
WITH parsed AS ({parsed}),
good AS (SELECT DISTINCT kind, value_0 AS value FROM parsed WHERE {good})
SELECT DISTINCT kind_names.kind, hash(good.value), good.value
FROM good
JOIN kind_names ON good.kind IS NOT DISTINCT FROM kind_names.raw
"""

GROUP_ATTRIBUTES: Final = """
INSERT INTO attributes
WITH parsed AS ({parsed})
SELECT hash(account), {attributes}
FROM parsed
WHERE {good}
GROUP BY hash(account)
"""

FIND_KINDS: Final = "WITH parsed AS ({parsed}) SELECT DISTINCT kind FROM parsed"

RAW_ACCOUNTS: Final = "SELECT key, min(account) AS account FROM account_rows GROUP BY key"

RAW_VALUES: Final = """
SELECT kind, key, min(value) AS value, max(value) AS other
FROM texts
WHERE {condition}
GROUP BY kind, key
"""

SAME_KEY: Final = "the value has the same 64-bit key as another one, and cannot be told from it"


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
    *,
    with_fingerprints: bool = True,
) -> None:
    """Fill `account_rows`, `attributes`, `raw` and `texts` with the rows that keep their rules.

    Parameters
    ----------
    engine : Engine
    readings : list of Reading
        The sources of the run.
    kinds : list of str
        The kinds of the run.
    with_fingerprints : bool, default True
        Whether to group prompt fingerprints as well, all of them. Where not, `account_rows` and
        `raw` are left to the scan that counts them for sources of which `is_scanned_once` is true.

    Raises
    ------
    InputError
        If a source cannot be read to its end.
    """
    for i, reading in enumerate(readings):
        words = {"source": str(i), **_describe_reading(reading)}
        source = reading.source.label
        if reading.attributes:
            engine.execute(GROUP_ATTRIBUTES.format(**words), source=source)
        if reading.is_long:
            for template in (GROUP_ACCOUNTS, GROUP_SIGNALS, LIST_SIGNALS):
                engine.execute(template.format(**words), source=source)
            continue
        slots, fingerprints = list_slots(reading), find_fingerprints(reading)
        if not with_fingerprints and is_scanned_once(reading):
            _list_texts(engine, reading, slots, kinds, words)
            continue
        if fingerprints is not None and with_fingerprints:
            _group_columns(engine, reading, [fingerprints], kinds, words)
        engine.execute(GROUP_ACCOUNTS.format(**words), source=source)
        if reading.cell_rules or len(slots) < 2:
            if slots:
                _group_columns(engine, reading, slots, kinds, words)
            continue
        words |= _describe_slots(reading, slots, kinds)
        engine.execute(GROUP_ROWS.format(**words), source=source)
        engine.execute(SUM_COLUMNS.format(**words))
        engine.drop("agreeing")
        _list_texts(engine, reading, slots, kinds, words)


def group_odd_fingerprints(
    engine: Engine, i: int, reading: Reading, kinds: list[str], config: Config
) -> None:
    """Append the prompt fingerprints of a source that are not their own spelling to `raw`.

    Parameters
    ----------
    engine : Engine
    i : int
        The source's place in the run.
    reading : Reading
        A source with fingerprints.
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits.
    """
    slot = find_fingerprints(reading)
    if slot is None:
        return
    words = {"source": str(i), **_describe_reading(reading)}
    plain = PLAIN.format(value=f"value_{slot}", most=config.limits.max_value_chars)
    words["good"] += f" AND NOT ({plain})"
    _group_columns(engine, reading, [slot], kinds, words)


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


def list_slots(reading: Reading) -> list[int]:
    """Return the slots of a source that hold no prompt fingerprints.

    Parameters
    ----------
    reading : Reading

    Returns
    -------
    list of int
    """
    fingerprints = find_fingerprints(reading)
    return [slot for slot in range(len(reading.slots)) if slot != fingerprints]


def is_scanned_once(reading: Reading) -> bool:
    """Return whether the scan for fingerprints can group the other columns of a source as well.

    Parameters
    ----------
    reading : Reading

    Returns
    -------
    bool
    """
    return find_fingerprints(reading) is not None and not reading.cell_rules


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
        "names": "".join(f", {value}" for value in values),
        "keys": "".join(f", hash({value}) AS {value}" for value in values),
        "nothing": NOTHING,
    }


def _group_columns(
    engine: Engine, reading: Reading, slots: list[int], kinds: list[str], words: dict[str, str]
) -> None:
    """Fill `raw` and `texts` with some columns, straight from the rows."""
    said = words | _describe_slots(reading, slots, kinds)
    engine.execute(GROUP_COLUMNS.format(**said), source=reading.source.label)
    _list_texts(engine, reading, slots, kinds, words)


def _list_texts(
    engine: Engine, reading: Reading, slots: list[int], kinds: list[str], words: dict[str, str]
) -> None:
    """Fill `texts` with the values of some columns."""
    for k in slots:
        said = words | {"kind": str(kinds.index(reading.slots[k][1])), "value": f"value_{k}"}
        engine.execute(LIST_TEXTS.format(**said), source=reading.source.label)


def judge_accounts(engine: Engine, config: Config) -> None:
    """Fill `spellings` and `refused_accounts`: what a raw account is, or why it is none.

    Parameters
    ----------
    engine : Engine
    config : Config
        Its limits.
    """
    key, raw = (column.combine_chunks() for column in engine.query(RAW_ACCOUNTS).columns)
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
    insert(engine, "spellings", [pc.filter(column, is_good) for column in (raw, key, text)])
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
    raw_kind, raw_key, raw_value, other = batch.columns
    is_one = pc.fill_null(pc.equal(raw_value, other), fill_value=True)
    if not pc.all(is_one).as_py():
        _refuse_ambiguous(engine, batch.filter(pc.invert(is_one)))
        _judge_batch(engine, treatment, batch.filter(is_one), kinds, config)
        return
    spelt = canonicalise(treatment, raw_value, config)
    for name, values in spelt.items():
        kind = raw_kind
        if name != treatment:
            kind = pa.array(np.full(len(batch), kinds.index(name), np.int32))
        columns = [raw_kind, raw_key, kind, values]
        if values.null_count:
            columns = [pc.filter(column, pc.is_valid(values)) for column in columns]
        insert(engine, "meanings", columns)
    is_refused = pc.is_null(spelt[treatment])
    if pc.any(is_refused).as_py():
        kind, key, value, _ = (pc.filter(column, is_refused) for column in batch.columns)
        reason = describe_refusals(treatment, value, config)
        is_missing = pc.is_null(reason)
        reason = pc.fill_null(reason, "the value is missing")
        insert(engine, "refused_values", [kind, key, value, is_missing, reason])


def _refuse_ambiguous(engine: Engine, batch: pa.RecordBatch) -> None:
    """Refuse values that have the same key as another one."""
    for text in ("value", "other"):
        columns = [batch.column(name) for name in ("kind", "key", text)]
        is_missing, reason = pa.array([False] * len(batch)), pa.array([SAME_KEY] * len(batch))
        insert(engine, "refused_values", [*columns, is_missing, reason])
