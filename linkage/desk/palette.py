"""Colours and shapes of families and tiers: told apart by any colour vision, and in grey."""

from collections.abc import Iterable
from typing import Final

__all__ = ["ACCOUNT_COLOUR", "TIER_COLOURS", "TIER_WORDS", "find_family_colours"]

# Okabe and Ito (2008), darkened where they would vanish on white.
_FAMILIES: Final = {
    "network": "#0072b2",
    "payment": "#d98200",
    "content": "#009e73",
    "registration": "#c0609a",
    "client": "#d55e00",
    "software": "#4aa3d8",
    "timing": "#8a7a00",
}
_SPARE: Final = ("#7f4f24", "#6a4c93", "#5f6b73", "#2a6f6f", "#a23b3b")

ACCOUNT_COLOUR: Final = "#8a939c"
TIER_COLOURS: Final = {"operator": "#d55e00", "coordinated": "#b8860b", "shared": "#0072b2"}
TIER_WORDS: Final = {
    "operator": "looks like one operator",
    "coordinated": "act together, left open",
    "shared": "linked, and explained innocently",
}


def find_family_colours(families: Iterable[str]) -> dict[str, str]:
    """Give each family a colour; a family that linkage does not know gets a spare one.

    Parameters
    ----------
    families : iterable of str

    Returns
    -------
    dict of str to str
        Hexadecimal colours, in the families' alphabetical order.

    Examples
    --------
    >>> find_family_colours(["wallets", "network"])
    {'network': '#0072b2', 'wallets': '#7f4f24'}
    """
    names = sorted(set(families))
    unknown = [name for name in names if name not in _FAMILIES]
    spare = {name: _SPARE[i % len(_SPARE)] for i, name in enumerate(unknown)}
    return {name: _FAMILIES.get(name) or spare[name] for name in names}
