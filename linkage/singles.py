"""Prompt fingerprints, of which nearly all are held by one account alone: counted, not kept.

What one account holds alone ties it to nobody; the null needs to know no more than how many of
them each account has. There may be as many as there are prompts, so they must not stand in memory
as texts, nor be grouped as such: keys of 64 bits tell which fingerprints have one account, and
only the others are read as text in a second scan.

Rows are dealt into piles by their keys as they come, and each pile is sorted by itself: a hash
table of all keys would miss every cache there is, three times a row.
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
# Fingerprint, account, rows, first and last time.
Rows = tuple[Ints, Ints, Counts, Counts, Counts]

ALONE: Final = pa.schema(
    [("account", pa.int32()), ("kind", pa.string()), ("n", pa.int64()), ("count", pa.int64())]
)

BATCH_ROWS: Final = 262_144
# A row takes 12 bytes until it is counted. Where there are more of them than this, they are read in
# several parts, each of them some of the piles.
MAX_ROWS: Final = 1 << 26
PILES: Final = 1024  # by the upper 10 bits of the key; one of them fits into a core's own cache
MAX_UNGROUPED: Final = 1 << 23  # rows of shared fingerprints, before they are added up

SLICES: Final = 8  # in which they are added up, so that there is no second copy of all

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

CODES: Final = "SELECT key, code FROM account_codes"

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
    numbers : tuple of array
        A hash table that finds an account's number.
    piles : list of (keys, numbers of accounts, where each pile begins)
        Rows of the first part, a batch each.
    n_parts : int
    """

    slots: dict[int, int]
    accounts: Keys
    numbers: tuple[Keys, Ints]
    piles: list[tuple[Keys, Ints, Counts]]
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
    accounts = engine.query(LIST_ACCOUNTS).column("key").to_numpy()
    numbers = _make_table(len(accounts))
    compile_kernel(_enter_keys)(accounts, *numbers)
    found = Fingerprints(
        slots=slots,
        accounts=accounts,
        numbers=numbers,
        piles=[],
        n_parts=min(-(-n_rows // MAX_ROWS), PILES),
    )
    for i in _deal(engine, readings, found, 0, config):
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
    counts = np.zeros((len(found.accounts), 2), np.int64)  # fingerprints, and rows
    kept, least = [], None
    known.sort()
    for part in range(found.n_parts):
        if part:
            _deal(engine, readings, found, part, config)
        shared, lowest = _count_piles(found, known, counts)
        kept.append(shared)
        least = min(filter(None, (least, lowest)), default=None)
    keys = np.concatenate(kept)
    if not len(keys) and least is not None:
        # A kind of which nothing is shared is still a kind of the run: one value stands for it.
        key, number, n_rows = least
        keys = np.array([key], np.uint64)
        counts[number] -= 1, n_rows
    held = _read_kept(engine, readings, prompt, found, keys) if len(keys) else None
    alone = pa.table({"key": found.accounts, "n": counts[:, 0], "count": counts[:, 1]})
    engine.register("alone", alone.filter(pa.array(counts[:, 0] > 0)))
    table = engine.query(SUM_ALONE)
    engine.unregister("alone")
    kind = pa.array([FINGERPRINTS] * len(table), pa.string())
    return table.add_column(1, "kind", kind).cast(ALONE), held


def _deal(
    engine: Engine, readings: list[Reading], found: Fingerprints, part: int, config: Config
) -> list[int]:
    """Deal the plain fingerprints of a part into piles; return the sources that have others."""
    low, high = (PILES * (part + k) // found.n_parts for k in (0, 1))
    odd = []
    for i in found.slots:
        n_odd = 0
        for batch in _scan(engine, readings, found, i):
            accounts, keys = _get_keys(batch)
            offsets, data = _get_bytes(batch.column("value"))
            numbers, pile = np.empty(len(keys), np.int32), np.empty(len(keys), np.int16)
            starts = np.zeros(PILES + 1, np.int64)
            n_odd += compile_kernel(_find_piles)(
                accounts, keys, offsets, data, config.limits.max_value_chars, low, high,
                *found.numbers, numbers, pile, starts,
            )  # fmt: skip
            dealt = np.empty(starts[-1], np.uint64), np.empty(starts[-1], np.int32)
            compile_kernel(_put_on_piles)(keys, numbers, pile, starts.copy(), *dealt)
            found.piles.append((*dealt, starts))
        if n_odd:
            odd.append(i)
    return odd


def _count_piles(
    found: Fingerprints, known: Keys, counts: np.ndarray[tuple[int, int], np.dtype[np.int64]]
) -> tuple[Keys, tuple[int, int, int] | None]:
    """Take the piles away, and add up what one account holds alone.

    Parameters
    ----------
    found : Fingerprints
    known : array of uint64
        Sorted; keys that are kept whoever holds them.
    counts : array of int64, shape (accounts, 2)
        Fingerprints that are not kept, and their rows, are added here.

    Returns
    -------
    keys : array of uint64
        What is kept.
    least : tuple of (key, number of its account, rows), or None
        The least that is not kept.
    """
    kept, least = [], None
    for k in range(PILES):
        slices = [(keys, numbers, *starts[k : k + 2]) for keys, numbers, starts in found.piles]
        keys = np.concatenate([keys[start:end] for keys, _, start, end in slices])
        numbers = np.concatenate([numbers[start:end] for _, numbers, start, end in slices])
        if not len(keys):
            continue
        shared, first = np.empty(len(keys), np.uint64), np.zeros(3, np.int64)
        n_shared = compile_kernel(_count_runs)(
            keys, numbers, np.argsort(keys), known, counts, shared, first
        )
        kept.append(shared[:n_shared].copy())
        row, number, n_rows = first.tolist()
        if least is None and n_rows:
            least = int(keys[row]), number, n_rows
    found.piles.clear()
    return np.concatenate([np.empty(0, np.uint64), *kept]), least


def _read_kept(
    engine: Engine, readings: list[Reading], prompt: int, found: Fingerprints, keys: Keys
) -> Held:
    """Read who was seen with fingerprints that are kept; append these to `meanings`."""
    table, is_new = _make_table(len(keys)), np.ones(len(keys), bool)
    bits = np.zeros(len(table[0]) // 2, np.uint8)  # as many bits as four times the slots
    compile_kernel(_enter_keys)(keys, *table)
    compile_kernel(_set_bits)(keys, bits)
    engine.drop("kept_texts")
    engine.execute(MAKE_TEXTS)
    groups = _Groups(len(keys))
    for i in found.slots:
        for batch in _scan(engine, readings, found, i, with_time=True):
            accounts, hashes = _get_keys(batch)
            place, number = np.empty((2, len(hashes)), np.int32)
            row = np.empty(len(hashes), np.int64)
            is_first = np.zeros(len(hashes), bool)
            n = compile_kernel(_find_kept)(
                accounts, hashes, bits, *table, *found.numbers, is_new, row, place, number, is_first
            )
            seen = np.asarray(pc.fill_null(batch.column("seen"), UNKNOWN_TIME))
            groups.add(place[:n].copy(), number[:n].copy(), seen[row[:n]])
            if is_first.any():
                first = pa.array(is_first)
                texts = [batch.column(name).filter(first) for name in ("key", "value")]
                insert(engine, "kept_texts", texts)
    engine.execute(MEAN_ITSELF.format(prompt=prompt))
    engine.drop("kept_texts")
    place, number, n_rows, first_seen, last_seen = groups.finish()
    codes = engine.query(CODES)
    code = np.full(len(found.accounts), -1, np.int32)
    of = np.searchsorted(found.accounts, codes.column("key").to_numpy())
    code[of] = codes.column("code").to_numpy()
    account = code[number]
    kept = slice(None) if (account >= 0).all() else account >= 0  # the others are refused
    return Held(
        keys=keys,
        account=account[kept],
        place=place[kept],
        n=n_rows[kept],
        first_seen=first_seen[kept],
        last_seen=last_seen[kept],
    )


class _Groups:
    """Adds up rows by fingerprint and account as they come."""

    def __init__(self, n_fingerprints: int) -> None:
        self.n_fingerprints = n_fingerprints
        self.rows: list[tuple[Ints, Ints, Counts]] = []  # place, number of the account, time
        self.n_rows = 0
        none, nobody = np.empty(0, np.int64), np.empty(0, np.int32)
        self.groups: Rows = nobody, nobody, none, none, none

    def add(self, place: Ints, number: Ints, seen: Counts) -> None:
        """Add rows."""
        self.rows.append((place, number, seen))
        self.n_rows += len(place)
        # As many as there are groups, or all would be sorted again and again.
        if self.n_rows > max(MAX_UNGROUPED, len(self.groups[0])):
            self.group()

    def group(self) -> None:
        """Make one row of those of one fingerprint and account."""
        parts: list[tuple[Any, ...]] = [self.groups]
        parts += [(place, who, None, at, at) for place, who, at in self.rows]
        found: list[Rows] = []
        for k in range(SLICES):
            low, high = (self.n_fingerprints * end // SLICES for end in (k, k + 1))
            inside = [(place >= low) & (place < high) for place, *_ in parts]
            place, number, n, first, last = (
                np.concatenate(
                    [
                        np.ones(np.count_nonzero(rows), np.int64)
                        if part[column] is None
                        else part[column][rows]
                        for part, rows in zip(parts, inside, strict=True)
                    ]
                )
                for column in range(5)
            )
            kept = compile_kernel(_add_up)(place - low, number, n, first, last, high - low)
            found.append((place[kept], number[kept], n[kept], first[kept], last[kept]))
        places, numbers, *counts = zip(*found, strict=True)
        n_rows, first_seen, last_seen = (np.concatenate(column) for column in counts)
        self.groups = (
            np.concatenate(places),
            np.concatenate(numbers),
            n_rows,
            first_seen,
            last_seen,
        )
        self.rows, self.n_rows = [], 0

    def finish(self) -> Rows:
        """Return fingerprint, account, rows, first and last time; sorted by the first two."""
        self.group()
        return self.groups


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


def _make_table(n: int) -> tuple[Keys, Ints]:
    """Return a hash table with room for n keys: the keys, and the place of each; -1 is free."""
    n_slots = 1 << max(int(np.ceil(np.log2(max(n, 1) * 1.5))), 4)
    return np.zeros(n_slots, np.uint64), np.full(n_slots, -1, np.int32)


def _get_keys(batch: pa.RecordBatch) -> tuple[Keys, Keys]:
    return np.asarray(batch.column("account")), np.asarray(batch.column("key"))


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
    accounts: Any,
    fingerprints: Any,
    offsets: Any,
    data: Any,
    most: int,
    low: int,
    high: int,
    account_keys: Any,
    account_numbers: Any,
    numbers: Any,
    pile: Any,
    starts: Any,
) -> int:
    """Find the account's number and the pile of each plain fingerprint; -1 is no pile.

    Where each pile begins is written as well. Returns how many fingerprints are not plain.
    """
    n_odd = 0
    mask = np.uint64(len(account_keys) - 1)
    for i in range(len(fingerprints)):
        plain = offsets[i + 1] - offsets[i] <= most
        for k in range(offsets[i], offsets[i + 1]):
            # Printable ASCII without a blank.
            plain &= (data[k] > 32) & (data[k] < 127)
        if not plain:
            n_odd += 1
        chosen = np.int16(fingerprints[i] >> np.uint64(54))
        if not plain or chosen < low or chosen >= high:
            pile[i] = -1
            continue
        slot = ((accounts[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while account_keys[slot] != accounts[i]:
            slot = (slot + np.uint64(1)) & mask
        numbers[i] = account_numbers[slot]
        pile[i] = chosen
        starts[chosen + 1] += 1
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]
    return n_odd


def _put_on_piles(
    keys: Any, numbers: Any, pile: Any, ends: Any, dealt_keys: Any, dealt_numbers: Any
) -> None:
    """Write rows pile by pile; ``ends`` begins as where each pile begins."""
    for i in range(len(keys)):
        if pile[i] >= 0:
            row = ends[pile[i]]
            ends[pile[i]] = row + 1
            dealt_keys[row] = keys[i]
            dealt_numbers[row] = numbers[i]


def _count_runs(
    keys: Any, numbers: Any, order: Any, known: Any, counts: Any, shared: Any, first: Any
) -> int:
    """Count what one account alone holds, and write what is shared or known; both are sorted.

    Of the first key that is alone the row, the account's number and how many rows there are come
    in ``first``. Returns how many keys are shared or known.
    """
    n_shared, place, start = 0, 0, 0
    while start < len(order):
        key, number = keys[order[start]], numbers[order[start]]
        is_alone, end = True, start + 1
        while end < len(order) and keys[order[end]] == key:
            is_alone &= numbers[order[end]] == number
            end += 1
        while place < len(known) and known[place] < key:
            place += 1
        if is_alone and not (place < len(known) and known[place] == key):
            counts[number, 0] += 1
            counts[number, 1] += end - start
            if first[2] == 0:
                first[0], first[1], first[2] = order[start], number, end - start
        else:
            shared[n_shared] = key
            n_shared += 1
        start = end
    return n_shared


def _add_up(place: Any, number: Any, n: Any, first: Any, last: Any, n_places: int) -> Any:
    """Add up rows of one place and number into the first of them; return these, sorted by both."""
    starts = np.zeros(n_places + 1, np.int64)
    for row in range(len(place)):
        starts[place[row] + 1] += 1
    starts = np.cumsum(starts)
    filled, order = starts[:-1].copy(), np.empty(len(place), np.int64)
    for row in range(len(place)):
        order[filled[place[row]]] = row
        filled[place[row]] += 1
    kept, n_kept = np.empty(len(place), np.int64), 0
    for k in range(n_places):
        rows = order[starts[k] : starts[k + 1]]
        rows = rows[np.argsort(number[rows])]
        for p in range(len(rows)):
            row = rows[p]
            if p and number[row] == number[kept[n_kept - 1]]:
                into = kept[n_kept - 1]
                n[into] += n[row]
                first[into] = min(first[into], first[row])
                last[into] = max(last[into], last[row])
            else:
                kept[n_kept] = row
                n_kept += 1
    return kept[:n_kept]


def _find_kept(
    accounts: Any,
    fingerprints: Any,
    bits: Any,
    keys: Any,
    places: Any,
    account_keys: Any,
    account_numbers: Any,
    is_new: Any,
    row: Any,
    place: Any,
    number: Any,
    is_first: Any,
) -> int:
    """Write the rows of kept fingerprints one after the other; return how many there are."""
    n = 0
    bit_mask = np.uint64(len(bits) * 8 - 1)
    mask = np.uint64(len(keys) - 1)
    account_mask = np.uint64(len(account_keys) - 1)
    for i in range(len(fingerprints)):
        key = fingerprints[i]
        bit = key & bit_mask
        if not (bits[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
            continue
        slot = ((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while places[slot] != -1 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if places[slot] == -1:
            continue
        if is_new[places[slot]]:
            is_new[places[slot]] = False
            is_first[i] = True
        row[n] = i
        place[n] = places[slot]
        slot = ((accounts[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & account_mask
        while account_keys[slot] != accounts[i]:
            slot = (slot + np.uint64(1)) & account_mask
        number[n] = account_numbers[slot]
        n += 1
    return n
