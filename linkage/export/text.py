"""Make text from outside safe to write: no illegal characters, no reordering, no megabytes."""

import hashlib
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["CHANGE_COLUMNS", "MAX_ID", "MAX_LABEL", "MAX_TEXT", "clean_ids", "clean_text"]

MAX_LABEL: Final = 120  # characters of a label; Gephi draws it beside the node
MAX_ID: Final = 256  # characters of a node's id; every edge repeats two of them
MAX_TEXT: Final = 1000  # characters of any other text

CHANGE_COLUMNS: Final = ("value", "written", "reason")

# XML 1.0 cannot hold most control characters, not even escaped, nor U+FFFE and U+FFFF. Bidi
# controls reorder what an analyst reads ("Trojan source").
_BREAKS: Final = r"\t\n\r"
_UNSAFE: Final = (
    r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x{9F}\x{FFFE}\x{FFFF}"
    r"\x{61C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2066}-\x{2069}"
)
_REPLACEMENT: Final = "\ufffd"
# C0 controls and DEL are shown by their pictures (U+2400 ...), so that an analyst sees them.
_SAFE: Final[dict[int, str | int]] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n\r"},
    0x7F: 0x2421,
    **dict.fromkeys(
        [
            *range(0x80, 0xA0),
            *(0x61C, 0x200E, 0x200F, 0xFFFE, 0xFFFF),
            *range(0x202A, 0x202F),
            *range(0x2066, 0x206A),
        ],
        _REPLACEMENT,
    ),
}


def _mend_surrogates(text: str) -> str:
    """Join surrogate pairs into characters; a lone surrogate becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _shorten(text: str, limit: int, *, keep_distinct: bool) -> str:
    """Cut `text` to `limit` characters; a digest keeps two long ids apart."""
    if not keep_distinct:
        return text[: limit - 1] + "…"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{text[: limit - 17]}…{digest}"


def _clean_one(text: str, limit: int, *, one_line: bool, keep_distinct: bool) -> tuple[str, str]:
    """Return the safe text and what was changed."""
    safe = _mend_surrogates(text).translate(_SAFE)
    reasons = ["character replaced"] if safe != text else []
    if one_line:
        safe = " ".join(safe.split())
    if len(safe) > limit:
        reasons.append(f"shortened to {limit} characters")
        safe = _shorten(safe, limit, keep_distinct=keep_distinct)
    return safe, ", ".join(reasons)


def _to_arrow(values: NDArray[np.object_]) -> Any:
    try:
        return pa.array(values, pa.large_string())
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold
        mended = [_mend_surrogates(value) for value in values]
        return pa.array(mended, pa.large_string())


def clean_text(
    values: NDArray[np.object_],
    limit: int = MAX_TEXT,
    *,
    one_line: bool = False,
    keep_distinct: bool = False,
) -> tuple[Any, pd.DataFrame]:
    r"""Replace what a file cannot hold and cut what is too long.

    Control characters become their Unicode pictures (NUL is written as U+2400); lone surrogates, C1
    controls, noncharacters and bidirectional controls become U+FFFD.

    Parameters
    ----------
    values : array of str, shape (n,)
        Distinct texts without nulls.
    limit : int
        Longest text that is kept whole, in characters.
    one_line : bool
        Turn every run of white space into one blank.
    keep_distinct : bool
        End a shortened text with a digest of the whole.

    Returns
    -------
    safe : pyarrow.Array of large_string, shape (n,)
    changes : DataFrame
        value, written, reason: one row a text that was changed (white space apart).

    Examples
    --------
    >>> import numpy as np
    >>> safe, changes = clean_text(np.array(["plain", "a\x00b"], dtype=object))
    >>> safe.to_pylist()
    ['plain', 'a␀b']
    >>> changes["reason"].tolist()
    ['character replaced']
    """
    safe = _to_arrow(values)
    unsafe = f"[{_UNSAFE}{_BREAKS if one_line else ''}\ufffd]"
    flags = pc.or_(pc.match_substring_regex(safe, unsafe), pc.greater(pc.utf8_length(safe), limit))
    rows = np.flatnonzero(flags.to_numpy(zero_copy_only=False))
    cleaned = [
        _clean_one(values[row], limit, one_line=one_line, keep_distinct=keep_distinct)
        for row in rows
    ]
    if cleaned:
        written = pa.array([text for text, _ in cleaned], pa.large_string())
        safe = pc.replace_with_mask(safe, flags, written)
    changes = pd.DataFrame(
        {
            "value": pd.Series(values[rows], dtype=object),
            "written": pd.Series([text for text, _ in cleaned], dtype=object),
            "reason": pd.Series([reason for _, reason in cleaned], dtype=object),
        },
        columns=list(CHANGE_COLUMNS),
    )
    return safe, changes[changes["reason"].ne("")].reset_index(drop=True)


def _number_repeats(texts: list[str], taken: set[str]) -> list[str]:
    """Give each text that is taken already a number that makes it free."""
    numbers: dict[str, int] = {}
    out: list[str] = []
    for text in texts:
        name = text
        while name in taken:
            numbers[text] = numbers.get(text, 1) + 1
            name = f"{text}~{numbers[text]}"
        taken.add(name)
        out.append(name)
    return out


def clean_ids(values: NDArray[np.object_]) -> tuple[Any, pd.DataFrame]:
    r"""Clean ids as `clean_text` does, and keep different ids different.

    Parameters
    ----------
    values : array of str, shape (n,)
        Distinct ids in a fixed order. An id that needs no change keeps its name; of two changed
        ids that would be written alike, the later one gets a number.

    Returns
    -------
    safe : pyarrow.Array of large_string, shape (n,)
        Distinct.
    changes : DataFrame
        value, written, reason.

    Examples
    --------
    >>> import numpy as np
    >>> clean_ids(np.array(["a\u200e", "a\u200f"], dtype=object))[0].to_pylist()
    ['a\ufffd', 'a\ufffd~2']
    """
    safe, changes = clean_text(values, MAX_ID, keep_distinct=True)
    if changes.empty or pc.count_distinct(safe).as_py() == len(safe):
        return safe, changes
    rows = pd.Index(values, dtype=object).get_indexer(pd.Index(changes["value"], dtype=object))
    names = safe.to_numpy(zero_copy_only=False)
    taken = set(np.delete(names, rows))
    names[rows] = _number_repeats(names[rows].tolist(), taken)
    return pa.array(names, pa.large_string()), changes.assign(written=names[rows])
