"""Prompt fingerprints, of which nearly all are held by one account alone: counted, not kept.

What one account holds alone ties it to nobody; the null needs to know no more than how many of
them each account has. There may be as many as there are prompts, so they must not stand in memory
as texts, nor be grouped as such: keys of 64 bits tell which fingerprints have one account, and
only the texts of the others are read, in a second scan.

Rows are dealt into piles by their keys as they come, and each pile is sorted by itself: a hash
table of all keys would miss every cache there is, three times a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.edges import sort_keys
from linkage.groups import (
    FINGERPRINTS,
    NOTHING,
    find_fingerprints,
    group_odd_fingerprints,
    insert,
    is_scanned_once,
    list_slots,
)
from linkage.kernels import compile_kernel
from linkage.scans import UNKNOWN_TIME, Accounts, Agreeing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkage.config import Config
    from linkage.engine import Engine
    from linkage.readings import Reading

__all__ = [
    "ALONE",
    "UNKNOWN_TIME",
    "Fingerprints",
    "Held",
    "count_fingerprints",
    "hold_fingerprints",
]

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]
Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]
# Place of the fingerprint, number of the account, rows, first and last time.
Rows = tuple[Any, ...]

ALONE: Final = pa.schema(
    [
        ("account", pa.int32()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
        ("n", pa.int64()),
        ("count", pa.int64()),
    ]
)

BATCH_ROWS: Final = 262_144
# A row takes 20 bytes until it is counted. Where there are more of them than this, they are read in
# several parts, each of them some of the piles.
MAX_ROWS: Final = 1 << 26
PILES: Final = 1024  # by the upper 10 bits of the key; one of them fits into a core's own cache
FEW: Final = 16  # rows of one fingerprint that are sorted where they stand

TIME: Final = pa.timestamp("us")

SCAN: Final = """
WITH parsed AS ({parsed})
SELECT account AS name, hash(account) AS account, hash({value}) AS key, {value} AS value,
    epoch_us({first}) AS seen {others}
FROM parsed
WHERE {good} {further}
"""
PRINTED: Final = "AND {value} <> ''"

GET_NOTHING: Final = f"SELECT {NOTHING} AS key"

# Of whatever row: a key that is kept has its text.
SCAN_TEXTS: Final = """
WITH parsed AS ({parsed})
SELECT hash({value}) AS key, {value} AS value
FROM parsed
WHERE {value} <> ''
"""

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

CODES: Final = "SELECT key, code FROM account_codes"

MAKE_TEXTS: Final = "CREATE TABLE kept_texts (key UBIGINT, value VARCHAR)"

# What is plain is spelt as it came.
MEAN_ITSELF: Final = """
INSERT INTO meanings
SELECT {prompt}, key, {prompt}, value
FROM kept_texts
WHERE NOT EXISTS (
    SELECT 1 FROM meanings AS known
    WHERE known.raw_kind = {prompt} AND known.raw_key = kept_texts.key
)
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
    accounts : Accounts
        Of these sources.
    names : list of pyarrow.Array
        Texts of the accounts, by number; of two with one key the one that was met first.
    piles : list of (keys, numbers of accounts, times, where each pile begins)
        Rows of the first part, a batch each.
    n_parts : int
    """

    slots: dict[int, int]
    accounts: Accounts
    names: list[pa.Array]
    piles: list[tuple[Keys, Ints, Counts, Counts]]
    n_parts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Who was seen with which fingerprint, of those that are kept.

    Attributes
    ----------
    keys : array of uint64
        Of the fingerprints, sorted.
    account : array of int32
        Codes of accounts, a row an account and a fingerprint of a source.
    place : array of int32
        The fingerprint's place in ``keys``.
    n, first_seen, last_seen : array of int64
        Rows of the source; microseconds since 1970, `UNKNOWN_TIME` where none is given.
    """

    keys: Keys
    account: Ints
    place: Ints
    n: Counts
    first_seen: Counts
    last_seen: Counts


