"""Writes templates and holdings to a folder."""

from pathlib import Path

import pyarrow.parquet as pq

from linkage.errors import InputError
from linkage.fingerprints._templates import Templates

__all__ = ["write_templates"]


def write_templates(found: Templates, folder: Path) -> None:
    """Write ``templates.parquet`` and ``holdings.parquet``, each at once or not at all.

    Parameters
    ----------
    found : Templates
    folder : Path
        Made where it is missing.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in (("templates", found.templates), ("holdings", found.holdings)):
            partial = folder / f".{name}.parquet.partial"
            pq.write_table(table, partial, compression="zstd")
            partial.replace(folder / f"{name}.parquet")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
