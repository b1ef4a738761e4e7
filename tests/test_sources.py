import gzip
import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.config import Config, KindConfig
from linkage.engine import ROW_COLUMN, Engine
from linkage.errors import InputError, MissingInputError, SchemaError
from linkage.sources import _number_rows, list_columns, open_sources, resolve_columns

ROW = {"account_id": "a", "ts": "2026-05-01", "ip": "192.0.2.1"}
HEADER = b"account_id,ts,ip\n"


@pytest.fixture
def engine(tmp_path):
    with Engine(tmp_dir=tmp_path / "engine") as opened:
        yield opened


def read(engine, given, config=None, table="events"):
    """Return the rows of the only source, with row numbers, and what was refused in reading."""
    (source,) = open_sources(engine, {table: given}, config or Config())
    assert source.relation == "source_0"
    found = engine.query("SELECT * FROM source_0 ORDER BY __linkage_row__")
    rows = found.select([ROW_COLUMN, *source.columns.used]).to_pylist()
    return [{"row": row.pop(ROW_COLUMN), **row} for row in rows], sorted(source.rejections.listed)


def write(tmp_path, data, name="events.csv"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


# --- columns ---


def test_a_missing_column_is_named_with_what_was_found():
    with pytest.raises(
        SchemaError,
        match=r"events lack \['account_id'\]: found columns \['id', 'ts'\] in x.csv; "
        r"map it in linkage.toml under \[columns.events\]",
    ):
        resolve_columns("events", ["id", "ts"], Config(), "x.csv")


def test_columns_are_renamed_by_the_configuration():
    config = Config(columns={"events": {"account_id": "customer", "ip": "ts"}})
    with pytest.raises(SchemaError, match=r"events lack \['ts'\]"):
        resolve_columns("events", ["customer", "ts"], config, "x")
    config = Config(columns={"events": {"account_id": "customer"}})
    columns = resolve_columns("events", ["customer", "account_id", "ts"], config, "x")
    assert columns.found == {"account_id": "customer", "ts": "ts"}
    assert columns.ignored == ("account_id",)


def test_case_is_forgiven_only_where_one_column_fits():
    assert resolve_columns("accounts", ["ACCOUNT_ID"], Config(), "x").found["account_id"]
    with pytest.raises(SchemaError, match=r"accounts lack \['account_id'\]"):
        resolve_columns("accounts", ["ACCOUNT_ID", "Account_Id"], Config(), "x")


def test_a_column_that_stands_twice_is_refused_only_where_it_is_used():
    with pytest.raises(SchemaError, match="x has the column 'ip' twice"):
        resolve_columns("events", ["account_id", "ts", "ip", "ip"], Config(), "x")
    assert resolve_columns("events", ["account_id", "ts", "y", "y"], Config(), "x").found


def test_declared_kinds_are_read(engine):
    wallet = KindConfig(family="payment", table="payments", column="wallet")
    bins = KindConfig(family="payment", table="payments", column="bin")
    config = Config(kinds={"wallet": wallet, "bin": bins})
    columns = resolve_columns("payments", ["account_id", "ts", "Wallet", "bin"], config, "x")
    assert sorted(columns.kinds) == [("Wallet", "wallet"), ("bin", "bin")]
    assert config.get_kind("bin").family == "payment"


def test_a_column_that_the_configuration_names_must_exist_somewhere(engine):
    wallet = KindConfig(family="payment", table="events", column="wallet")
    frame = pd.DataFrame([ROW])
    with pytest.raises(SchemaError, match=r"events lack \['wallet'\], which the configuration"):
        open_sources(engine, {"events": frame}, Config(kinds={"wallet": wallet}))
    both = [frame, frame.assign(wallet="w")]
    assert len(open_sources(engine, {"events": both}, Config(kinds={"wallet": wallet}))) == 2


@pytest.mark.parametrize(
    ("column", "values", "wanted"),
    [
        ("ip", [["192.0.2.1"]], r"list<.*expected text or a number"),
        ("ip", [{"a": 1}], r"struct<.*expected text or a number"),
        ("ts", [True], r"bool; expected a timestamp, ISO 8601 text"),
        ("account_id", [["a"]], r"list<.*expected text"),
    ],
)
def test_types_that_cannot_be_read_are_named(engine, column, values, wanted):
    table = pa.table({**{name: [value] for name, value in ROW.items()}, column: values})
    with pytest.raises(SchemaError, match=rf"column '{column}' of events frame has type {wanted}"):
        open_sources(engine, {"events": table}, Config())


# --- paths ---


def test_no_input_and_unknown_tables_are_refused(engine):
    with pytest.raises(InputError, match="no input: give at least one of"):
        open_sources(engine, {"events": None}, Config())
    with pytest.raises(InputError, match="unknown table 'event': known are"):
        open_sources(engine, {"event": "x"}, Config())


def test_paths_that_name_nothing_are_missing(engine, tmp_path):
    with pytest.raises(MissingInputError, match=r"events: there is no file or folder '.*no.csv'"):
        open_sources(engine, {"events": tmp_path / "no.csv"}, Config())
    with pytest.raises(MissingInputError, match=r"events: the pattern '.*\*.csv' matches no file"):
        open_sources(engine, {"events": f"{tmp_path}/*.csv"}, Config())
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        MissingInputError, match=r"events: the folder .* holds no file that ends in"
    ):
        open_sources(engine, {"events": tmp_path / "empty"}, Config())
    with pytest.raises(MissingInputError, match="events: an empty list was given"):
        open_sources(engine, {"events": []}, Config())


