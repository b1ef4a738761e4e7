"""Worlds whose truth is known: innocents who look linked, and operators who try not to."""

from linkage.simulate.intensities import INTENSITIES, turn_up
from linkage.simulate.making import Simulation, simulate
from linkage.simulate.world import (
    LEVELS,
    PRESETS,
    Behaviour,
    Innocents,
    LookAlikes,
    Operator,
    World,
    load_preset,
    load_world,
)

__all__ = [
    "INTENSITIES",
    "LEVELS",
    "PRESETS",
    "Behaviour",
    "Innocents",
    "LookAlikes",
    "Operator",
    "Simulation",
    "World",
    "load_preset",
    "load_world",
    "simulate",
    "turn_up",
]
