"""What linkage would understand of an input, without linking anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from linkage.config import Config
from linkage.engine import Engine
from linkage.errors import InputError
from linkage.groups import (
    drop_tables,
    group_rows,
    judge_accounts,
    judge_values,
    make_tables,
    number_kinds,
)
from linkage.identifiers import DERIVED_KINDS, shorten
from linkage.readings import Reading, read_source
from linkage.refusals import (
    Refused,
    find_refused,
    find_refusing,
    list_unread,
    remove_refused,
    require_usable,
)
from linkage.schema import INPUTS
from linkage.sources import list_columns, open_sources

__all__ = ["Checkup", "check_input", "guess_table"]

SPANS: Final = """
SELECT source, CAST(sum(n_rows) AS BIGINT) AS n_used, count(*) AS n_accounts,
    min(first_seen) AS first_seen, max(last_seen) AS last_seen
FROM account_rows
GROUP BY source
ORDER BY source
"""

VALUES: Final = """
WITH held AS (
    SELECT raw.source, meanings.kind, meanings.value, sum(raw.n) AS n,
        count(DISTINCT spellings.account_id) AS n_accounts
    FROM raw
    JOIN spellings ON raw.account = spellings.key
    JOIN meanings ON raw.kind = meanings.raw_kind AND raw.value = meanings.raw_key
    GROUP BY raw.source, meanings.kind, meanings.value
),
ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY source, kind ORDER BY n_accounts DESC, value
    ) AS place
    FROM held
)
SELECT source, kind, count(*) AS n_values, CAST(sum(n) AS BIGINT) AS n,
    max(CASE WHEN place = 1 THEN value END) AS most_shared, max(n_accounts) AS most_accounts
FROM ranked
GROUP BY source, kind
ORDER BY source, kind
"""

PROMPTS: Final = """
WITH parsed AS ({parsed})
SELECT count(*) AS n FROM parsed WHERE {good} AND prompt <> ''
"""

# Columns that give a table away, the surest first.
TELLTALES: Final = (
    ("observations", {"kind", "value"}),
    ("payments", {"payment_method"}),
    ("events", {"ts", "ip"}),
    ("events", {"ts", "prompt"}),
    ("events", {"ts", "prompt_fingerprint"}),
    ("events", {"ts", "device_id"}),
    ("events", {"ts", "user_agent"}),
    ("events", {"ts", "tls_fingerprint"}),
    ("accounts", {"email"}),
    ("accounts", {"phone"}),
    ("accounts", {"created_at"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What linkage would understand of an input.

    Attributes
    ----------
    sources : pandas.DataFrame
        A row a source: table, source, n_rows, n_used, n_accounts, first_seen, last_seen.
    columns : pandas.DataFrame
        A row a column of a source and kind that it yields: table, source, column, meaning (a kind,
        or what else it is), family, n_values, share_empty (0..1, of the rows that are used),
        most_shared (shortened), most_accounts (accounts that hold it).
    ignored : pandas.DataFrame
        table, source, column that nothing says anything about.
    reasons : pandas.DataFrame
        table, source, column, reason (without the value), n, example_row, example; the commonest
        first.
    problem : str or None
        Why a run could not start; None where it could.
    """

    sources: pd.DataFrame
    columns: pd.DataFrame
    ignored: pd.DataFrame
    reasons: pd.DataFrame
    problem: str | None


def check_input(engine: Engine, inputs: Mapping[str, Any], config: Config) -> Checkup:
    """Read an input as a run would, and say what was understood of it.

    Parameters
    ----------
    engine : Engine
        Runs the SQL.
    inputs : mapping of table -> path, folder, glob, frame, or a list of those
        As for `linkage.observations.observe`.
    config : Config
        Renamed columns, declared kinds, limits.

    Returns
    -------
    Checkup

    Raises
    ------
    InputError
        If a source cannot be read at all, or lacks a column that it needs.

    Examples
    --------
    >>> import pyarrow as pa
    >>> seen = pa.table({"account_id": ["a", "b"], "ts": [1_777_777_777] * 2,
    ...                  "ip": ["192.0.2.1", "?"], "colour": ["red", "red"]})
    >>> with Engine(threads=1) as engine:
    ...     checkup = check_input(engine, {"events": seen}, Config())
    >>> checkup.reasons[["column", "reason", "n", "example_row"]].values.tolist()
    [['ip', 'is no IP address; the rest of the row was used', 1, 2]]
    >>> checkup.ignored["column"].tolist()
    ['colour']
    """
    readings = [read_source(source, config) for source in open_sources(engine, inputs, config)]
    make_tables(engine)
    kinds = number_kinds(engine, readings, config)
    group_rows(engine, readings, kinds)
    judge_accounts(engine, config)
    judge_values(engine, kinds, config)
    refusing = find_refusing(engine, readings)
    refused = [
        find_refused(engine, reading, kinds, config) if i in refusing else list_unread(reading)
        for i, reading in enumerate(readings)
    ]
    problem = None
    if refusing:
        remove_refused(engine, readings, refusing)
        try:
            require_usable(engine, readings, kinds, config)
        except InputError as error:
            problem = str(error)
    if not any(reading.source.n_rows for reading in readings):
        problem = problem or "the input has no rows"
    sources = _describe_sources(engine, readings)
    columns = _describe_columns(engine, readings, kinds, config, sources)
    drop_tables(engine)
    return Checkup(
        sources=sources,
        columns=columns,
        ignored=_list_ignored(readings),
        reasons=_count_reasons(readings, refused),
        problem=problem,
    )


