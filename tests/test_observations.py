import gzip
import re
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage import groups
from linkage.config import Config, KindConfig, Limits
from linkage.engine import Engine
from linkage.errors import InputError
from linkage.observations import observe
from linkage.prompts import TEMPLATES
from linkage.sources import KEPT

EVENTS = pd.DataFrame(
    {
        "account_id": ["b", "a", "a", "a", "c"],
        "ts": [f"2026-05-0{day}T12:00:00Z" for day in (1, 2, 3, 4, 5)],
        "ip": ["192.0.2.1", "192.0.2.1:80", "192.0.2.1", "2001:db8::1", None],
        "device_id": ["d1", "d1", "d1 ", None, ""],
    }
)


def look(inputs, config=None, *, threads=2, **options):
    with Engine(threads=threads) as engine:
        return observe(engine, inputs, config or Config(), **options)


def list_edges(observed):
    """Edges in words: (account, kind, value, count, first day, last day)."""
    accounts = observed.accounts.column("account_id").to_pylist()
    names = observed.identifiers.select(["kind", "value"]).to_pylist()
    return [
        (
            accounts[edge["account"]],
            *names[edge["identifier"]].values(),
            edge["count"],
            edge["first_seen"] and edge["first_seen"].day,
            edge["last_seen"] and edge["last_seen"].day,
        )
        for edge in observed.edges.to_pylist()
    ]


def list_rejected(observed):
    return [tuple(row.values()) for row in observed.rejected.to_pylist()]


def assert_same(left, right):
    """All that stages read is equal to the bit."""
    for name in ("accounts", "identifiers", "edges"):
        assert getattr(left, name).combine_chunks().equals(getattr(right, name).combine_chunks())


# --- by hand ---


def test_events_by_hand():
    observed = look({"events": EVENTS})
    assert list_edges(observed) == [
        ("a", "device", "d1", 2, 2, 3),
        ("a", "ip", "192.0.2.1", 2, 2, 3),
        ("a", "ip", "2001:db8::/64", 1, 4, 4),
        ("b", "device", "d1", 1, 1, 1),
        ("b", "ip", "192.0.2.1", 1, 1, 1),
    ]
    assert observed.identifiers.to_pydict() == {
        "kind": ["device", "ip", "ip"],
        "value": ["d1", "192.0.2.1", "2001:db8::/64"],
        "family": ["client", "network", "network"],
        "n_accounts": [2, 2, 1],
    }
    accounts = observed.accounts
    assert accounts.column("account_id").to_pylist() == ["a", "b", "c"]
    assert accounts.column("n_events").to_pylist() == [3, 1, 1]
    assert [day.day for day in accounts.column("last_seen").to_pylist()] == [4, 1, 5]
    assert observed.rejected.num_rows == 0


def test_the_types_are_those_of_the_contract():
    observed = look({"events": EVENTS})
    utc = pa.timestamp("us", tz="UTC")
    assert observed.edges.schema == pa.schema(
        [("account", pa.int32()), ("identifier", pa.int32()), ("count", pa.int64()),
         ("first_seen", utc), ("last_seen", utc)]
    )  # fmt: skip
    assert observed.accounts.schema == pa.schema(
        [("account_id", pa.string()), ("created_at", utc), ("country", pa.string()),
         ("status", pa.string()), ("banned_at", utc), ("first_seen", utc), ("last_seen", utc),
         ("n_events", pa.int64())]
    )  # fmt: skip
    assert observed.identifiers.schema == pa.schema(
        [("kind", pa.string()), ("value", pa.string()), ("family", pa.string()),
         ("n_accounts", pa.int64())]
    )  # fmt: skip


