"""What the README shows works as it stands there."""

import re
import tomllib
from pathlib import Path

import pytest

import linkage

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def find_block(language: str, holding: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(block for block in blocks if holding in block)


def test_the_notebook_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(find_block("python", "import linkage"), names)  # noqa: S102 - our own README
    assert len(linkage.read_case("case").clusters) == len(names["result"].clusters) > 0


def test_the_configuration_example_is_understood():
    config = linkage.Config.from_dict(tomllib.loads(find_block("toml", "wallet")))
    assert config.get_column("events", "account_id") == "customer"
    assert config.get_kind("wallet").column == "wallet_address"


def test_every_page_and_picture_it_names_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (Path(__file__).parents[1] / target).exists(), target


def test_the_test_command_can_be_found_by_machines():
    assert re.search(r"<!-- tests -->.*?```sh\npython3 .*pytest -q\n```", README, re.DOTALL)


@pytest.mark.parametrize("words", ["Apache-2.0", "GNU General Public License", "python-igraph"])
def test_licences_are_named(words):
    assert words in README
