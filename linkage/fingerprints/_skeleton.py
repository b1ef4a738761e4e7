# ruff: noqa: RUF001, RUF002 - the marks of slots are meant
# mypy: disable-error-code="untyped-decorator"
"""Makes a template readable: what its prompts have in common, with its slots as ``‹…›``."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit, types

from linkage.fingerprints._order import Prompts
from linkage.fingerprints._redact import redact

__all__ = ["SLOT", "Drawn", "draw_skeleton", "draw_skeletons", "pick_examples"]

SLOT: Final = "‹…›"
_EXAMPLES: Final = 6  # prompts compared, of different accounts and texts
_MAX_CHARACTERS: Final = 600  # of a skeleton
_MAX_WORDS: Final = 400  # read of an example
_MIN_RUN: Final = 2  # words that are shown between two slots
_WORD: Final = re.compile(r"\w+|[^\w\s]+|\s+")

_I64_IN = types.Array(types.int64, 1, "C", readonly=True)
_I32_IN = types.Array(types.int32, 1, "C", readonly=True)
_U32_IN = types.Array(types.uint32, 1, "C", readonly=True)


@njit(
    types.void(
        _I64_IN,
        _I32_IN,
        _U32_IN,
        _I64_IN,
        _I32_IN,
        _I32_IN,
        _I32_IN,
        types.int64[:, ::1],
        types.int64[:, ::1],
    ),
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _pick(
    taken: Any,
    codes: Any,
    contents: Any,
    offsets: Any,
    numbers: Any,
    labels: Any,
    slots: Any,
    ranks: Any,
    picked: Any,
) -> None:
    """Keep, for each label with a slot, the texts that show most of it; ties by their hash."""
    n_examples = picked.shape[1]
    shown = np.zeros(len(picked), np.int64)
    for n_read in range(len(taken)):
        row = taken[n_read]
        for turn in range(2):
            for at in range(offsets[row], offsets[row + 1]):
                slot = slots[labels[numbers[at]]]
                if slot < 0 or (turn == 1 and shown[slot] == 0):
                    continue
                if turn == 0:
                    shown[slot] += 1
                    continue
                # the more prints the better, then the smaller hash
                rank = (min(shown[slot], 255) << 32) + (0xFFFFFFFF - np.int64(contents[row]))
                shown[slot] = 0
                position = n_examples
                for i in range(n_examples):
                    other = picked[slot, i]
                    if other >= 0 and (
                        codes[other] == codes[row] or contents[other] == contents[row]
                    ):
                        position = i if rank > ranks[slot, i] else -1
                        break
                if position < 0:
                    continue
                if position == n_examples:
                    position = n_examples - 1
                    if rank <= ranks[slot, position]:
                        continue
                while position > 0 and ranks[slot, position - 1] < rank:
                    ranks[slot, position] = ranks[slot, position - 1]
                    picked[slot, position] = picked[slot, position - 1]
                    position -= 1
                ranks[slot, position] = rank
                picked[slot, position] = row


def pick_examples(
    prompts: Prompts,
    labels: npt.NDArray[np.int32],
    wanted: npt.NDArray[np.int64],
    allowed: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Pick texts that show each of some templates well.

    Parameters
    ----------
    prompts : Prompts
    labels : ndarray of int32, shape (n prints,)
    wanted : ndarray of int64, shape (n wanted,)
        Templates.
    allowed : ndarray of int64, optional
        Sorted rows of what was read: only texts sent there may be picked; any by default.

    Returns
    -------
    ndarray of int64, shape (n wanted, 6)
        Texts, the best first, each of another account and other words; -1 where there are fewer.
    """
    slots = np.full(int(labels.max(initial=-1)) + 1, -1, np.int32)
    slots[wanted] = np.arange(len(wanted), dtype=np.int32)
    picked = np.full((len(wanted), _EXAMPLES), -1, np.int64)
    ranks = np.full((len(wanted), _EXAMPLES), -1, np.int64)
    taken = prompts.taken
    if allowed is not None:
        rows = prompts.rows[prompts.firsts[taken]]
        taken = taken[np.isin(rows, allowed, kind="table")]
    _pick(
        taken,
        prompts.codes,
        prompts.contents,
        prompts.offsets,
        prompts.numbers,
        labels,
        slots,
        ranks,
        picked,
    )
    _pair_singles(picked, taken, prompts)
    return picked


