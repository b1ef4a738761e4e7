"""Files of several schemas as one stream, against the tables that were written."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.datafiles import read_batches
from linkage.errors import InputError, SchemaError

NAMES = {"account_id": "who", "prompt": "said"}


def read(folder):
    batches = read_batches(str(folder), NAMES, optional={"ts": "at"}, what="prompts")
    return pa.Table.from_batches([*batches])


@pytest.fixture
def table():
    n = 70_000  # more than a batch
    who = pa.array([f"a{i % 7}" for i in range(n)])
    return pa.table({"at": range(n), "said": ["hello"] * n, "more": ["x"] * n, "who": who})


def test_columns_come_in_the_order_and_under_the_names_asked_for(table, tmp_path):
    pq.write_table(table, tmp_path / "one.parquet")
    batches = [*read_batches(str(tmp_path), NAMES, optional={}, what="prompts")]
    assert max(map(len, batches)) <= 65_536
    found = pa.Table.from_batches(batches)
    assert found.equals(table.select(["who", "said"]).rename_columns(["account_id", "prompt"]))


@pytest.mark.parametrize("change", ["types", "order", "missing"])
def test_a_file_of_another_schema_is_read_by_that_of_the_first(change, table, tmp_path):
    other = {
        "types": table.set_column(0, "at", table["at"].cast(pa.int32())),
        "order": table.select(["who", "more", "said", "at"]),
        "missing": table.drop_columns("at"),
    }[change]
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(other, tmp_path / "b.parquet")
    found = read(tmp_path)
    times = table["at"].to_pylist()
    assert found.schema.types == [pa.string(), pa.string(), pa.int64()]
    assert found["account_id"].to_pylist() == 2 * table["who"].to_pylist()
    assert found["ts"].to_pylist() == times + (
        [None] * len(times) if change == "missing" else times
    )


def test_what_is_no_parquet_or_lacks_a_column_is_refused(table, tmp_path):
    pq.write_table(table.drop_columns("who"), tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match="lacks the columns"):
        read(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)
