"""Folds Unicode to what a reader sees: one table from code points to folded characters and classes.

A text keeps its print when it is written in capitals, in full-width or mathematical letters, with
accents, zero-width characters or bidirectional marks strewn in, or with Cyrillic, Greek or Armenian
letters that look Latin. The table is built once a process from :mod:`unicodedata`.
"""

import unicodedata
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "ABUGIDA",
    "CLASS_SHIFT",
    "DIGIT",
    "EXPANSION",
    "IDEOGRAPH",
    "IGNORED",
    "LETTER",
    "SEPARATOR",
    "TABLE_SIZE",
    "FoldTable",
    "build_fold_table",
]

# An entry is class << CLASS_SHIFT | folded code point (21 bits).
CLASS_SHIFT: Final = 21
SEPARATOR: Final = 0  # ends a word
LETTER: Final = 1  # part of a word
DIGIT: Final = 2  # part of a word; every run of digits is folded to one
IDEOGRAPH: Final = 3  # a word of its own: Han, kana, Yi, bopomofo
ABUGIDA: Final = 4  # a word of its own: letters of scripts without spaces (Thai, Lao, Khmer ...)
IGNORED: Final = 5  # as if it were not there: combining marks, zero-width, bidirectional, tags
EXPANSION: Final = 6  # several characters; the payload is offset << 5 | length in `expansions`
TABLE_SIZE: Final = 0x20000  # planes 0 and 1; planes 2 and 3 are ideographs, 14 is ignored

_ABUGIDA_RANGES: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F40, 0x0FBC),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17DD),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAD),  # Tai Tham
    (0xA9E0, 0xA9FE),  # Myanmar extended-B
    (0xAA60, 0xAADF),  # Myanmar extended-A, Tai Viet
)
_IDEOGRAPH_RANGES: Final = (
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3041, 0x312F),  # hiragana, katakana, bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),  # Yi
    (0xF900, 0xFAFF),
    (0x16F00, 0x18DFF),  # Miao, Tangut, Khitan
    (0x1AFF0, 0x1B2FF),  # kana extensions, Nushu
)
# Blocks in which NFKD is the identity: filled by range, not by one look-up a code point.
_WHOLE_BLOCKS: Final = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xA48C),
    (0x17000, 0x18CD5),
)
_IGNORED_RANGES: Final = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x0300, 0x036F),  # combining marks
    (0x0483, 0x0489),
    (0x0591, 0x05C7),  # Hebrew points
    (0x0610, 0x061A),  # Arabic marks
    (0x0640, 0x0640),  # Arabic elongation
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06DC),
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x200B, 0x200F),  # zero-width, bidirectional
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x20D0, 0x20FF),
    (0x3099, 0x309A),  # voicing marks
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFE20, 0xFE2F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0x1D165, 0x1D1AD),
)
# Letters that look Latin, after case folding and without marks: Cyrillic, Greek, Armenian, Latin.
_LOOKALIKES: Final = dict(
    zip(
        "авгеіјкмнорстухѕԁԛԝһѵіпьґзӏαβγεηικνορτυχωօսհոյքցզıȷɑɡɩʀʏɴʜʟᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜰꜱʙɪɢøđħłŧƒɓɗƙƥƭ",
        "abreijkmhopctyxsdqwhvinbr3labyenikvoptuxwouhnjqgqijagirynhlacdejkmoptuvwzfsbigodhltfbdkpt",
        strict=True,
    )
)
_TRANSLATION: Final = str.maketrans(
    {chr(point): None for low, high in _IGNORED_RANGES for point in range(low, high + 1)}
    | _LOOKALIKES
)
_HANGUL: Final = range(0xAC00, 0xD7A4)


class FoldTable(NamedTuple):
    """The table and the characters of the entries that fold to several."""

    entries: npt.NDArray[np.uint32]  # (TABLE_SIZE,)
    expansions: npt.NDArray[np.uint32]  # folded entries, addressed by EXPANSION entries


def _in_ranges(point: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= point <= high for low, high in ranges)


