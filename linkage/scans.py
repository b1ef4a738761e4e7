"""Numbers accounts and counts the rows that agree, by keys, while a source is scanned once.

A client makes many requests from one address: rows that agree in every column but the prompt's are
counted first, and each column by itself of what is left. A row costs two look-ups, and each group
stands in one line of a processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["UNKNOWN_TIME", "Accounts", "Agreeing", "Counted"]

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]
Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]

UNKNOWN_TIME: Final = np.iinfo(np.int64).min
MIN_ROOM: Final = 1 << 16
WIDTH: Final = 4  # of a group in its table: hash, account's number and rows, first and last time
ROWS: Final = (1 << 32) - 1  # where the number of rows stands beside the account's
SLOTS_PER_ROOM: Final = 2  # of a hash table, so that few keys meet


@dataclass(slots=True)
class Accounts:
    """The accounts met so far, numbered as they come.

    Attributes
    ----------
    keys : array of uint64
        By number, and free room behind.
    n : int
        How many there are.
    places : array of int32
        A hash table of numbers, -1 where it is free.
    """

    keys: Keys = field(default_factory=lambda: np.zeros(MIN_ROOM, np.uint64))
    n: int = 0
    places: Ints = field(default_factory=lambda: _make_places(MIN_ROOM))

    def number(self, keys: Keys) -> tuple[Ints, Counts]:
        """Give accounts numbers, those that are new the next ones.

        Parameters
        ----------
        keys : array of uint64

        Returns
        -------
        numbers : array of int32
        first : array of int64
            The first row of each that is new, in the order of their numbers.
        """
        if self.n + len(keys) > len(self.keys):
            room = _find_room(self.n + len(keys))
            self.keys = np.concatenate([self.keys[: self.n], np.zeros(room - self.n, np.uint64)])
            self.places = _make_places(room)
            compile_kernel(_enter_numbers)(self.keys[: self.n], self.places)
        numbers, before = np.empty(len(keys), np.int32), self.n
        self.n = compile_kernel(_number_keys)(keys, self.keys, before, self.places, numbers)
        return numbers, compile_kernel(_find_first)(numbers, before, self.n)

    def find(self, keys: Keys) -> Ints:
        """Return the numbers of accounts, -1 for those that have none.

        Parameters
        ----------
        keys : array of uint64

        Returns
        -------
        array of int32
        """
        numbers = np.empty(len(keys), np.int32)
        compile_kernel(_find_keys)(keys, self.keys, self.places, numbers)
        return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How often, and when, an account was seen with something.

    Attributes
    ----------
    number : array of int32
        Of the account.
    value : array of uint64
        The value's key.
    n, first_seen, last_seen : array of int64
        Rows; microseconds since 1970, `UNKNOWN_TIME` where none is given.
    """

    number: Ints
    value: Keys
    n: Counts
    first_seen: Counts
    last_seen: Counts