def test_all_four_tables_meet_in_one_account():
    observed = look(
        {
            "events": EVENTS[EVENTS["account_id"] == "a"],
            "payments": pd.DataFrame(
                {"account_id": ["a"], "ts": ["2026-04-30"], "payment_method": ["pm1"]}
            ),
            "accounts": pd.DataFrame(
                {"account_id": ["a"], "email": ["Jo9+x@corp.example"], "country": [" DE "]}
            ),
            "observations": pd.DataFrame(
                {"account_id": ["a"], "kind": ["wallet"], "value": ["w"], "count": [7]}
            ),
        }
    )
    assert observed.accounts.num_rows == 1
    account = observed.accounts.to_pylist()[0]
    assert (account["country"], account["n_events"], account["first_seen"].month) == ("DE", 3, 4)
    assert ("a", "wallet", "w", 7, None, None) in list_edges(observed)
    assert ("a", "email_pattern", "a9@corp.example", 1, None, None) in list_edges(observed)
    assert [info.table for info in observed.sources] == [
        "events", "payments", "accounts", "observations",
    ]  # fmt: skip


def test_the_smallest_of_several_attributes_is_kept_and_every_address():
    accounts = pd.DataFrame(
        {
            "account_id": ["a", "a", "a"],
            "email": ["x@one.example", "y@two.example", None],
            "country": [None, "US", "DE"],
            "created_at": ["2026-05-02", "2026-05-01", None],
        }
    )
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        observed = look({"accounts": accounts.iloc[order]})
        account = observed.accounts.to_pylist()[0]
        assert (account["country"], account["created_at"].day) == ("DE", 1)
        emails = [value for _, kind, value, *_ in list_edges(observed) if kind == "email"]
        assert emails == ["x@one.example", "y@two.example"]


def test_observations_take_a_time_a_span_or_neither():
    rows = [
        ("ts", "2026-05-03", None, None, (3, 3)),
        ("span", None, "2026-05-01", "2026-05-09", (1, 9)),
        ("open", None, "2026-05-04", None, (4, 4)),
        ("none", None, None, None, (None, None)),
    ]
    frame = pd.DataFrame(
        [("a", "k", *row[:4]) for row in rows],
        columns=["account_id", "kind", "value", "ts", "first_seen", "last_seen"],
    )
    found = {edge[2]: edge[4:] for edge in list_edges(look({"observations": frame}))}
    assert found == {row[0]: row[4] for row in rows}


def test_spellings_of_one_account_are_one_account():
    frame = pd.DataFrame(
        {"account_id": ["a", " a", "a\t"], "kind": "k", "value": "v", "ts": "2026-05-01"}
    )
    assert list_edges(look({"observations": frame})) == [("a", "k", "v", 3, 1, 1)]


def test_kinds_of_different_case_are_one_kind():
    frame = pd.DataFrame({"account_id": "a", "kind": ["IP", "ip"], "value": "192.0.2.1"})
    assert list_edges(look({"observations": frame})) == [("a", "ip", "192.0.2.1", 2, None, None)]


def test_declared_columns_are_kinds():
    kinds = {
        "bin": KindConfig(family="payment", table="payments", column="bin"),
        "ip": KindConfig(family="network", table="payments", column="payer_ip"),
    }
    frame = pd.DataFrame(
        {"account_id": ["a"], "ts": ["2026-05-01"], "bin": [400000], "payer_ip": ["192.0.2.9"]}
    )
    observed = look({"payments": frame}, Config(kinds=kinds))
    assert [edge[1:3] for edge in list_edges(observed)] == [("bin", "400000"), ("ip", "192.0.2.9")]


# --- times ---

NOON = "2026-05-01 12:00:00"
TIMES = {
    "naive text is UTC": [NOON],
    "offset": ["2026-05-01T14:00:00+02:00"],
    "zulu": ["2026-05-01T12:00:00Z"],
    "seconds": [1777636800],
    "seconds as text": ["1777636800"],
    "seconds with a fraction": [1777636800.0],
    "milliseconds": [1777636800000],
    "microseconds": [1777636800000000],
    "nanoseconds": [1777636800000000000],
    "nanoseconds as text": ["1777636800000000000"],
    "pandas naive": pd.to_datetime([NOON]),
    "pandas with a zone": pd.to_datetime([NOON]).tz_localize("UTC").tz_convert("Asia/Tokyo"),
    "arrow seconds": pa.array([1777636800], pa.timestamp("s")),
    "arrow nanoseconds": pa.array([1777636800 * 10**9], pa.timestamp("ns", "Europe/Berlin")),
    "dictionary": pa.array([NOON]).dictionary_encode(),
    "large text": pa.array([NOON], pa.large_string()),
    "text view": pa.array([NOON], pa.string_view()),
    "decimal": pa.array([1777636800]).cast(pa.decimal128(20, 0)),
}


