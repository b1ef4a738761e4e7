"""What was refused of the input, row by row, and why.

Whether a source holds anything to refuse is known from its groups. Only then its rows are looked
at again, to say which ones, in words for the person who wrote them. All are counted; of a source
that has more of them than anybody reads, the first `MAX_LISTED` are listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from linkage.config import Config
from linkage.engine import Engine, quote_text
from linkage.errors import InputError
from linkage.groups import NO_KIND
from linkage.identifiers import MAX_KIND_CHARS
from linkage.readings import Reading, Rule
from linkage.sources import KEPT, MAX_LISTED, REJECTED, make_rejected

__all__ = [
    "Refused",
    "find_refused",
    "find_refusing",
    "list_sources",
    "list_unread",
    "remove_refused",
    "require_usable",
]

REASONS: Final = pa.schema(
    [
        ("column", pa.string()),
        ("reason", pa.string()),
        ("n", pa.int64()),
        ("example_row", pa.int64()),
        ("example", pa.string()),
    ]
)

COUNT_ROWS: Final = """
SELECT source, CAST(sum(n_rows) AS BIGINT) AS n_rows, CAST(sum(n_bad) AS BIGINT) AS n_bad
FROM account_rows
GROUP BY source
"""

SOURCES_OF_BAD_ACCOUNTS: Final = """
SELECT DISTINCT account_rows.source
FROM account_rows
JOIN refused_accounts AS refused ON account_rows.account IS NOT DISTINCT FROM refused.raw
"""

# In the observations table the value is the row, so a missing one is refused, not passed over.
SOURCES_OF_BAD_VALUES: Final = """
SELECT DISTINCT raw.source
FROM raw
JOIN refused_values AS refused
    ON raw.kind = refused.kind AND raw.value = refused.key
WHERE NOT refused.is_missing OR raw.source IN ({long})
"""

SOURCES_OF_BAD_KINDS: Final = "SELECT DISTINCT source FROM raw WHERE kind = {no_kind}"

REMOVE_BAD_ACCOUNTS: Final = """
DELETE FROM account_rows
WHERE EXISTS (
    SELECT 1 FROM refused_accounts AS refused
    WHERE refused.raw IS NOT DISTINCT FROM account_rows.account
)
"""

# An account of the observations table is one only if a row of it is left.
REMOVE_EMPTY_ACCOUNTS: Final = (
    """
    DELETE FROM account_rows
    WHERE source IN ({long}) AND NOT EXISTS (
        SELECT 1
        FROM raw
        JOIN meanings ON raw.kind = meanings.raw_kind AND raw.value = meanings.raw_key
        WHERE raw.source = account_rows.source AND raw.account = account_rows.key
    )
    """,
    """
    DELETE FROM spellings
    WHERE NOT EXISTS (SELECT 1 FROM account_rows WHERE account_rows.key = spellings.key)
    """,
)

VERDICTS: Final = """
WITH parsed AS ({parsed}),
judged AS (
    SELECT parsed.*, accounts.reason AS account_reason{value_columns}
    FROM parsed
    LEFT JOIN refused_accounts AS accounts ON parsed.account IS NOT DISTINCT FROM accounts.raw
    {value_joins}
),
verdicts AS (
    SELECT *, CASE {columns} END AS row_column, CASE {reasons} END AS row_reason
    FROM judged
)
SELECT origin_file, origin_row, row_column AS "column", row_reason AS reason
FROM verdicts
WHERE row_reason IS NOT NULL
"""

VALUE_COLUMNS: Final = ", names.kind AS kind_number, refused.reason AS value_reason"

VALUE_JOINS: Final = """LEFT JOIN kind_names AS names
        ON parsed.kind IS NOT DISTINCT FROM names.raw
    LEFT JOIN refused_values AS refused
        ON names.kind = refused.kind AND parsed.value_0 IS NOT DISTINCT FROM refused.value"""

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


# All of them, in the engine, which spills what does not fit into memory.
KEEP_REFUSED: Final = "CREATE TABLE refused AS {verdicts}"

COUNT_REFUSED: Final = """
SELECT origin_file, sum(CASE WHEN suffix(reason, {kept}) THEN 0 ELSE 1 END) AS n_rows,
    sum(CASE WHEN suffix(reason, {kept}) THEN 1 ELSE 0 END) AS n_cells
FROM refused
GROUP BY origin_file
"""

LIST_REFUSED: Final = """
SELECT * FROM refused ORDER BY origin_file, origin_row, "column", reason LIMIT {most}
"""

# By what a reason says beside the value that it quotes.
COUNT_REASONS: Final = """
WITH said AS (
    SELECT *, regexp_replace(reason, '(?s)^''.*'' ', '') AS said FROM refused
)
SELECT "column", said AS reason, count(*) AS n, min(origin_row) AS example_row,
    arg_min(reason, (origin_row, origin_file)) AS example
