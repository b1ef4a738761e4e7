"""How the columns of a source are read as text, time and count, in SQL, and what is refused.

A reading is SQL over one source: its columns parsed under fixed names, the rules that a row must
keep to be used at all, and the rules for single cells that are left out without their row.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from linkage.config import Config, Limits
from linkage.engine import FILE_COLUMN, ROW_COLUMN, quote_name
from linkage.schema import INPUTS
from linkage.sources import Source, is_binary, is_number, is_text, unwrap_type

__all__ = ["Reading", "Rule", "read_count", "read_source", "read_text", "read_time"]

PARSE: Final = "SELECT {columns} FROM {relation}"

MAX_COUNT: Final = 10**12  # so that a sum of counts cannot overflow 64 bits

# 12345.0, which pandas makes of an integer column with gaps, means 12345.
FLOAT_AS_TEXT: Final = """CASE
    WHEN isnan({c}) THEN NULL
    WHEN {c} = trunc({c}) AND abs({c}) < 9007199254740992
    THEN CAST(CAST({c} AS BIGINT) AS VARCHAR)
    ELSE CAST({c} AS VARCHAR)
END"""

# Seconds, milliseconds, microseconds or nanoseconds since 1970: for years from 1973 to 5138 their
# magnitudes do not meet.
EPOCH_AS_TIME: Final = """make_timestamp(CASE
    WHEN abs({n}) < 100000000000 THEN TRY_CAST({n} * 1000000 AS BIGINT)
    WHEN abs({n}) < 100000000000000 THEN TRY_CAST({n} * 1000 AS BIGINT)
    WHEN abs({n}) < 100000000000000000 THEN TRY_CAST({n} AS BIGINT)
    WHEN abs({n}) < 8000000000000000000 THEN TRY_CAST(floor({n} / 1000) AS BIGINT)
END)"""

# A cast to TIMESTAMP would drop the offset in silence; the one to TIMESTAMPTZ honours it, and
# reads a text without one as UTC.
TEXT_AS_TIME: Final = """CASE
    WHEN TRY_CAST({c} AS TIMESTAMPTZ) IS NOT NULL
    THEN TRY_CAST(TRY_CAST({c} AS TIMESTAMPTZ) AS TIMESTAMP)
    ELSE {epoch}
END"""

TEXT_AS_COUNT: Final = """CASE
    WHEN {c} IS NULL OR trim(CAST({c} AS VARCHAR)) = '' THEN 1
    WHEN TRY_CAST({c} AS DOUBLE) = floor(TRY_CAST({c} AS DOUBLE))
        AND TRY_CAST({c} AS DOUBLE) BETWEEN 1 AND {most}
    THEN TRY_CAST(TRY_CAST({c} AS DOUBLE) AS BIGINT)