class Agreeing:
    """Groups of rows that agree in account and values.

    Values are told apart by a hash of all of them, accounts by their numbers: whoever makes two
    rows that pass for one does so to an account of their own.

    Parameters
    ----------
    n_columns : int
        How many values a row has.
    """

    def __init__(self, n_columns: int) -> None:
        self.n_columns = n_columns
        self._n = 0
        self._table = np.zeros((SLOTS_PER_ROOM * MIN_ROOM, WIDTH), np.int64)
        self._slots = np.zeros(MIN_ROOM, np.int64)  # of each group
        self._sorted: tuple[Counts, Ints] | None = None
        # Of each group, by batches: the account's number, and the values.
        self._numbers: list[Ints] = []
        self._values: list[list[Keys]] = [[] for _ in range(n_columns)]

    def add(self, numbers: Ints, seen: Counts, values: Sequence[Keys]) -> None:
        """Count rows.

        Parameters
        ----------
        numbers : array of int32
            Of accounts.
        seen : array of int64
            Times; `UNKNOWN_TIME` where none is given.
        values : sequence of array of uint64
            Keys, a column each.
        """
        if self._n + len(numbers) > len(self._slots):
            room = _find_room(self._n + len(numbers))
            table, slots = np.zeros((SLOTS_PER_ROOM * room, WIDTH), np.int64), np.zeros(room, int)
            compile_kernel(_move_groups)(self._table, self._slots[: self._n], table, slots)
            self._table, self._slots = table, slots
        mixed = numbers.astype(np.uint64)
        for value in values:
            compile_kernel(_mix)(mixed, value)
        before = self._n
        self._n, first = compile_kernel(_count_agreeing)(
            mixed, numbers, seen, self._table, self._slots, before
        )
        self._numbers.append(numbers[first])
        for kept, value in zip(self._values, values, strict=True):
            kept.append(value[first])

    def sum_accounts(self, n_accounts: int) -> Counted:
        """Return the rows of each account, whatever the values; none can be added any more."""
        return self._sum(np.zeros(self._n, np.uint64), *self._sort(n_accounts))

    def sum_columns(self, n_accounts: int) -> Iterator[Counted]:
        """Yield, of one column after the other, the rows of each account and value; they go."""
        heads, order = self._sort(n_accounts)
        for column in range(self.n_columns):
            yield self._sum(np.concatenate(self._values[column]), heads, order)
            self._values[column].clear()

    def _sort(self, n_accounts: int) -> tuple[Counts, Ints]:
        """Return the account's number, rows, first and last time of groups, and their order.

        The table is as large as twice the groups, and is not needed once they stand by themselves.
        """
        if self._sorted is None:
            heads = self._table[self._slots[: self._n]]
            self._table, self._slots = np.zeros((0, WIDTH), np.int64), np.zeros(0, np.int64)
            numbers = np.concatenate(self._numbers)
            heads[:, 0], heads[:, 1] = numbers, heads[:, 1] & ROWS
            self._sorted = heads, compile_kernel(_sort_numbers)(numbers, n_accounts)
        return self._sorted

    def _sum(self, value: Keys, heads: Counts, order: Ints) -> Counted:
        summed, key = compile_kernel(_sum_groups)(heads, value, order)
        return Counted(
            number=summed[:, 0].astype(np.int32),
            value=key,
            n=summed[:, 1].copy(),
            first_seen=summed[:, 2].copy(),
            last_seen=summed[:, 3].copy(),
        )


def _find_room(n: int) -> int:
    return 1 << int(np.ceil(np.log2(max(n, MIN_ROOM))))


def _make_places(room: int) -> Ints:
    return np.full(SLOTS_PER_ROOM * room, -1, np.int32)


# --- kernels -----------------------------------------------------------------------------------
# Tables have a power of two of slots. The multiplier spreads what keys have in common (Knuth, The
# Art of Computer Programming 3, 6.4: the golden ratio).