FROM said
GROUP BY "column", said
ORDER BY "column", said
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What was refused of one source.

    Attributes
    ----------
    table : pyarrow.Table
        source, row, column, reason; a row without a number says how many are not listed.
    n_rows, n_cells : dict of str -> int
        By what people call a file: rows that were not used, and cells of rows that were.
    reasons : pyarrow.Table
        column, reason (without the value that it quotes), n, example_row (the first), example
        (the whole reason there).
    """

    table: pa.Table
    n_rows: dict[str, int]
    n_cells: dict[str, int]
    reasons: pa.Table


def list_sources(readings: list[Reading], table: str) -> str:
    """Return the numbers of a table's sources as an SQL list.

    Parameters
    ----------
    readings : list of Reading
        The sources of the run.
    table : str
        A table of the contract.

    Returns
    -------
    str
        Numbers and commas; a number that no source has where there is none.
    """
    numbers = [i for i, reading in enumerate(readings) if reading.source.table == table]
    return ", ".join(map(str, numbers or [-1]))


def find_refusing(engine: Engine, readings: list[Reading]) -> set[int]:
    """Find the sources of which something was refused.

    Parameters
    ----------
    engine : Engine
        Holds the groups and what is wrong with their values.
    readings : list of Reading
        The sources of the run.

    Returns
    -------
    set of int
        Places in ``readings``.
    """
    counted = {row["source"]: row for row in engine.query(COUNT_ROWS).to_pylist()}
    refusing = set()
    for i, reading in enumerate(readings):
        found = counted.get(i, {"n_rows": 0, "n_bad": 0})
        if found["n_rows"] < reading.source.n_rows or found["n_bad"]:
            refusing.add(i)
    for sql in (SOURCES_OF_BAD_ACCOUNTS, SOURCES_OF_BAD_VALUES, SOURCES_OF_BAD_KINDS):
        table = engine.query(
            sql.format(long=list_sources(readings, "observations"), no_kind=NO_KIND)
        )
        refusing |= set(table.column("source").to_pylist())
    return refusing


def remove_refused(engine: Engine, readings: list[Reading], refusing: set[int]) -> None:
    """Take accounts of which every row was refused out of the groups.

    What else was refused has no spelling or no meaning, and falls out where those are joined.

    Parameters
    ----------
    engine : Engine
        Holds the groups and what is wrong with their values.
    readings : list of Reading
        The sources of the run.
    refusing : set of int
        Sources of which something was refused.
    """
    engine.execute(REMOVE_BAD_ACCOUNTS)
    if any(readings[i].is_long for i in refusing):
        for sql in REMOVE_EMPTY_ACCOUNTS:
            engine.execute(sql.format(long=list_sources(readings, "observations")))


def require_usable(
    engine: Engine, readings: list[Reading], kinds: list[str], config: Config
) -> None:
    """Refuse to go on where a table has rows and none of them can be used.

    Parameters
    ----------
    engine : Engine
        Holds the groups, without what was refused.
    readings : list of Reading
        The sources of the run.
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits.

    Raises
    ------
    InputError
        With the commonest reason.
    """
    used = set(engine.query(COUNT_ROWS).column("source").to_pylist())
    for table in dict.fromkeys(reading.source.table for reading in readings):
        own = [i for i, reading in enumerate(readings) if reading.source.table == table]
        n_rows = sum(file.n_rows for i in own for file in readings[i].source.files)
        if n_rows and not used.intersection(own):
            found = pa.concat_tables(
                find_refused(engine, readings[i], kinds, config).reasons for i in own
            )
            first = found.group_by("reason").aggregate([("n", "sum"), ("example", "min")])
            first = first.sort_by([("n_sum", "descending"), ("reason", "ascending")])
            n, reason = (first.column(name)[0].as_py() for name in ("n_sum", "example_min"))
            raise InputError(
                f"not one usable row in {table}: {n_rows} refused, {n} of them because {reason}; "
                f"correct them, or map other columns in linkage.toml under [columns.{table}]"
            )


def find_refused(
    engine: Engine,
    reading: Reading,
    kinds: list[str],
    config: Config,
    *,
    with_prompts: bool = False,
) -> Refused:
    """Look up the rows and cells of a source that were refused, and say why.

    Parameters
    ----------
    engine : Engine
        Holds `refused_accounts` and `refused_values`.
    reading : Reading
        The source.
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits.
    with_prompts : bool, default False
        Whether prompts are to be looked at too.

    Returns
    -------
    Refused
    """
    rules = [*reading.cell_rules]
    if with_prompts:
        rules.append(_rule_prompt(reading, config))
    sql = _write_verdicts(reading, kinds) + "".join(
        VERDICTS_RULE.format(
            column=quote_text(rule.column),
            reason=rule.reason,
            good=rule.good,
            kept=quote_text(KEPT),
        )
        for rule in rules
    )
    engine.drop("refused")
    engine.execute(KEEP_REFUSED.format(verdicts=sql), source=reading.source.label)
    found = engine.query(LIST_REFUSED.format(most=MAX_LISTED))
    counts = engine.query(COUNT_REFUSED.format(kept=quote_text(KEPT)))
    reasons = engine.query(COUNT_REASONS)
    engine.drop("refused")
    table = pa.table(
        [
            _label_files(reading, found.column("origin_file")),
            found.column("origin_row").cast(pa.int64()),
            found.column("column"),
            found.column("reason"),
        ],
        schema=REJECTED,
    )
    unread, files = list_unread(reading), _label_files(reading, counts.column("origin_file"))
    n_rows, n_cells = (
        _add_counts(before, files, counts.column(name))
        for before, name in ((unread.n_rows, "n_rows"), (unread.n_cells, "n_cells"))
    )
    n_unlisted = pc.sum(reasons.column("n")).as_py() or 0
    unlisted = _tell_unlisted(reading, n_unlisted - len(table))
    return Refused(
        table=pa.concat_tables([unread.table, table, *unlisted]),
        n_rows=n_rows,
        n_cells=n_cells,
        reasons=pa.concat_tables([unread.reasons, reasons.cast(REASONS)]),
    )


def _add_counts(before: dict[str, int], files: pa.Array, counts: pa.ChunkedArray) -> dict[str, int]:
    """Return the counts of files with further ones added."""
    total = dict(before)
    for file, n in zip(files.to_pylist(), counts.to_pylist(), strict=True):
        total[file] = total.get(file, 0) + int(n)
    return total


def _tell_unlisted(reading: Reading, n: int) -> Iterator[pa.Table]:
    """Yield the row that says how many rows and cells are not listed, if there are any."""
    if n:
        reason = f"{n} more rows or cells were refused than the {MAX_LISTED} that are listed"
        yield make_rejected([(reading.source.label, None, None, reason)])


def _write_verdicts(reading: Reading, kinds: list[str]) -> str:
    """Write the query that judges rows and the cells of columns of identifiers."""
    blame = [(reading.account_column, "account_reason IS NOT NULL", "account_reason")]
    blame += [(r.column, f"({r.good}) IS NOT TRUE", r.reason) for r in reading.row_rules]
    if reading.is_long:
        reason = quote_text(f"the kind is missing or longer than {MAX_KIND_CHARS} characters")
        blame.append((reading.source.columns.found["kind"], f"kind_number = {NO_KIND}", reason))
        blame.append((reading.slots[0][0], "value_reason IS NOT NULL", "value_reason"))
    sql = VERDICTS.format(
        parsed=reading.get_parsed_sql(with_origin=True),
        value_columns=VALUE_COLUMNS if reading.is_long else "",
        value_joins=VALUE_JOINS if reading.is_long else "",
        columns=" ".join(f"WHEN {bad} THEN {quote_text(column)}" for column, bad, _ in blame),
        reasons=" ".join(f"WHEN {bad} THEN {reason}" for _, bad, reason in blame),
    )
    if reading.is_long:
        return sql
    return sql + "".join(
        VERDICTS_CELLS.format(
            column=quote_text(column),
            kept=quote_text(KEPT),
            kind=kinds.index(kind),
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


def list_unread(reading: Reading) -> Refused:
    """Return what was refused before any SQL ran, and which files are empty.

    Parameters
    ----------
    reading : Reading
        The source.

    Returns
    -------
    Refused
    """
    source, found = reading.source, reading.source.rejections
    label = source.files[0].label
    rows = [(label, *rejection) for rejection in found.listed]
    rows += [(file.label, None, None, "no rows") for file in source.files if not file.n_rows]
    n_unlisted = found.n_rows + found.n_cells - len(found.listed)
    table = pa.concat_tables([make_rejected(rows), *_tell_unlisted(reading, n_unlisted)])
    reasons = table.sort_by([("row", "ascending")]).group_by(
        ["column", "reason"], use_threads=False
    )
    counted = reasons.aggregate([("row", "count", pc.CountOptions(mode="all")), ("row", "min")])
    columns = [counted.column(name) for name in ("column", "reason", "row_count", "row_min")]
    return Refused(
        table=table,
        n_rows={label: found.n_rows},
        n_cells={label: found.n_cells},
        reasons=pa.table([*columns, counted.column("reason")], schema=REASONS),
    )


def _rule_prompt(reading: Reading, config: Config) -> Rule:
    """Return the rule that a prompt that is read is not too long."""
    limit = config.limits.max_prompt_chars
    return Rule(
        column=reading.source.columns.found["prompt"],
        good=f"prompt IS NULL OR length(prompt) <= {limit} OR NOT {reading.get_unprinted_sql()}",
        reason=f"'the prompt is longer than {limit} characters'",
    )
