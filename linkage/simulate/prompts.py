"""Prompts: structure drawn from a template's seed, slots from the event's key.

A template is no stored text. It is a seed from which a compiled kernel draws the sentence patterns
and the fixed words; the words in its slots, and whole payload sentences, are drawn from the
event's own key. A free prompt is a template whose seed nobody else has.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from linkage.simulate.draws import Bools, Floats, Ints, Keys
from linkage.simulate.language import Language

__all__ = ["MAX_WORDS", "PromptPlan", "Words", "compose", "fingerprint", "write_text"]

MAX_WORDS: Final = 160
_SHINGLE: Final = 5  # words a fingerprint looks at together
_STOP: Final = 0x40000000  # mark of a word that ends a sentence
_WORD: Final = 0x3FFFFFFF  # the rest of the number
_WORDINGS: Final = 6  # that one paraphrased sentence can have
_PAUSE: Final = 46  # a full stop in ASCII

Words = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptPlan:
    """What each of n events says, before it is put into words."""

    seed: Keys  # of the template; equal to `key` for a free prompt
    key: Keys  # of the event
    wording: Keys  # decides how the template is paraphrased
    topic: Ints  # position in language.TOPICS
    n_fixed: Ints  # sentences that come from the template
    n_payload: Ints  # sentences that are new in every event
    slot_share: Floats  # share of content words that are new in every event
    word_share: Floats  # share of fixed words that are paraphrased
    sentence_share: Floats  # share of fixed sentences that are paraphrased
    opening: Bools  # begins with a common opening


@njit(nogil=True, cache=True)
def _next(state):  # type: ignore[no-untyped-def]
    x = state + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(nogil=True, cache=True)
def _unit(state):  # type: ignore[no-untyped-def]
    return np.float64(state >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(nogil=True, cache=True)
def _pick(state, low, high):  # type: ignore[no-untyped-def]
    # The first words of a category are the common ones.
    u = _unit(state)
    return low + np.int64((high - low) * u * (0.35 + 0.65 * u))


@njit(nogil=True, cache=True)
def _say(  # type: ignore[no-untyped-def]
    row, at, pattern, structure, key, wording, slot, word_share, language
):
    category_bounds, tokens, pattern_bounds, n_glue = language
    first = pattern_bounds[pattern]
    for t in range(first, min(pattern_bounds[pattern + 1], first + row.shape[0] - at)):
        token = tokens[t]
        place = np.uint64(t - first + 1)
        fixed = _next(structure ^ place)
        changed = _next(wording ^ place)
        is_changed = _unit(changed) < word_share
        if token >= 0:
            word = token
            if is_changed and token < n_glue:
                word = _pick(_next(changed), 0, n_glue)
        else:
            low = category_bounds[-token]
            high = category_bounds[-token + 1]
            if _unit(_next(fixed)) < slot:
                word = _pick(_next(key ^ place), low, high)
            elif is_changed:
                word = _pick(_next(changed), low, high)
            else:
                word = _pick(fixed, low, high)
        row[at] = word
        at += 1
    return at


@njit(nogil=True, cache=True)
def _compose(  # type: ignore[no-untyped-def]
    seed, key, wording, topic, n_fixed, n_payload, slot, word_share, sentence_share, opening,
    topic_bounds, word_hash, language, out, length,
):  # fmt: skip
    golden = np.uint64(0x9E3779B97F4A7C15)
    for i in range(seed.shape[0]):
        row = out[i]
        at = 0
        if opening[i]:
            low = topic_bounds[topic_bounds.shape[0] - 2]
            n_openings = topic_bounds[topic_bounds.shape[0] - 1] - low
            k = _next(key[i] ^ np.uint64(7))
            at = _say(
                row, at, low + np.int64(k % np.uint64(n_openings)), k, k, k, 0.0, 0.0, language
            )
        low = topic_bounds[topic[i]]
        size = np.uint64(topic_bounds[topic[i] + 1] - low)
        # The payload stands before this sentence of the template.
        place = np.int64(seed[i] % np.uint64(n_fixed[i] + 1))
        for s in range(n_fixed[i] + n_payload[i]):
            k = _next(key[i] ^ (np.uint64(s + 1) * golden))
            if place <= s < place + n_payload[i]:
                at = _say(row, at, low + np.int64(k % size), k, k, k, 0.0, 0.0, language)
            else:
                number = np.uint64(s + 1 if s < place else s + 1 - n_payload[i])
                structure = _next(seed[i] ^ (number * golden))
                w = _next(wording[i] ^ (number * golden))
                if _unit(w) < sentence_share[i]:
                    w = _next(w)
                    structure = _next(structure ^ (w % np.uint64(_WORDINGS) + np.uint64(1)))
                at = _say(
                    row, at, low + np.int64(structure % size), structure, k, w,
                    slot[i], word_share[i], language,
                )  # fmt: skip
            if word_hash[row[at - 1] & _WORD] != 0:
                row[at - 1] |= _STOP
            if at == row.shape[0]:
                break
        length[i] = at


def compose(language: Language, plan: PromptPlan) -> tuple[Words, Ints]:
    """Put planned prompts into words.

    Parameters
    ----------
    language : Language
    plan : PromptPlan
        n events.

    Returns
    -------
    words : ndarray of int32, shape (n, MAX_WORDS)
        Words by number, marked where a sentence ends; what lies behind a prompt's end is
        undefined.
    length : ndarray of int64, shape (n,)
        Words of each prompt.
    """
    n_events = len(plan.key)
    words = np.empty((n_events, MAX_WORDS), dtype=np.int32)
    length = np.zeros(n_events, dtype=np.int64)
    _compose(
        plan.seed, plan.key, plan.wording, plan.topic, plan.n_fixed, plan.n_payload,
        plan.slot_share, plan.word_share, plan.sentence_share, plan.opening,
        language.topic_bounds, language.word_hash, _kernel_view(language), words, length,
    )  # fmt: skip
    return words, length


def _kernel_view(language: Language) -> tuple[Ints, Ints, Ints, int]:
    return language.category_bounds, language.tokens, language.pattern_bounds, language.n_glue


@njit(nogil=True, cache=True)
def _measure(words, length, word_bounds, word_hash, bounds):  # type: ignore[no-untyped-def]
    for i in range(words.shape[0]):
        total = 0
        for j in range(length[i]):
            word = words[i, j] & _WORD
            total += word_bounds[word + 1] - word_bounds[word]
            if j > 0 and word_hash[word] != 0:
                total += 1
            if words[i, j] & _STOP:
                total += 1
        bounds[i + 1] = bounds[i] + total


@njit(nogil=True, cache=True)
def _spell(  # type: ignore[no-untyped-def]
    words, length, capitals, word_bytes, word_bounds, word_hash, bounds, out
):
    for i in range(words.shape[0]):
        at = bounds[i]
        begins = capitals[i]
        for j in range(length[i]):
            word = words[i, j] & _WORD
            if j > 0 and word_hash[word] != 0:
                out[at] = 32
                at += 1
            for b in range(word_bounds[word], word_bounds[word + 1]):
                byte = word_bytes[b]
                if begins and 97 <= byte <= 122:
                    byte -= 32
                begins = False
                out[at] = byte
                at += 1
            if words[i, j] & _STOP:
                out[at] = _PAUSE
                at += 1
                begins = capitals[i]


def write_text(language: Language, words: Words, length: Ints, capitals: Bools) -> pa.Array:
    """Spell composed prompts.

    Parameters
    ----------
    language : Language
    words : ndarray of int32, shape (n, MAX_WORDS)
    length : ndarray of int64, shape (n,)
    capitals : ndarray of bool, shape (n,)
        Whether sentences begin with a capital letter.

    Returns
    -------
    pyarrow.StringArray
        Length n, at most 2 GiB.
    """
    bounds = np.zeros(len(words) + 1, dtype=np.int64)
    _measure(words, length, language.word_bounds, language.word_hash, bounds)
    text = np.empty(int(bounds[-1]), dtype=np.uint8)
    _spell(
        words, length, capitals, language.word_bytes, language.word_bounds, language.word_hash,
        bounds, text,
    )  # fmt: skip
    offsets = pa.py_buffer(bounds.astype(np.int32))
    return pa.StringArray.from_buffers(len(words), offsets, pa.py_buffer(text))


@njit(nogil=True, cache=True)
def _fingerprint(words, length, word_hash, shingle, out):  # type: ignore[no-untyped-def]
    recent = np.zeros(shingle, dtype=np.uint64)
    for i in range(words.shape[0]):
        smallest = np.uint64(0xFFFFFFFFFFFFFFFF)
        seen = 0
        for j in range(length[i]):
            h = word_hash[words[i, j] & _WORD]
            if h == 0:
                continue
            recent[seen % shingle] = h
            seen += 1
            if seen < shingle and j < length[i] - 1:
                continue
            state = np.uint64(0)
            for back in range(min(seen, shingle)):
                state = _next(state ^ recent[(seen - 1 - back) % shingle])
            smallest = min(smallest, state)
        out[i] = smallest


def fingerprint(language: Language, words: Words, length: Ints) -> Keys:
    """Hash composed prompts as a provider would that keeps no text.

    Parameters
    ----------
    language : Language
    words : ndarray of int32, shape (n, MAX_WORDS)
    length : ndarray of int64, shape (n,)

    Returns
    -------
    ndarray of uint64, shape (n,)
        The smallest hash of five running words, punctuation aside: two prompts agree with a
        probability equal to the share of such runs that they have in common.

    Notes
    -----
    One MinHash (Broder 1997, "On the resemblance and containment of documents").
    """
    prints = np.zeros(len(words), dtype=np.uint64)
    _fingerprint(words, length, language.word_hash, _SHINGLE, prints)
    return prints