def _encode_folded(character: str) -> int:
    """Return the entry of one folded character."""
    point = ord(character)
    category = unicodedata.category(character)
    if category == "Nd":
        return DIGIT << CLASS_SHIFT | ord("0")
    if category[0] not in "LM" and category != "Nl":
        return SEPARATOR << CLASS_SHIFT
    if _in_ranges(point, _IDEOGRAPH_RANGES):
        return IDEOGRAPH << CLASS_SHIFT | point
    if _in_ranges(point, _ABUGIDA_RANGES):
        return ABUGIDA << CLASS_SHIFT | point
    return LETTER << CLASS_SHIFT | point


def fold_character(character: str) -> str:
    r"""Fold one character: compatibility form, no case, no marks, look-alikes to Latin.

    Parameters
    ----------
    character : str
        One code point.

    Returns
    -------
    str
        None, one or several characters.

    Examples
    --------
    >>> "".join(map(fold_character, "\uff26ull \xc9clair \ufb01"))
    'full eclair fi'
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return folded.translate(_TRANSLATION)


@cache
def build_fold_table() -> FoldTable:
    """Build the table of folded characters; the same object on every call.

    Returns
    -------
    FoldTable
        uint32 entries for the code points below ``TABLE_SIZE``, and their expansions.
    """
    entries = np.zeros(TABLE_SIZE, np.uint32)
    expansions: list[int] = []
    encoded: dict[str, int] = {}
    for point in _list_foldable_points():
        entries[point] = _encode_point(chr(point), encoded, expansions)
    for low, high in _WHOLE_BLOCKS:
        entries[low : high + 1] = np.arange(low, high + 1) | IDEOGRAPH << CLASS_SHIFT
    for low, high in _IGNORED_RANGES:
        entries[low : high + 1] = IGNORED << CLASS_SHIFT
    entries[ord("_")] = LETTER << CLASS_SHIFT | ord("_")
    syllables, jamo = _spell_hangul(len(expansions))
    entries[_HANGUL.start : _HANGUL.stop] = syllables
    return FoldTable(entries, np.concatenate([np.array(expansions, np.uint32), jamo]))


def _list_foldable_points() -> list[int]:
    """Return the assigned letters, marks and numbers, and compatibility symbols."""
    skipped = np.zeros(TABLE_SIZE, bool)
    for low, high in (*_WHOLE_BLOCKS, *_IGNORED_RANGES):
        skipped[low : high + 1] = True
    skipped[_HANGUL.start : _HANGUL.stop] = True
    skipped[0xD800:0xF900] = True  # surrogates, private use
    category = unicodedata.category
    return [
        point
        for point in np.flatnonzero(~skipped).tolist()
        if category(chr(point))[0] in "LMNS" or 0xFE10 <= point < 0xFFF0
    ]


def _encode_point(character: str, encoded: dict[str, int], expansions: list[int]) -> int:
    parts = []
    for part in fold_character(character):
        if part not in encoded:
            encoded[part] = _encode_folded(part)
        parts.append(encoded[part])
    if not parts:
        return IGNORED << CLASS_SHIFT
    if len(parts) == 1:
        return parts[0]
    offset = len(expansions)
    expansions.extend(parts)
    return EXPANSION << CLASS_SHIFT | offset << 5 | len(parts)


def _spell_hangul(offset: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Spell each syllable as its two or three jamo, by the arithmetic of the Unicode Standard.

    Without it a text in decomposed form (as some systems store it) would have other prints.
    """
    index = np.arange(len(_HANGUL))
    lead, vowel, tail = index // 588 + 0x1100, index % 588 // 28 + 0x1161, index % 28 + 0x11A7
    letter = LETTER << CLASS_SHIFT
    jamo = np.column_stack([lead, vowel, tail]).ravel() | letter
    lengths = np.where(tail == 0x11A7, 2, 3)
    entries = EXPANSION << CLASS_SHIFT | (offset + 3 * index) << 5 | lengths
    return entries.astype(np.uint32), jamo.astype(np.uint32)