@pytest.mark.parametrize("values", TIMES.values(), ids=TIMES.keys())
def test_a_time_is_read_whatever_its_type(values, tmp_path):
    table = pa.table({"account_id": ["a"], "ts": pa.array(values), "ip": ["192.0.2.1"]})
    pq.write_table(table, tmp_path / "e.parquet")
    for given_events in (table, tmp_path / "e.parquet"):
        (edge,) = look({"events": given_events}).edges.to_pylist()
        assert edge["first_seen"] == edge["last_seen"] == pd.Timestamp(NOON, tz="UTC")


def test_a_date_is_its_midnight():
    table = pa.table({"account_id": ["a"], "ts": pa.array([20574], pa.date32())})
    account = look({"events": table}).accounts.to_pylist()[0]
    assert account["first_seen"] == pd.Timestamp("2026-05-01", tz="UTC")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the time is missing"),
        (None, "the time is missing"),
        ("  ", "the time is missing"),
        ("yesterday", "'yesterday' is no time: write ISO 8601"),
        ("05/01/2026", "'05/01/2026' is no time"),
        ("2026-13-01", "'2026-13-01' is no time"),
        ("nan", "'nan' is no time"),
        ("infinity", "'infinity' lies outside the years 2000 to 2099"),
        ("-infinity", "'-infinity' lies outside"),
        ("1999-12-31T23:59:59Z", "lies outside the years 2000 to 2099"),
        ("2100-01-01", "lies outside"),
        ("1e300", "'1e300' is no time"),
        ("-1777636800", "lies outside"),
        ("20260501", "lies outside"),
        ("x" * 1_000_000, "'" + "x" * 60 + "…' is no time"),
    ],
)
def test_an_event_without_a_usable_time_is_refused(text, said):
    frame = pd.DataFrame({"account_id": ["a", "b"], "ts": ["2026-05-01", text]})
    observed = look({"events": frame})
    assert observed.accounts.column("account_id").to_pylist() == ["a"]
    ((source, row, column, reason),) = list_rejected(observed)
    assert (source, row, column) == ("events frame", 2, "ts")
    assert said in reason
    assert len(reason) < 200


def test_the_years_that_are_believed_are_a_setting():
    frame = pd.DataFrame({"account_id": ["a"], "ts": ["1975-05-01"]})
    config = Config(limits=Limits(min_year=1970))
    assert look({"events": frame}, config).accounts.num_rows == 1


# --- refusals ---


def test_rows_and_cells_are_refused_by_hand():
    events = pd.DataFrame(
        {
            "account_id": ["a", None, " ", "x" * 5_000, "a", "a"],
            "ts": "2026-05-01",
            "ip": ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "1.2.3.999", "::1"],
            "device_id": ["d", "d", "d", "d", "y" * 5_000, None],
        }
    )
    observed = look({"events": events})
    assert list_rejected(observed) == [
        ("events frame", 2, "account_id", "the account is missing"),
        ("events frame", 3, "account_id", "the account is missing"),
        ("events frame", 4, "account_id", "the account is longer than 4096 characters"),
        ("events frame", 5, "device_id", "the value is longer than 4096 characters" + KEPT),
        ("events frame", 5, "ip", "'1.2.3.999' is no IP address" + KEPT),
        ("events frame", 6, "ip", "'::1' is a loopback or unspecified address and tells nothing"
         + KEPT),
    ]  # fmt: skip
    assert [edge[:3] for edge in list_edges(observed)] == [
        ("a", "device", "d"), ("a", "ip", "192.0.2.1"),
    ]  # fmt: skip
    assert observed.accounts.column("n_events").to_pylist() == [3]
    (info,) = observed.sources
    assert (info.n_rows, info.n_refused_rows, info.n_dropped_cells) == (6, 3, 3)


