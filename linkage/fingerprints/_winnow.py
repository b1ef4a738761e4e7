# mypy: disable-error-code="untyped-decorator"
"""The kernel: UTF-8 bytes in, prints out.

One pass over the bytes decodes, folds, cuts into words, hashes the words, rolls the shingles and
thins them out. Letters of ASCII are read and hashed sixteen at a time.

What is kept depends on the shingle alone, as far as possible: where slots and paraphrase change the
neighbours, the smallest hash of a window is another one. A shingle is *anchored*, and kept, if of
its first four pairs of neighbouring words the second has the lowest hash (an open syncmer: Edgar,
*Syncmers are more sensitive than minimizers for selecting conserved k-mers in biological
sequences*, PeerJ 2021). That is true of one in four and never of two in a row, so that a short
common run of words is met more often than by low hashes, which come in heaps. Where a whole window
has no anchored shingle, its lowest is kept (winnowing: Schleimer, Wilkerson and Aiken, *Winnowing:
local algorithms for document fingerprinting*, SIGMOD 2003). It reads Arrow's buffers where they lie
and releases the GIL.
"""

import hashlib
import sys
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

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
_NOT_ASCII: Final = 7 << CLASS_SHIFT  # a byte that starts or continues a longer character
_BYTE_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_PAIRS: Final = 4  # pairs of words of which the second anchors a shingle
_LOW: Final = np.uint64(1 << 62)  # a quarter of all hashes are lower
# In each of eight bytes: the bit of lower case, the highest bit, and what takes a byte from `a` on,
# one after `z`, and one after `f` up to the highest bit.
_CASE: Final = np.uint64(0x2020202020202020)
_HIGH: Final = np.uint64(0x8080808080808080)
_FROM_A: Final = np.uint64(0x1F1F1F1F1F1F1F1F)
_AFTER_Z: Final = np.uint64(0x0505050505050505)
_AFTER_F: Final = np.uint64(0x1919191919191919)
_ALL: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_END_OF_ASCII: Final = np.uint32(0x80)
_A: Final = np.uint32(ord("a"))
_F: Final = np.uint32(ord("f"))
_A_NUMBER: Final = np.uint64(ord("0"))

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
    """Return the entries of single bytes, those above 127 set apart."""
    entries = np.full(256, _NOT_ASCII, np.uint32)
    entries[:128] = table[:128]
    return entries


@intrinsic
def _read_eight(typingctx: Any, data: Any, position: Any) -> Any:  # noqa: ARG001
    """Read eight bytes of an array as one number, the first the lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = cgutils.gep_inbounds(builder, array.data, arguments[1])
        eight = builder.load(builder.bitcast(start, ir.IntType(64).as_pointer()), align=1)
        return builder.bswap(eight) if sys.byteorder == "big" else eight

    return types.uint64(data, types.int64), generate


@intrinsic
def _count_zeros(typingctx: Any, value: Any) -> Any:  # noqa: ARG001
    """Count the zeros below the lowest bit of a number that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@njit(types.int64(types.uint64), inline="always")
def _count_letters(eight: Any) -> Any:
    """Return how many of eight bytes are letters of ASCII, up to the first that is none."""
    folded = (eight | _CASE) & ~_HIGH
    others = ~((folded + _FROM_A) & ~(folded + _AFTER_Z) & ~eight) & _HIGH
    return 8 if others == 0 else _count_zeros(others) >> 3


@njit(types.uint64(types.uint64, types.int64), inline="always")
def _keep_letters(eight: Any, n: Any) -> Any:
    """Return the first letters of eight bytes, folded, and zeros."""
    # two shifts, for none may be by as many bits as there are
    return (eight | _CASE) & ((_ALL >> np.uint64(63 - 8 * n + min(n, 1))) * np.uint64(n > 0))


