"""Counting by keys while a source is scanned."""

import numpy as np
import pandas as pd
import pytest

from linkage.scans import MIN_ROOM, UNKNOWN_TIME, Accounts, Agreeing


def count_rows(rows, n_batches, n_accounts):
    """Return what is counted of rows that come in some batches."""
    agreeing = Agreeing(2)
    for places in np.array_split(np.arange(len(rows)), n_batches):
        part = rows.iloc[places]
        values = [part[name].to_numpy(np.uint64) for name in ("first", "second")]
        agreeing.add(part["number"].to_numpy(np.int32), part["seen"].to_numpy(), values)
    return agreeing.sum_accounts(n_accounts), list(agreeing.sum_columns(n_accounts))


def add_up(rows, *keys):
    """Return the same by pandas."""
    by = rows.groupby(list(keys))["seen"]
    return by.agg(["size", "min", "max"]).reset_index().to_numpy().tolist()


def list_counted(counted, *, with_values):
    columns = [counted.number, counted.value] if with_values else [counted.number]
    columns += [counted.n, counted.first_seen, counted.last_seen]
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


@pytest.mark.parametrize(("n_rows", "n_values"), [(2_000, 4), (3_000, 1_000)])
def test_rows_are_counted_by_account_and_by_each_value(n_rows, n_values):
    rng = np.random.default_rng(n_values)
    rows = pd.DataFrame(rng.integers(0, n_values, (n_rows, 2)), columns=["first", "second"])
    rows["number"], rows["seen"] = rng.integers(0, 50, n_rows), rng.integers(0, 10**6, n_rows)
    accounts, columns = count_rows(rows, 3, 50)
    assert list_counted(accounts, with_values=False) == add_up(rows, "number")
    for column, name in zip(columns, ("first", "second"), strict=True):
        assert list_counted(column, with_values=True) == add_up(rows, "number", name)


def test_groups_outgrow_the_room_that_there_is_for_them():
    n = MIN_ROOM + 1_000
    rows = pd.DataFrame({"number": np.arange(n), "first": 7, "second": 8, "seen": np.arange(n)})
    twice = pd.concat([rows, rows.assign(seen=rows["seen"] + 5)], ignore_index=True)
    accounts, columns = count_rows(twice, 4, n)
    for counted in (accounts, *columns):
        assert counted.number.tolist() == list(range(n))
        assert set(counted.n.tolist()) == {2}
        assert (counted.last_seen - counted.first_seen == 5).all()


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 9, (500, 3)), columns=["first", "second", "number"])
    rows["seen"] = rng.integers(0, 100, len(rows))
    found = [count_rows(part, n, 9)[1] for part, n in ((rows, 1), (rows[::-1], 5))]
    for one, other in zip(*found, strict=True):
        assert list_counted(one, with_values=True) == list_counted(other, with_values=True)


def test_a_row_without_a_time_is_counted():
    rows = pd.DataFrame({"number": [0, 0], "first": 1, "second": 2, "seen": UNKNOWN_TIME})
    accounts, _ = count_rows(rows, 1, 1)
    assert list_counted(accounts, with_values=False) == [[0, 2, UNKNOWN_TIME, UNKNOWN_TIME]]


def test_accounts_are_numbered_as_they_come():
    accounts = Accounts()
    numbers, first = accounts.number(np.array([5, 9, 5, 2], np.uint64))
    assert (numbers.tolist(), first.tolist()) == ([0, 1, 0, 2], [0, 1, 3])
    numbers, first = accounts.number(np.array([2, 4, 4], np.uint64))
    assert (numbers.tolist(), first.tolist()) == ([2, 3, 3], [1])
    assert accounts.find(np.array([4, 8, 5], np.uint64)).tolist() == [3, -1, 0]


def test_many_accounts_keep_their_numbers():
    keys = np.random.default_rng(0).permutation(3 * MIN_ROOM).astype(np.uint64)
    accounts = Accounts()
    for part in np.array_split(keys, 5):
        accounts.number(part)
    assert accounts.n == len(keys)
    assert accounts.find(keys).tolist() == list(range(len(keys)))
    assert accounts.keys[: accounts.n].tolist() == keys.tolist()