def count_fingerprints(
    engine: Engine, readings: list[Reading], kinds: list[str], config: Config
) -> Fingerprints | None:
    """Read which account has which fingerprint.

    Fingerprints that are not their own spelling are appended to `raw` and `texts` instead. The
    other columns are grouped on the way where they can be, and appended to `raw`, and the accounts
    to `account_rows`.

    Parameters
    ----------
    engine : Engine
        Holds the tables of the stage.
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
    found = Fingerprints(
        slots=slots,
        accounts=Accounts(),
        names=[],
        piles=[],
        n_parts=min(-(-n_rows // MAX_ROWS), PILES),
    )
    for i in slots:
        agreeing = None
        if is_scanned_once(readings[i]):
            agreeing = Agreeing(len(list_slots(readings[i])))
        n_odd = _deal(engine, readings, found, i, 0, config, agreeing)
        if agreeing is not None:
            _keep_groups(engine, readings, i, kinds, agreeing, found)
        if n_odd:
            group_odd_fingerprints(engine, i, readings[i], kinds, config)
    return found


def hold_fingerprints(
    engine: Engine,
    readings: list[Reading],
    kinds: list[str],
    config: Config,
    found: Fingerprints | None,
) -> tuple[pa.Table, Held | None]:
    """Read the prompt fingerprints that may be shared, and append them to `meanings`.

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
    alone : pyarrow.Table
        `ALONE`: of each account, how many fingerprints were left out that it alone holds, and how
        often they were seen; sorted.
    held : Held or None
        None where there are none.
    """
    if found is None:
        return ALONE.empty_table(), None
    prompt = kinds.index(FINGERPRINTS)
    known = engine.query(KNOWN_KEYS.format(prompt=prompt)).column("key").to_numpy().copy()
    counts = np.zeros((found.accounts.n, 2), np.int64)  # fingerprints, and rows
    kept: list[tuple[Keys, Rows]] = []
    least = None
    known.sort()
    for part in range(found.n_parts):
        for i in found.slots if part else ():
            _deal(engine, readings, found, i, part, config)
        shared, lowest = _count_piles(found, known, counts)
        kept.append(shared)
        least = min(filter(None, (least, lowest)), default=None)
    if not sum(len(keys) for keys, _ in kept) and least is not None:
        # A kind of which nothing is shared is still a kind of the run: one value stands for it.
        key, number, *seen = least
        row = (np.array([column]) for column in (np.int32(0), np.int32(number), *seen))
        kept.append((np.array([key], np.uint64), tuple(row)))
        counts[number] -= 1, seen[0]
    held = _gather_kept(engine, found, kept)
    if held is not None:
        _read_texts(engine, readings, prompt, found, held.keys)
    alone = pa.table(
        {"key": found.accounts.keys[: found.accounts.n], "n": counts[:, 0], "count": counts[:, 1]}
    )
    engine.register("alone", alone.filter(pa.array(counts[:, 0] > 0)))
    table = engine.query(SUM_ALONE)
    engine.unregister("alone")
    kind = pa.array([FINGERPRINTS] * len(table), pa.string())
    return table.add_column(1, "kind", kind).cast(ALONE), held


def _deal(
    engine: Engine,
    readings: list[Reading],
    found: Fingerprints,
    i: int,
    part: int,
    config: Config,
    agreeing: Agreeing | None = None,
) -> int:
    """Deal the plain fingerprints of a part of a source into piles; return how many are others.

    Where ``agreeing`` is given, the other columns are counted as well, of all rows.
    """
    low, high = (PILES * (part + k) // found.n_parts for k in (0, 1))
    slots = [] if agreeing is None else list_slots(readings[i])
    others = "".join(f", hash(value_{slot}) AS value_{slot}" for slot in slots)
    n_odd = 0
    for batch in _scan(engine, readings, found, i, SCAN, others, is_whole=agreeing is not None):
        numbers, first = found.accounts.number(np.asarray(batch.column("account")))
        if len(first):
            found.names.append(batch.column("name").take(pa.array(first)))
        keys = np.asarray(batch.column("key"))
        seen = np.asarray(pc.fill_null(batch.column("seen"), UNKNOWN_TIME))
        if agreeing is not None:
            values = [np.asarray(batch.column(f"value_{slot}")) for slot in slots]
            agreeing.add(numbers, seen, values)
        offsets, data = _get_bytes(batch.column("value"))
        pile, starts = np.empty(len(keys), np.int16), np.zeros(PILES + 1, np.int64)
        n_odd += compile_kernel(_find_piles)(
            keys, offsets, data, config.limits.max_value_chars, low, high, pile, starts
        )
        n = starts[-1]
        dealt = np.empty(n, np.uint64), np.empty(n, np.int32), np.empty(n, np.int64)
        compile_kernel(_put_on_piles)(keys, numbers, seen, pile, starts.copy(), *dealt)
        found.piles.append((*dealt, starts))
    return n_odd


def _keep_groups(
    engine: Engine,
    readings: list[Reading],
    i: int,
    kinds: list[str],
    agreeing: Agreeing,
    found: Fingerprints,
) -> None:
    """Append what was counted of a source to `raw` and `account_rows`."""
    accounts = found.accounts
    if not accounts.n:  # no row could be used
        return
    rows = agreeing.sum_accounts(accounts.n)
    columns = [
        pa.array(np.full(len(rows.n), i, np.int32)),
        pa.concat_arrays(found.names).take(pa.array(rows.number)),
        pa.array(accounts.keys[rows.number]),
        pa.array(rows.n),
        pa.array(np.zeros(len(rows.n), np.int64)),
        _make_times(rows.first_seen),
        _make_times(rows.last_seen),
    ]
    insert(engine, "account_rows", columns)
    nothing = engine.query(GET_NOTHING).column("key")[0].as_py()
    for slot, counted in zip(
        list_slots(readings[i]), agreeing.sum_columns(accounts.n), strict=True
    ):
        kind = kinds.index(readings[i].slots[slot][1])
        columns = [
            pa.array(np.full(len(counted.n), i, np.int32)),
            pa.array(np.full(len(counted.n), kind, np.int32)),
            pa.array(accounts.keys[counted.number]),
            pa.array(counted.value),
            pa.array(counted.n),
            _make_times(counted.first_seen),
            _make_times(counted.last_seen),
        ]
        is_something = pa.array(counted.value != np.uint64(nothing))
        insert(engine, "raw", [column.filter(is_something) for column in columns])


def _make_times(times: Counts) -> pa.Array:
    """Return microseconds since 1970 as times, null where none is given."""
    return pa.array(times, mask=times == UNKNOWN_TIME).cast(TIME)


def _count_piles(
    found: Fingerprints,
    known: Keys,
    counts: np.ndarray[tuple[int, int], np.dtype[np.int64]],
) -> tuple[tuple[Keys, Rows], tuple[int, ...] | None]:
    """Take the piles away, and add up what one account holds alone, and what is kept.

    Parameters
    ----------
    found : Fingerprints
    known : array of uint64
        Sorted; keys that are kept whoever holds them.
    counts : array of int64, shape (accounts, 2)
        Fingerprints that are not kept, and their rows, are added here.

    Returns
    -------
    kept : tuple of (keys, rows)
        What is kept, in the order of keys.
    least : tuple of (key, number of its account, rows, first and last time), or None
        The least that is not kept.
    """
    least, n_keys, n_rows = None, 0, 0
    # Room for all. It takes memory as far as it is written to, and leaves no gaps as pieces would.
    room = sum(len(keys) for keys, *_ in found.piles)
    kept = np.empty(room, np.uint64)
    rows = tuple(np.empty(room, dtype) for dtype in (np.int32, np.int32, *[np.int64] * 3))
    for k in range(PILES):
        slices = [(*columns, *starts[k : k + 2]) for *columns, starts in found.piles]
        keys, numbers, seen = (
            np.concatenate([part[column][part[3] : part[4]] for part in slices])
            for column in range(3)
        )
        if not len(keys):
            continue
        first = np.zeros(5, np.int64)
        n_keys, n_rows = compile_kernel(_count_runs)(
            keys, numbers, seen, sort_keys(keys), known, counts, kept, n_keys, *rows, n_rows, first
        )
        row, *lowest = first.tolist()
        if least is None and lowest[1]:
            least = int(keys[row]), *lowest
    found.piles.clear()
    return (kept[:n_keys], tuple(column[:n_rows] for column in rows)), least


def _gather_kept(engine: Engine, found: Fingerprints, kept: list[tuple[Keys, Rows]]) -> Held | None:
    """Put the kept rows of all parts together; ``kept`` is used up. None where there are none."""
    keys, (place, number, n, first_seen, last_seen) = kept.pop(0)
    for more, rows in kept:
        place = np.concatenate([place, rows[0] + np.int32(len(keys))])
        keys = np.concatenate([keys, more])
        number, n, first_seen, last_seen = (
            np.concatenate(pair)
            for pair in zip((number, n, first_seen, last_seen), rows[1:], strict=True)
        )
    if not len(keys):
        return None
    codes = engine.query(CODES)
    code = np.full(found.accounts.n, -1, np.int32)
    known = found.accounts.find(codes.column("key").to_numpy())
    code[known[known >= 0]] = codes.column("code").to_numpy()[known >= 0]
    account = code[number]
    is_kept = slice(None) if (account >= 0).all() else account >= 0  # the others are refused
    return Held(
        keys=keys,
        account=account[is_kept],
        place=place[is_kept],
        n=n[is_kept],
        first_seen=first_seen[is_kept],
        last_seen=last_seen[is_kept],
    )


def _read_texts(
    engine: Engine, readings: list[Reading], prompt: int, found: Fingerprints, keys: Keys
) -> None:
    """Read the texts of fingerprints that are kept, and append them to `meanings`."""
    table, is_new = _make_table(len(keys)), np.ones(len(keys), bool)
    bits = np.zeros(len(table[0]) // 2, np.uint8)  # as many bits as four times the slots
    compile_kernel(_enter_keys)(keys, *table)
    compile_kernel(_set_bits)(keys, bits)
    engine.drop("kept_texts")
    engine.execute(MAKE_TEXTS)
    for i in found.slots:
        for batch in _scan(engine, readings, found, i, SCAN_TEXTS):
            hashes, is_first = np.asarray(batch.column("key")), np.zeros(batch.num_rows, bool)
            compile_kernel(_find_new)(hashes, bits, *table, is_new, is_first)
            if is_first.any():
                insert(engine, "kept_texts", batch.filter(pa.array(is_first)).columns)
    engine.execute(MEAN_ITSELF.format(prompt=prompt))
    engine.drop("kept_texts")


def _scan(
    engine: Engine,
    readings: list[Reading],
    found: Fingerprints,
    i: int,
    sql: str,
    others: str = "",
    *,
    is_whole: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Yield what a query asks of the rows of a source, of those that have a fingerprint or all."""
    reading, value = readings[i], f"value_{found.slots[i]}"
    said = sql.format(
        parsed=reading.get_parsed_sql(),
        good=reading.get_good_sql(),
        value=value,
        first=reading.first,
        others=others,
        further="" if is_whole else PRINTED.format(value=value),
    )
    return engine.stream(said, source=reading.source.label, batch_rows=BATCH_ROWS)