@njit(types.uint64(types.uint64, types.uint64, types.uint64), inline="always")
def _stir(word: Any, low: Any, high: Any) -> Any:
    """Add to the hash of a word: up to sixteen letters of ASCII, or something else."""
    word = (word ^ low) * _BYTE_PRIME
    word = (word ^ (word >> np.uint64(32)) ^ high) * _BYTE_PRIME
    return word ^ (word >> np.uint64(32))


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
    zero, one = np.uint64(0), np.uint64(1)
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
        # the word being read; its last letters of ASCII, up to fifteen, wait to be stirred in
        word, n_letters, n_digits, after_digit = seed_word, 0, 0, False
        low, high, n_waiting, is_hex = zero, zero, 0, True
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
                # the fast path: the letters of a word at once
                n = 0
                if n_waiting == 0 and position + 16 <= len(data):
                    low, high = _read_eight(data, position), _read_eight(data, position + 8)
                    n, more = _count_letters(low), _count_letters(high)
                    n += more if n == 8 else 0
                    n = min(n, end - position, max_characters - n_characters)
                    low = _keep_letters(low, min(n, 8))
                    high = _keep_letters(high, max(n - 8, 0))
                    is_hex &= (low + _AFTER_F | high + _AFTER_F) & _HIGH == zero
                elif position + 8 <= len(data):
                    eight = _read_eight(data, position)
                    n = min(_count_letters(eight), 8 - (n_waiting & 7))
                    n = min(n, end - position, max_characters - n_characters)
                    eight = _keep_letters(eight, n)
                    is_hex &= (eight + _AFTER_F) & _HIGH == zero
                    eight <<= np.uint64(8 * (n_waiting & 7))
                    if n_waiting < 8:
                        low |= eight
                    else:
                        high |= eight
                if n > 0:
                    n_waiting += n
                    n_letters += n
                    n_characters += n
                    position += n
                    after_digit = False
                    if n_waiting == 16:
                        word = _stir(word, low, high)
                        low, high, n_waiting = zero, zero, 0
                        continue
                    if position >= end or n_characters >= max_characters:
                        continue
                byte = np.uint32(data[position])
                position += 1
                n_characters += 1
                entry = ascii_entries[byte]
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
                n_letters += 1
                after_digit = False
                # a folded letter counts as the one of ASCII that it looks like
                if value < _END_OF_ASCII:
                    is_hex &= bool(_A <= value <= _F)
                    letter = np.uint64(value) << np.uint64(8 * (n_waiting & 7))
                    if n_waiting < 8:
                        low |= letter
                    else:
                        high |= letter
                    n_waiting += 1
                    if n_waiting == 16:
                        word = _stir(word, low, high)
                        low, high, n_waiting = zero, zero, 0
                    continue
                is_hex = False
            if kind == LETTER or (kind == DIGIT and not after_digit):
                if n_waiting > 0:
                    word = _stir(word, low, high)
                    low, high, n_waiting = zero, zero, 0
                word = _stir(word, np.uint64(value) if kind == LETTER else _A_NUMBER, zero)
            if kind == LETTER:
                continue
            if kind == DIGIT:
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
                if n_waiting > 0:
                    word = _stir(word, low, high)
                token, token_weight = word, WEIGHT_WORD
                length = n_letters + n_digits
                is_number = n_digits > 0 and (
                    n_letters == 0 or (is_hex and length >= 4) or (length >= 8 and n_digits >= 2)
                )
                if kind != SEPARATOR:
                    held = entry
                elif not is_open:
                    held = np.uint32(_NO_CHARACTER)
                word, n_letters, n_digits, after_digit = seed_word, 0, 0, False
                low, high, n_waiting, is_hex = zero, zero, 0, True
                if is_number:
                    if after_number:
                        continue  # a date, an address, a list of numbers: one number
                    token = seed_shingle
                after_number = is_number
            elif kind == IDEOGRAPH:
                token, token_weight = _stir(seed_word, np.uint64(value), zero), WEIGHT_IDEOGRAPH
                after_number = False
            elif kind == ABUGIDA:
                token, token_weight = _stir(seed_word, np.uint64(value), zero), WEIGHT_ABUGIDA
                after_number = False
            else:
                continue
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
                is_written = is_anchored & (shingle != last_written)
                last_written = shingle if is_written else last_written
                written += is_written
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
