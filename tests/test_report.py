"""The dossier and the overview: what they say, what they keep to themselves, how they print."""

import base64
import hashlib
import re
from dataclasses import replace

import pandas as pd
import pytest
from browser import open_page, require_chromium

import linkage
from linkage.cli.main import main
from linkage.desk import Background, DossierSettings, read_background, render_dossier
from linkage.desk.redact import Redactor
from linkage.errors import InputError, MissingInputError


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    demo = linkage.datasets.demo()
    folder = tmp_path_factory.mktemp("desk") / "case"
    linkage.link(demo.events_path, demo.payments_path, demo.accounts_path, out=folder, threads=1)
    return folder


@pytest.fixture(scope="module")
def result(case):
    return linkage.read_case(case)


def test_the_dossier_says_the_conclusion_first(result):
    page = render_dossier(result, 1)
    n = int(result.clusters["n_accounts"].iloc[0])
    body = page[page.index("<body>") :]
    assert f"These {n:,} accounts look like the work of one operator." in body[:900]


def test_the_figures_are_those_of_the_tables(result):
    page = render_dossier(result, 1)
    evidence = result.evidence[result.evidence["cluster_id"] == 1]
    count = len(evidence[["kind", "value"]].drop_duplicates())
    assert f"{count:,} shared identifiers tie them" in page
    assert all(account in page for account in
               result.members.loc[result.members["cluster_id"] == 1, "account_id"])  # fmt: skip


def test_the_policy_allows_this_style_sheet_only(result):
    page = render_dossier(result, 1)
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}';" in page
    assert " style=" not in page
    assert page.count("<style") == 1


def test_redaction_leaves_no_name_and_no_moment(result):
    page = render_dossier(result, 1, settings=DossierSettings(redact=True))
    members = result.members.loc[result.members["cluster_id"] == 1, "account_id"]
    values = result.evidence.loc[result.evidence["cluster_id"] == 1, "value"].unique()
    shown = page[page.index("<body>") :]
    assert not [name for name in [*members, *values] if len(name) > 6 and name in shown]
    assert not re.search(r"\d\d\d\d-\d\d-\d\d \d\d:\d\d", shown)
    assert "events.parquet" not in shown
    assert "network address" in shown or "ip 1" in shown


def test_redacted_numbers_change_with_every_page():
    values = pd.Series([f"a{i}" for i in range(50)])
    assert Redactor().rename(values, "x").tolist() != Redactor().rename(values, "x").tolist()
    one = Redactor()
    assert one.rename(values, "x").tolist() == one.rename(values, "x").tolist()


def test_what_the_prompts_aim_at_needs_templates(result):
    held = result.observations.query("kind == 'prompt'")["value"].value_counts()
    templates = pd.DataFrame(
        {"template_id": held.index, "skeleton": "Refactor this function", "public": False}
    )
    without = replace(result, templates=result.templates.head(0))
    assert "--prints" in render_dossier(without, 1)
    assert "--prints" not in render_dossier(result, 1)
    page = render_dossier(result, 1, background=Background(templates=templates))
    assert "software engineering" in page
    public = templates.assign(public=True)
    assert "none of the purposes" in render_dossier(
        result, 1, background=Background(templates=public)
    )


def test_a_table_of_templates_as_csv_tells_public_ones_from_others(tmp_path):
    (tmp_path / "mine.csv").write_text(
        "template_id,skeleton,public\nt1,list defects,True\nt2,say hello,False\n"
    )
    read = read_background(prints=tmp_path / "mine.csv").templates
    assert read["public"].tolist() == [True, False]


def test_the_command_writes_overview_and_dossier(case, tmp_path, capsys):
    assert main(["report", str(case), "--out", str(tmp_path / "all.html")]) == 0
    assert main(["report", str(case), "2", "--redact", "--out", str(tmp_path / "two.html")]) == 0
    assert "open it in a browser" in capsys.readouterr().out
    assert "clusters of" in (tmp_path / "all.html").read_text()
    assert "redacted for outside readers" in (tmp_path / "two.html").read_text()


def test_bans_come_from_the_accounts_file_of_the_run(case, tmp_path):
    main(["report", str(case), "1", "--out", str(tmp_path / "one.html")])
    assert "accounts were banned already" in (tmp_path / "one.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["99", "--out", "x.html"], "there is no cluster 99"),
        (["--out", "."], "is a folder"),
        (["1", "--out", "x.html", "--prints", "nowhere"], "there is no file"),
        (["1", "--out", "x.html", "--purposes", "nowhere"], "cannot be read as purposes"),
    ],
)
def test_bad_words_are_explained(case, words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(case), *words]) == 2
    assert message in capsys.readouterr().err


def test_an_accounts_file_without_ids_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="no column 'account_id'"):
        read_background(tmp_path / "a.csv")
    with pytest.raises(MissingInputError, match="there is no file"):
        read_background(tmp_path / "b.csv")


def test_a_missing_package_is_named(result, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(InputError, match=r"pip install 'linkage\[report\]'"):
        render_dossier(result, 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_itself_without_asking_for_anything(result, tmp_path, scheme):
    require_chromium()
    file = result.report(tmp_path / "page.html", 1)
    with open_page(file, color_scheme=scheme) as page:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 25, 30)"}[scheme]
        assert page.told == [file.as_uri()]
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 1200


def test_it_prints_on_white_whatever_the_screen(result, tmp_path):
    require_chromium()
    file = result.report(tmp_path / "page.html", 1)
    with open_page(file, color_scheme="dark") as page:
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert page.pdf(format="A4")[:4] == b"%PDF"


def test_columns_and_tiers_that_are_new_do_no_harm(ring):
    result = linkage.link(observations=ring)
    frames = {
        name: getattr(result, name).assign(novel=1)
        for name in ("clusters", "members", "evidence", "rejected", "observations")
    }
    frames["clusters"] = frames["clusters"].assign(tier="vendor", explanation="reseller")
    changed = linkage.Result(**frames, manifest=result.manifest)
    page = render_dossier(changed, 1)
    assert "These 9 accounts are linked (tier vendor)." in page
    assert "reseller" in page
    assert "vendor" in changed._repr_html_()
