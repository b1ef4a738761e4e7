"""Every intensity is a curve from one behaviour to another."""

import re
from pathlib import Path

import pytest

from linkage.errors import ConfigError
from linkage.simulate import INTENSITIES, LEVELS, World, turn_up

DOCS = Path(__file__).parent.parent / "docs" / "simulator.md"


def resolve(level=2, behaviour=None, **intensity):
    said = {"accounts": 9, "intensity": intensity, "behaviour": behaviour or {}}
    return World.from_dict({"operators": [said]}).operators[0].resolve(level)


@pytest.mark.parametrize("name", INTENSITIES)
def test_every_step_of_an_intensity_is_another_behaviour(name):
    steps = [resolve(**{name: x}) for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert len({repr(step) for step in steps}) == 5
    changed = set(turn_up({name: 0.5}))
    for key in type(steps[0]).__slots__:
        if key not in changed:
            assert getattr(steps[4], key) == getattr(LEVELS[2], key), key


def test_an_intensity_stands_above_the_level_and_below_a_behaviour():
    assert resolve(5, cells=1.0).cells == 10
    assert resolve(5, {"cells": 3}, cells=1.0).cells == 3
    assert resolve(5, cells=1.0).cover == LEVELS[5].cover


def test_several_intensities_go_together():
    both = resolve(cover=1.0, aged=0.5)
    assert (both.cover, both.aged) == (0.95, 0.5)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"covr": 0.1},
            r"unknown intensity 'covr' in \[operators.intensity\]; did you mean 'cover'",
        ),
        ({"cover": 1.1}, r"operators.intensity.cover must be a number from 0 to 1; got 1.1"),
        ({"cover": True}, r"must be a number from 0 to 1; got True"),
        ({"cover": "much"}, r"must be a number from 0 to 1; got 'much'"),
        ({"vendor": 1, "residential": 0}, r"both 'vendor' and 'residential', which each decide"),
    ],
)
def test_what_cannot_be_is_named(said, message):
    with pytest.raises(ConfigError, match=message):
        resolve(**said)


def test_every_intensity_is_documented():
    table = DOCS.read_text().split("| intensity | at 0 | at 1 |")[1].split("\n\n")[0]
    named = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:]))
    assert sorted(named) == sorted(INTENSITIES)
