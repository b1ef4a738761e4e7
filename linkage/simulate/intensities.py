"""Intensities: a number from 0 to 1 for each thing that an operator does, to draw curves with."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from linkage.errors import ConfigError

__all__ = ["INTENSITIES", "turn_up"]

# What an intensity means in settings of `Behaviour`.
INTENSITIES: Final[dict[str, Callable[[float], dict[str, Any]]]] = {
    "residential": lambda x: {"residential": x, "datacentre": 1 - x, "vendor": 0.0},
    "datacentre": lambda x: {"residential": 1 - x, "datacentre": x, "vendor": 0.0},
    "vendor": lambda x: {"residential": 1 - x, "datacentre": 0.0, "vendor": x},
    "rotation": lambda x: {"rotation": x},
    "virtual_cards": lambda x: {"accounts_per_card": 8 ** (1 - x), "virtual_cards": x},
    "one_payer": lambda x: {"one_payer": x},
    "unique_devices": lambda x: {"device_reuse": 1 - x, "client_diversity": x},
    "dilution": lambda x: {"templates": 2 + round(38 * x), "templates_per_account": 3},
    "slots": lambda x: {"slots": x},
    "paraphrase_words": lambda x: {"paraphrase_words": x},
    "paraphrase_sentences": lambda x: {"paraphrase_sentences": x},
    "cover": lambda x: {"cover": 0.95 * x},
    "aged": lambda x: {"aged": x},
    "stagger": lambda x: {"stagger": x},
    "cells": lambda x: {"cells": 1 + round(9 * x)},
    "bans": lambda x: {"bans": 2 * x},
    "load_balancing": lambda x: {"load_balancing": x},
    "synchrony": lambda x: {"synchrony": x},
    "sharding": lambda x: {"sharding": x},
    "pivot": lambda x: {"pivot": x},
    "farming": lambda x: {"farming": x},
    "framing": lambda x: {"framing": x},
    "flooding": lambda x: {"flooding": x},
    "plain_mail": lambda x: {"own_domain": 0.8 * (1 - x), "mail_pattern": 0.9 * (1 - x)},
}


def turn_up(intensity: Mapping[str, float]) -> dict[str, Any]:
    """Return what intensities mean in the settings of a behaviour.

    Parameters
    ----------
    intensity : mapping of name -> number
        Names of `INTENSITIES`; 0 is not at all, 1 as far as it goes.

    Returns
    -------
    dict
        Settings of `Behaviour`.

    Raises
    ------
    ConfigError
        If a name is unknown, a number lies outside 0..1, or two names decide one setting.

    Examples
    --------
    >>> turn_up({"cells": 1.0, "virtual_cards": 0.0})
    {'cells': 10, 'accounts_per_card': 8.0, 'virtual_cards': 0.0}
    """
    settings: dict[str, Any] = {}
    decided: dict[str, str] = {}
    for name, value in intensity.items():
        if name not in INTENSITIES:
            close = get_close_matches(name, list(INTENSITIES), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(INTENSITIES)}"
            raise ConfigError(f"unknown intensity {name!r} in [operators.intensity]; {hint}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ConfigError(
                f"operators.intensity.{name} must be a number from 0 to 1; got {value!r}"
            )
        for key, meaning in INTENSITIES[name](float(value)).items():
            if key in decided:
                raise ConfigError(
                    f"operators.intensity names both {decided[key]!r} and {name!r}, which each "
                    f"decide {key}; name one of them"
                )
            decided[key] = name
            settings[key] = meaning
    return settings