def test_a_folder_may_mix_formats_and_hides_markers(engine, tmp_path):
    folder = tmp_path / "logs"
    (folder / "day").mkdir(parents=True)
    write(folder, HEADER + b"a,2026-05-01,192.0.2.1\n", "one.csv")
    write(folder, gzip.compress(b'{"account_id": "b", "ts": 1777777777}\n'), "two.jsonl.gz")
    pq.write_table(pa.table({"account_id": ["c"], "ts": [1777777777]}), folder / "day/3.parquet")
    write(folder, b"", "_SUCCESS")
    write(folder, b"x", ".part.csv.crc")
    write(folder, b"x", "readme.md")
    sources = open_sources(engine, {"events": folder}, Config())
    names = [file.label.removeprefix(folder.as_posix()) for s in sources for file in s.files]
    assert sorted(names) == ["/day/3.parquet", "/one.csv", "/two.jsonl.gz"]


def test_parquet_files_of_one_schema_are_one_source(engine, tmp_path):
    for name, table in {
        "a": pa.table({"account_id": ["a"], "ts": ["2026-05-01"]}),
        "b": pa.table({"account_id": ["b"], "ts": ["2026-05-01"]}),
        "c": pa.table({"account_id": [3], "ts": ["2026-05-01"]}),
    }.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    sources = open_sources(engine, {"events": f"{tmp_path}/*.parquet"}, Config())
    assert sorted(len(source.files) for source in sources) == [1, 2]


def test_the_same_file_given_twice_counts_once(engine, tmp_path):
    path = write(tmp_path, HEADER + b"a,2026-05-01,192.0.2.1\n")
    assert len(open_sources(engine, {"events": [path, str(path)]}, Config())) == 1


def test_the_digest_is_that_of_the_bytes(engine, tmp_path):
    path = write(tmp_path, b"account_id\nx\n", "accounts.csv")
    (source,) = open_sources(engine, {"accounts": path}, Config())
    assert source.files[0].digest == hashlib.sha256(b"account_id\nx\n").hexdigest()


# --- formats ---


def test_formats_are_told_by_content_where_the_name_is_silent(engine, tmp_path):
    pq.write_table(pa.table({name: ["1777777777"] for name in ROW}), tmp_path / "dump")
    assert list_columns(tmp_path / "dump") == list(ROW)
    path = write(tmp_path, b'{"account_id": 1, "ts": 1777777777}\n', "lines")
    assert list_columns(path) == ["account_id", "ts"]
    with pytest.raises(InputError, match=r"cannot tell the format of .*what: name it .parquet"):
        open_sources(engine, {"events": write(tmp_path, b"a,b\n", "what")}, Config())


