"""Prompts to templates, from the bytes to the two tables."""

import datetime as dt
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linkage.cli.main import main
from linkage.errors import ConfigError, InputError, MissingInputError, SchemaError
from linkage.fingerprints import FingerprintConfig, PromptFiles, _join, templates, write_templates
from linkage.fingerprints._prints import Winnower
from linkage.fingerprints._redact import redact

CORE = (
    "act as a careful reviewer of the patch below and list every defect that you can find "
    "together with the line in which it stands and a short proposal for a remedy"
)
OTHER = (
    "translate the following product sheet into plain language for a customer who has never "
    "seen the machine and keep every warning exactly where it was in the source"
)


def make_winnower(**settings: float) -> Winnower:
    return Winnower(FingerprintConfig(**settings), b"")


def list_prints(*texts: str, **settings: float) -> list[list[int]]:
    found = make_winnower(**settings)(pa.array(texts, pa.large_string()))
    bounds = np.cumsum(found.counts)[:-1]
    return [part.tolist() for part in np.split(found.prints, bounds)]


def share_prints(first: str, second: str, **settings: float) -> bool:
    one, two = list_prints(first, second, **settings)
    return bool(set(one) & set(two))


def make_words(rng: np.random.Generator, n: int, vocabulary: int = 5_000) -> list[str]:
    return [
        f"w{chr(97 + i % 26)}{'abcdefghij'[i // 26 % 10]}{'x' * (i // 260)}"
        for i in rng.integers(0, vocabulary, n)
    ]


def make_events(seed: int = 0, accounts: int = 40, prompts: int = 10) -> pa.Table:
    """Two templates with slots, each of half of the accounts, and as many strangers."""
    rng = np.random.default_rng(seed)
    rows = []
    for account in range(accounts):
        core = (CORE if account % 2 else OTHER).split()
        for _ in range(prompts):
            words = [*core[:15], *make_words(rng, 12), *core[15:], *make_words(rng, 12)]
            rows.append((f"a{account:03}", " ".join(words)))
    rows += [
        (f"z{stranger:03}", " ".join(make_words(rng, 50)))
        for stranger in range(accounts)
        for _ in range(prompts)
    ]
    ids, texts = zip(*rows, strict=True)
    times = pa.array(np.arange(len(rows)) * 1_000_000, pa.timestamp("us", tz="UTC"))
    return pa.table({"account_id": ids, "prompt": texts, "ts": times})


# --- normalisation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        CORE.upper(),
        CORE.replace(" ", "  \n\t"),
        CORE.replace("a", "\u0430").replace("o", "\u03bf"),  # Cyrillic a, Greek omicron
        "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in CORE),  # full-width
        "\u200b".join(CORE),
        "".join(c + "\u0301" if c in "aeiou" else c for c in CORE),
        "\u202e" + CORE.replace(" ", "\u00a0") + "\u202c",
        CORE.replace("find", "\ufb01nd"),
        CORE.replace(" ", ", "),
    ],
    ids=["case", "space", "lookalikes", "full-width", "zero-width", "accents", "bidi", "ligature",
         "punctuation"],
)  # fmt: skip
def test_disguised_text_has_the_prints_of_the_plain_text(written: str) -> None:
    assert list_prints(written) == list_prints(CORE)


def test_decomposed_korean_has_the_prints_of_composed_korean() -> None:
    text = "다음 코드의 모든 결함을 나열하고 각각에 대해 짧은 해결책을 제안해 주세요 감사합니다"
    assert list_prints(text)[0]
    assert list_prints(unicodedata.normalize("NFD", text)) == list_prints(text)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("12", "7 300"),
        ("2026-06-10", "10/06/1999"),
        ("550e8400-e29b-41d4-a716-446655440000", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("192.0.2.1", "198.51.100.77"),
    ],
)
def test_numbers_and_ids_are_all_one_word(one: str, two: str) -> None:
    assert list_prints(CORE + f" {one} " + OTHER) == list_prints(CORE + f" {two} " + OTHER)


def test_another_number_of_words_is_another_text() -> None:
    assert list_prints(CORE + " 12 " + OTHER) != list_prints(CORE + " twelve " + OTHER)


# --- winnowing -----------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_a_shared_run_of_the_guaranteed_length_is_always_found(
    seed: int, before: int, after: int
) -> None:
    rng = np.random.default_rng(seed)
    run = make_words(rng, FingerprintConfig().guaranteed_words)
    one, two = (
        " ".join([*make_words(rng, before), *run, *make_words(rng, after)]) for _ in range(2)
    )
    assert share_prints(one, two)


