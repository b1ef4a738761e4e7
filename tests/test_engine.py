import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.engine import (
    FILE_COLUMN,
    INTERRUPTED,
    ROW_COLUMN,
    Engine,
    _explained,
    quote_name,
    quote_text,
)
from linkage.errors import ConfigError, InputError


@pytest.fixture
def engine(tmp_path):
    with Engine(tmp_dir=tmp_path) as opened:
        yield opened


def test_parameters_are_values_never_sql(engine):
    said = engine.query("SELECT $x AS x", x="'; DROP TABLE t; --")
    assert said.to_pylist() == [{"x": "'; DROP TABLE t; --"}]


@pytest.mark.parametrize("name", ['a"b', "a b", "select", "ä", "a;--", "'"])
def test_any_column_name_survives_quoting(engine, name):
    engine.register("t", pa.table({name: [7]}))
    words = (quote_name(name), quote_text(name))
    sql = "SELECT %s AS number, %s AS text FROM t" % words  # noqa: S608, UP031 - what is tested
    assert engine.query(sql).to_pylist() == [{"number": 7, "text": name}]


def test_a_name_with_nul_is_refused():
    with pytest.raises(InputError, match="NUL character: rename it"):
        quote_name("a\0b")
    with pytest.raises(InputError, match="NUL character"):
        quote_text("a\0b")


def test_time_is_utc(engine):
    sql = "SELECT CAST(CAST('2026-05-01T10:00:00+02:00' AS TIMESTAMPTZ) AS TIMESTAMP) AS t"
    assert str(engine.query(sql).column("t")[0]) == "2026-05-01 08:00:00"


def test_variables_of_python_are_no_tables(engine):
    secret = pa.table({"x": [1]})
    assert len(secret) == 1
    with pytest.raises(Exception, match="secret does not exist"):
        engine.query("SELECT * FROM secret")


def test_a_stream_can_be_read_while_other_queries_run(engine):
    engine.register("t", pa.table({"x": range(10_000)}))
    total = 0
    for batch in engine.stream("SELECT x FROM t", batch_rows=2_048):
        total += sum(batch.column("x").to_pylist())
        assert engine.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    assert total == sum(range(10_000))


def test_an_abandoned_stream_blocks_nothing(engine):
    engine.register("t", pa.table({"x": range(100_000)}))
    stream = engine.stream("SELECT x FROM t", batch_rows=2_048)
    next(stream)
    stream.close()
    assert engine.query("SELECT count(*) AS n FROM t").to_pylist() == [{"n": 100_000}]


def test_parquet_rows_know_their_file_and_number(engine, tmp_path):
    for name in ("a*.parquet", "a[1].parquet"):
        pq.write_table(pa.table({"x": [name, name]}), tmp_path / name)
    engine.attach_parquet("t", [tmp_path / "a*.parquet"], source="t")
    found = engine.query("SELECT * FROM t ORDER BY __linkage_row__")
    file = str(tmp_path / "a*.parquet")
    assert found.to_pylist() == [
        {"x": "a*.parquet", FILE_COLUMN: file, ROW_COLUMN: 1},
        {"x": "a*.parquet", FILE_COLUMN: file, ROW_COLUMN: 2},
    ]


def test_a_damaged_file_is_named(engine, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [str(i) for i in range(10_000)]}), path)
    whole = bytearray(path.read_bytes())
    whole[4:4_000] = b"\xff" * 3_996
    path.write_bytes(whole)
    engine.attach_parquet("t", [path], source="my events")
    with pytest.raises(InputError, match=r"cannot read my events: .*damaged or cut off"):
        engine.query("SELECT count(*) AS n FROM t WHERE x LIKE '%5%'", source="my events")
    with pytest.raises(InputError, match="cannot read my events"):
        list(engine.stream("SELECT x FROM t", source="my events"))


def test_closing_leaves_nothing_behind(tmp_path):
    with Engine(tmp_dir=tmp_path) as engine:
        engine.write_parquet("SELECT 1 AS x", engine.tmp_dir / "x.parquet")
        assert any(tmp_path.iterdir())
    assert not any(tmp_path.iterdir())


def test_settings_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="threads must be at least 1; got 0"):
        Engine(threads=0)
    with pytest.raises(ConfigError, match="memory_limit must be a size such as '4GB'; got 'much'"):
        Engine(memory_limit="much", tmp_dir=tmp_path)
    assert not any(tmp_path.iterdir())


def test_no_extension_is_fetched(engine):
    settings = "SELECT current_setting('autoinstall_known_extensions') AS x"
    assert engine.query(settings).to_pylist() == [{"x": False}]


@pytest.mark.parametrize(
    "said", [duckdb.InterruptException("INTERRUPT Error: Interrupted!"), RuntimeError(INTERRUPTED)]
)
def test_a_query_stopped_by_ctrl_c_is_a_keyboard_interrupt(said):
    with pytest.raises(KeyboardInterrupt), _explained("events.parquet"):
        raise said


def test_other_runtime_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="no interrupt"), _explained(None):
        raise RuntimeError("no interrupt")


def test_the_engine_leaves_memory_to_the_stages_by_default():
    said = "SELECT current_setting('memory_limit') AS it"
    with (
        Engine() as engine,
        Engine(memory_limit="60%") as other,
        Engine(memory_limit="1GB") as less,
    ):
        (default,), (same,), (small,) = (
            e.query(said).column("it").to_pylist() for e in (engine, other, less)
        )
    assert default == same != small
