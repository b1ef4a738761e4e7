"""Pieces of fingerprinting that have an answer of their own to be compared with."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.fingerprints import templates
from linkage.fingerprints._names import hash_numbers
from linkage.fingerprints._prints import AccountCodes
from linkage.fingerprints._ties import _count_common

HOLDERS = st.sets(st.integers(0, 400), min_size=1, max_size=120)


def number(values: list[str], n_batches: int) -> tuple[Any, pa.Array]:
    codes = AccountCodes()
    for part in np.array_split(np.array(values, object), n_batches):
        codes.append(pa.array(part, pa.string()))
    return codes.finish()


def test_names_are_siphash_as_published() -> None:
    # the vector of Aumasson and Bernstein for the message 00 01 ... 07 and the key 00 01 ... 0f
    secret = (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    hashed = hash_numbers(np.array([0x0706050403020100], np.uint64), secret)
    assert hashed.tolist() == [0x93F5F5799A932462]
    other = hash_numbers(np.array([0x0706050403020100], np.uint64), (secret[0], secret[1] + 1))
    assert other.tolist() != hashed.tolist()


def test_accounts_are_numbered_alike_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [f"a{i}" for i in np.random.default_rng(0).integers(0, 60, 400)]
    names = sorted(set(values))
    for at_once in (1, 300, 1 << 26):
        monkeypatch.setattr("linkage.fingerprints._prints._AT_ONCE", at_once)
        codes, accounts = number(values, 9)
        assert accounts.to_pylist() == names
        assert codes.tolist() == [names.index(value) for value in values]


@given(HOLDERS, HOLDERS, st.integers(0, 130))
def test_common_holders_are_counted_where_there_are_enough(
    first: set[int], second: set[int], needed: int
) -> None:
    holders = np.array([*sorted(first), *sorted(second)], np.int32)
    common = _count_common(holders, 0, len(first), len(first), len(holders), needed)
    truth = len(first & second)
    assert common == truth if truth >= needed else common < needed


def test_a_text_sent_again_counts_again_and_keeps_its_first_and_last_time() -> None:
    text = "act as a senior reviewer and list every defect of the patch below, worst first"
    day = np.datetime64("2026-03-01", "us")
    rows = [
        ("a", text, 5),
        ("a", text.upper(), 2),
        ("a", text, None),
        ("a", text + " of all", 9),
        ("b", text, None),
    ]
    events = pa.table(
        {
            "account_id": [account for account, _, _ in rows],
            "prompt": [prompt for _, prompt, _ in rows],
            "ts": pa.array(
                [None if days is None else day + np.timedelta64(days, "D") for _, _, days in rows],
                pa.timestamp("us"),
            ),
        }
    )
    held = templates(events).holdings.to_pandas().set_index("account_id")
    assert held["count"].to_dict() == {"a": 4, "b": 1}
    assert held.loc["a", "first_seen"].day == 3
    assert held.loc["a", "last_seen"].day == 10
    assert held.loc["b", ["first_seen", "last_seen"]].isna().all()