@pytest.mark.parametrize(
    ("run", "fillers"),
    [
        ("请仔细审查下面的代码补丁并列出你能找到的每个缺陷", "天地玄黄宇宙洪荒日月盈昃辰宿列张"),
        ("次のコードを注意深く確認して見つけた問題をすべて一覧にしてください", "春夏秋冬東西南北"),
        ("กรุณาตรวจสอบโค้ดด้านล่างอย่างละเอียดและแสดงรายการข้อบกพร่องทั้งหมด", "กขคงจฉชซฌญฎฏฐฑฒณดต"),
    ],
    ids=["Chinese", "Japanese", "Thai"],
)
def test_languages_without_spaces_are_found(run: str, fillers: str) -> None:
    one, two = run.join([fillers, fillers[::-1]]), run.join([fillers[3:] + fillers[:3], "終"])
    assert share_prints(one, two)
    assert not share_prints(fillers * 3, run)


def test_code_is_found_whatever_its_indentation() -> None:
    code = (
        "def load(path):\n    with open(path) as handle:\n        return json.load(handle)['rows']"
    )
    assert share_prints("fix this: " + code, "why does\n" + code.replace("    ", "\t") + " fail")


def test_a_window_of_one_keeps_every_shingle() -> None:
    (found,) = list_prints("one two three four five six seven", window=1)
    assert len(found) == 3


@pytest.mark.parametrize("seed", range(5))
def test_a_window_without_an_anchored_shingle_keeps_its_lowest(seed: int) -> None:
    text = " ".join(make_words(np.random.default_rng(seed), 60))
    (every,) = list_prints(text, window=1)
    (anchored,) = list_prints(text, window=64)  # no window is as long as the text
    assert len(every) == 56
    assert 4 < len(anchored) < 25
    assert not any({one, two} <= set(anchored) for one, two in pairwise(every))
    kept = {at for at, shingle in enumerate(every) if shingle in anchored}
    for start in range(len(every) - 7):
        window = every[start : start + 8]
        if not set(window) & set(anchored):
            kept.add(start + window.index(min(window)))
    (found,) = list_prints(text, window=8)
    assert found == [every[at] for at in sorted(kept)]


@pytest.mark.parametrize("words", range(2, 9))
def test_a_quarter_of_the_shingles_or_more_is_anchored_however_long_they_are(words: int) -> None:
    texts = [" ".join(make_words(np.random.default_rng(seed), 64)) for seed in range(40)]
    n_kept = sum(map(len, list_prints(*texts, window=64, shingle_words=words)))
    n_all = sum(map(len, list_prints(*texts, window=1, shingle_words=words)))
    wanted = {3: 1 / 2, 4: 1 / 3}.get(words, 1 / 4)
    assert n_kept / n_all == pytest.approx(wanted, abs=0.04)


def test_an_anchored_shingle_is_kept_whatever_stands_around_it() -> None:
    rng = np.random.default_rng(4)
    verdicts = []
    for _ in range(100):
        run = make_words(rng, 5)  # one shingle, far from a run that is sure to be found
        texts = [" ".join([*make_words(rng, 9), *run, *make_words(rng, 9)]) for _ in range(2)]
        ((shingle,),) = list_prints(" ".join(run), window=1)
        is_kept = [shingle in found for found in list_prints(*texts, window=64)]
        assert is_kept[0] == is_kept[1]
        verdicts.append(is_kept[0])
    assert 10 < sum(verdicts) < 45


@given(st.lists(st.text(max_size=200), max_size=20))
@settings(max_examples=100, deadline=None)
@example(["", "\U0010ffff\ud7ff", "ﷺ" * 50, "e\u0301" * 200])
def test_any_text_is_read_alone_as_in_company(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    assert list_prints(*texts, "x") == [list_prints(text)[0] for text in [*texts, "x"]]


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_malformed_bytes_do_no_harm(noise: bytes) -> None:
    buffer = pa.py_buffer(noise)
    offsets = pa.array([0, len(noise)], pa.int64()).buffers()[1]
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, buffer])
    found = make_winnower()(text)
    assert int(found.counts[0]) == len(found.prints)


def test_only_the_first_characters_of_a_long_prompt_are_read() -> None:
    long = " ".join(make_words(np.random.default_rng(0), 2_000))
    found = make_winnower(max_characters=1_000)(pa.array([long, CORE], pa.large_string()))
    assert found.n_cut == 1
    assert found.counts[0] == len(list_prints(long[:1_000])[0])


