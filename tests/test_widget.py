"""The interactive graph: what is sent, and what a browser draws of it."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from browser import open_page, require_chromium, write_widget_page

import linkage
from linkage.desk.widget import make_payload, pack_columns
from linkage.errors import UnknownIdError

JS = Path(__file__).parents[1] / "js"


@pytest.fixture(scope="module")
def result():
    demo = linkage.datasets.demo()
    return linkage.link(demo.events_path, demo.payments_path, demo.accounts_path, threads=1)


@pytest.fixture
def page(result, tmp_path):
    require_chromium()
    file = write_widget_page(result, 1, tmp_path / "widget.html")
    with open_page(file) as page:
        page.wait_for_function("window.ready", timeout=20_000)
        yield page


def read_status(page):
    """Return how many accounts, identifiers and links are shown."""
    words = page.inner_text(".lk-status").split(";")[0].replace(",", "").split()
    return tuple(int(word) for word in words if word.isdigit())


def test_columns_are_packed_where_the_index_says():
    columns = {"a": np.array([1, 2, 3], np.uint8), "b": np.array([0.5], np.float32)}
    index, data = pack_columns(columns)
    for entry in index:
        read = np.frombuffer(data, entry["type"], entry["length"], entry["offset"])
        assert read.tolist() == columns[entry["name"]].tolist()


def test_accounts_come_first_and_every_link_is_sent(result):
    payload = make_payload(result, 1)
    n = payload.header["n_accounts"]
    assert payload.header["labels"][:n] == payload.accounts
    nodes, edges = result.graph_tables([1])
    shared = nodes.loc[(nodes["type"] == "account") | (nodes["n_accounts"] >= 2), "id"]
    assert len(payload.columns["x"]) == len(shared)
    assert len(payload.columns["source"]) == int(edges["target"].isin(shared).sum())
    assert (payload.columns["source"] < n).all()
    assert (payload.columns["target"] >= n).all()


def test_too_many_identifiers_are_left_out_and_counted(result):
    most = int((result.members["cluster_id"] == 1).sum()) + 20
    payload = make_payload(result, 1, max_nodes=most)
    assert len(payload.columns["x"]) == most
    assert payload.header["left_out"] == len(result.graph_tables([1])[0]) - most


def test_an_unknown_cluster_is_named(result):
    with pytest.raises(UnknownIdError, match="no cluster 77"):
        make_payload(result, 77)


def test_picked_accounts_come_back_as_names(result):
    pytest.importorskip("anywidget", reason="anywidget is not installed (extra notebook)")
    widget = result.plot(2)
    accounts = result.members.loc[result.members["cluster_id"] == 2, "account_id"].tolist()
    assert widget.selected == []
    widget.picked = [1, 3]
    assert widget.selected == [accounts[1], accounts[3]]
    widget.selected = accounts[:2]
    assert widget.picked == [0, 1]
    assert json.loads(widget.header)["n_accounts"] == len(accounts)


def test_the_browser_shows_what_was_sent_and_asks_for_nothing(page, result):
    payload = make_payload(result, 1)
    n = payload.header["n_accounts"]
    assert read_status(page) == (n, len(payload.columns["x"]) - n, len(payload.columns["source"]))
    assert [told for told in page.told if not told.startswith(("blob:", "file:"))] == []


def test_marks_are_drawn(page):
    shot = page.locator(".lk-canvas").screenshot()
    assert len(shot) > 30_000  # an empty canvas makes about 3,000 bytes
    page.click("text=network >> xpath=.. >> input")
    assert page.locator(".lk-canvas").screenshot() != shot


def test_search_finds_an_identifier_and_shows_its_accounts(page, result):
    evidence = result.evidence.query("cluster_id == 1 and kind == 'payment'")
    value = evidence["value"].value_counts().index[0]
    page.fill(".lk-search", value)
    page.keyboard.press("Enter")
    assert page.inner_text(".lk-name") == value
    held = result.observations.query("value == @value")["account_id"]
    inside = held.isin(result.members.query("cluster_id == 1")["account_id"]).sum()
    assert f"held by {inside} accounts here" in page.inner_text(".lk-details")


def test_filters_by_family_bits_and_holders(page, result):
    before = read_status(page)
    page.click("text=prompts >> xpath=.. >> input")
    content = make_payload(result, 1)
    family = content.header["families"].index("content")
    n_content = int((content.columns["family"] == family).sum())
    assert read_status(page)[1] == before[1] - n_content
    page.get_by_label("Fewest bits of a link").fill("4")
    columns = content.columns
    strong = (columns["bits"] >= 4) & (columns["family"][columns["target"]] != family)
    assert read_status(page)[2] == int(strong.sum())
    page.get_by_label("Fewest accounts that hold an identifier").fill("50")
    wide = strong & (columns["holders"][columns["target"]] >= 50)
    assert read_status(page)[2] == int(wide.sum())


def test_the_timeline_plays_the_campaign(page):
    full = read_status(page)
    first = page.get_by_label("Day").get_attribute("min")
    page.get_by_label("Day").fill(str(int(first) + 1))
    begun = read_status(page)
    assert begun[2] < full[2] / 2
    page.click(".lk-play")
    page.wait_for_timeout(700)
    assert read_status(page)[2] > begun[2]
    page.wait_for_function(
        "document.querySelector('.lk-play').textContent.includes('Play')", timeout=60_000
    )
    assert read_status(page) == full


def test_neighbours_alone_and_back(page, result):
    full = read_status(page)
    account = result.members.query("cluster_id == 1")["account_id"].iloc[0]
    page.fill(".lk-search", account)
    page.keyboard.press("Enter")
    page.click("text=Only its neighbours")
    focused = read_status(page)
    assert focused[0] == 1
    assert 0 < focused[1] < full[1]
    page.click("text=Show all again")
    assert read_status(page) == full


def test_picked_accounts_go_to_python(page, result):
    value = result.evidence.query("cluster_id == 1 and kind == 'ip'")["value"].value_counts()
    page.fill(".lk-search", value.index[0])
    page.keyboard.press("Enter")
    page.click("text=Pick its accounts")
    picked = page.evaluate("window.saved")
    members = result.members.query("cluster_id == 1")["account_id"].tolist()
    found = result.observations.query("value == @value.index[0]")["account_id"]
    assert [members[i] for i in picked] == sorted(set(found) & set(members))
    page.click("text=Clear")
    assert page.evaluate("window.saved") == []


def test_picks_from_python_are_shown(page):
    page.evaluate("window.model.set('picked', [0, 1, 2])")
    assert page.inner_text(".lk-picked") == "3 accounts picked."


def test_the_bundle_is_what_its_source_builds():
    if shutil.which("npm") is None or not (JS / "node_modules").is_dir():
        pytest.skip("no node_modules: run npm ci in js/ (.ci/run does)")
    done = subprocess.run(
        ["node", "build.mjs", "--check"],  # noqa: S607
        cwd=JS, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_bundle_names_no_other_place():
    static = Path(linkage.__file__).parent / "desk" / "static"
    code = (static / "graph.js").read_text()
    assert "http://www.w3.org/2000/svg" in code
    assert "https://" not in code.replace("https://github.com", "")
    assert "MIT" in (static / "NOTICE.txt").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_cluster_of_25_000_accounts_is_drawn_filtered_and_played(tmp_path, scheme):
    require_chromium()
    from benchmarks.desk import make_result

    large = make_result(25_000)
    file = write_widget_page(large, 1, tmp_path / "large.html")
    with open_page(file, color_scheme=scheme) as page:
        page.wait_for_function("window.ready", timeout=120_000)
        n_links = len(large.observations)
        n_identifiers = len(large.observations[["kind", "value"]].drop_duplicates())
        assert read_status(page)[:3] == (25_000, n_identifiers, n_links)
        assert len(page.locator(".lk-canvas").screenshot()) > 100_000
        first = page.get_by_label("Day").get_attribute("min")
        page.get_by_label("Day").fill(str(int(first) + 2))
        assert 0 < read_status(page)[2] < n_links / 10
        assert [told for told in page.told if not told.startswith(("blob:", "file:"))] == []


def test_the_report_of_25_000_accounts_opens_and_prints(tmp_path):
    require_chromium()
    from benchmarks.desk import make_result

    file = make_result(25_000).report(tmp_path / "large.html", 1)
    assert file.stat().st_size < 1_000_000
    with open_page(file, color_scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200
        assert page.told == [file.as_uri()]
        pdf = page.pdf(format="A4")
        assert 20 < pdf.count(b"/Type /Page\n") < 60