def test_refusals_beyond_the_limit_are_counted_and_not_listed(monkeypatch, tmp_path):
    monkeypatch.setattr("linkage.refusals.MAX_LISTED", 3)
    monkeypatch.setattr("linkage.sources.MAX_LISTED", 2)
    events = pd.DataFrame({"account_id": ["a"] * 9, "ts": ["2026-05-01"] + ["?"] * 8})
    events["ip"] = ["300.1.1.1"] * 9
    observed = look({"events": events})
    assert [row[1] for row in list_rejected(observed)] == [1, 2, 3, None]
    assert observed.rejected["reason"][-1].as_py() == (
        "6 more rows or cells were refused than the 3 that are listed"
    )
    (info,) = observed.sources
    assert (info.n_rows, info.n_refused_rows, info.n_dropped_cells) == (9, 8, 1)
    path = tmp_path / "events.csv"
    path.write_text("account_id,ts\na,2026-05-01\n" + "x\n" * 5 + "b,2026-05-01\n")
    observed = look({"events": path})
    assert [row[1] for row in list_rejected(observed)] == [2, 3, None]
    (info,) = observed.sources
    assert (info.n_rows, info.n_refused_rows) == (7, 5)
    assert observed.accounts["account_id"].to_pylist() == ["a", "b"]


def test_signals_without_kind_value_or_count_are_refused():
    frame = pd.DataFrame(
        [
            ("a", "k", "v", 1, None),
            ("b", "", "v", 1, None),
            ("b", "k" * 101, "v", 1, None),
            ("b", "k", " ", 1, None),
            ("b", "ip", "localhost", 1, None),
            ("b", "k", "v", 0, None),
            ("b", "k", "v", -1, None),
            ("b", "k", "v", "many", None),
            ("b", "k", "v", 1.5, None),
            ("a", "k", "v", None, "when?"),
        ],
        columns=["account_id", "kind", "value", "count", "ts"],
    )
    observed = look({"observations": frame})
    found = {row: (column, reason) for _, row, column, reason in list_rejected(observed)}
    assert {row: column for row, (column, _) in found.items()} == {
        2: "kind", 3: "kind", 4: "value", 5: "value", 6: "count", 7: "count", 8: "count",
        9: "count", 10: "ts",
    }  # fmt: skip
    assert found[4][1] == "the value is missing"
    assert found[5][1] == "'localhost' is no IP address"
    assert found[8][1] == "'many' is no count: a whole number from 1 to 1,000,000,000,000"
    assert found[10][1].endswith(KEPT)
    assert observed.accounts.column("account_id").to_pylist() == ["a"]
    assert list_edges(observed) == [("a", "k", "v", 2, None, None)]


def test_a_span_that_ends_before_it_begins_is_refused():
    frame = pd.DataFrame(
        {"account_id": ["a", "b"], "kind": "k", "value": "v",
         "first_seen": ["2026-05-01", "2026-05-02"], "last_seen": ["2026-05-01", "2026-05-01"]}
    )  # fmt: skip
    observed = look({"observations": frame})
    assert [row[1:] for row in list_rejected(observed)] == [
        (2, "first_seen", "first seen after it was last seen")
    ]


def test_bytes_that_are_no_text_are_refused():
    table = pa.table({"account_id": [b"a", b"\xff"], "ts": ["2026-05-01"] * 2})
    observed = look({"events": table})
    assert observed.accounts.column("account_id").to_pylist() == ["a"]
    assert [row[1:] for row in list_rejected(observed)] == [(2, "account_id", "not UTF-8 text")]


def test_attributes_that_cannot_be_used_cost_the_cell_only():
    frame = pd.DataFrame(
        {"account_id": ["a"], "created_at": ["?"], "country": ["x" * 5_000], "status": ["ok"]}
    )
    observed = look({"accounts": frame})
    account = observed.accounts.to_pylist()[0]
    assert (account["created_at"], account["country"], account["status"]) == (None, None, "ok")
    assert [row[2] for row in list_rejected(observed)] == ["country", "created_at"]