def test_a_prompt_of_ten_megabytes_is_read() -> None:
    long = CORE + " lorem" * 1_700_000
    found = make_winnower()(pa.array([long], pa.large_string()))
    assert found.n_cut == 1
    assert set(list_prints(CORE)[0][:-1]) <= set(found.prints.tolist())


def test_another_key_gives_other_prints() -> None:
    one = Winnower(FingerprintConfig(), b"one")(pa.array([CORE], pa.large_string()))
    two = Winnower(FingerprintConfig(), b"two")(pa.array([CORE], pa.large_string()))
    assert not set(one.prints.tolist()) & set(two.prints.tolist())


# --- templates -----------------------------------------------------------------------------------


def test_each_template_is_one_identifier_with_exactly_its_holders() -> None:
    found = templates(make_events()).holdings.to_pandas()
    holders = found.groupby("template_id").account_id.agg(lambda ids: tuple(sorted(ids)))
    expected = [tuple(f"a{i:03}" for i in range(start, 40, 2)) for start in (0, 1)]
    assert sorted(holders[holders.map(len) > 3]) == expected


def test_tables_say_how_often_first_and_last_as_counted_by_hand() -> None:
    day = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    events = pd.DataFrame(
        {
            "account_id": ["b", "a", "b", "c"],
            "prompt": [CORE + " x", CORE + " y", CORE + " z", "hello"],
            "ts": pd.to_datetime([day + dt.timedelta(days=i) for i in (3, 1, 0, 2)], utc=True),
        }
    )
    found = templates(events)
    times = [(row["first_seen"] - day).days for row in found.holdings.to_pylist()]
    last = [(row["last_seen"] - day).days for row in found.holdings.to_pylist()]
    assert found.holdings.column("account_id").to_pylist() == ["a", "b"]
    assert found.holdings.column("count").to_pylist() == [1, 2]
    assert (times, last) == ([1, 0], [1, 3])
    (template,) = found.templates.to_pylist()
    assert (template["n_accounts"], template["n_prompts"], template["public"]) == (2, 3, False)
    assert template["skeleton"].startswith("act as a careful reviewer")


def test_a_prompt_with_two_templates_gives_two_holdings() -> None:
    rows = [(f"{group}{i}", text + " " + filler)
            for group, text in (("a", CORE), ("b", OTHER))
            for i, filler in enumerate(["one", "two", "three"])]  # fmt: skip
    rows.append(("both", CORE + ". And then: " + OTHER))
    ids, texts = zip(*rows, strict=True)
    found = templates(pa.table({"account_id": ids, "prompt": texts})).holdings.to_pandas()
    assert found.groupby("account_id").template_id.nunique().to_dict() == {
        **{f"{group}{i}": 1 for group in "ab" for i in range(3)},
        "both": 2,
    }


def test_a_popular_opening_does_not_merge_what_it_opens() -> None:
    opening = "You are a helpful assistant that always answers in full sentences and is polite. "
    rng = np.random.default_rng(0)
    rows = [(f"t{t}_{i}", opening + body + " " + " ".join(make_words(rng, 10)))
            for t, body in enumerate((CORE, OTHER)) for i in range(10)
            for _ in range(5)]  # fmt: skip
    rows += [(f"z{i}", opening + " ".join(make_words(rng, 30))) for i in range(200)]
    ids, texts = zip(*rows, strict=True)
    found = templates(pa.table({"account_id": ids, "prompt": texts})).holdings.to_pandas()
    holders = found.groupby("template_id").account_id.agg(set)
    for t in (0, 1):
        own = {f"t{t}_{i}" for i in range(10)}
        assert sum(ids == own for ids in holders) == 1
    assert sum(len(ids) == 220 for ids in holders) == 1


def test_two_templates_with_a_sentence_in_common_stay_two() -> None:
    shared = "Answer in the form of a table with one row for every single item that you were given."
    rng = np.random.default_rng(0)
    rows = [(f"t{t}_{i}", " ".join([body, shared, *make_words(rng, 10)]))
            for t, body in enumerate((CORE, OTHER)) for i in range(10)
            for _ in range(5)]  # fmt: skip
    ids, texts = zip(*rows, strict=True)
    found = templates(pa.table({"account_id": ids, "prompt": texts})).holdings.to_pandas()
    holders = found.groupby("template_id").account_id.agg(set)
    for t in (0, 1):
        own = {f"t{t}_{i}" for i in range(10)}
        assert sum(ids == own for ids in holders) == 1