END"""


def read_text(column: str, found: pa.DataType) -> str:
    """Return SQL that reads a column as text, whatever scalar type it has.

    Parameters
    ----------
    column : str
        The column.
    found : pyarrow.DataType
        Its type.

    Returns
    -------
    str
        An SQL expression; null where the column is null, or bytes that are not UTF-8.

    Examples
    --------
    >>> read_text("id", pa.string())
    '"id"'
    >>> read_text("id", pa.int64())
    'CAST("id" AS VARCHAR)'
    """
    name, found = quote_name(column), unwrap_type(found)
    if is_text(found) and not pa.types.is_null(found):
        return name
    if is_binary(found):
        return f"TRY(decode({name}))"
    if pa.types.is_floating(found):
        return FLOAT_AS_TEXT.format(c=name)
    return f"CAST({name} AS VARCHAR)"


def read_time(column: str, found: pa.DataType) -> str:
    """Return SQL that reads a column as a point in time, UTC.

    Parameters
    ----------
    column : str
        The column.
    found : pyarrow.DataType
        Its type: a timestamp (without a zone: UTC), a date, ISO 8601 text, or a number of
        seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by magnitude.

    Returns
    -------
    str
        An SQL expression, TIMESTAMP or TIMESTAMPTZ; null where there is no time to read. What is
        a time already is left alone: casts of single rows cost as much as their grouping.
    """
    name, found = quote_name(column), unwrap_type(found)
    if is_text(found):
        epoch = EPOCH_AS_TIME.format(n=f"TRY_CAST({name} AS DOUBLE)")
        return TEXT_AS_TIME.format(c=name, epoch=epoch)
    if pa.types.is_integer(found):
        return EPOCH_AS_TIME.format(n=f"CAST({name} AS DECIMAL(38, 0))")
    if is_number(found):
        return EPOCH_AS_TIME.format(n=f"CAST({name} AS DOUBLE)")
    if pa.types.is_timestamp(found) and found.unit == "us":
        return name
    if pa.types.is_timestamp(found) and found.tz is not None:
        return f"TRY_CAST({name} AS TIMESTAMPTZ)"
    return f"TRY_CAST({name} AS TIMESTAMP)"


def read_count(column: str | None) -> str:
    """Return SQL that reads a column as a count of 1 or more.

    Parameters
    ----------
    column : str or None
        The column; None where there is none, which counts each row once.

    Returns
    -------
    str
        An SQL expression: 1 where the column is null, null where it is no count.
    """
    return "1" if column is None else TEXT_AS_COUNT.format(c=quote_name(column), most=MAX_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a row, or one cell of it, can be used, and what is said where it cannot.

    Attributes
    ----------
    column : str
        The column of the source that is to blame.
    good : str
        SQL over the parsed row; anything but true refuses.
    reason : str
        SQL over the parsed row that gives a text.
    """

    column: str
    good: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one source is read.

    Attributes
    ----------
    parsed : tuple of (name, SQL over the relation)
        What a row holds, under names of our own: account, the contract's times and attributes,
        prompt, kind, count, and value_0, value_1 ... for columns of identifiers.
    slots : tuple of (column of the source, kind)
        What value_0, value_1 ... are; in the observations table the kind is empty, as rows bring
        their own.
    first, last : str
        SQL over the parsed row: the time span of an observation.
    row_rules : tuple of Rule
        All must hold, or the row is refused.
    cell_rules : tuple of Rule
        Where one fails, the cell is left out.
    attributes : tuple of (contract column, SQL over the parsed row)
        What is kept of an account, null where a cell is left out.
    """

    source: Source
    parsed: tuple[tuple[str, str], ...]
    slots: tuple[tuple[str, str], ...]
    first: str = "CAST(NULL AS TIMESTAMP)"
    last: str = "CAST(NULL AS TIMESTAMP)"
    row_rules: tuple[Rule, ...] = ()
    cell_rules: tuple[Rule, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def is_long(self) -> bool:
        """Whether rows bring their kind along."""
        return self.source.table == "observations"

    @property
    def account_column(self) -> str:
        """The column of the source that names the account."""
        return self.source.columns.found["account_id"]

    def get_parsed_sql(self, *, with_origin: bool = False) -> str:
        """Return the SELECT that parses rows, with their file and number where asked."""
        columns = [f"{sql} AS {name}" for name, sql in self.parsed]
        if with_origin:
            file = FILE_COLUMN if self.source.has_file_column else "CAST(NULL AS VARCHAR)"
            columns += [f"{file} AS origin_file", f"{ROW_COLUMN} AS origin_row"]
        return PARSE.format(columns=", ".join(columns), relation=quote_name(self.source.relation))

    def get_good_sql(self) -> str:
        """Return the condition under which a parsed row is used."""
        return " AND ".join(f"({rule.good})" for rule in self.row_rules) or "TRUE"

    def get_unprinted_sql(self) -> str:
        """Return the condition under which a parsed row has no prompt fingerprint."""
        column = self.source.columns.found.get("prompt_fingerprint")
        values = [f"value_{k}" for k, (name, _) in enumerate(self.slots) if name == column]
        return f"({values[0]} IS NULL OR trim({values[0]}) = '')" if values else "TRUE"


def read_source(source: Source, config: Config) -> Reading:
    """Decide how a source is read.

    Parameters
    ----------
    source : Source
        What was given.
    config : Config
        Its limits.

    Returns
    -------
    Reading
    """
    found, limits = source.columns.found, config.limits
    parsed = [("account", read_text(found["account_id"], source.types[found["account_id"]]))]
    parsed += [pair for name in _times(source) for pair in _parse_time(source, name)]
    parsed += [
        (name, read_text(found[name], source.types[found[name]]))
        for name in ("prompt", "kind", "country", "status")
        if name in found
    ]
    if source.table == "observations":
        slots: tuple[tuple[str, str], ...] = ((found["value"], ""),)
    else:
        slots = source.columns.kinds
    for i, (column, _) in enumerate(slots):
        parsed.append((f"value_{i}", read_text(column, source.types[column])))
    bytes_rules = _rule_bytes(source, parsed)
    if source.table == "observations":
        return _read_observations(source, parsed, slots, bytes_rules, limits)
    if source.table == "accounts":
        return _read_accounts(source, parsed, slots, bytes_rules, limits)
    return Reading(
        source=source,
        parsed=tuple(parsed),
        slots=slots,
        first="ts",
        last="ts",
        row_rules=(*bytes_rules, _rule_time(found["ts"], "ts", limits)),
    )


def _read_accounts(
    source: Source,
    parsed: list[tuple[str, str]],
    slots: tuple[tuple[str, str], ...],
    bytes_rules: list[Rule],
    limits: Limits,
) -> Reading:
    """Read the accounts table: attributes, and identifiers without a time."""
    found = source.columns.found
    rules = [_rule_optional_time(found[name], name, limits) for name in _times(source)]
    attributes = [(name, _when_good(name, limits)) for name in _times(source)]
    for name in ("country", "status"):
        if name in found:
            rules.append(_rule_length(found[name], name, limits))
            text = f"nullif(trim({name}), '')"
            attributes.append((name, f"CASE WHEN {rules[-1].good} THEN {text} END"))
    return Reading(
        source=source,
        parsed=tuple(parsed),
        slots=slots,
        row_rules=tuple(bytes_rules),
        cell_rules=tuple(rules),
        attributes=tuple(attributes),
    )


def _read_observations(
    source: Source,
    parsed: list[tuple[str, str]],
    slots: tuple[tuple[str, str], ...],
    bytes_rules: list[Rule],
    limits: Limits,
) -> Reading:
    """Read the observations table: one signal a row, seen at a time or over a span, or neither."""
    found = source.columns.found
    times = {name: _when_good(name, limits) for name in _times(source)}
    first = [times[name] for name in ("first_seen", "ts", "last_seen") if name in times]
    last = [times[name] for name in ("last_seen", "ts", "first_seen") if name in times]
    parsed.append(("n", read_count(found.get("count"))))
    rules = list(bytes_rules)
    if "count" in found:
        parsed.append(("n_text", f"CAST({quote_name(found['count'])} AS VARCHAR)"))
        wrong = f"{_show('n_text')} || ' is no count: a whole number from 1 to {MAX_COUNT:,}'"
        rules.append(Rule(column=found["count"], good="n IS NOT NULL", reason=wrong))
    reading = Reading(
        source=source,
        parsed=tuple(parsed),
        slots=slots,
        first=f"coalesce({', '.join([*first, 'CAST(NULL AS TIMESTAMP)'])})",
        last=f"coalesce({', '.join([*last, 'CAST(NULL AS TIMESTAMP)'])})",
        cell_rules=tuple(_rule_optional_time(found[name], name, limits) for name in times),
    )
    if times:
        rules.append(
            Rule(
                column=found[next(iter(times))],
                good=f"({reading.first} > {reading.last}) IS NOT TRUE",
                reason="'first seen after it was last seen'",
            )
        )
    return Reading(
        source=source,
        parsed=reading.parsed,
        slots=slots,
        first=reading.first,
        last=reading.last,
        row_rules=tuple(rules),
        cell_rules=reading.cell_rules,
    )


def _times(source: Source) -> list[str]:
    """Return the contract's time columns that a source has."""
    return [
        column.name
        for column in INPUTS[source.table].columns
        if column.type == "timestamp" and column.name in source.columns.found
    ]