def test_control_characters_never_reach_the_reader():
    frame = pd.DataFrame(
        {"account_id": ["a", "a\x1b[2J", "a"], "ts": ["2026-05-01"] * 2 + ["\x1b?"]}
    )
    observed = look({"events": frame})
    assert observed.accounts.column("account_id").to_pylist() == ["a"]
    (_, account), (_, time) = [row[2:] for row in list_rejected(observed)]
    assert account == "the account holds control characters"
    assert time.startswith("'?' is no time")


def test_an_identifier_that_only_refused_rows_had_is_none():
    frame = pd.DataFrame({"account_id": ["", "a"], "ts": "2026-05-01", "device_id": ["d1", "d2"]})
    observed = look({"events": frame})
    assert observed.identifiers.column("value").to_pylist() == ["d2"]
    assert observed.identifiers.column("n_accounts").to_pylist() == [1]


def test_an_empty_table_is_noted_beside_one_with_rows():
    observed = look({"events": EVENTS, "payments": pd.DataFrame({"account_id": [], "ts": []})})
    assert list_rejected(observed) == [("payments frame", None, None, "no rows")]


def test_an_input_without_any_row_is_refused():
    with pytest.raises(InputError, match="the input has no rows: events frame"):
        look({"events": EVENTS.head(0)})


def test_a_table_without_a_usable_row_is_refused_with_the_commonest_reason():
    bad = EVENTS.assign(ts=["?", "", "", None, " "])
    with pytest.raises(
        InputError,
        match=r"not one usable row in events: 5 refused, 4 of them because the time is missing; "
        r"correct them, or map other columns in linkage.toml under \[columns.events\]",
    ):
        look({"events": bad, "accounts": pd.DataFrame({"account_id": ["a"]})})
    with pytest.raises(InputError, match="not one usable row in observations: 1 refused"):
        look({"observations": pd.DataFrame({"account_id": "a", "kind": "ip", "value": ["x"]})})


def test_columns_may_be_called_like_anything_inside():
    names = {"account_id": "value_0", "ts": "filename", "ip": "ts", "device_id": "account"}
    config = Config(columns={"events": names})
    renamed = EVENTS.rename(columns=names)
    assert_same(look({"events": EVENTS}), look({"events": renamed}, config))
    table = pa.Table.from_pandas(renamed, preserve_index=False)
    assert_same(look({"events": EVENTS}), look({"events": table}, config))


# --- metamorphic ---


def make_world(seed, n=400):
    """Random events with odd spellings, repeated rows and some that cannot be used."""
    rng = np.random.default_rng(seed)
    ips = ["192.0.2.1", "192.0.2.1:80", "2001:db8::1", "2001:DB8::2", "", "x", "::1", None]
    frame = pd.DataFrame(
        {
            "account_id": rng.choice(["a", " a", "b", "ü", "", "z9"], n),
            "ts": rng.choice(["2026-05-01", "2026-05-02T01:00:00+01:00", "?", "1777636800"], n),
            "ip": rng.choice(np.array(ips, object), n),
            "device_id": rng.choice(np.array(["d,1", 'd"2', "d\n3", "  ", None], object), n),
        }
    )
    return frame.astype("string")


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_and_the_threads_do_not_matter(seed):
    frame = make_world(seed)
    whole = look({"events": frame})
    assert_same(whole, look({"events": frame.sample(frac=1, random_state=seed)}))
    assert_same(whole, look({"events": frame}, threads=1))


def test_formats_files_and_frames_give_the_same(tmp_path):
    frame = make_world(7)
    written = {name: tmp_path / name for name in ("e.csv", "e.tsv.gz", "e.jsonl", "e.parquet")}
    frame.to_csv(written["e.csv"], index=False)
    written["e.tsv.gz"].write_bytes(gzip.compress(frame.to_csv(index=False, sep="\t").encode()))
    frame.to_json(written["e.jsonl"], orient="records", lines=True)
    frame.to_parquet(written["e.parquet"])
    expected = look({"events": frame})
    for path in written.values():
        observed = look({"events": path})
        assert_same(observed, expected)
        # A frame's and a file's rows are counted alike, so the same rows are refused.
        assert [row[1:] for row in list_rejected(observed)] == [
            row[1:] for row in list_rejected(expected)
        ]


