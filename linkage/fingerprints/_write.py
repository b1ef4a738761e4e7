"""Writes templates and holdings to a folder."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from linkage.errors import InputError
from linkage.fingerprints._templates import Templates

__all__ = ["write_templates"]

# Holdings are many, and by account: hardly a template or a time follows its like, and their least
# and greatest in a million rows tell nothing. Times written as differences need no compression.
_TIMES: Final = ("first_seen", "last_seen")
_LAYOUT: Final = {
    "compression": dict.fromkeys(("account_id", "template_id", "count"), "zstd")
    | dict.fromkeys(_TIMES, "none"),
    "use_dictionary": ["account_id", "count"],
    "write_statistics": ["account_id"],
    "column_encoding": dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED"),
}


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
        tables = {
            "templates.parquet": (found.templates.to_batches(), found.templates.schema, {}),
            "holdings.parquet": (found.iterate_holdings(), found.holdings_schema, _LAYOUT),
        }
        with ThreadPoolExecutor(len(tables)) as pool:
            written = [
                pool.submit(_write, batches, schema, folder / name, layout)
                for name, (batches, schema, layout) in tables.items()
            ]
            for one in written:
                one.result()
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error


def _write(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, layout: dict[str, Any]
) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with pq.ParquetWriter(partial, schema, **({"compression": "zstd"} | layout)) as writer:
        for batch in _make_ahead(batches):
            writer.write_batch(batch)
    partial.replace(path)


def _make_ahead(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches, the next one in the making meanwhile."""
    source = iter(batches)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, source, None)
        while (batch := following.result()) is not None:
            following = pool.submit(next, source, None)
            yield batch