@pytest.mark.parametrize("cut", [0, 3, 50, -20])
def test_a_truncated_parquet_file_is_named(engine, tmp_path, cut):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({name: ["x"] * 1_000 for name in ROW}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"events.parquet(:| is empty)"):
        open_sources(engine, {"events": path}, Config())


def test_a_truncated_gzip_file_is_named(engine, tmp_path):
    lines = HEADER + b"".join(b"acc%d,2026-05-01,192.0.2.%d\n" % (i, i % 250) for i in range(5_000))
    path = write(tmp_path, gzip.compress(lines)[:2_000], "events.csv.gz")
    with pytest.raises(InputError, match=r"cannot read .*events.csv.gz: .*damaged or cut off"):
        open_sources(engine, {"events": path}, Config())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_csv_dialects_are_understood(engine, tmp_path, delimiter, newline, start):
    lines = [["account_id ", '"ts"', "ip"], ["a", "2026-05-01", '"x\ny""z"'], ["b", "", ""]]
    text = newline.join(delimiter.join(line) for line in lines)
    rows, rejections = read(engine, write(tmp_path, start + text.encode()))
    assert rejections == []
    assert rows == [
        {"row": 1, "account_id": "a", "ts": "2026-05-01", "ip": 'x\ny"z'},
        {"row": 2, "account_id": "b", "ts": "", "ip": ""},
    ]


def test_malformed_rows_are_refused_by_number(engine, tmp_path):
    data = HEADER + b"a,t,1\n\nb\nc,t,2\nd,t,3,4\n\xff,t,5\ne,t,6\n"
    rows, rejections = read(engine, write(tmp_path, data))
    assert [(row["row"], row["account_id"]) for row in rows] == [(1, "a"), (3, "c"), (6, "e")]
    assert rejections == [
        (2, None, "malformed row: 1 columns instead of 3"),
        (4, None, "malformed row: 4 columns instead of 3"),
        (5, None, "not UTF-8 text"),
    ]


@pytest.mark.parametrize("row", [b'b,t,"2\n', b'b,"t,2\n'])
def test_a_quote_that_never_closes_is_no_silence(engine, tmp_path, row):
    data = HEADER + b"a,t,1\n" + row + b"c,t,3\nd,t,4\n"
    rows, rejections = read(engine, write(tmp_path, data))
    assert [row["account_id"] for row in rows] == ["a"]
    assert [(row, column) for row, column, _ in rejections] == [(2, None)]


def test_a_stray_quote_costs_nothing(engine, tmp_path):
    rows, rejections = read(engine, write(tmp_path, HEADER + b'a,t,5" disk\nb,t,2\n'))
    assert [row["account_id"] for row in rows] == ["a", "b"]
    assert rejections == []


def test_a_row_longer_than_a_block_is_named(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("linkage.sources.BLOCK_BYTES", 1 << 20)
    data = HEADER + b"a,t,1\n" + b'b,t,"' + b"x" * (3 << 20)
    with pytest.raises(
        InputError, match=r"events.csv: a row after row \d is longer than 1 MiB, or"
    ):
        open_sources(engine, {"events": write(tmp_path, data)}, Config())


def test_a_field_of_ten_megabytes_is_read(engine, tmp_path):
    data = HEADER + b"a,t," + b"x" * 10_000_000 + b"\nb,t,1\n"
    rows, _ = read(engine, write(tmp_path, data))
    assert [len(row["ip"]) for row in rows] == [10_000_000, 1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty: its first line must name the columns"),
        (b"\n\n", "is empty: its first line must name the columns"),
        ("account_id,ts\n".encode("utf-16"), "is not UTF-8 text"),
        (b"account_id,\xff\n", "the first line of .* is not UTF-8 text"),
        (b"a" * 200_000 + b",b\n", "the first line of .* names no columns"),
    ],
)
def test_a_csv_file_without_a_readable_header_is_named(engine, tmp_path, data, said):
    with pytest.raises(InputError, match=said):
        open_sources(engine, {"events": write(tmp_path, data)}, Config())


@pytest.mark.parametrize("data", [HEADER, HEADER.rstrip(b"\n")])
def test_a_header_alone_is_an_empty_table(engine, tmp_path, data):
    assert read(engine, write(tmp_path, data)) == ([], [])


