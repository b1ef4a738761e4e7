"""Rows become edges, and what one account alone holds is set aside."""

import numpy as np
import pandas as pd
import pytest

from linkage.edges import LATEST, Holders, count_alone, merge_edges, sort_keys
from linkage.scans import UNKNOWN_TIME


def make_rows(seed, n_rows, n_accounts, n_identifiers):
    rng = np.random.default_rng(seed)
    return {
        "account": rng.integers(0, n_accounts, n_rows).astype(np.int32),
        "identifier": rng.integers(0, n_identifiers, n_rows).astype(np.int32),
        "count": rng.integers(1, 9, n_rows),
        "first_seen": rng.integers(0, 100, n_rows),
        "last_seen": rng.integers(100, 200, n_rows),
    }


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [7],
        [3, 1, 2, 1, 3, 1],  # in whose upper bits they agree
        [1 << 63, 0, (1 << 64) - 1, 1 << 63],
        np.random.default_rng(0).integers(0, 1 << 63, 3_000),
        np.random.default_rng(1).integers(0, 1 << 9, 3_000) << 50,
    ],
)
def test_keys_are_sorted_as_numpy_sorts_them(keys):
    keys = np.array(keys, np.uint64)
    assert np.array_equal(sort_keys(keys), np.argsort(keys, kind="stable"))


@pytest.mark.parametrize("n_accounts", [3, 400])  # sorted by numpy; where they stand
def test_rows_are_added_up_as_pandas_does(n_accounts):
    rows = make_rows(2, 2_000, n_accounts, 40)
    expected = (
        pd.DataFrame(rows)
        .groupby(["account", "identifier"])
        .agg({"count": "sum", "first_seen": "min", "last_seen": "max"})
        .reset_index()
    )
    merged = merge_edges(rows, n_accounts).to_pandas()
    times = ["first_seen", "last_seen"]
    merged[times] = merged[times].astype("int64")
    pd.testing.assert_frame_equal(merged, expected)


def test_edges_without_a_time_have_none():
    rows = make_rows(3, 2, 1, 1) | {
        "first_seen": np.array([LATEST, LATEST]), "last_seen": np.array([UNKNOWN_TIME] * 2),
    }  # fmt: skip
    assert merge_edges(rows, 1).select(["first_seen", "last_seen"]).to_pylist() == [
        {"first_seen": None, "last_seen": None}
    ]


def test_what_one_account_holds_is_told_from_what_several_do():
    # Spellings 0 and 1 are one value, which only account 5 holds; 2 is of accounts 5 and 6.
    kind, key = np.array([0, 0, 0, 1], np.int32), np.array([9, 9, 8, 9], np.uint64)
    holders = Holders.start(kind, key)
    rows = {
        "account": np.array([5, 5, 5, 6, 6], np.int32),
        "identifier": np.array([0, 1, 2, 2, 3], np.int32),
        "count": np.array([1, 10, 100, 1_000, 10_000]),
    }
    holders.add(rows["account"], rows["identifier"])
    assert holders.find_kept(kind, keep_alone=False).tolist() == [False, False, True, True]
    assert holders.find_kept(kind, keep_alone=True).all()
    left = {name: column[:2] for name, column in rows.items()}
    found = count_alone(left, holders, kind, 2)
    assert [column.tolist() for column in found] == [[5], [0], [1], [11]]


def test_what_nobody_holds_is_never_kept():
    kind, key = np.zeros(2, np.int32), np.array([1, 2], np.uint64)
    holders = Holders.start(kind, key)
    holders.add(np.array([0], np.int32), np.array([1], np.int32))
    for keep_alone in (True, False):
        assert holders.find_kept(kind, keep_alone=keep_alone).tolist() == [False, True]
