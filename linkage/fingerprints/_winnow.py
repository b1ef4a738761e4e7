# mypy: disable-error-code="untyped-decorator"
"""The kernel: UTF-8 bytes in, prints out.

One pass over the bytes decodes, folds, cuts into words, hashes the words, rolls the shingles and
thins them out. What is kept depends on the shingle alone, as far as possible: where slots and
paraphrase change the neighbours, the smallest hash of a window is another one. A shingle is
*anchored*, and kept, if of its first four pairs of neighbouring words the second has the lowest
hash (an open syncmer: Edgar, *Syncmers are more sensitive than minimizers for selecting conserved
k-mers in biological sequences*, PeerJ 2021). That is true of one in four and never of two in a
row, so that a short common run of words is met more often than by low hashes, which come in heaps.
Where a whole window has no anchored shingle, its lowest is kept (winnowing: Schleimer, Wilkerson
and Aiken, *Winnowing: local algorithms for document fingerprinting*, SIGMOD 2003). It reads Arrow's
buffers where they lie and releases the GIL.
"""

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit, types

from linkage.fingerprints._unicode import (
    ABUGIDA,
    CLASS_SHIFT,
    DIGIT,
    EXPANSION,
    IDEOGRAPH,
    IGNORED,
    LETTER,
    SEPARATOR,
    TABLE_SIZE,
)

__all__ = [
    "WEIGHT_ABUGIDA",
    "WEIGHT_IDEOGRAPH",
    "WEIGHT_WORD",
    "derive_seeds",
    "list_ascii_entries",
    "winnow",
]

# A shingle is as long as k words: weights add up to k * WEIGHT_WORD. A word of an unspaced script
# has about 1.6 ideographs or 3 letters, so five words are eight ideographs or fifteen letters.
WEIGHT_WORD: Final = 48
WEIGHT_IDEOGRAPH: Final = 30
WEIGHT_ABUGIDA: Final = 16

_RING: Final = 64  # tokens in one shingle, at most
_WINDOW_RING: Final = 64  # shingles in one window, at most
_PAYLOAD: Final = (1 << CLASS_SHIFT) - 1
_NO_CHARACTER: Final = 0xFFFFFFFF
_ASCII_LETTER: Final = 1 << 31  # entries of ASCII letters are at least this
_NOT_HEX: Final = 1 << 30  # letters after f
_NOT_ASCII: Final = 7 << CLASS_SHIFT  # a byte that starts or continues a longer character
_BYTE_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_PAIRS: Final = 4  # pairs of words of which the second anchors a shingle
_LOW: Final = np.uint64(1 << 62)  # a quarter of all hashes are lower

_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
_OFFSETS = types.Array(types.int64, 1, "C", readonly=True)
_U32 = types.Array(types.uint32, 1, "C", readonly=True)
_U64 = types.Array(types.uint64, 1, "C", readonly=True)


def derive_seeds(key: bytes) -> npt.NDArray[np.uint64]:
    """Derive the kernel's secrets from the case's key, by BLAKE2b.

    Parameters
    ----------
    key : bytes
        The case's key, of any length; empty for prints that anybody can compute.

    Returns
    -------
    ndarray of uint64, shape (4,)
        Seeds of words, of shingles and of whole texts, and the rolling multiplier (odd).
    """
    digest = hashlib.blake2b(key[:64], digest_size=32, person=b"linkage prints").digest()
    seeds = np.frombuffer(digest, np.uint64).copy()
    seeds[3] |= np.uint64(1)
    return seeds


