"""A hostile world from the door to every output: nothing runs, nothing breaks, no formula."""

import csv
import json
import re

import pandas as pd
import pytest
from browser import open_page, require_chromium, write_widget_page
from gexf_schema import check_gexf
from hostile import LONGEST, write_hostile_world
from lxml import etree

import linkage
from linkage.cli.main import main

FORMULA = re.compile(r"(^|[,;|\"\t\r\n])[ \xa0]*[=+\-@]")
UNSAFE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    inputs = write_hostile_world(folder)
    words = [word for name, path in inputs.items() for word in (f"--{name}", str(path))]
    assert main(["run", *words, "--out", str(folder / "case")]) == 0
    return folder / "case"


@pytest.fixture(scope="module")
def result(case):
    return linkage.read_case(case)


@pytest.fixture(scope="module")
def clusters(result):
    """The ids of the clusters, as words of a command."""
    return [word for one in result.clusters["cluster_id"] for word in ("--cluster", str(one))]


def test_the_nasty_accounts_are_linked_and_what_is_refused_is_named(result):
    assert result.members["account_id"].str.contains("<script>", regex=False).any()
    assert result.members["account_id"].str.startswith("=cmd").any()
    assert (result.evidence["value"] == LONGEST).any()
    reasons = result.rejected["reason"].str.cat(sep="\n")
    assert "longer than 4096 characters" in reasons
    assert "control characters" in reasons
    assert not result.members["account_id"].str.startswith("person").any()


def test_what_is_printed_holds_no_control_character(case, result, capsys):
    for cluster in result.clusters["cluster_id"]:
        assert main(["explain", str(case), str(cluster)]) == 0
    a, b = result.members.query("cluster_id == 1")["account_id"].iloc[:2]
    assert main(["explain", str(case), "--", a, b]) == 0
    said = capsys.readouterr().out
    assert not UNSAFE.search(said)
    assert len(said) < 100_000


@pytest.mark.parametrize("name", ["gexf", "graphml"])
def test_graph_files_are_whole(case, name, tmp_path):
    path = tmp_path / f"g.{name}"
    assert main(["export", str(case), "--everything", "--out", str(path)]) == 0
    if name == "gexf":
        check_gexf(path)
    assert len(list(etree.parse(path).iter())) > 300
    assert not UNSAFE.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["csv", "blocklist"])
def test_no_cell_is_a_formula(case, clusters, name, tmp_path):
    which = clusters if name == "blocklist" else ["--everything"]
    out = str(tmp_path / "t.csv")
    assert main(["export", str(case), "--format", name, *which, "--out", out]) == 0
    files = sorted(tmp_path.glob("*.csv"))
    assert len(files) == (2 if name == "csv" else 1)
    for file in files:
        with file.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.reader(handle))
        assert len(rows) > 10
        assert {len(row) for row in rows} == {len(rows[0])}
        texts = [cell for row in rows for cell in row if not _is_number(cell)]
        assert [text for text in texts if FORMULA.match(text)] == []
        assert any("cmd" in text for text in texts)


def _is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["stix", "misp", "blocklist"])
def test_lists_are_whole_json(case, clusters, name, tmp_path):
    out = tmp_path / "list.json"
    assert main(["export", str(case), "--format", name, *clusters, "--out", str(out)]) == 0
    assert out.read_bytes().isascii()
    assert "script" in json.dumps(json.loads(out.read_bytes()))


def test_a_browser_runs_nothing_and_asks_for_nothing(case, result, tmp_path):
    require_chromium()
    templates = result.observations.query("kind == 'prompt'")["value"].unique()
    prints = tmp_path / "templates.parquet"
    pd.DataFrame(
        {"template_id": templates, "skeleton": f"write the tests {LONGEST}", "public": False}
    ).to_parquet(prints)
    pages = [tmp_path / "all.html", tmp_path / "notebook.html"]
    assert main(["report", str(case), "--out", str(pages[0])]) == 0
    shown = [result._repr_html_(), result.charts()._repr_mimebundle_()["image/svg+xml"]]
    for cluster in result.clusters["cluster_id"]:
        for more in ([], ["--redact"]):
            pages.append(tmp_path / f"page{len(pages)}.html")
            words = [str(case), str(cluster), "--prints", str(prints), *more]
            assert main(["report", *words, "--out", str(pages[-1])]) == 0
        account = result.members.query("cluster_id == @cluster")["account_id"].iloc[0]
        shown += [result.explain(one)._repr_html_() for one in (cluster, account)]
        shown += [
            result.charts(one)._repr_mimebundle_()["image/svg+xml"] for one in (cluster, account)
        ]
        pages.append(write_widget_page(result, cluster, tmp_path / f"widget{cluster}.html"))
    pages[1].write_text("<meta charset=utf-8>" + "".join(shown), encoding="utf-8")
    for file in pages:
        with open_page(file) as page:
            if file.name.startswith("widget"):
                page.wait_for_function("window.ready")
                page.fill(".lk-search", "<")
                page.keyboard.press("Enter")
            page.wait_for_timeout(150)
            asked = [told for told in page.told if not told.startswith("blob:")]
            assert asked == [file.as_uri()], file.name
            text = page.inner_text("body")
            assert len(text) > 100
            assert not UNSAFE.search(text), file.name
