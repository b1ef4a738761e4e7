# ruff: noqa: RUF001, RUF002 - the marks of slots are meant
"""Takes what points to a person or opens a door out of text, as far as patterns go."""

import re
from typing import Final

__all__ = ["redact"]

_CAPITALISED: Final = r"[A-Z][\w'\u2019-]+(?:\s+[A-Z][\w'\u2019-]+){0,2}"
_DOMAIN: Final = r"[\w-]+(?:\.[\w-]+)+"
# A pattern that begins with a run starts at the run's beginning only: from every character of it, a
# prompt of one million letters would take hours.
_PATTERNS: Final = (
    (
        re.compile(rf"(?<![\w.+'-])[\w.+'-]+@{_DOMAIN}(?:[\w.+'-]*@{_DOMAIN})*"),
        "‹e-mail›",
    ),
    (re.compile(r"\b(?:https?|ftp|wss?)://\S+|\bwww\.\S+", re.IGNORECASE), "‹url›"),
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), "‹key›"),
    (re.compile(r"\b(?:sk|pk|rk|ghp|gho|xox[abp]|hf|glpat)[-_][\w-]{8,}"), "‹key›"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[\w-]{10,}(?:\.[\w-]+)*"), "‹key›"),
    (re.compile(r"(?<![\w+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{16,}"), "‹key›"),
    (
        re.compile(
            r"\b([Pp]ass(?:word|wd|phrase)?|[Ss]ecret|[Tt]oken|[Aa]pi[ _-]?[Kk]ey)"
            r"(\s*(?:is|[:=])\s*)\S+"
        ),
        r"\1\2‹key›",
    ),
    (re.compile(r"(?<![\w@])@\w[\w.-]+"), "‹handle›"),
    (
        re.compile(
            r"\b((?:[Mm]y name is|[Ii] am|[Ii]['\u2019]m|[Cc]all me|[Dd]ear|[Hh]i|[Hh]ello"
            r"|[Ss]igned|[Rr]egards|[Mm]rs?\.?|[Mm]s\.?|[Dd]r\.?|[Pp]rof\.?)[\s,]+)" + _CAPITALISED
        ),
        r"\1‹name›",
    ),
    (re.compile(r"\+?\d[\d .,:/()-]*\d|\d"), "‹number›"),
)


def redact(text: str) -> str:
    """Replace e-mail addresses, links, keys, handles, names and numbers by placeholders.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        A name is only found where its surroundings say that it is one (a greeting, a title).

    Examples
    --------
    >>> redact("Dear Ada Lovelace, mail ada@example.org by 10 June, key sk-abcdef123456")
    'Dear ‹name›, mail ‹e-mail› by ‹number› June, key ‹key›'
    """
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
