import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from linkage.errors import ConfigError, MissingInputError
from linkage.simulate import LEVELS, Behaviour, Operator, World, load_preset, load_world


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"inocents": {}}, r"unknown key 'inocents'; did you mean 'innocents'"),
        ({"innocents": {"acounts": 3}}, r"unknown key 'acounts' in \[innocents\]"),
        ({"lookalikes": {"vpn": {}}}, r"unknown key 'vpn' in \[lookalikes\]; did you mean 'vpns'"),
        ({"operators": [{"behaviour": {"covr": 0.1}}]}, r"'covr' in \[operators.behaviour\]"),
        ({"operators": {"accounts": 3}}, r"operators must be a list of tables"),
        ({"operators": [{"accounts": "many"}]}, r"operators.accounts must be a whole number"),
        ({"operators": [{"accounts": [9, 3]}]}, r"smallest <= largest"),
        ({"operators": [{"evasion": 6}]}, r"evasion must be at least 0 and at most 5; got 6"),
        ({"operators": [{"start": 99}]}, r"start must lie within the 45 days"),
        ({"operators": [{"vendor": 7}]}, r"vendor must be below"),
        ({"operators": [{"behaviour": {"cover": 2}}]}, r"Behaviour.cover .* at most 1; got 2"),
        ({"operators": [{"behaviour": {"paraphrase_by": "day"}}]}, r"'event' or 'account'"),
        ({"innocents": {"accounts": 1.5}}, r"innocents.accounts must be of type int; got 1.5"),
        ({"innocents": {"country": "XX"}}, r"unknown country 'XX'"),
        ({"innocents": 3}, r"\[innocents\] must be a table"),
        ({"lookalikes": {"offices": {"share": 0.99}}}, r"add up to at most 1"),
        ({"days": True}, r"days must be of type int; got True"),
        ({"innocents": {"accounts": 0}}, r"innocents.accounts above 0"),
    ],
)
def test_what_cannot_be_is_named(said, message):
    with pytest.raises(ConfigError, match=message):
        World.from_dict(said)


def test_what_an_operator_says_stands_above_its_level():
    said = {"accounts": 9, "evasion": 4, "behaviour": {"cover": 0.0}}
    operator = World.from_dict({"operators": [said]}).operators[0]
    behaviour = operator.resolve(4)
    assert behaviour.cover == 0.0
    assert behaviour.accounts_per_card == LEVELS[4].accounts_per_card


def test_a_level_for_all_replaces_each_ones_own():
    world = load_preset("demo").at_evasion(5)
    assert world.evasion == 5
    assert all(operator.evasion is None for operator in world.operators)


def test_no_such_level_is_refused():
    with pytest.raises(ConfigError, match="evasion must be at least 0 and at most 5"):
        load_preset("demo").at_evasion(9)


def test_levels_become_harder_in_what_they_share():
    for name in ("accounts_per_card", "accounts_per_address", "device_reuse", "own_domain"):
        values = [getattr(level, name) for level in LEVELS]
        assert values == sorted(values, reverse=True), name
    for name in ("cover", "paraphrase_words", "templates", "stagger", "bans", "rotation"):
        values = [getattr(level, name) for level in LEVELS]
        assert values == sorted(values), name


def test_plain_dict_gives_the_same_world_back():
    world = load_preset("demo")
    assert World.from_dict({**world.to_dict(), "start": world.start}) == world


def test_a_file_is_read(tmp_path):
    (tmp_path / "w.toml").write_text("start = 2026-01-05\n[[operators]]\naccounts = [3, 9]\n")
    world = load_world(tmp_path / "w.toml")
    assert world.start.isoformat() == "2026-01-05"
    assert world.operators[0].accounts == (3, 9)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(MissingInputError, match="no world file"):
        load_world(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("[[operators")
    with pytest.raises(ConfigError, match="is no TOML file"):
        load_world(tmp_path / "broken.toml")


DOCS = Path(__file__).parent.parent / "docs" / "simulator.md"


def list_settings(settings):
    for field in fields(settings):
        value = getattr(settings, field.name)
        yield field.name
        if is_dataclass(value):
            yield from list_settings(value)


@pytest.mark.parametrize("settings", [World(), Operator(), Behaviour()])
def test_every_setting_is_documented(settings):
    text = DOCS.read_text()
    missing = [name for name in list_settings(settings) if not re.search(rf"\b{name}\b", text)]
    assert missing == []


def test_documented_levels_are_the_real_ones():
    rows = re.findall(r"^\| `(\w+)` \|((?: [0-9.]+ \|){6})$", DOCS.read_text(), flags=re.MULTILINE)
    assert len(rows) > 20
    for name, cells in rows:
        said = [float(cell) for cell in cells.strip("| ").split(" | ")]
        assert said == [getattr(level, name) for level in LEVELS], name
