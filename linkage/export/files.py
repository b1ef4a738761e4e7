"""Files that are either written in full or not touched."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from linkage.errors import InputError, MissingInputError

__all__ = ["Written", "replace_files", "write_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a writer wrote, and every text that it could not write as it came."""

    paths: tuple[Path, ...]
    n_nodes: int
    n_edges: int
    # One row a distinct text: table, column, value (as it came), written, reason.
    changes: pd.DataFrame


def _check_target(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise MissingInputError(
            f"cannot write {path}: there is no folder {path.parent}; make it, or name another"
        )


@contextmanager
def replace_files(*paths: Path) -> Iterator[tuple[BinaryIO, ...]]:
    """Open new files that take the place of `paths` once all of them are written.

    Each file is written under a temporary name in the folder where it belongs, so that a reader
    sees the old file or the new one and never a part; on an error the temporary files go away
    and what stood at `paths` is as it was.

    Parameters
    ----------
    *paths : pathlib.Path
        The files to write. Their folders must exist.

    Yields
    ------
    tuple of binary files
        One writable file a path, in the same order.

    Raises
    ------
    MissingInputError
        A folder does not exist.
    InputError
        A path is a folder, or the system refuses to write (full disk, no permission).
    """
    for path in paths:
        _check_target(path)
    token = secrets.token_hex(4)
    drafts = [path.with_name(f".{path.name[:200]}.{token}.tmp") for path in paths]
    handles: list[BinaryIO] = []
    try:
        for draft in drafts:
            handles.append(draft.open("xb"))  # noqa: PERF401 - those opened must be closed if one fails
        yield tuple(handles)
        for handle in handles:
            handle.flush()
            os.fsync(handle.fileno())
            handle.close()
        for draft, path in zip(drafts, paths, strict=True):
            draft.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {paths[0]}: {error.strerror or error}") from error
    finally:
        for handle in handles:
            handle.close()
        for draft in drafts:
            draft.unlink(missing_ok=True)


def write_json(document: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write a document as one line of JSON in ASCII, whole or not at all; return its path."""
    target = Path(path)
    with replace_files(target) as (handle,):
        text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
        handle.write(text.encode("ascii"))
    return target