def test_splitting_an_input_changes_nothing(tmp_path):
    frame = make_world(8)
    frame.iloc[:100].to_parquet(tmp_path / "1.parquet")
    frame.iloc[100:200].to_parquet(tmp_path / "2.parquet")
    frame.iloc[200:300].to_csv(tmp_path / "3.csv", index=False)
    expected = look({"events": frame})
    assert_same(look({"events": [tmp_path, frame.iloc[300:]]}), expected)
    observed = look({"events": [tmp_path, frame.iloc[300:]]})
    assert sum(info.n_rows for info in observed.sources) == len(frame)
    total = sum(info.n_refused_rows + info.n_dropped_cells for info in observed.sources)
    assert total == observed.rejected.num_rows == expected.rejected.num_rows
    labels = {info.source for info in observed.sources}
    assert {row[0] for row in list_rejected(observed)} <= labels


def test_repeated_rows_only_raise_the_count():
    frame = make_world(9)
    once, twice = look({"events": frame}), look({"events": pd.concat([frame, frame])})
    counts = 2 * once.edges.column("count").to_numpy()
    assert twice.edges.column("count").to_numpy().tolist() == counts.tolist()
    assert twice.edges.drop_columns("count").equals(once.edges.drop_columns("count"))
    assert twice.identifiers.equals(once.identifiers)


def test_an_added_column_changes_nothing_and_is_listed():
    observed = look({"events": EVENTS.assign(colour="red")})
    assert_same(observed, look({"events": EVENTS}))
    assert observed.sources[0].ignored == ("colour",)


def test_events_and_the_same_signals_give_the_same_edges():
    signals = EVENTS.melt(["account_id", "ts"], ["ip", "device_id"], "kind", "value")
    signals["kind"] = signals["kind"].replace("device_id", "device")
    signals = signals[signals["value"].notna() & (signals["value"] != "")]
    assert list_edges(look({"observations": signals})) == list_edges(look({"events": EVENTS}))


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", ""]),
        st.sampled_from(["k", "l"]),
        st.sampled_from(["v", "w", " v"]),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_counts_are_those_of_a_loop(rows):
    frame = pd.DataFrame(rows, columns=["account_id", "kind", "value", "count"])
    expected = {}
    for account, kind, value, count in rows:
        if account:
            key = (account, kind, value.strip())
            expected[key] = expected.get(key, 0) + count
    if not expected:
        with pytest.raises(InputError, match="not one usable row"):
            look({"observations": frame})
        return
    found = {edge[:3]: edge[3] for edge in list_edges(look({"observations": frame}))}
    assert found == expected


# --- prompts ---


def test_prompts_become_held_templates():
    """Exact texts stand in for templates."""
    seen = []

    def find(batches):
        table = pa.Table.from_batches(batches)
        seen.append(table.schema)
        frame = table.to_pandas()
        held = frame.groupby(["account_id", "prompt"])["ts"].agg(["size", "min", "max"])
        held = held.reset_index()
        held.columns = ["account_id", "template_id", "count", "first_seen", "last_seen"]
        return TEMPLATES.empty_table(), pa.Table.from_pandas(held, preserve_index=False)

    frame = pd.DataFrame(
        {
            "account_id": ["b", "a", "a", "a", "", "a"],
            "ts": ["2026-05-01", "2026-05-02", "2026-05-03", "?", "2026-05-01", "2026-05-01"],
            "prompt": ["p", "p", "p", "p", "p", "q" * 20],
            "prompt_fingerprint": [None, "", " ", None, None, None],
        }
    )
    config = Config(limits=Limits(max_prompt_chars=10))
    observed = look({"events": frame}, config, find_templates=find)
    assert seen[0] == pa.schema(
        [("account_id", pa.int32()), ("prompt", pa.string()), ("ts", pa.timestamp("us"))]
    )
    assert list_edges(observed) == [("a", "prompt", "p", 2, 2, 3), ("b", "prompt", "p", 1, 1, 1)]
    reasons = {row: (column, reason) for _, row, column, reason in list_rejected(observed)}
    assert reasons[6] == ("prompt", "the prompt is longer than 10 characters" + KEPT)
    assert set(reasons) == {4, 5, 6}


