"""What a run makes of prompts: templates in the case, keyed ids, known tools, texts that stay."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import linkage
from linkage.cli.main import main
from linkage.desk import render_dossier
from linkage.desk.widget import make_payload
from linkage.errors import ConfigError, MissingInputError
from linkage.pipeline import link
from linkage.prompts import MAX_EXAMPLE_CHARS, TEMPLATES, derive_key, read_known_prompts

CORE = (
    "refactor the function below so that every branch is covered by a unit test and explain "
    "each of your changes in one short sentence before you show the code"
)
TOOL = (
    "you are a helpful assistant inside of a spreadsheet and answer with a formula only unless "
    "the person who asks wants to know why the formula is right"
)
KEY = b"0123456789abcdef0123456789abcdef"
SECRET_WORD = "zanzibar"  # noqa: S105 - one account's own word, which must not come out


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """Twelve accounts of one operator, forty users of a tool, strangers with their own prompts."""
    rng = np.random.default_rng(5)
    words = np.array([f"zq{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(600)])

    def say(n: int) -> str:
        return " ".join(rng.choice(words, n))

    rows = [
        (f"ring{i:02}", f"192.0.2.{i % 3}", f"emulator{i % 2}", f"{CORE}: {say(12)}")
        for i in range(12)
        for _ in range(4)
    ]
    rows += [(f"user{i:02}", f"198.51.100.{i}", f"u{i}", f"{TOOL}: {say(12)}") for i in range(40)]
    rows += [(f"solo{i:03}", f"203.0.113.{i % 250}", f"s{i}", say(40)) for i in range(300)]
    rows += [("solo000", "203.0.113.0", "s0", f"{SECRET_WORD} {say(40)}")]
    frame = pd.DataFrame(rows, columns=["account_id", "ip", "device_id", "prompt"])
    start = pd.Timestamp("2026-05-01", tz="UTC")
    return frame.assign(ts=start + pd.to_timedelta(np.arange(len(frame)), "min"))


@pytest.fixture(scope="module")
def path(events: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("prompts") / "events.parquet"
    events.to_parquet(place)
    return place


@pytest.fixture(scope="module")
def result(events):
    return link(events=events)


def find_template(result, start):
    rows = result.templates[result.templates["skeleton"].str.startswith(start, na=False)]
    return rows.sort_values("n_accounts").iloc[-1]


def read_bytes(case: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(case.glob("*.parquet"))}


# --- templates in the case -----------------------------------------------------------------------


def test_templates_say_what_the_prompts_of_a_cluster_have_in_common(result):
    row = find_template(result, "refactor")
    assert (row["n_accounts"], row["n_prompts"], row["public"]) == (12, 48, False)
    held = result.evidence.query("kind == 'prompt' and value == @row.template_id")
    assert held["account_id"].nunique() == 12
    assert result.templates["n_accounts"].min() >= 2


def test_templates_are_written_and_read_back(result, path, tmp_path):
    link(events=path, out=tmp_path / "case")
    stored = pq.read_schema(tmp_path / "case" / "templates.parquet")
    assert stored.equals(TEMPLATES)
    back = linkage.read_case(tmp_path / "case")
    assert_frame_equal(back.templates, result.templates, check_dtype=False)


def test_a_run_without_prompts_has_no_templates(ring):
    result = link(observations=ring)
    assert result.templates.empty
    assert list(result.templates) == TEMPLATES.names
    assert "read no prompts" in render_dossier(result, 1)


def test_rows_in_another_order_and_other_threads_give_the_same_templates(events, tmp_path):
    shouted = events.assign(prompt=events["prompt"].str.upper())  # same words, other letters
    both = pd.concat([events, shouted], ignore_index=True)
    both.to_parquet(tmp_path / "a.parquet")
    both.sample(frac=1, random_state=1).to_parquet(tmp_path / "b.parquet", row_group_size=50)
    for name, threads in (("a", 1), ("b", 2)):
        link(
            events=tmp_path / f"{name}.parquet",
            threads=threads,
            keep_text=True,
            out=tmp_path / name,
        )
    assert read_bytes(tmp_path / "a") == read_bytes(tmp_path / "b")


def test_explanations_say_what_a_template_says(result):
    for said in (result.explain(1), result.explain("ring03"), result.explain("ring03", "ring07")):
        table = said.table.set_index("kind")
        assert table.loc["prompt", "skeleton"].startswith("refactor the function")
        assert (said.table.query("kind != 'prompt'")["skeleton"] == "").all()
        assert "refactor the function" in repr(said)


def test_the_dossier_reads_the_templates_of_the_case(result):
    page = render_dossier(result, 1)
    assert "software engineering" in page
    assert "refactor the function" in page


def test_a_redacted_dossier_shows_no_template(result):
    from linkage.desk import DossierSettings

    page = render_dossier(result, 1, settings=DossierSettings(redact=True))
    assert "software engineering" in page
    assert "refactor the function" not in page


def test_graphs_label_templates_by_what_they_say_and_their_ids(result, tmp_path):
    template = find_template(result, "refactor")["template_id"]
    nodes, _ = result.graph_tables([1])
    label = nodes.set_index("id").loc[f"prompt:{template}", "label"]
    assert re.fullmatch(rf"refactor the function .*… \({template}\)", label)
    assert label in make_payload(result, 1).header["labels"]
    case = linkage.write_case(result, tmp_path / "case")
    assert main(["export", str(case), "--out", str(tmp_path / "g.gexf")]) == 0
    assert label in (tmp_path / "g.gexf").read_text(encoding="utf-8")


# --- the key -------------------------------------------------------------------------------------


def test_template_ids_and_nothing_else_depend_on_the_key(events, result):
    keyed, other = link(events=events, key=KEY), link(events=events, key=KEY[::-1])
    ids = [set(one.templates["template_id"]) for one in (result, keyed, other)]
    assert not ids[0] & ids[1]
    assert not ids[1] & ids[2]
    assert_frame_equal(keyed.members, result.members)
    assert keyed.templates["n_accounts"].sum() == result.templates["n_accounts"].sum()


def test_the_manifest_says_whether_there_was_a_key_and_never_which(path, tmp_path):
    link(events=path, key=KEY, out=tmp_path / "keyed")
    text = (tmp_path / "keyed" / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["keyed"] is True
    assert len(manifest["key_id"]) == 16
    for secret in (KEY, derive_key(KEY)):
        assert secret.decode("latin-1") not in text
        assert secret.hex() not in text
    assert link(events=path).manifest["keyed"] is False
    assert "key_id" not in link(events=path).manifest
    again = link(events=path, key=KEY[::-1]).manifest["key_id"]
    assert again != manifest["key_id"]


def test_the_same_key_gives_the_same_bytes_from_a_file_and_from_the_environment(
    path, tmp_path, monkeypatch
):
    monkeypatch.delenv("LINKAGE_KEY", raising=False)
    (tmp_path / "case.key").write_bytes(KEY + b"\n")
    words = ["run", "--events", str(path), "--quiet", "--no-checkpoints"]
    file = ["--key-file", str(tmp_path / "case.key")]
    assert main([*words, *file, "--out", str(tmp_path / "file")]) == 0
    assert main([*words, "--out", str(tmp_path / "none")]) == 0
    monkeypatch.setenv("LINKAGE_KEY", KEY.decode())
    assert main([*words, "--out", str(tmp_path / "environment")]) == 0
    link(events=path, key=KEY, out=tmp_path / "python")
    cases = {name: read_bytes(tmp_path / name) for name in ("file", "environment", "python")}
    assert cases["file"] == cases["environment"] == cases["python"]
    assert cases["file"] != read_bytes(tmp_path / "none")


def test_the_command_for_prompts_alone_gives_the_same_ids(path, tmp_path, capsys):
    (tmp_path / "case.key").write_bytes(KEY)
    words = ["fingerprint", str(path), "--key-file", str(tmp_path / "case.key")]
    assert main([*words, "--out", str(tmp_path / "prints")]) == 0
    found = pd.read_parquet(tmp_path / "prints" / "templates.parquet")
    keyed = link(events=path, key=KEY)
    assert set(found["template_id"]) == set(keyed.templates["template_id"])


def test_another_key_starts_at_the_prompts_again(path, tmp_path):
    link(events=path, key=KEY, out=tmp_path / "case", checkpoints=True)
    told = []
    link(
        events=path,
        key=KEY[::-1],
        out=tmp_path / "case",
        checkpoints=True,
        progress=told.append,
    )
    assert "reading the input" in told
    link(events=path, key=KEY[::-1], out=tmp_path / "straight")
    assert read_bytes(tmp_path / "case") == read_bytes(tmp_path / "straight")


def test_checkpoints_bring_the_templates_back(path, tmp_path):
    first = link(events=path, out=tmp_path / "case", checkpoints=True)
    told = []
    again = link(events=path, out=tmp_path / "case", checkpoints=True, progress=told.append)
    assert "reading the input" not in told
    assert len(again.templates) > 0
    assert_frame_equal(again.templates, first.templates)


@pytest.mark.parametrize(
    ("key", "message"),
    [(b"short", "at least 32 bytes, got 5"), (b"", "got 0"), ("text" * 10, "is bytes; got str")],
)
def test_what_is_no_key_is_refused(ring, key, message):
    with pytest.raises(ConfigError, match=message):
        link(observations=ring, key=key)


# --- known prompts -------------------------------------------------------------------------------


def test_a_known_prompt_makes_its_template_public_and_no_other(events, result):
    assert not find_template(result, "you are a helpful")["public"]
    known = link(events=events, known_prompts=[TOOL.upper()])
    assert find_template(known, "you are a helpful")["public"]
    assert not find_template(known, "refactor")["public"]
    assert known.manifest["known_prompts"]["n"] == 1


def test_the_command_reads_known_prompts_from_a_file(path, tmp_path):
    (tmp_path / "tools.txt").write_text(f"Say hello.\n---\n{TOOL}\n---\n\n")
    assert read_known_prompts(tmp_path / "tools.txt") == ["Say hello.\n", f"\n{TOOL}\n"]
    words = ["run", "--events", str(path), "--known-prompts", str(tmp_path / "tools.txt")]
    assert main([*words, "--quiet", "--out", str(tmp_path / "case")]) == 0
    assert find_template(linkage.read_case(tmp_path / "case"), "you are a helpful")["public"]


def test_a_file_of_known_prompts_that_is_missing_is_named(path, tmp_path, capsys):
    words = ["run", "--events", str(path), "--known-prompts", str(tmp_path / "none.txt")]
    assert main([*words, "--out", str(tmp_path / "case")]) == 2
    assert "cannot read" in capsys.readouterr().err
    with pytest.raises(MissingInputError, match="cannot read"):
        read_known_prompts(tmp_path / "none.txt")


def test_one_text_is_no_list_of_known_prompts(ring):
    with pytest.raises(ConfigError, match="must be a list of texts"):
        link(observations=ring, known_prompts=TOOL)


# --- texts ---------------------------------------------------------------------------------------


def find_texts(folder: Path, words: list[str]) -> list[str]:
    """Return which of some words stand in any column of any file of a folder."""
    said = " ".join(
        frame[name].astype(str).str.cat(sep=" ")
        for file in folder.rglob("*.parquet")
        for frame in [pd.read_parquet(file)]
        for name in frame
    )
    said += " ".join(file.read_text() for file in folder.rglob("*.json"))
    return [word for word in words if re.search(rf"\b{word}\b", said)]


def test_no_prompt_is_written_unless_asked_for(events, path, tmp_path):
    own = sorted(
        {word for text in events["prompt"] for word in re.findall(r"\bzq[a-z]{2}\b", text)}
    )
    assert len(own) > 300
    link(events=path, out=tmp_path / "without" / "case", checkpoints=True)
    assert "example" not in linkage.read_case(tmp_path / "without" / "case").templates
    assert find_texts(tmp_path / "without", [SECRET_WORD, *own]) == []
    assert find_texts(tmp_path / "without", ["refactor"]) == ["refactor"]
    words = ["run", "--events", str(path), "--keep-text", "--quiet", "--no-checkpoints"]
    assert main([*words, "--out", str(tmp_path / "with" / "case")]) == 0
    case = linkage.read_case(tmp_path / "with" / "case")
    assert case.manifest["keep_text"] is True
    assert find_template(case, "refactor")["example"] in set(events["prompt"])
    assert find_texts(tmp_path / "with", [SECRET_WORD]) == []  # no template is behind it


def test_a_text_that_is_kept_has_a_bounded_length(events):
    long = events.assign(prompt=events["prompt"] + " tail" * 1000)
    kept = link(events=long, keep_text=True).templates["example"].dropna()
    assert kept.str.len().max() == MAX_EXAMPLE_CHARS


def test_of_one_accounts_prompt_nothing_is_shown_that_no_other_has(monkeypatch, events):
    """The prompts pass once; with room for two of them, most templates have one example at most."""
    monkeypatch.setattr("linkage.fingerprints._texts._ROWS", 2)
    found = link(events=events[~events["account_id"].str.startswith("solo")]).templates
    said = " ".join(found["skeleton"].dropna())
    assert re.findall(r"\bzq[a-z]{2}\b", said) == []
    assert found["skeleton"].isna().any()
