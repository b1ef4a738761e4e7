"""The tables of a co-action network as Parquet files."""

from pathlib import Path

import pandas as pd

from linkage.coaction.network import Coaction
from linkage.coaction.timing import CoactionWeights
from linkage.errors import InputError

__all__ = ["write_coaction"]


def write_coaction(
    found: Coaction, folder: Path, *, weights: CoactionWeights | None = None
) -> None:
    """Write ``pairs.parquet``, ``edges.parquet`` and ``components.parquet``, each whole or not.

    Parameters
    ----------
    found : Coaction
    folder : Path
        Made where it is missing.
    weights : CoactionWeights, optional
        Written to ``weights.parquet`` and ``left_out.parquet``.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    tables = {"pairs": found.pairs, "edges": found.edges, "components": found.components}
    if weights is not None:
        tables |= {"weights": weights.pairs, "left_out": weights.left_out}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            _write(table, folder / f"{name}.parquet")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error


def _write(table: pd.DataFrame, path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    table.to_parquet(partial, index=False, compression="zstd")
    partial.replace(path)