def guess_table(path: str | Path) -> tuple[str, str]:
    """Guess which table of the contract a file is.

    Parameters
    ----------
    path : str or Path
        A file, folder or pattern.

    Returns
    -------
    table : str
    reason : str
        What it was guessed from, in a few words.

    Raises
    ------
    InputError
        If neither the name nor the columns give it away.
    """
    name = Path(path).name.casefold()
    for table in INPUTS:
        if table.removesuffix("s") in name:
            return table, "its name"
    columns = list_columns(path)
    known = {column.strip().casefold() for column in columns}
    for table, telltale in TELLTALES:
        if telltale <= known:
            return table, f"its columns {sorted(telltale)}"
    raise InputError(
        f"cannot tell which table {str(path)!r} is from its name or its columns {columns[:20]}: "
        f"say so with --{', --'.join(INPUTS)}"
    )


def _describe_sources(engine: Engine, readings: list[Reading]) -> pd.DataFrame:
    """Return a row a source, those without a usable row included."""
    spans: pd.DataFrame = engine.query(SPANS).to_pandas().set_index("source")
    said = pd.DataFrame(
        {
            "table": [reading.source.table for reading in readings],
            "source": [reading.source.label for reading in readings],
            "n_rows": [sum(f.n_rows for f in reading.source.files) for reading in readings],
        }
    )
    spans = spans.reindex(range(len(readings)))
    for column in ("n_used", "n_accounts"):
        spans[column] = spans[column].fillna(0).astype("int64")
    return pd.concat([said, spans], axis=1)


def _describe_columns(
    engine: Engine,
    readings: list[Reading],
    kinds: list[str],
    config: Config,
    sources: pd.DataFrame,
) -> pd.DataFrame:
    """Return a row for each kind that a column yields, and for each other column that is read."""
    found = engine.query(VALUES)
    found = found.set_column(
        found.column_names.index("most_shared"),
        "most_shared",
        shorten(found.column("most_shared"), 40),
    )
    values = {(row["source"], kinds[row["kind"]]): row for row in found.to_pylist()}
    rows: list[dict[str, Any]] = []
    for i, reading in enumerate(readings):
        n_used = int(sources.loc[i, "n_used"])  # type: ignore[arg-type]
        for column, kind in _list_meanings(reading, [k for j, k in values if j == i]):
            row = values.get((i, kind), {}) if kind else {}
            n = _count_prompts(engine, reading) if column == _get_prompt(reading) else row.get("n")
            is_kind = kind in kinds
            counts_rows = not reading.is_long and (is_kind or n is not None)
            rows.append(
                {
                    "table": reading.source.table,
                    "source": reading.source.label,
                    "column": column,
                    "meaning": kind,
                    "family": config.get_kind(kind).family if is_kind else "",
                    "n_values": row.get("n_values", 0 if is_kind else None),
                    "share_empty": 1 - (n or 0) / n_used if counts_rows and n_used else None,
                    "most_shared": row.get("most_shared"),
                    "most_accounts": row.get("most_accounts"),
                }
            )
    frame = pd.DataFrame(rows)
    return frame.astype({"n_values": "Int64", "most_accounts": "Int64", "share_empty": "Float64"})


def _list_meanings(reading: Reading, found: list[str]) -> list[tuple[str, str]]:
    """Return what each column that is read means: a kind, or what it is besides."""
    names = reading.source.columns.found
    contract = INPUTS[reading.source.table]
    if reading.is_long:
        meanings = [(names["value"], kind) for kind in found]
    else:
        meanings = [
            (column, derived)
            for column, kind in reading.slots
            for derived in (kind, *DERIVED_KINDS.get(kind, ()))
        ]
    identifying = {column for column, _ in meanings}
    others = [
        (names[column.name], _name_role(column.name, column.type))
        for column in contract.columns
        if column.name in names and names[column.name] not in identifying
    ]
    return [*others, *meanings]


def _name_role(name: str, kind: str) -> str:
    roles = {
        "account_id": "the account",
        "kind": "the kind of the value",
        "prompt": "text, turned into prompt templates",
    }
    types = {"timestamp": "a time", "count": "a count", "text": "an attribute"}
    return roles.get(name, types[kind])


def _get_prompt(reading: Reading) -> str | None:
    return reading.source.columns.found.get("prompt")


def _count_prompts(engine: Engine, reading: Reading) -> int:
    sql = PROMPTS.format(parsed=reading.get_parsed_sql(), good=reading.get_good_sql())
    return int(engine.query(sql, source=reading.source.label).column("n")[0].as_py())


def _list_ignored(readings: list[Reading]) -> pd.DataFrame:
    rows = [
        (reading.source.table, reading.source.label, column)
        for reading in readings
        for column in reading.source.columns.ignored
    ]
    return pd.DataFrame(rows, columns=["table", "source", "column"])


def _count_reasons(readings: list[Reading], refused: list[Refused]) -> pd.DataFrame:
    """Count refusals by reason, with one row of each to look at."""
    frames = []
    for reading, found in zip(readings, refused, strict=True):
        frame = found.reasons.to_pandas()
        frame["table"], frame["source"] = reading.source.table, reading.source.label
        frames.append(frame.sort_values("example_row", kind="stable"))
    counted: pd.DataFrame = (
        pd.concat(frames)
        .groupby(["table", "source", "column", "reason"], dropna=False, sort=False)
        .agg(n=("n", "sum"), example_row=("example_row", "first"), example=("example", "first"))
        .reset_index()
    )
    order = ["n", "table", "source", "column", "reason"]
    return counted.sort_values(order, ascending=[False, *[True] * 4], ignore_index=True)