def test_a_paraphrased_template_is_one_identifier() -> None:
    rng = np.random.default_rng(0)
    core = make_words(rng, 40)
    synonyms = {word: make_words(rng, 3) for word in core}
    rows = []
    for account in range(60):
        for _ in range(20):
            words = [rng.choice(synonyms[w]) if rng.random() < 0.3 else w for w in core]
            rows.append((f"a{account}", " ".join([*words, *make_words(rng, 20)])))
    rows += [(f"z{i}", " ".join(make_words(rng, 60))) for i in range(500)]
    ids, texts = zip(*rows, strict=True)
    found = templates(pa.table({"account_id": ids, "prompt": texts})).templates.to_pandas()
    widest = found.n_accounts.sort_values(ascending=False).tolist()
    assert widest[0] >= 54  # recall of .9
    assert max(widest[1:], default=0) < 12  # what is left over is held by few


@pytest.mark.parametrize("threads", [1, 3])
def test_row_order_batches_and_threads_change_nothing(threads: int) -> None:
    events = make_events()
    shuffled = events.take(pa.array(np.random.default_rng(5).permutation(events.num_rows)))
    one = templates(events)
    two = templates(shuffled.to_batches(max_chunksize=37), threads=threads)
    assert one.templates.equals(two.templates)
    assert one.holdings.equals(two.holdings)


def test_prints_in_a_file_give_what_prints_in_memory_give(monkeypatch: pytest.MonkeyPatch) -> None:
    events = make_events()
    kept = templates(events)
    monkeypatch.setattr("linkage.fingerprints._prints._MEGABYTE", 1)
    monkeypatch.setattr("linkage.fingerprints._shared._ROUND", 500)
    spilled = templates(events)
    assert spilled.templates.equals(kept.templates)
    assert spilled.holdings.equals(kept.holdings)


def make_chatter(seed: int, accounts: int = 60, prompts: int = 8) -> pa.Table:
    """Prompts put together from phrases, of which each account knows some: joining takes rounds."""
    rng = np.random.default_rng(seed)
    phrases = [make_words(rng, int(n)) for n in rng.integers(6, 30, 40)]
    rows = []
    for account in range(accounts):
        known = rng.choice(len(phrases), 6, p=np.arange(40, 0, -1) / 820)
        for _ in range(prompts):
            said = [word for place in rng.choice(known, 4) for word in phrases[place]]
            swap = rng.random(len(said)) < 0.05
            words = [
                rng.choice(said) if is_swapped else word
                for word, is_swapped in zip(said, swap, strict=True)
            ]
            rows.append((f"a{account:03}", " ".join(words)))
    return pa.table({"account_id": [row[0] for row in rows], "prompt": [row[1] for row in rows]})