def _make_table(n: int) -> tuple[Keys, Ints]:
    """Return a hash table with room for n keys: the keys, and the place of each; -1 is free."""
    n_slots = 1 << max(int(np.ceil(np.log2(max(n, 1) * 1.5))), 4)
    return np.zeros(n_slots, np.uint64), np.full(n_slots, -1, np.int32)


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
# Each compiles by itself, so each spells probing out. The multiplier spreads what keys have in
# common (Knuth, The Art of Computer Programming 3, 6.4: the golden ratio).


def _enter_keys(found: Any, keys: Any, places: Any) -> None:
    """Enter distinct keys into a hash table, each with its place."""
    mask = np.uint64(len(keys) - 1)
    for i in range(len(found)):
        slot = ((found[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while places[slot] != -1:
            slot = (slot + np.uint64(1)) & mask
        keys[slot] = found[i]
        places[slot] = i


def _set_bits(found: Any, bits: Any) -> None:
    """Set a bit for each key, in a table that fits into a cache."""
    mask = np.uint64(len(bits) * 8 - 1)
    for i in range(len(found)):
        bit = found[i] & mask
        bits[bit >> np.uint64(3)] |= np.uint8(1) << np.uint8(bit & np.uint64(7))


def _find_piles(
    fingerprints: Any,
    offsets: Any,
    data: Any,
    most: int,
    low: int,
    high: int,
    pile: Any,
    starts: Any,
) -> int:
    """Find the pile of each plain fingerprint; -1 is no pile, as where there is no fingerprint.

    Where each pile begins is written as well. Returns how many fingerprints are not plain.
    """
    n_odd = 0
    for i in range(len(fingerprints)):
        pile[i] = -1
        if offsets[i + 1] == offsets[i]:
            continue
        plain = offsets[i + 1] - offsets[i] <= most
        for k in range(offsets[i], offsets[i + 1]):
            # Printable ASCII without a blank.
            plain &= (data[k] > 32) & (data[k] < 127)
        chosen = np.int16(fingerprints[i] >> np.uint64(54))
        if not plain:
            n_odd += 1
        elif chosen >= low and chosen < high:
            pile[i] = chosen
            starts[chosen + 1] += 1
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]
    return n_odd


def _put_on_piles(
    keys: Any,
    numbers: Any,
    seen: Any,
    pile: Any,
    ends: Any,
    dealt_keys: Any,
    dealt_numbers: Any,
    dealt_seen: Any,
) -> None:
    """Write rows pile by pile; ``ends`` begins as where each pile begins."""
    for i in range(len(keys)):
        if pile[i] >= 0:
            row = ends[pile[i]]
            ends[pile[i]] = row + 1
            dealt_keys[row] = keys[i]
            dealt_numbers[row] = numbers[i]
            dealt_seen[row] = seen[i]


def _count_runs(  # noqa: PLR0912 - one compiled loop
    keys: Any,
    numbers: Any,
    seen: Any,
    order: Any,
    known: Any,
    counts: Any,
    shared: Any,
    n_shared: int,
    of: Any,
    who: Any,
    n: Any,
    since: Any,
    until: Any,
    n_rows: int,
    first: Any,
) -> Any:
    """Count what one account alone holds, and append what is shared or known; both are sorted.

    What is appended are the keys, and their rows, added up by account: place of the key, account's
    number, rows, first and last time. Of the first key that is alone the row, the account's number,
    how many rows there are, and the first and last time come in ``first``. Returns how many keys
    and rows stand there now.
    """
    place, start = 0, 0
    while start < len(order):
        key, number = keys[order[start]], numbers[order[start]]
        is_alone, end = True, start + 1
        while end < len(order) and keys[order[end]] == key:
            is_alone &= numbers[order[end]] == number
            end += 1
        while place < len(known) and known[place] < key:
            place += 1
        is_kept = not is_alone or (place < len(known) and known[place] == key)
        if not is_kept:
            counts[number, 0] += 1
            counts[number, 1] += end - start
            if first[2] > 0:
                start = end
                continue
        rows = order[start:end]
        if not is_alone and end - start <= FEW:
            for k in range(1, len(rows)):
                row, p = rows[k], k
                while p > 0 and numbers[rows[p - 1]] > numbers[row]:
                    rows[p] = rows[p - 1]
                    p -= 1
                rows[p] = row
        elif not is_alone:
            rows = rows[np.argsort(numbers[rows])]
        begin = n_rows
        for row in rows:
            if n_rows > begin and who[n_rows - 1] == numbers[row]:
                n[n_rows - 1] += 1
                since[n_rows - 1] = min(since[n_rows - 1], seen[row])
                until[n_rows - 1] = max(until[n_rows - 1], seen[row])
            else:
                of[n_rows], who[n_rows], n[n_rows] = n_shared, numbers[row], 1
                since[n_rows] = until[n_rows] = seen[row]
                n_rows += 1
        if is_kept:
            shared[n_shared] = key
            n_shared += 1
        else:
            n_rows = begin
            first[0], first[1], first[2] = order[start], number, end - start
            first[3], first[4] = since[begin], until[begin]
        start = end
    return n_shared, n_rows


def _find_new(keys: Any, bits: Any, table: Any, places: Any, is_new: Any, is_first: Any) -> None:
    """Mark the rows whose key is kept and has not been met before."""
    bit_mask, mask = np.uint64(len(bits) * 8 - 1), np.uint64(len(table) - 1)
    for i in range(len(keys)):
        bit = keys[i] & bit_mask
        if not (bits[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
            continue
        slot = ((keys[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while places[slot] != -1 and table[slot] != keys[i]:
            slot = (slot + np.uint64(1)) & mask
        if places[slot] != -1 and is_new[places[slot]]:
            is_new[places[slot]] = False
            is_first[i] = True