def test_json_lines_are_read_by_name_whatever_their_order_and_type(engine, tmp_path):
    lines = (
        b'{"account_id": 7, "ts": 1777777777.5, "ip": null, "a/b~c": "d"}\r\n'
        b'{"ts": "2026-05-01", "account_id": "\\u00e9\\"", "ip": "x"}\n'
    )
    config = Config(kinds={"odd": KindConfig(family="odd", table="events", column="a/b~c")})
    rows, rejections = read(engine, write(tmp_path, lines, "events.jsonl"), config)
    assert rejections == []
    assert rows == [
        {"row": 1, "account_id": "7", "ts": "1777777777.5", "ip": None, "a/b~c": "d"},
        {"row": 2, "account_id": 'é"', "ts": "2026-05-01", "ip": "x", "a/b~c": None},
    ]


def test_malformed_json_is_refused_by_number(engine, tmp_path):
    good = b'{"account_id": "a", "ts": 1, "ip": ["192.0.2.1"]}\n'
    data = good + b"{oops\n[1]\n7\n" + b'{"account_id": "\xff"}\n' + b'{"a": "\x01"}\n' + good
    rows, rejections = read(engine, write(tmp_path, data, "events.jsonl"))
    nested = "a JSON array, not a text or number; the rest of the row was used"
    assert [(row["row"], row["ip"]) for row in rows] == [(1, None), (7, None)]
    assert sorted(rejections, key=str) == sorted(
        [
            (1, "ip", nested),
            (2, None, "malformed JSON"),
            (3, None, "not a JSON object"),
            (4, None, "not a JSON object"),
            (5, None, "not UTF-8 text"),
            (6, None, "malformed JSON: a control character"),
            (7, "ip", nested),
        ],
        key=str,
    )


def test_json_that_is_not_lines_is_named(engine, tmp_path):
    with pytest.raises(InputError, match="is one JSON list: write JSON Lines"):
        open_sources(engine, {"events": write(tmp_path, b"[{}]", "events.json")}, Config())
    with pytest.raises(InputError, match="holds no JSON object: write one object a line"):
        open_sources(engine, {"events": write(tmp_path, b"7\n8\n", "events.jsonl")}, Config())


# --- frames ---


def test_frames_of_every_library_are_read_alike(engine):
    polars = pytest.importorskip("polars")
    frame = pd.DataFrame([ROW, {**ROW, "account_id": "b"}])
    arrow = pa.table({name: frame[name].tolist() for name in frame})
    encoded = arrow.set_column(2, "ip", arrow.column("ip").dictionary_encode())
    given = [frame, arrow, encoded, polars.from_arrow(arrow), polars.from_arrow(arrow).lazy()]
    rows = [read(engine, item)[0] for item in given]
    assert all(found == rows[0] for found in rows)
    assert [row["row"] for row in rows[0]] == [1, 2]


def test_a_column_of_mixed_values_becomes_text(engine):
    frame = pd.DataFrame({"account_id": ["a", 7, None], "ts": ["2026-05-01"] * 3})
    rows, _ = read(engine, frame)
    assert [row["account_id"] for row in rows] == ["a", "7", None]


def test_what_is_no_frame_is_named(engine):
    with pytest.raises(InputError, match="the events frame is a int: give a path, or a pandas"):
        open_sources(engine, {"events": 7}, Config())


def test_frames_are_left_as_they_were(engine):
    frame = pd.DataFrame([ROW])
    before = frame.copy()
    open_sources(engine, {"events": frame}, Config())
    pd.testing.assert_frame_equal(frame, before)


def test_row_numbers_skip_exactly_the_bad_rows():
    rng = np.random.default_rng(0)
    for _ in range(50):
        is_bad = rng.random(40) < rng.random()
        bad, good = np.flatnonzero(is_bad) + 1, np.flatnonzero(~is_bad) + 1
        cut = len(good) // 2
        first, n_before = _number_rows(0, cut, bad, 0)
        rest, _ = _number_rows(cut, len(good) - cut, bad[n_before:], n_before)
        assert [*first, *rest] == good.tolist()
