"""From rows of who was seen with what to edges; what one account alone holds is set aside.

What nobody else holds ties an account to nobody. There may be several times as much of it as of all
the rest, so it is counted, by account and kind, before texts are looked up, sorted and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from linkage.kernels import compile_kernel
from linkage.scans import UNKNOWN_TIME

__all__ = ["LATEST", "Holders", "count_alone", "merge_edges", "sort_keys"]

Keys = np.ndarray[Any, np.dtype[np.uint64]]
Ints = np.ndarray[Any, np.dtype[np.int32]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Columns = dict[str, np.ndarray[Any, Any]]

LATEST: Final = np.iinfo(np.int64).max  # stands for the first time where none is given

NOBODY: Final = -1
SEVERAL: Final = -2

SUM, LEAST, MOST = range(3)  # what is made of several rows of one edge
FEW: Final = 64  # rows of one account that are sorted where they stand

TIME: Final = pa.timestamp("us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Who holds what, of values that may be spelt in several ways.

    Attributes
    ----------
    group : array of int32
        Of each spelling, the value that it spells.
    owner : array of int32
        Of each value the one account that holds it; ``NOBODY`` or ``SEVERAL``.
    """

    group: Ints
    owner: Ints

    @classmethod
    def start(cls, kind: Any, key: Any) -> Holders:
        """Begin with nobody.

        Parameters
        ----------
        kind : array of integers
            Of each spelling.
        key : array of uint64
            Of the value that it spells; two values with one key count as one, and so as held by
            whoever holds one of them.

        Returns
        -------
        Holders
        """
        mixed = key ^ (kind.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        order = sort_keys(mixed)
        mixed = mixed[order]
        number = np.zeros(len(mixed), np.int32)
        np.cumsum(mixed[1:] != mixed[:-1], out=number[1:])
        group = np.empty(len(mixed), np.int32)
        group[order] = number
        return cls(group=group, owner=np.full(int(number[-1:].sum()) + 1, NOBODY, np.int32))

    def add(self, account: Ints, spelling: Ints) -> None:
        """Note rows.

        Parameters
        ----------
        account, spelling : array of int32
        """
        compile_kernel(_note_owners)(account, spelling, self.group, self.owner)

    def find_kept(self, kind: Any, *, keep_alone: bool) -> Flags:
        """Return the spellings of values that are kept: one of each kind at least.

        Parameters
        ----------
        kind : array of integers
            Of each spelling.
        keep_alone : bool
            Whether to keep what one account holds, or what several do alone.

        Returns
        -------
        array of bool
        """
        is_kept = self.owner != NOBODY if keep_alone else self.owner == SEVERAL
        if not keep_alone:
            # A kind of which nothing is shared is still a kind of the run: one value stands for it,
            # and values are in the order of their keys.
            kind_of = np.zeros(len(self.owner), np.int32)
            kind_of[self.group] = kind
            n_kept = np.bincount(kind_of[is_kept], minlength=int(kind.max(initial=-1)) + 1)
            for missing in np.flatnonzero(n_kept == 0):
                is_kept[np.flatnonzero((kind_of == missing) & (self.owner != NOBODY))[:1]] = True
        return np.asarray(is_kept[self.group])


def sort_keys(keys: Keys) -> Ints:
    """Return the order of keys.

    Parameters
    ----------
    keys : array of uint64
        Hashes: their bits are all of use.

    Returns
    -------
    array of int32
        Of equal keys in the order in which they come.

    Notes
    -----
    Numbers are sorted in a seventh of the time that finding their order takes: so the upper bits of
    a key are put beside its row, and the few whose upper bits agree are looked at again.

    Examples
    --------
    >>> sort_keys(np.array([1 << 60, 5, 1 << 60, 3], np.uint64))
    array([3, 1, 0, 2], dtype=int32)
    """
    bits = np.uint64(max(len(keys) - 1, 1).bit_length())
    packed = keys >> bits << bits
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = np.empty(len(keys), np.int32)
    compile_kernel(_unpack_order)(packed, keys, bits, order)
    return order


def _unpack_order(packed: Any, keys: Any, bits: Any, order: Any) -> None:
    """Write the rows beside sorted upper bits, in the order of whole keys; compiled by numba."""
    mask = (np.uint64(1) << bits) - np.uint64(1)
    for k in range(len(packed)):
        row, p = np.int32(packed[k] & mask), k
        while (
            p > 0 and packed[p - 1] >> bits == packed[k] >> bits and keys[order[p - 1]] > keys[row]
        ):
            order[p] = order[p - 1]
            p -= 1
        order[p] = row


def _note_owners(account: Any, spelling: Any, group: Any, owner: Any) -> None:
    """Note who holds what; compiled by numba."""
    for row in range(len(account)):
        value = group[spelling[row]]
        if owner[value] == NOBODY:
            owner[value] = account[row]
        elif owner[value] != account[row]:
            owner[value] = SEVERAL


def count_alone(
    rows: Columns, holders: Holders, kind: Any, n_kinds: int
) -> tuple[Ints, Ints, Counts, Counts]:
    """Count rows of values that one account alone holds.

    Parameters
    ----------
    rows : dict of array
        ``account``, ``identifier`` (spellings), ``count``.
    holders : Holders
    kind : array of integers
        Of each spelling.
    n_kinds : int

    Returns
    -------
    account, kind, n, count : array
        How many values of a kind each account has, and how often it was seen with them; sorted.
    """
    total = np.zeros(len(holders.owner), np.int64)
    key = np.full(len(holders.owner), -1, np.int64)
    compile_kernel(_sum_values)(
        rows["account"], rows["identifier"], rows["count"], holders.group, kind, n_kinds, total, key
    )
    value = np.flatnonzero(key >= 0)
    key, total = key[value], total[value]
    order = np.argsort(key)
    key = key[order]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    n = np.diff(begins, append=len(key))
    count = np.add.reduceat(total[order], begins) if len(key) else total
    account, number = np.divmod(key[begins], n_kinds)
    return account.astype(np.int32), number.astype(np.int32), n, count


def _sum_values(
    account: Any,
    spelling: Any,
    count: Any,
    group: Any,
    kind: Any,
    n_kinds: int,
    total: Any,
    key: Any,
) -> None:
    """Add up the rows of each value, and write whose and of what kind it is."""
    for row in range(len(account)):
        value = group[spelling[row]]
        total[value] += count[row]
        key[value] = np.int64(account[row]) * n_kinds + kind[spelling[row]]


def merge_edges(seen: Columns, n_accounts: int) -> pa.Table:
    """Add up the rows of each account and identifier, and sort them.

    Parameters
    ----------
    seen : dict of array
        account, identifier (codes, int32), count, first_seen, last_seen (microseconds since 1970;
        `LATEST` and `UNKNOWN_TIME` where none is given); used up, since there may be so many of
        them that two copies are too many.
    n_accounts : int

    Returns
    -------
    pyarrow.Table
    """
    account, identifier = seen.pop("account"), seen.pop("identifier")
    order = np.empty(len(account), np.int32 if len(account) < 1 << 31 else np.int64)
    pairs = np.empty(len(account), np.int32), np.empty(len(account), np.int32)
    is_new = compile_kernel(_sort_edges)(account, identifier, n_accounts, order, *pairs)
    del account, identifier
    n_edges = int(np.count_nonzero(is_new))
    names = ("account", "identifier")
    edges = {name: pa.array(codes[:n_edges]) for name, codes in zip(names, pairs, strict=True)}
    for name, how, unknown in (
        ("count", SUM, None),
        ("first_seen", LEAST, LATEST),
        ("last_seen", MOST, UNKNOWN_TIME),
    ):
        column = seen.pop(name)
        merged = np.empty(n_edges, column.dtype)
        compile_kernel(_merge_rows)(column, order, is_new, how, merged)
        edges[name] = pa.array(merged)
        if unknown is not None:
            mask = merged == unknown
            edges[name] = pa.array(merged, mask=mask if mask.any() else None).cast(TIME)
        del column, merged
    return pa.table(edges)


def _merge_rows(column: Any, order: Any, is_new: Any, how: int, merged: Any) -> None:
    """Write one number for each run of rows; compiled by numba."""
    n = -1
    for k in range(len(order)):
        said = column[order[k]]
        if is_new[k]:
            n += 1
            merged[n] = said
        elif how == SUM:
            merged[n] += said
        elif how == LEAST:
            merged[n] = min(merged[n], said)
        else:
            merged[n] = max(merged[n], said)


def _sort_edges(
    account: Any, identifier: Any, n_accounts: int, order: Any, accounts: Any, identifiers: Any
) -> Any:
    """Write rows in the order of account and identifier, and the distinct pairs.

    Returned is which of the rows begin a pair.
    """
    begins = np.zeros(n_accounts + 1, np.int64)
    for row in range(len(account)):
        begins[account[row] + 1] += 1
    most = begins.max()
    begins = np.cumsum(begins)
    filled = begins[:-1].copy()
    for row in range(len(account)):
        order[filled[account[row]]] = row
        filled[account[row]] += 1
    is_new = np.ones(len(account), np.bool_)
    rows, codes = np.empty(most, order.dtype), np.empty(most, identifier.dtype)
    n_pairs = 0
    for a in range(n_accounts):
        begin, n = begins[a], begins[a + 1] - begins[a]
        for k in range(n):
            rows[k] = order[begin + k]
            codes[k] = identifier[rows[k]]
        if n <= FEW:
            for k in range(1, n):
                row, code, p = rows[k], codes[k], k
                while p > 0 and codes[p - 1] > code:
                    rows[p], codes[p] = rows[p - 1], codes[p - 1]
                    p -= 1
                rows[p], codes[p] = row, code
        else:
            by_code = np.argsort(codes[:n])
            rows[:n] = rows[by_code]
            codes[:n] = codes[by_code]
        for k in range(n):
            order[begin + k] = rows[k]
            is_new[begin + k] = k == 0 or codes[k] != codes[k - 1]
            if is_new[begin + k]:
                accounts[n_pairs], identifiers[n_pairs] = a, codes[k]
                n_pairs += 1
    return is_new
