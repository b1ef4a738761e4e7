"""Pieces of fingerprinting that have an answer of their own to be compared with."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.fingerprints import FingerprintConfig, templates
from linkage.fingerprints._names import hash_numbers, spell
from linkage.fingerprints._prints import AccountCodes, Winnower
from linkage.fingerprints._ties import _count_common

LETTERS = "abcdefghijklmnopqrstuvwxyz"
# one letter as it is, as a capital, full-width, bold, with an accent, and before a zero-width space
WAYS = [
    str,
    str.upper,
    lambda letter: chr(ord(letter) - ord("a") + 0xFF41),
    lambda letter: chr(ord(letter) - ord("a") + 0x1D41A),
    lambda letter: letter + "\u0301",
    lambda letter: letter + "\u200b",
]
WORDS = st.lists(st.text(LETTERS + "_", min_size=1, max_size=40), min_size=5, max_size=12)
HOLDERS = st.sets(st.integers(0, 400), min_size=1, max_size=120)


def number(values: list[str], n_batches: int) -> tuple[Any, pa.Array]:
    codes = AccountCodes()
    for part in np.array_split(np.array(values, object), n_batches):
        codes.append(pa.array(part, pa.string()))
    return codes.finish()


def test_names_are_spelt_by_their_digits_from_the_highest_on() -> None:
    names = np.array([0, 255, 0x0123456789ABCDEF, (1 << 64) - 1], np.uint64)
    assert spell(names).to_pylist() == [f"t{name:016x}" for name in names.tolist()]


def print_texts(*texts: str, window: int = 1) -> list[list[int]]:
    """Return the prints of each text, all of them winnowed as one array."""
    found = Winnower(FingerprintConfig(window=window), b"")(pa.array(texts, pa.large_string()))
    return [part.tolist() for part in np.split(found.prints, np.cumsum(found.counts)[:-1])]


@given(WORDS, st.randoms(use_true_random=False))
def test_letters_that_are_read_together_count_as_those_read_one_by_one(
    words: list[str], random: Any
) -> None:
    plain = " ".join(words)
    disguised = "".join(
        letter if letter in "_ " else random.choice(WAYS)(letter) for letter in plain
    )
    # in the middle of what is read and at its end, where fewer than sixteen bytes follow
    first, second, last = print_texts(plain, disguised, plain)
    assert first == second == last
    assert len(first) == len(words) - 4 or len(set(words)) < len(words)


@pytest.mark.parametrize("n", range(1, 36))
def test_a_word_is_another_one_if_any_of_its_letters_is(n: int) -> None:
    word = (LETTERS + LETTERS)[:n]
    around = "one two {} three four"
    others = [word[:at] + "z" + word[at + 1 :] for at in range(n) if word[at] != "z"]
    texts = [around.format(one) for one in (word, word + "a", *others)]
    assert len({tuple(one) for one in print_texts(*texts)}) == len(texts)


@pytest.mark.parametrize(
    ("word", "is_number"),
    [
        ("deadbeef1", True),
        ("1deadbeef", True),
        ("deadbeef1deadbeefdead", True),
        ("deadbeeg1", False),
        ("g1deadbee", False),
        ("deadbeefdeadbeefg1", False),
        ("abc_123", False),
        ("sha256_of_9f", True),  # long, with two digits and more
    ],
)
def test_ids_are_told_from_names_wherever_their_letters_stand(word: str, is_number: bool) -> None:
    ours, number = print_texts(f"one two {word} three four", "one two 7 three four")
    assert (ours == number) is is_number


def test_phrases_are_learned_from_some_texts_of_an_account_and_counted_in_all() -> None:
    template = "act as a senior reviewer and list every defect of the patch below, worst first: "
    aside = "and on the last page of the green book somebody had drawn a very small ship"
    rng = np.random.default_rng(0)
    rows = [
        (account, template + " ".join(rng.choice([*LETTERS], 12)) + (aside if one == 0 else ""))
        for account in ("a", "b", "c")
        for one in range(40)
    ]
    found = {}
    for most in (4, 1_000):
        table = pa.table({"account_id": [a for a, _ in rows], "prompt": [t for _, t in rows]})
        config = FingerprintConfig(max_prompts_an_account=most)
        held = templates(table, config=config).holdings.to_pylist()
        found[most] = sorted((row["account_id"], row["count"]) for row in held)
        again = templates(table.take(pa.array(rng.permutation(len(rows)))), config=config)
        assert again.holdings.to_pylist() == held
    assert [(a, 40) for a in "abc"] == [one for one in found[4] if one[1] == 40]
    # what each said once is learned from all of their texts, and from four it is not
    assert [(a, 1) for a in "abc"] == [one for one in found[1_000] if one[1] == 1]
    assert not [one for one in found[4] if one[1] == 1]


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