@pytest.mark.parametrize("seed", range(4))
def test_looking_again_only_where_something_changed_is_enough(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = make_chatter(seed)
    found = templates(events)
    list_joins, shares = _join._list_joins, []

    def list_joins_again(*args: Any, **options: Any) -> Any:
        shares.append(args[2].mean())
        return list_joins(*args, **options)

    monkeypatch.setattr(_join, "_list_joins", list_joins_again)
    monkeypatch.setattr(_join, "_GROWN", -1.0)
    everywhere = templates(events)
    assert shares == [1.0] * max(len(shares), 3)
    assert found.templates.equals(everywhere.templates)
    assert found.holdings.equals(everywhere.holdings)


def test_holdings_come_in_pieces_as_in_one(tmp_path: Path) -> None:
    events = make_chatter(0)
    found = templates(events)
    assert found.n_holdings == found.holdings.num_rows > 10
    pieces = [*found.iterate_holdings(rows=7)]
    assert {len(piece) for piece in pieces[:-1]} == {7}
    assert pa.Table.from_batches(pieces).equals(found.holdings)
    write_templates(found, tmp_path)
    assert pq.read_table(tmp_path / "holdings.parquet").equals(found.holdings)
    assert pq.read_table(tmp_path / "templates.parquet").equals(found.templates)


def test_more_templates_than_can_be_counted_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkage.fingerprints._holdings._MOST_LABELS", 1)
    with pytest.raises(InputError, match="at most 1 can be counted"):
        templates(make_events())


def test_more_places_than_numbers_for_them_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkage.fingerprints._join._MOST_PLACES", 100)
    with pytest.raises(InputError, match="max_prompts_an_account"):
        templates(make_events())


def test_a_small_sample_of_texts_changes_no_skeleton_where_prompts_can_be_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = make_events()
    found = templates(events)
    monkeypatch.setattr("linkage.fingerprints._texts._ROWS", 2)
    again, once = templates(events), templates(iter(events.to_batches()))
    assert again.templates.equals(found.templates)
    assert not once.templates["skeleton"].equals(found.templates["skeleton"])


def test_renamed_accounts_hold_the_same_templates() -> None:
    events = make_events().to_pandas()
    numbers = {name: 7 * i + 3 for i, name in enumerate(sorted(set(events.account_id)))}
    renamed = events.assign(account_id=events.account_id.map(numbers).astype("int32"))
    one, two = templates(events), templates(renamed)
    assert two.holdings.schema.field("account_id").type == pa.int32()
    assert one.templates.equals(two.templates)
    assert [numbers[name] for name in one.holdings.column("account_id").to_pylist()] == (
        two.holdings.column("account_id").to_pylist()
    )


def test_strangers_change_no_template() -> None:
    events = make_events()
    rng = np.random.default_rng(9)
    strangers = pa.table(
        {
            "account_id": [f"y{i}" for i in range(50)],
            "prompt": [" ".join(make_words(rng, 60, vocabulary=50_000)) for _ in range(50)],
            "ts": pa.nulls(50, pa.timestamp("us", tz="UTC")),
        }
    )
    one, two = templates(events), templates(pa.concat_tables([events, strangers]))
    ids = one.templates.filter(pa.compute.greater(one.templates["n_accounts"], 3))["template_id"]
    assert set(ids.to_pylist()) <= set(two.templates["template_id"].to_pylist())


def test_every_holder_of_frames_is_read_alike() -> None:
    events = make_events(accounts=6)
    expected = templates(events)
    large = events.set_column(1, "prompt", events["prompt"].cast(pa.large_string()))
    coded = events.set_column(1, "prompt", events["prompt"].dictionary_encode())
    for source in (
        events.to_pandas(),
        pl.from_arrow(events),
        large,
        coded,
        events.to_reader(),
        iter(events.to_batches()),
        [events.slice(0, 30), events.slice(30)],
    ):
        found = templates(source)
        assert found.holdings.drop(["account_id"]).equals(expected.holdings.drop(["account_id"]))
        assert found.templates.equals(expected.templates)


def test_nulls_and_slices_are_counted_and_left_out() -> None:
    events = make_events(accounts=6)
    holes = pa.table(
        {"account_id": [None, "a000", "q"], "prompt": [CORE, None, ""]}, events.schema.remove(2)
    ).append_column("ts", pa.nulls(3, events.schema.field("ts").type))
    padded = pa.concat_tables([holes, events, holes]).combine_chunks()
    found = templates(padded.slice(1, padded.num_rows - 2))
    assert found.counts["no_account"] == 1
    assert found.counts["no_prompt"] == 2
    assert found.templates.equals(templates(events).templates)


def test_no_prompts_give_empty_tables_with_the_same_columns() -> None:
    empty = templates(make_events().slice(0, 0))
    assert empty.templates.num_rows == empty.holdings.num_rows == 0
    assert empty.templates.schema == templates(make_events()).templates.schema
    assert templates([]).holdings.num_rows == 0


def test_text_that_a_stream_passed_once_still_gives_skeletons() -> None:
    found = templates(iter(make_events().to_batches(max_chunksize=50)))
    assert any((text or "").startswith("act as a careful") for text in
               found.templates["skeleton"].to_pylist())  # fmt: skip


# --- public templates ----------------------------------------------------------------------------


def test_a_tool_of_unrelated_accounts_is_public_and_an_operators_templates_are_not() -> None:
    rng = np.random.default_rng(0)
    tool = " ".join(make_words(rng, 40))
    rows = [(f"z{i}", tool + " " + " ".join(make_words(rng, 20))) for i in range(120)]
    rows += [(f"n{i}", " ".join(make_words(rng, 40))) for i in range(1_500)]
    rows += [(f"a{i}", text + " " + " ".join(make_words(rng, 10)))
             for i in range(60) for text in (CORE, OTHER)]  # fmt: skip
    ids, texts = zip(*rows, strict=True)
    found = templates(pa.table({"account_id": ids, "prompt": texts})).templates.to_pandas()
    public = found[found.n_accounts >= 50].set_index("n_accounts").public
    assert public.loc[120]
    assert public.loc[60].tolist() == [False, False]


def test_a_known_tools_prompt_is_public_however_few_hold_it() -> None:
    found = templates(make_events(), known=[CORE.upper() + " and more"])
    by_skeleton = {
        row["skeleton"][:3]: row["public"]
        for row in found.templates.to_pylist()
        if row["n_accounts"] == 20
    }
    assert by_skeleton == {"act": True, "tra": False}


# --- privacy -------------------------------------------------------------------------------------


def test_nothing_that_identifies_a_person_reaches_the_skeleton() -> None:
    letter = (
        "Dear Grace Hopper, send the full monthly report to grace.hopper@example.org before "
        "2026-06-10 and use the api key sk-test-4242424242424242 from https://example.com/a?b=c "
        "then call +44 20 7946 0958 and thank @grace_h for the excellent work on this matter"
    )
    events = pa.table({"account_id": ["a", "b"], "prompt": [letter, letter]})
    text = templates(events).templates["skeleton"].to_pylist()[0]
    for part in ("Grace", "Hopper", "example.org", "2026", "4242", "https", "7946", "grace_h"):
        assert part not in text
    assert "send the full monthly report" in text


def test_template_ids_depend_on_the_key() -> None:
    one, two = (templates(make_events(), key=key) for key in (b"one", b"two"))
    assert not set(one.templates["template_id"].to_pylist()) & set(
        two.templates["template_id"].to_pylist()
    )


# --- errors --------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(SchemaError, match=r"lack the columns \['prompt'\]"):
        templates(pa.table({"account_id": ["a"]}))
    with pytest.raises(SchemaError, match="account_id must be text or integers, not double"):
        templates(pa.table({"account_id": [1.5], "prompt": ["x"]}))
    with pytest.raises(SchemaError, match="ts must be a timestamp, not int64"):
        templates(pa.table({"account_id": ["a"], "prompt": ["x"], "ts": [1]}))
    with pytest.raises(InputError, match="not as int"):
        templates(3)
    with pytest.raises(ConfigError, match="at most 64 bytes"):
        templates([], key=bytes(65))
    with pytest.raises(ConfigError, match=r"fingerprints\.window must lie between 1 and 64, got 0"):
        FingerprintConfig(window=0)


# --- files and the command -----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_the_command_writes_what_the_function_returns(
    suffix: str, tmp_path: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    events = make_events().to_pandas()
    path = f"{tmp_path}/events.{suffix}"
    renamed = events.rename(columns={"account_id": "user", "prompt": "text"})
    if suffix == "parquet":
        renamed.to_parquet(path)
    elif suffix == "csv":
        renamed.to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%S")
    else:
        renamed.to_json(path, orient="records", lines=True, date_format="iso")
    out = f"{tmp_path}/out"
    assert main(["fingerprint", path, "--out", out, "--account", "user", "--prompt", "text"]) == 0
    expected = templates(events)
    assert pq.read_table(f"{out}/templates.parquet").equals(expected.templates)
    assert pq.read_table(f"{out}/holdings.parquet")["count"].equals(expected.holdings["count"])
    assert "20 accounts" in capsys.readouterr().out


def test_missing_and_foreign_files_are_named(tmp_path: pytest.TempPathFactory) -> None:
    with pytest.raises(MissingInputError, match="no file of prompts at"):
        templates(PromptFiles(path=f"{tmp_path}/none.csv"))
    with open(f"{tmp_path}/notes.txt", "w") as handle:  # noqa: PTH123
        handle.write("x")
    with pytest.raises(InputError, match=r"it has \['\.txt'\]"):
        templates(PromptFiles(path=f"{tmp_path}/notes.txt"))
    with open(f"{tmp_path}/a.csv", "w") as handle:  # noqa: PTH123
        handle.write("account_id,text\na,b\n")
    with pytest.raises(SchemaError, match=r"lacks the columns \['prompt'\]"):
        templates(PromptFiles(path=f"{tmp_path}/a.csv"))


@pytest.mark.parametrize("run", ["x", "a-", "a.", "=a", "@", "A "])
def test_a_prompt_of_a_million_letters_is_redacted_as_well(run):
    text = run * (1_000_000 // len(run))  # from every letter of it to the end would be hours
    assert redact(f"{text} mail ada@example.org").endswith(" mail \u2039e-mail\u203a")


def test_addresses_that_hang_together_are_all_taken_out():
    assert redact("a@b.com+c@d.org, then e@f.net") == "\u2039e-mail\u203a, then \u2039e-mail\u203a"
