"""Prompt fingerprints, of which nearly all are held by one account alone: counted, not kept.

What one account holds alone ties it to nobody; the null needs to know no more than how many of
them each account has. There may be as many as there are prompts, so they must not stand in memory
as texts, nor be grouped as such: keys of 64 bits tell which fingerprints have one account, and
only the others are read as text in a second scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.groups import FINGERPRINTS, find_fingerprints, group_odd_fingerprints, insert
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkage.config import Config
    from linkage.engine import Engine
    from linkage.readings import Reading

__all__ = ["ALONE", "Fingerprints", "count_fingerprints", "hold_fingerprints"]

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]
Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]

ALONE: Final = pa.schema(
    [("account", pa.int32()), ("kind", pa.string()), ("n", pa.int64()), ("count", pa.int64())]
)

BATCH_ROWS: Final = 262_144
# A table of keys takes 12 bytes a slot. Rows that may need more slots are read in several parts,
# each of them the rows whose keys have the same remainder.
MAX_SLOTS: Final = 1 << 26
MAX_FILL: Final = 0.75

# What a slot's holder is when it is no account's number.
EMPTY: Final = -1
SHARED: Final = -2  # or known otherwise: kept
READ: Final = -3  # kept, and its text has been read

UNKNOWN_TIME: Final = np.iinfo(np.int64).min

LIST_ACCOUNTS: Final = "SELECT DISTINCT key FROM account_rows ORDER BY key"

SCAN: Final = """
WITH parsed AS ({parsed})
SELECT hash(account) AS account, hash({value}) AS key, {value} AS value{time}
FROM parsed
WHERE {good} AND {value} <> ''
"""
TIME: Final = ", epoch_us({first}) AS seen"

# A value that is spelt here or there in another way, or that another source brings, may be the
# same as one that is alone in these columns: it is kept.
KNOWN_KEYS: Final = """
SELECT DISTINCT hash(value) AS key
FROM (
    SELECT value FROM meanings WHERE kind = {prompt}
    UNION ALL
    SELECT value FROM holdings
) AS known
"""

MAKE_KEPT: Final = "CREATE TABLE kept_rows (account UBIGINT, key UBIGINT, seen BIGINT)"

GROUP_KEPT: Final = """
INSERT INTO raw
SELECT {source}, {prompt}, account, key, count(*),
    make_timestamp(min(CASE WHEN seen <> {unknown} THEN seen END)),
    make_timestamp(max(CASE WHEN seen <> {unknown} THEN seen END))
FROM kept_rows
GROUP BY account, key
"""

MAKE_TEXTS: Final = "CREATE TABLE kept_texts (key UBIGINT, value VARCHAR)"

# What is plain is spelt as it came.
MEAN_ITSELF: Final = """
INSERT INTO meanings
SELECT {prompt}, key, {prompt}, min(value)
FROM kept_texts
WHERE NOT EXISTS (
    SELECT 1 FROM meanings AS known
    WHERE known.raw_kind = {prompt} AND known.raw_key = kept_texts.key
)
GROUP BY key
"""

SUM_ALONE: Final = """
SELECT account_codes.code AS account, CAST(sum(alone.n) AS BIGINT) AS n,
    CAST(sum(alone.count) AS BIGINT) AS "count"
FROM alone
JOIN account_codes ON alone.key = account_codes.key
GROUP BY account_codes.code
ORDER BY account_codes.code
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """The plain fingerprints of the run's sources, by keys.

    Attributes
    ----------
    slots : dict of int -> int
        Sources with fingerprints, and the column that they stand in.
    accounts : array of uint64
        Keys of the accounts; an account's number here is its place.
    numbers : _Table
        Finds an account's number.
    holders : _Table
        Of the first part: by key its only account's number, or `SHARED`.
    n_rows : array of int64
        Rows of the first part, by account.
    n_parts : int
    """

    slots: dict[int, int]
    accounts: Keys
    numbers: _Table
    holders: _Table
    n_rows: Counts
    n_parts: int