def test_a_given_fingerprint_is_used_instead_of_the_prompt():
    def find(batches):
        assert list(batches) == []
        columns = ["account_id", "template_id", "count", "first_seen", "last_seen"]
        holdings = pa.table({name: pa.array([], pa.int64()) for name in columns})
        return TEMPLATES.empty_table(), holdings

    frame = EVENTS.assign(prompt="p", prompt_fingerprint=" f ")
    observed = look({"events": frame}, find_templates=find)
    held = [edge[:4] for edge in list_edges(observed) if edge[1] == "prompt"]
    assert held == [("a", "prompt", "f", 3), ("b", "prompt", "f", 1), ("c", "prompt", "f", 1)]


def test_prompts_that_follow_no_template_are_counted_as_had_alone():
    def find(batches):
        table = pa.Table.from_batches(batches)
        shared = table.filter(pc.equal(table["prompt"], "p")).group_by("account_id")
        found = shared.aggregate([("ts", "count"), ("ts", "min"), ("ts", "max")])
        names = ["account_id", "count", "first_seen", "last_seen"]
        template = pa.array(["t"] * len(found))
        return TEMPLATES.empty_table(), found.rename_columns(names).append_column(
            "template_id", template
        )

    prompts = {"a": "p p x y z", "b": "p", "c": "x"}
    rows = [(name, prompt) for name, said in prompts.items() for prompt in said.split()]
    frame = pd.DataFrame(rows, columns=["account_id", "prompt"]).assign(ts="2026-05-01")
    for keep_alone in (True, False):
        observed = look({"events": frame}, find_templates=find, keep_alone=keep_alone)
        assert observed.alone.to_pylist() == [
            {"account": 0, "kind": "prompt", "n": 3, "count": 3},
            {"account": 2, "kind": "prompt", "n": 1, "count": 1},
        ]


def test_prompts_that_follow_several_templates_are_counted_once_in_all():
    def find(batches):
        accounts = pa.Table.from_batches(batches)["account_id"].unique().to_pylist()
        held = [(name, template) for name in accounts for template in "tu"]
        found = pd.DataFrame(held, columns=["account_id", "template_id"])
        found = found.assign(count=1, first_seen=pd.NaT, last_seen=pd.NaT)
        return TEMPLATES.empty_table(), pa.Table.from_pandas(found, preserve_index=False)

    frame = pd.DataFrame({"account_id": ["a", "b", "b", "c", "c", "c"], "prompt": "p"})
    frame["ts"] = "2026-05-01"
    observed = look({"events": frame}, find_templates=find)
    assert observed.alone.to_pylist() == [
        {"account": 0, "kind": "prompt", "n": 0, "count": -1},
        {"account": 2, "kind": "prompt", "n": 1, "count": 1},
    ]


def test_progress_is_told():
    told = []
    look({"events": EVENTS}, progress=told.append)
    assert told[0] == "opening the input"
    assert len(told) >= 4


def test_values_that_have_the_key_of_another_one_are_refused(monkeypatch):
    # A hash that a child can outwit: texts of one length have one key.
    weaken = partial(re.sub, r"hash\((value_\d|value)\)", r"hash(length(\1))")
    monkeypatch.setattr(groups, "LIST_TEXTS", weaken(groups.LIST_TEXTS))
    describe = groups._describe_slots
    monkeypatch.setattr(
        groups,
        "_describe_slots",
        lambda *given: {name: weaken(sql) for name, sql in describe(*given).items()},
    )
    events = pd.DataFrame(
        {
            "account_id": ["a", "b", "c", "d"],
            "ts": "2026-05-01",
            "device_id": ["xy", "zw", "x", "x"],
            "user_agent": ["u", "u", "u", "u"],
        }
    )
    observed = look({"events": events})
    assert [edge[:3] for edge in list_edges(observed) if edge[1] == "device"] == [
        ("c", "device", "x"), ("d", "device", "x"),
    ]  # fmt: skip
    assert [row[1:3] for row in list_rejected(observed)] == [(1, "device_id"), (2, "device_id")]
