"""What a dossier can use beyond the case folder: the accounts table, templates made elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from linkage.errors import InputError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Background", "find_accounts_file", "find_background", "read_background"]

_ATTRIBUTES: Final = ("account_id", "created_at", "banned_at", "status", "country")
_TIMES: Final = ("created_at", "banned_at")
_BLOCK: Final = 1 << 20  # bytes hashed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """Tables beside the case.

    Attributes
    ----------
    accounts : pandas.DataFrame or None
        ``account_id`` and what is known of ``created_at``, ``banned_at``, ``status``, ``country``.
    templates : pandas.DataFrame or None
        ``template_id``, ``skeleton``, ``public``, in place of the case's own: for runs that read
        fingerprints made elsewhere, of which a case knows no texts.
    """

    accounts: pd.DataFrame | None = None
    templates: pd.DataFrame | None = None


def find_accounts_file(manifest: Mapping[str, Any]) -> Path | None:
    """Return the accounts file that the run read, if it is still there unchanged.

    Parameters
    ----------
    manifest : mapping
        The case's.

    Returns
    -------
    Path or None
        None unless there was exactly one and its SHA-256 is the one that the manifest holds.
    """
    used = [entry for entry in manifest.get("inputs", []) if entry.get("table") == "accounts"]
    if len(used) != 1 or not isinstance(used[0].get("source"), str):
        return None
    path = Path(used[0]["source"])
    if not path.is_file() or _digest(path) != used[0].get("sha256"):
        return None
    return path


def read_background(
    accounts: str | Path | None = None,
    prints: str | Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
) -> Background:
    """Read the accounts table and the templates.

    Parameters
    ----------
    accounts : path, optional
        Parquet, CSV or JSON Lines.
    prints : path, optional
        A table of templates (Parquet, CSV or JSON Lines), or the folder that ``linkage
        fingerprint`` wrote.
    columns : mapping, optional
        The contract's names to the file's own, as the manifest has them.

    Returns
    -------
    Background

    Raises
    ------
    InputError
        If a file is missing, cannot be read or lacks its id column.
    """
    return Background(
        accounts=None if accounts is None else _read_accounts(Path(accounts), columns or {}),
        templates=None if prints is None else _read_templates(Path(prints)),
    )


def find_background(
    manifest: Mapping[str, Any],
    accounts: str | Path | None = None,
    prints: str | Path | None = None,
) -> Background:
    """Read what is given, and the accounts file of the run where none is.

    Parameters
    ----------
    manifest : mapping
        The case's; it says under which names the run found the columns.
    accounts, prints : path, optional
        As in `read_background`.

    Returns
    -------
    Background

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    used = [entry for entry in manifest.get("inputs", []) if entry.get("table") == "accounts"]
    columns = used[0].get("columns", {}) if len(used) == 1 else {}
    return read_background(accounts or find_accounts_file(manifest), prints, columns=columns)


def _read_accounts(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    frame = _read_file(path)
    wanted = {columns.get(name, name): name for name in _ATTRIBUTES}
    table = frame[[name for name in wanted if name in frame]].rename(columns=wanted)
    if "account_id" not in table:
        raise InputError(
            f"{path} has no column {columns.get('account_id', 'account_id')!r}; "
            f"it has {list(frame.columns)}"
        )
    times = {
        name: pd.to_datetime(table[name], utc=True, errors="coerce")
        for name in _TIMES
        if name in table
    }
    table = table.assign(account_id=table["account_id"].astype(str), **times)
    return table.drop_duplicates("account_id", ignore_index=True)


def _read_templates(path: Path) -> pd.DataFrame:
    frame = _read_file(path / "templates.parquet" if path.is_dir() else path)
    missing = sorted({"template_id", "skeleton", "public"} - set(frame.columns))
    if missing:
        raise InputError(
            f"{path} lacks {missing}; name a table with template_id, skeleton and public, or the "
            "folder that `linkage fingerprint --out` wrote"
        )
    # CSV says true and false as texts, all of which are true to Python
    public = frame["public"].astype(str).str.lower().isin(["true", "1"])
    return frame[["template_id", "skeleton"]].assign(public=public)


def _read_file(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise MissingInputError(f"there is no file {str(path)!r}")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix in {".jsonl", ".ndjson"}:
            return pd.read_json(path, lines=True, dtype=False)
        return pd.read_csv(path, dtype=str)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