@dataclass(frozen=True, slots=True)
class _Table:
    """A hash table, open addressing, linear probing; a slot whose holder is EMPTY is free."""

    keys: Keys
    holders: Ints


def count_fingerprints(
    engine: Engine, readings: list[Reading], kinds: list[str], config: Config
) -> Fingerprints | None:
    """Find out which account, if it is one alone, holds each fingerprint.

    Fingerprints that are not their own spelling are appended to `raw` and `texts` instead.

    Parameters
    ----------
    engine : Engine
        Holds the accounts of every source.
    readings : list of Reading
        The sources of the run.
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits.

    Returns
    -------
    Fingerprints or None
        None where no source has any.
    """
    slots = {i: slot for i, r in enumerate(readings) if (slot := find_fingerprints(r)) is not None}
    n_rows = sum(readings[i].source.n_rows for i in slots)
    if not n_rows:
        return None
    accounts = _to_numpy(engine.query(LIST_ACCOUNTS).column("key"))
    numbers = _make_table(len(accounts))
    compile_kernel(_number_keys)(accounts, numbers.keys, numbers.holders)
    n_parts = int(np.ceil(n_rows / (MAX_SLOTS * MAX_FILL)))
    found = Fingerprints(
        slots=slots,
        accounts=accounts,
        numbers=numbers,
        holders=_make_table(-(-n_rows // n_parts)),
        n_rows=np.zeros(len(accounts), np.int64),
        n_parts=n_parts,
    )
    for i in _fill(engine, readings, found, 0, config):
        group_odd_fingerprints(engine, i, readings[i], kinds, config)
    return found


def hold_fingerprints(
    engine: Engine,
    readings: list[Reading],
    kinds: list[str],
    config: Config,
    found: Fingerprints | None,
) -> pa.Table:
    """Append the prompt fingerprints that may be shared to `raw` and `meanings`.

    Parameters
    ----------
    engine : Engine
        Holds the groups of everything else, and codes of accounts.
    readings : list of Reading
        The sources of the run.
    kinds : list of str
        The kinds of the run.
    config : Config
        Its limits.
    found : Fingerprints or None
        From `count_fingerprints`; used up.

    Returns
    -------
    pyarrow.Table
        `ALONE`: of each account, how many fingerprints were left out that it alone holds, and how
        often they were seen; sorted.
    """
    if found is None:
        return ALONE.empty_table()
    known = _to_numpy(
        engine.query(KNOWN_KEYS.format(prompt=kinds.index(FINGERPRINTS))).column("key")
    )
    alone, least = _hold_parts(engine, readings, kinds, config, found, known)
    if least is not None:
        # A kind of which nothing is shared is still a kind of the run: one value stands for it.
        known = np.array([least], np.uint64)
        _clear(found)
        _fill(engine, readings, found, 0, config)
        alone, _ = _hold_parts(engine, readings, kinds, config, found, known)
    engine.register("alone", alone)
    table = engine.query(SUM_ALONE)
    engine.unregister("alone")
    kind = pa.array([FINGERPRINTS] * len(table), pa.string())
    return table.add_column(1, "kind", kind).cast(ALONE)


def _hold_parts(
    engine: Engine,
    readings: list[Reading],
    kinds: list[str],
    config: Config,
    found: Fingerprints,
    known: Keys,
) -> tuple[pa.Table, np.uint64 | None]:
    """Keep what is shared, part by part.

    Returns
    -------
    alone : pyarrow.Table
        key (of the account), n, count.
    least : uint64 or None
        The least key, where there are keys and none of them is kept.
    """
    n, count = np.zeros((2, len(found.accounts)), np.int64)
    least, is_any_kept = None, False
    for part in range(found.n_parts):
        if part:
            _clear(found)
            _fill(engine, readings, found, part, config)
        keys, holders = found.holders.keys, found.holders.holders
        compile_kernel(_mark_shared)(known, keys, holders)
        is_alone = holders >= 0
        if (holders == SHARED).any():
            is_any_kept = True
            _read_kept(engine, readings, kinds, found, part)
        elif is_alone.any():
            lowest = keys[is_alone].min()
            least = lowest if least is None else min(least, lowest)
        n += np.bincount(holders[is_alone], minlength=len(n))
        count += found.n_rows  # those that are kept were taken away
    has_any = pa.array(n > 0)
    alone = pa.table({"key": found.accounts, "n": n, "count": count}).filter(has_any)
    return alone, None if is_any_kept else least


def _read_kept(
    engine: Engine, readings: list[Reading], kinds: list[str], found: Fingerprints, part: int
) -> None:
    """Append what is kept of a part to `raw` and `meanings`."""
    prompt = kinds.index(FINGERPRINTS)
    engine.drop("kept_rows", "kept_texts")
    engine.execute(MAKE_TEXTS)
    table, numbers = found.holders, found.numbers
    for i in found.slots:
        engine.execute(MAKE_KEPT)
        for batch in _scan(engine, readings, found, i, with_time=True):
            account, key = (_to_numpy(batch.column(name)) for name in ("account", "key"))
            is_kept, is_new = np.zeros((2, len(key)), bool)
            compile_kernel(_choose_kept)(
                account, key, part, found.n_parts, numbers.keys, numbers.holders,
                table.keys, table.holders, found.n_rows, is_kept, is_new,
            )  # fmt: skip
            seen = pc.fill_null(batch.column("seen"), UNKNOWN_TIME)
            kept = pa.array(is_kept)
            columns = [batch.column("account"), batch.column("key"), seen]
            insert(engine, "kept_rows", [column.filter(kept) for column in columns])
            if is_new.any():
                texts = [batch.column("key"), batch.column("value")]
                insert(engine, "kept_texts", [column.filter(pa.array(is_new)) for column in texts])
        engine.execute(GROUP_KEPT.format(source=i, prompt=prompt, unknown=UNKNOWN_TIME))
        engine.drop("kept_rows")
    engine.execute(MEAN_ITSELF.format(prompt=prompt))
    engine.drop("kept_texts")


def _fill(
    engine: Engine, readings: list[Reading], found: Fingerprints, part: int, config: Config
) -> list[int]:
    """Enter the plain fingerprints of a part; return the sources that have others."""
    odd = []
    table, numbers = found.holders, found.numbers
    for i in found.slots:
        n_odd = 0
        for batch in _scan(engine, readings, found, i):
            account, key = (_to_numpy(batch.column(name)) for name in ("account", "key"))
            offsets, data = _get_bytes(batch.column("value"))
            n_odd += compile_kernel(_enter_holders)(
                account, key, offsets, data, config.limits.max_value_chars, part, found.n_parts,
                numbers.keys, numbers.holders, table.keys, table.holders, found.n_rows,
            )  # fmt: skip
        if n_odd:
            odd.append(i)
    return odd


def _scan(
    engine: Engine,
    readings: list[Reading],
    found: Fingerprints,
    i: int,
    *,
    with_time: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a source that have a fingerprint: keys, text, and time where asked."""
    reading = readings[i]
    sql = SCAN.format(
        parsed=reading.get_parsed_sql(),
        good=reading.get_good_sql(),
        value=f"value_{found.slots[i]}",
        time=TIME.format(first=reading.first) if with_time else "",
    )
    return engine.stream(sql, source=reading.source.label, batch_rows=BATCH_ROWS)


def _make_table(n: int) -> _Table:
    """Return a table with room for n keys."""
    n_slots = 1 << max(int(np.ceil(np.log2(max(n, 1) / MAX_FILL))), 4)
    return _Table(np.zeros(n_slots, np.uint64), np.full(n_slots, EMPTY, np.int32))


def _clear(found: Fingerprints) -> None:
    """Make room for the next part."""
    found.holders.holders.fill(EMPTY)
    found.n_rows.fill(0)


def _to_numpy(column: pa.Array | pa.ChunkedArray) -> Any:
    return column.to_numpy() if isinstance(column, pa.ChunkedArray) else np.asarray(column)


def _get_bytes(
    texts: pa.Array,
) -> tuple[Counts, np.ndarray[tuple[int], np.dtype[np.uint8]]]:
    """Return where each text begins and ends, and the bytes of all of them."""
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    start, n = texts.offset, len(texts) + 1
    return (
        np.frombuffer(offsets, np.int64)[start : start + n],
        np.frombuffer(data or b"", np.uint8),
    )


# --- kernels -----------------------------------------------------------------------------------
# Each compiles by itself, so each spells the probing out. The multiplier spreads what keys have in
# common (Knuth, The Art of Computer Programming 3, 6.4: the golden ratio).


def _number_keys(accounts: Any, keys: Any, holders: Any) -> None:
    """Enter distinct keys, each with its place."""
    mask = np.uint64(len(keys) - 1)
    for i in range(len(accounts)):
        slot = ((accounts[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while holders[slot] != -1:
            slot = (slot + np.uint64(1)) & mask
        keys[slot] = accounts[i]
        holders[slot] = i


def _enter_holders(
    accounts: Any,
    fingerprints: Any,
    offsets: Any,
    data: Any,
    most: int,
    part: int,
    n_parts: int,
    account_keys: Any,
    numbers: Any,
    keys: Any,
    holders: Any,
    n_rows: Any,
) -> int:
    """Enter the plain fingerprints of a part with their holders; return how many are not plain."""
    n_odd = 0
    account_mask = np.uint64(len(account_keys) - 1)
    mask = np.uint64(len(keys) - 1)
    for i in range(len(fingerprints)):
        plain = offsets[i + 1] - offsets[i] <= most
        for k in range(offsets[i], offsets[i + 1]):
            # Printable ASCII without a blank.
            plain &= (data[k] > 32) & (data[k] < 127)
        if not plain:
            n_odd += 1
            continue
        key = fingerprints[i]
        if n_parts > 1 and key % np.uint64(n_parts) != np.uint64(part):
            continue
        slot = ((accounts[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & account_mask
        while account_keys[slot] != accounts[i]:
            slot = (slot + np.uint64(1)) & account_mask
        number = numbers[slot]
        n_rows[number] += 1
        slot = ((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while holders[slot] != -1 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if holders[slot] == -1:
            keys[slot] = key
            holders[slot] = number
        elif holders[slot] != number:
            holders[slot] = -2
    return n_odd


def _mark_shared(known: Any, keys: Any, holders: Any) -> None:
    """Mark those of some keys that are there as shared."""
    mask = np.uint64(len(keys) - 1)
    for i in range(len(known)):
        slot = ((known[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while holders[slot] != -1 and keys[slot] != known[i]:
            slot = (slot + np.uint64(1)) & mask
        if holders[slot] != -1:
            holders[slot] = -2


def _choose_kept(
    accounts: Any,
    fingerprints: Any,
    part: int,
    n_parts: int,
    account_keys: Any,
    numbers: Any,
    keys: Any,
    holders: Any,
    n_rows: Any,
    is_kept: Any,
    is_new: Any,
) -> None:
    """Mark rows whose fingerprint is kept, and the first row of each."""
    account_mask = np.uint64(len(account_keys) - 1)
    mask = np.uint64(len(keys) - 1)
    for i in range(len(fingerprints)):
        key = fingerprints[i]
        if n_parts > 1 and key % np.uint64(n_parts) != np.uint64(part):
            continue
        slot = ((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while holders[slot] != -1 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if holders[slot] > -2:
            continue
        is_kept[i] = True
        if holders[slot] == -2:
            is_new[i] = True
            holders[slot] = -3
        slot = ((accounts[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & account_mask
        while account_keys[slot] != accounts[i]:
            slot = (slot + np.uint64(1)) & account_mask
        n_rows[numbers[slot]] -= 1