def _parse_time(source: Source, name: str) -> list[tuple[str, str]]:
    column = source.columns.found[name]
    return [
        (name, read_time(column, source.types[column])),
        (f"{name}_text", f"CAST({quote_name(column)} AS VARCHAR)"),
    ]


def _is_in_limits(name: str, limits: Limits) -> str:
    """Return SQL that is true for times within the years that are believed."""
    low, high = (f"TIMESTAMP '{year:04d}-01-01'" for year in (limits.min_year, limits.max_year))
    return f"{name} >= {low} AND {name} < {high}"


def _when_good(name: str, limits: Limits) -> str:
    """Return SQL for a time that is null where it is not believed."""
    return f"CASE WHEN {_is_in_limits(name, limits)} THEN {name} END"


def _rule_time(column: str, name: str, limits: Limits) -> Rule:
    """Return the rule that a time is there, can be read and lies within the limits."""
    text, shown = f"{name}_text", _show(f"{name}_text")
    return Rule(
        column=column,
        good=_is_in_limits(name, limits),
        reason=f"""CASE
            WHEN {text} IS NULL OR trim({text}) = '' THEN 'the time is missing'
            WHEN {name} IS NULL THEN {shown} || ' is no time: write ISO 8601 such as '
                || '2026-05-01T12:00:00Z, or seconds since 1970'
            ELSE {shown} || ' lies outside the years {limits.min_year} to {limits.max_year - 1}'
        END""",
    )


def _rule_optional_time(column: str, name: str, limits: Limits) -> Rule:
    """Return the rule that a time can be read and lies within the limits where there is one."""
    rule, text = _rule_time(column, name, limits), f"{name}_text"
    good = f"({rule.good}) IS TRUE OR {text} IS NULL OR trim({text}) = ''"
    return Rule(column=column, good=good, reason=rule.reason)


def _rule_length(column: str, name: str, limits: Limits) -> Rule:
    """Return the rule that a text is not too long."""
    limit = limits.max_value_chars
    return Rule(
        column=column,
        good=f"({name} IS NULL OR length({name}) <= {limit})",
        reason=f"'the value is longer than {limit} characters'",
    )


def _rule_bytes(source: Source, parsed: list[tuple[str, str]]) -> list[Rule]:
    """Return rules that bytes must be UTF-8 text, for columns that hold bytes."""
    rules = []
    for i, column in enumerate(source.columns.used):
        if not is_binary(unwrap_type(source.types[column])):
            continue
        name = quote_name(column)
        parsed.append((f"is_text_{i}", f"{name} IS NULL OR TRY(decode({name})) IS NOT NULL"))
        rules.append(Rule(column=column, good=f"is_text_{i}", reason="'not UTF-8 text'"))
    return rules


def _show(sql: str) -> str:
    """Return SQL that quotes a text and cuts it, so that it can be shown."""
    # Control characters could steer the terminal on which the reason is read.
    text = f"regexp_replace(left({sql}, 61), '[[:cntrl:]]', '', 'g')"
    cut = f"CASE WHEN length({sql}) > 60 THEN left({text}, 60) || '…' ELSE {text} END"
    return f"('''' || {cut} || '''')"