def _enter_numbers(keys: Any, places: Any) -> None:
    """Enter distinct keys into a table that is free, each with its place."""
    mask = np.uint64(len(places) - 1)
    for i in range(len(keys)):
        slot = ((keys[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while places[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        places[slot] = i


def _number_keys(found: Any, keys: Any, n: int, places: Any, numbers: Any) -> int:
    """Give keys their numbers, and return how many there are now.

    Look-ups that wait for memory do so together.
    """
    mask = np.uint64(len(places) - 1)
    for i in range(len(found)):
        slot = ((found[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        numbers[i] = places[slot]
    for i in range(len(found)):
        if numbers[i] >= 0 and keys[numbers[i]] == found[i]:
            continue
        slot = ((found[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while places[slot] >= 0 and keys[places[slot]] != found[i]:
            slot = (slot + np.uint64(1)) & mask
        if places[slot] < 0:
            places[slot] = n
            keys[n] = found[i]
            n += 1
        numbers[i] = places[slot]
    return n


def _find_first(numbers: Any, low: int, high: int) -> Any:
    """Return the first row with each number from ``low`` to below ``high``."""
    rows, n = np.empty(high - low, np.int64), low
    for i in range(len(numbers)):
        if numbers[i] == n:  # numbers are given in the order of rows
            rows[n - low] = i
            n += 1
    return rows[: n - low].copy()


def _find_keys(wanted: Any, keys: Any, places: Any, numbers: Any) -> None:
    """Look keys up; -1 is none."""
    mask = np.uint64(len(places) - 1)
    for i in range(len(wanted)):
        slot = ((wanted[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while places[slot] >= 0 and keys[places[slot]] != wanted[i]:
            slot = (slot + np.uint64(1)) & mask
        numbers[i] = places[slot]


def _mix(mixed: Any, value: Any) -> None:
    """Add a column to a hash of rows."""
    for i in range(len(mixed)):
        both = (mixed[i] ^ value[i]) * np.uint64(0x9E3779B97F4A7C15)
        mixed[i] = both ^ (both >> np.uint64(32))


def _move_groups(table: Any, slots: Any, larger: Any, moved: Any) -> None:
    """Enter groups into a larger table that is free."""
    mask = np.uint64(len(larger) - 1)
    for g in range(len(slots)):
        mixed = np.uint64(table[slots[g], 0])
        slot = ((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
        while larger[slot, 1] != 0:
            slot = (slot + np.uint64(1)) & mask
        larger[slot] = table[slots[g]]
        moved[g] = slot


def _count_agreeing(mixed: Any, numbers: Any, seen: Any, table: Any, slots: Any, n: int) -> Any:
    """Add rows to their groups; return how many there are now, and the first row of new ones.

    Of a group stand in the table the hash, the account's number and the rows in one, which is 0
    where the slot is free, and the first and last time. Rows go block by block: all their slots are
    asked for, and then there.
    """
    mask, block = np.uint64(len(table) - 1), 2048
    first, n_new = np.empty(len(mixed), np.int64), 0
    wanted, met = np.empty(block, np.uint64), np.int64(0)
    for begin in range(0, len(mixed), block):
        end = min(begin + block, len(mixed))
        for i in range(begin, end):
            slot = ((mixed[i] * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
            wanted[i - begin] = slot
            met ^= table[slot, 0]
        for i in range(begin, end):
            slot, hashed, number = wanted[i - begin], np.int64(mixed[i]), np.int64(numbers[i])
            while table[slot, 1] != 0 and (
                table[slot, 0] != hashed or table[slot, 1] >> 32 != number
            ):
                slot = (slot + np.uint64(1)) & mask
            if table[slot, 1] == 0:
                table[slot, 0], table[slot, 1] = hashed, number << 32
                table[slot, 2], table[slot, 3] = seen[i], seen[i]
                slots[n + n_new] = slot
                first[n_new] = i
                n_new += 1
            table[slot, 1] += 1
            table[slot, 2] = min(table[slot, 2], seen[i])
            table[slot, 3] = max(table[slot, 3], seen[i])
    if met == 1:  # so that what was asked for is not taken for unused
        first[n_new:] = -1
    return n + n_new, first[:n_new].copy()


def _sort_numbers(numbers: Any, n_numbers: int) -> Any:
    """Return rows by number, of one number as they come."""
    ends, order = np.zeros(n_numbers + 1, np.int64), np.empty(len(numbers), np.int32)
    for row in range(len(numbers)):
        ends[numbers[row] + 1] += 1
    ends = np.cumsum(ends)
    for row in range(len(numbers)):
        order[ends[numbers[row]]] = row
        ends[numbers[row]] += 1
    return order


def _sum_groups(heads: Any, value: Any, order: Any) -> Any:
    """Add up groups by account and value, sorted by both: their heads, and the values.

    ``order`` are groups by account.
    """
    summed, key, n = np.empty(heads.shape, np.int64), np.empty(len(heads), np.uint64), 0
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and heads[order[end], 0] == heads[order[begin], 0]:
            end += 1
        rows = order[begin:end].copy()
        if end - begin <= 16:
            for k in range(1, len(rows)):
                row, p = rows[k], k
                while p > 0 and value[rows[p - 1]] > value[row]:
                    rows[p] = rows[p - 1]
                    p -= 1
                rows[p] = row
        else:
            rows = rows[np.argsort(value[rows])]
        for k in range(len(rows)):
            row = rows[k]
            if k == 0 or value[row] != key[n - 1]:
                summed[n] = heads[row]
                key[n] = value[row]
                n += 1
            else:
                summed[n - 1, 1] += heads[row, 1]
                summed[n - 1, 2] = min(summed[n - 1, 2], heads[row, 2])
                summed[n - 1, 3] = max(summed[n - 1, 3], heads[row, 3])
        begin = end
    return summed[:n].copy(), key[:n].copy()
