"""What prompts aim at: rules that a reader can check, on templates, never on whole prompts."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Purpose", "load_purposes", "match_purposes", "tally_purposes"]

MAX_CHARS: Final = 2000  # of a skeleton that is searched
COLUMNS: Final = ["purpose", "label", "n_templates", "n_accounts", "share", "example"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One purpose and the patterns that show it."""

    name: str
    label: str
    patterns: tuple[re.Pattern[str], ...]


def load_purposes(path: str | Path | None = None) -> tuple[Purpose, ...]:
    """Return the shipped purposes, with those of a file added or put in their place.

    Parameters
    ----------
    path : path, optional
        TOML: a table for each purpose, with ``label`` and ``patterns``.

    Returns
    -------
    tuple of Purpose

    Raises
    ------
    ConfigError
        If the file cannot be read, or an entry is none.

    Examples
    --------
    >>> [purpose.name for purpose in load_purposes()]
    ['coding', 'agents', 'reasoning', 'data', 'writing', 'safety']
    """
    shipped = files("linkage.desk").joinpath("purposes.toml").read_text(encoding="utf-8")
    tables: dict[str, Any] = tomllib.loads(shipped)
    if path is not None:
        try:
            tables |= tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read as purposes: {error}") from error
    return tuple(_read_purpose(name, table) for name, table in tables.items())


def _read_purpose(name: str, table: Any) -> Purpose:
    patterns = table.get("patterns") if isinstance(table, dict) else None
    if not isinstance(patterns, list) or not patterns:
        raise ConfigError(f"purpose {name!r} needs patterns, a list of regular expressions")
    try:
        compiled = tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
    except (re.error, TypeError) as error:
        raise ConfigError(f"purpose {name!r} has a pattern that is none: {error}") from error
    return Purpose(name=name, label=str(table.get("label", name)), patterns=compiled)


def match_purposes(
    skeletons: Sequence[str], purposes: Sequence[Purpose]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Say which purposes each template serves.

    Parameters
    ----------
    skeletons : sequence of str, length n
    purposes : sequence of Purpose, length p

    Returns
    -------
    array of bool, shape (n, p)

    Examples
    --------
    >>> match_purposes(["Refactor this in rust", "hello"], load_purposes())[:, 0]
    array([ True, False])
    """
    rows = [
        [any(pattern.search(text[:MAX_CHARS]) for pattern in p.patterns) for p in purposes]
        for text in skeletons
    ]
    return np.array(rows, dtype=bool).reshape(len(skeletons), len(purposes))


def tally_purposes(
    holdings: pd.DataFrame, templates: pd.DataFrame, purposes: Sequence[Purpose], n_accounts: int
) -> pd.DataFrame:
    """Count the templates and the accounts behind each purpose.

    Parameters
    ----------
    holdings : pandas.DataFrame
        ``account_id``, ``value``: which account of the cluster used which template.
    templates : pandas.DataFrame
        ``template_id``, ``skeleton``.
    purposes : sequence of Purpose
    n_accounts : int
        Accounts of the cluster.

    Returns
    -------
    pandas.DataFrame
        ``purpose``, ``label``, ``n_templates``, ``n_accounts``, ``share`` (of the cluster),
        ``example`` (the most widely held template); purposes that nothing shows are left out.
        Templates without a skeleton count for none.
    """
    readable = templates.dropna(subset="skeleton")
    known = dict(zip(readable["template_id"], readable["skeleton"], strict=True))
    held = holdings[holdings["value"].isin(list(known))]
    spread = held.groupby("value")["account_id"].nunique()
    spread = spread.sort_values(ascending=False, kind="stable")
    ids = [str(value) for value in spread.index]
    matches = match_purposes([known[name] for name in ids], purposes)
    rows = []
    for column, purpose in enumerate(purposes):
        chosen = [name for name, hit in zip(ids, matches[:, column], strict=True) if hit]
        if chosen:
            reached = held.loc[held["value"].isin(chosen), "account_id"].nunique()
            rows.append(
                [purpose.name, purpose.label, len(chosen), reached, reached / n_accounts,
                 known[chosen[0]]]
            )  # fmt: skip
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values("n_accounts", ascending=False, kind="stable", ignore_index=True)
