import json

import pytest
from pandas.testing import assert_frame_equal

import linkage
from linkage.case import check_place, read_case, write_case
from linkage.errors import CaseError
from linkage.result import TABLES


@pytest.fixture
def result(ring):
    return linkage.link(observations=ring)


def test_a_case_reads_back_as_it_was_written(result, tmp_path):
    back = read_case(write_case(result, tmp_path / "case"))
    for name in TABLES:
        assert_frame_equal(getattr(back, name), getattr(result, name), check_dtype=False)
    assert back.manifest == result.manifest


def test_a_case_holds_its_files_and_nothing_else(result, tmp_path):
    case = write_case(result, tmp_path / "case")
    assert {path.name for path in case.iterdir()} == {f"{t}.parquet" for t in TABLES} | {
        "manifest.json"
    }
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_case_is_replaced_whole(result, tmp_path):
    case = write_case(result, tmp_path / "case")
    (case / "members.parquet").write_bytes(b"old")
    write_case(result, case)
    assert len(read_case(case).members) == len(result.members)
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_failed_write_leaves_the_old_case(result, tmp_path, monkeypatch):
    case = write_case(result, tmp_path / "case")
    before = (case / "members.parquet").read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("linkage.case.pq.ParquetWriter.write_table", fail)
    with pytest.raises(CaseError, match="No space left"):
        write_case(result, case)
    assert (case / "members.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_folder_with_other_things_is_never_touched(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CaseError, match=r"holds 'thesis\.tex'"):
        check_place(tmp_path)


def test_a_file_is_no_place_for_a_case(tmp_path):
    (tmp_path / "case").touch()
    with pytest.raises(CaseError, match="is not a folder"):
        check_place(tmp_path / "case")


def test_a_folder_that_is_no_case_is_named(tmp_path):
    with pytest.raises(CaseError, match="is no case folder"):
        read_case(tmp_path)


def test_a_damaged_case_is_named(result, tmp_path):
    case = write_case(result, tmp_path / "case")
    (case / "clusters.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(CaseError, match="is damaged"):
        read_case(case)


def test_the_manifest_says_what_made_the_case(result, tmp_path):
    manifest = json.loads((write_case(result, tmp_path / "case") / "manifest.json").read_text())
    assert manifest["linkage"] == linkage.__version__
    assert manifest["seed"] == 0
    assert manifest["config"]["method"]["fdr"] == 0.01
    assert manifest["inputs"][0]["table"] == "observations"
    assert manifest["counts"]["accounts"] == 449
    assert set(manifest["seconds"]) >= {"read", "overlaps", "attribution"}