def _pair_singles(
    picked: npt.NDArray[np.int64], taken: npt.NDArray[np.int64], prompts: Prompts
) -> None:
    """Give each example that stands alone another account's text of the same words, if any.

    A skeleton shows what two accounts have in common. From one prompt alone, everything that its
    account wrote would be shown.
    """
    contents, codes = prompts.contents, prompts.codes
    single = np.flatnonzero((picked[:, 0] >= 0) & (picked[:, 1] < 0))
    alone = picked[single, 0]
    same = taken[np.isin(contents[taken], contents[alone])]
    same = same[np.argsort(contents[same], kind="stable")]  # by account within a content
    first = np.searchsorted(contents[same], contents[alone], side="left")
    end = np.searchsorted(contents[same], contents[alone], side="right")
    for slot, place, low, high in zip(single, alone, first, end, strict=True):
        others = same[low:high]
        others = others[codes[others] != codes[place]]
        if len(others):
            picked[slot, 1] = others[0]


def draw_skeleton(examples: list[str]) -> str | None:
    """Draw what several prompts of one template have in common.

    Parameters
    ----------
    examples : list of str
        The first is the one that is shown; what half of the others do not have becomes a slot.

    Returns
    -------
    str or None
        Redacted, at most 600 characters; None without examples.

    Examples
    --------
    >>> draw_skeleton(["Translate the text into French: bonjour a tous",
    ...                "Translate the text into French: le chat dort",
    ...                "Translate the text into French: il pleut"])
    'Translate the text into French: ‹…›'
    """
    if not examples:
        return None
    pieces = _WORD.findall(examples[0])[: 2 * _MAX_WORDS]
    at = [i for i, piece in enumerate(pieces) if piece[0].isalnum() or piece[0] == "_"]
    words = [pieces[i].casefold() for i in at]
    support: Counter[tuple[str, str]] = Counter()
    for other in examples[1:]:
        others = [word.casefold() for word in re.findall(r"\w+", other)[:_MAX_WORDS]]
        support.update(set(pairwise(others)))
    needed = len(examples) // 2
    is_pair_common = [support[pair] >= needed for pair in pairwise(words)]
    is_common = [
        (i > 0 and is_pair_common[i - 1]) or (i < len(is_pair_common) and is_pair_common[i])
        for i in range(len(words))
    ]
    return _compose(pieces, at, is_common)


def _compose(pieces: list[str], at: list[int], is_common: list[bool]) -> str:
    """Join the common words with what stands between them; the rest becomes slots."""
    parts: list[str] = []
    for is_shown, group in groupby(zip(at, is_common, strict=True), key=lambda pair: pair[1]):
        places = [place for place, _ in group]
        if is_shown and len(places) >= _MIN_RUN:
            end = places[-1] + 1
            if end < len(pieces) and not pieces[end].isspace():
                end += 1
            parts.append("".join(pieces[places[0] : end]))
        elif not parts or parts[-1] != SLOT:
            parts.append(SLOT)
    text = " ".join(redact(" ".join(part.split())) for part in parts)
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1].rstrip() + "…"


class Drawn(NamedTuple):
    """A template in words."""

    skeleton: str | None  # what two accounts or more have in common, redacted
    example: str | None  # the prompt that shows most of it, as it came


def draw_skeletons(
    picked: npt.NDArray[np.int64], fetch: Callable[[npt.NDArray[np.int64]], pa.Array]
) -> Iterable[Drawn]:
    """Draw a skeleton for each row of `picked` that has two prompts at least.

    Parameters
    ----------
    picked : ndarray of int64, shape (n, 6)
        Rows; -1 for none.
    fetch : callable
        From sorted distinct rows to their texts.

    Yields
    ------
    Drawn
    """
    rows = np.unique(picked[picked >= 0])
    texts = dict(zip(rows.tolist(), fetch(rows).to_pylist(), strict=True))
    for places in picked.tolist():
        examples = [texts[row] for row in places if row >= 0]
        skeleton = draw_skeleton(examples) if len(examples) > 1 else None
        yield Drawn(skeleton, examples[0] if examples else None)