def list_ascii_entries(table: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the entries of single bytes: letters marked, bytes above 127 set apart."""
    entries = np.full(256, _NOT_ASCII, np.uint32)
    entries[:128] = table[:128]
    folded = entries[:128] & _PAYLOAD
    is_letter = entries[:128] >> CLASS_SHIFT == LETTER
    marks = np.where((folded < ord("a")) | (folded > ord("f")), _NOT_HEX, 0) | _ASCII_LETTER
    entries[:128] = np.where(is_letter, folded | marks, entries[:128])
    return entries


@njit(types.uint64(types.uint64), inline="always")
def _mix(value: Any) -> Any:
    """Finalise a 64-bit hash (Stafford's variant 13 of the murmur finaliser)."""
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@njit(types.boolean(types.uint64[::1], types.int64, types.int64), inline="always")
def _is_anchored(pairs: Any, head: Any, n_tokens: Any) -> Any:
    """Tell whether the shingle of so many tokens from the head on is one of those to keep.

    The hash of each pair of tokens lies at the place of the first. A shingle has four pairs where
    words are words and `shingle_words` is five or more; three or two anchor by what they have, and
    of one pair, or none, a low hash does. No branches where nobody can guess what they lead to.
    """
    mask = _RING - 1
    second = pairs[(head + 1) & mask]
    if n_tokens > _PAIRS:
        return (
            (second < pairs[head & mask])
            & (second <= pairs[(head + 2) & mask])
            & (second <= pairs[(head + 3) & mask])
        )
    if n_tokens == _PAIRS:
        return (second < pairs[head & mask]) & (second <= pairs[(head + 2) & mask])
    if n_tokens == _PAIRS - 1:
        return second < pairs[head & mask]
    return pairs[head & mask] < _LOW


@njit(
    types.int64(
        _BYTES,
        _OFFSETS,
        _OFFSETS,
        _U32,
        _U32,
        _U32,
        _U64,
        types.int64,
        types.int64,
        types.int64,
        types.uint64[::1],
        types.int32[::1],
        types.uint64[::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def winnow(  # noqa: PLR0912, PLR0915 - one loop, so that state stays in registers
    data: Any,
    starts: Any,
    ends: Any,
    ascii_entries: Any,
    table: Any,
    expansions: Any,
    seeds: Any,
    shingle_weight: Any,
    window: Any,
    max_characters: Any,
    prints: Any,
    counts: Any,
    contents: Any,
) -> Any:
    """Write the prints of each text, in the order of the text; return how many there are.

    Parameters
    ----------
    data : ndarray of uint8
        UTF-8 text; malformed bytes count as separators.
    starts, ends : ndarray of int64, shape (n,)
        Where each text lies in `data`; equal for none.
    ascii_entries : ndarray of uint32, shape (256,)
        As made by `list_ascii_entries`.
    table, expansions : ndarray of uint32
        The fold table.
    seeds : ndarray of uint64, shape (4,)
        As derived from the key.
    shingle_weight : int
        Weight of a shingle, WEIGHT_WORD a word.
    window : int
        Shingles a window, up to 64. Of a window without anchored shingles the lowest is kept.
    max_characters : int
        Characters read of each text.
    prints : ndarray of uint64
        Written. Room for one print a byte of text is always enough.
    counts : ndarray of int32, shape (n,)
        Written: prints of each text; -1 - prints where the text was cut at `max_characters`.
    contents : ndarray of uint64, shape (n,)
        Written: a hash of all words of each text; 0 where it has none.
    """
    one = np.uint64(1)
    seed_word, seed_shingle, multiplier = seeds[0], seeds[1], seeds[3]
    tokens = np.zeros(_RING, np.uint64)
    weights = np.zeros(_RING, np.int64)
    powers = np.ones(_RING + 1, np.uint64)
    for i in range(_RING):
        powers[i + 1] = powers[i] * multiplier
    pairs = np.zeros(_RING, np.uint64)
    recent = np.zeros(_WINDOW_RING, np.uint64)
    written = 0
    for row in range(len(starts)):
        position, end = starts[row], ends[row]
        n_characters = 0
        first_written = written
        content = np.uint64(0)
        # the word being read
        word, n_letters, n_digits, letters, after_digit = seed_word, 0, 0, np.uint32(0), False
        after_number = False
        held = np.uint32(_NO_CHARACTER)  # a character that waits until the word before is done
        expansion, expansion_end = np.int64(0), np.int64(0)
        # the shingle being rolled: the last n_tokens of the ring
        head, n_tokens, weight, rolled = 0, 0, 0, np.uint64(0)
        previous, last_written = np.uint64(0), np.uint64(0)
        # the window
        n_shingles, n_loose, emitted_at = 0, 0, -1
        is_open = True
        while is_open:
            if held != _NO_CHARACTER:
                entry = held
                held = np.uint32(_NO_CHARACTER)
            elif expansion < expansion_end:
                entry = expansions[expansion]
                expansion += 1
            elif position >= end or n_characters >= max_characters:
                entry = np.uint32(SEPARATOR)
                is_open = False
            else:
                # the fast path: letters of ASCII, until something else comes
                started = position
                stop = min(end, position + max_characters - n_characters)
                entry = np.uint32(LETTER << CLASS_SHIFT)
                byte = np.uint32(0)
                while position < stop:
                    byte = np.uint32(data[position])
                    position += 1
                    entry = ascii_entries[byte]
                    if entry < _ASCII_LETTER:
                        break
                    word = (word ^ np.uint64(entry)) * _BYTE_PRIME
                    letters |= entry
                n_characters += position - started
                n_letters += position - started
                if entry >= _ASCII_LETTER:
                    continue  # the text ended in a letter
                n_letters -= 1
                if position - started > 1:
                    after_digit = False
                if entry == _NOT_ASCII:
                    extra, point = 0, np.uint32(0)
                    if byte >= 0xF0:
                        extra, point = 3, byte & np.uint32(0x07)
                    elif byte >= 0xE0:
                        extra, point = 2, byte & np.uint32(0x0F)
                    elif byte >= 0xC0:
                        extra, point = 1, byte & np.uint32(0x1F)
                    if extra == 0 or position + extra > end:
                        entry = np.uint32(SEPARATOR)
                    else:
                        for _ in range(extra):
                            point = (point << np.uint32(6)) | (
                                np.uint32(data[position]) & np.uint32(0x3F)
                            )
                            position += 1
                        if point < TABLE_SIZE:
                            entry = table[point]
                        elif point < 0x40000:
                            entry = np.uint32(IDEOGRAPH << CLASS_SHIFT) | point
                        elif point < 0xF0000:
                            entry = np.uint32(IGNORED << CLASS_SHIFT)
                        else:
                            entry = np.uint32(SEPARATOR)
            kind = entry >> np.uint32(CLASS_SHIFT)
            value = entry & np.uint32(_PAYLOAD)
            if kind == LETTER:
                # a folded letter counts as the ASCII letter that it looks like
                entry = ascii_entries[value] if value < 0x80 else entry | np.uint32(_NOT_HEX)
                word = (word ^ np.uint64(entry)) * _BYTE_PRIME
                letters |= entry
                n_letters += 1
                after_digit = False
                continue
            if kind == DIGIT:
                if not after_digit:
                    word = (word ^ np.uint64(0x30)) * _BYTE_PRIME
                n_digits += 1
                after_digit = True
                continue
            if kind == IGNORED:
                continue
            if kind == EXPANSION:
                expansion = np.int64(value >> np.uint32(5))
                expansion_end = expansion + np.int64(value & np.uint32(31))
                continue
            # a separator, or a character that is a word by itself
            if n_letters + n_digits > 0:
                token, token_weight = word, WEIGHT_WORD
                length = n_letters + n_digits
                is_number = n_digits > 0 and (
                    n_letters == 0
                    or (letters & np.uint32(_NOT_HEX) == 0 and length >= 4)
                    or (length >= 8 and n_digits >= 2)
                )
                if kind != SEPARATOR:
                    held = entry
                elif not is_open:
                    held = np.uint32(_NO_CHARACTER)
                word, n_letters, n_digits, letters, after_digit = (
                    seed_word,
                    0,
                    0,
                    np.uint32(0),
                    False,
                )
                if is_number:
                    if after_number:
                        continue  # a date, an address, a list of numbers: one number
                    token = seed_shingle
                after_number = is_number
            elif kind == IDEOGRAPH:
                token, token_weight = (seed_word ^ np.uint64(value)) * _BYTE_PRIME, WEIGHT_IDEOGRAPH
                after_number = False
            elif kind == ABUGIDA:
                token, token_weight = (seed_word ^ np.uint64(value)) * _BYTE_PRIME, WEIGHT_ABUGIDA
                after_number = False
            else:
                continue
            token = token ^ (token >> np.uint64(32))
            content = content * multiplier + token
            slot = (head + n_tokens) & (_RING - 1)
            tokens[slot] = token
            weights[slot] = token_weight
            pair = (previous * multiplier + token) ^ seed_shingle
            pairs[(slot - 1) & (_RING - 1)] = (pair ^ (pair >> np.uint64(29))) * _MIX_1
            previous = token
            n_tokens += 1
            weight += token_weight
            rolled = rolled * multiplier + token
            while weight >= shingle_weight:
                shingle = _mix(rolled ^ seed_shingle) | one
                is_anchored = _is_anchored(pairs, head, n_tokens)
                n_tokens -= 1
                rolled -= tokens[head] * powers[n_tokens]
                weight -= weights[head]
                head = (head + 1) & (_RING - 1)
                recent[n_shingles & (_WINDOW_RING - 1)] = shingle
                n_shingles += 1
                n_loose = 0 if is_anchored else n_loose + 1
                prints[written] = shingle
                if is_anchored & (shingle != last_written):
                    last_written = shingle
                    written += 1
                if n_loose >= window:
                    minimum, minimum_at = shingle, n_shingles - 1
                    for at in range(n_shingles - window, n_shingles - 1):
                        candidate = recent[at & (_WINDOW_RING - 1)]
                        if candidate < minimum:
                            minimum, minimum_at = candidate, at
                    if minimum_at != emitted_at and minimum != last_written:
                        prints[written] = minimum
                        last_written = minimum
                        written += 1
                    emitted_at = minimum_at
        if n_loose == n_shingles and 0 < n_shingles < window:
            prints[written] = recent[:n_shingles].min()
            written += 1
        counts[row] = written - first_written
        if position < end:
            counts[row] = first_written - written - 1
        contents[row] = _mix(content)
    return written
