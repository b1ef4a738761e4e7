"""No text from outside runs, breaks a file, or fills a page, whatever the output."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pandas as pd
import pytest
from browser import open_page, require_chromium, write_widget_page
from gexf_schema import check_gexf
from hostile import make_hostile_result

from linkage import export
from linkage.desk import Background, DossierSettings, render_dossier, render_overview
from linkage.desk.widget import make_payload

FORMULA = re.compile(r"(^|[,;|\"\t\r\n])[ \xa0]*[=+\-@]")


@pytest.fixture(scope="module")
def hostile():
    return make_hostile_result()


class Elements(HTMLParser):
    """Collects the tags of a page and the attributes that could act."""

    def __init__(self):
        super().__init__()
        self.tags, self.acting = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.acting += [name for name, _ in attrs if name.startswith("on") or name in ACTING]


ACTING = {"src", "href", "srcdoc", "action", "formaction", "xlink:href", "style"}


def read_elements(html):
    parser = Elements()
    parser.feed(html)
    return parser


@pytest.mark.parametrize("redact", [False, True])
def test_pages_hold_no_script_and_nothing_that_acts(hostile, redact):
    settings = DossierSettings(redact=redact)
    templates = pd.DataFrame({"template_id": ["]]><img src=x onerror=alert(1)>"],
                              "skeleton": ["<b>write tests for</b> {{ 7*7 }}"],
                              "public": [False]})  # fmt: skip
    background = Background(templates=templates)
    for page in (
        render_overview(hostile, settings=settings),
        render_dossier(hostile, 1, background=background, settings=settings),
    ):
        found = read_elements(page)
        assert not found.tags & {"script", "img", "iframe", "object", "embed", "link", "a", "b"}
        assert found.acting == []
        assert len(page) < 400_000
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", page)


def test_notebook_tables_hold_no_script_and_no_handler(hostile):
    for html in (hostile._repr_html_(), hostile.explain(1)._repr_html_()):
        found = read_elements(html)
        assert not found.tags & {"script", "img", "iframe", "a"}
        assert set(found.acting) <= {"style"}
        assert len(html) < 60_000


def test_the_widget_gets_short_printable_texts(hostile):
    header = make_payload(hostile, 1).header
    texts = [*header["labels"], *header["kinds"], *header["families"]]
    assert max(map(len, texts)) <= 160
    assert not any(re.search(r"[\x00-\x1f\u202a-\u202e]", text) for text in texts)
    json.dumps(header).encode("utf-8")


def test_charts_hold_short_printable_texts(hostile):
    pytest.importorskip("altair")
    account = hostile.members["account_id"].iloc[0]
    for chart in (hostile.charts(), hostile.charts(1), hostile.charts(account)):
        text = chart.to_json()
        assert len(text) < 300_000
        assert not re.search(r"\\u0000|\\u001b|\\u202e", text)


def test_graph_files_stay_readable(hostile, tmp_path):
    nodes, edges = hostile.graph_tables([1])
    for write in (export.write_gexf, export.write_graphml):
        write(export.add_viz(nodes, edges), edges, tmp_path / "graph.xml")
        assert len(list(ElementTree.parse(tmp_path / "graph.xml").iter())) > len(nodes)  # noqa: S314
        if write is export.write_gexf:
            check_gexf(tmp_path / "graph.xml")


def test_block_lists_hold_no_formula_and_programs_get_exact_values(hostile, tmp_path):
    listed, left_out = export.list_indicators(hostile.clusters, hostile.members, hostile.evidence)
    table = pd.read_csv(export.write_blocklist(listed, tmp_path / "b.csv"))
    texts = table.select_dtypes("str").fillna("").to_numpy().ravel()
    assert not [text for text in texts if FORMULA.match(text)]
    read = json.loads(export.write_blocklist(listed, tmp_path / "b.json").read_text("ascii"))
    assert [row["value"] for row in read["indicators"]] == listed["value"].tolist()
    assert left_out["n"].sum() > 0


def test_what_cannot_be_written_as_it_is_is_not_listed(hostile):
    listed, _ = export.list_indicators(hostile.clusters, hostile.members, hostile.evidence)
    assert not listed["value"].str.contains("\x00|\u202e", regex=True).any()
    assert listed["value"].str.len().max() <= 1000


def test_stix_and_misp_are_ascii_json(hostile, tmp_path):
    listed, _ = export.list_indicators(hostile.clusters, hostile.members, hostile.evidence)
    for write in (export.write_stix, export.write_misp):
        text = write(hostile.clusters, listed, tmp_path / "x.json").read_bytes()
        assert text.isascii()
        assert json.loads(text)


def test_no_page_alerts_or_asks_for_anything(hostile, tmp_path):
    require_chromium()
    page_file = tmp_path / "page.html"
    page_file.write_text(render_dossier(hostile, 1), encoding="utf-8")
    with open_page(page_file) as page:
        assert page.told == [page_file.as_uri()]
    widget = write_widget_page(hostile, 1, tmp_path / "widget.html")
    with open_page(widget) as page:
        page.wait_for_function("window.ready")
        page.fill(".lk-search", "script")
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
        asked = [told for told in page.told if not told.startswith("blob:")]
        assert asked == [widget.as_uri()]
        assert page.inner_text(".lk-name").startswith("<script>")
