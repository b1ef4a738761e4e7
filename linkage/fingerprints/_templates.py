"""Prompts in, templates and their holders out."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.fingerprints._source import NO_TIME, iterate_batches
from linkage.fingerprints.config import FingerprintConfig

__all__ = ["Templates", "templates"]

_TIME: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """What `templates` returns."""

    templates: pa.Table  # one row a template
    holdings: pa.Table  # one row an account and template
    counts: dict[str, int] = field(default_factory=dict)  # rows read and dropped, prints, seconds


def templates(
    batches: Any,
    *,
    config: FingerprintConfig = FingerprintConfig(),  # noqa: B008 - frozen
    key: bytes = b"",
    threads: int = 2,
) -> Templates:
    """Find the templates behind prompts, and who used which.

    Parameters
    ----------
    batches : Table, RecordBatch, frame, Arrow stream, or iterable of these
        Columns account_id (text or integers), prompt (text) and, optionally, ts (timestamp).
    config : FingerprintConfig, optional
    key : bytes, optional
        The case's key. With another key, prints and template ids are other ones.
    threads : int, optional
        Threads; the outcome does not depend on them.

    Returns
    -------
    Templates
        `templates` with template_id, skeleton, n_accounts, n_prompts, public, first_seen,
        last_seen, by template_id; `holdings` with account_id (of the type that came), template_id,
        count, first_seen, last_seen, by account and template.

    Raises
    ------
    InputError
        If `batches` is nothing that holds rows.
    SchemaError
        If a column is missing or of a wrong type.

    Examples
    --------
    >>> import pyarrow as pa
    >>> text = "act as a senior reviewer and list every defect of the patch below, worst first: "
    >>> events = pa.table({"account_id": ["a", "b", "c"],
    ...                    "prompt": [text + "x = 1", text + "print(y)", "hello, how are you?"]})
    >>> found = templates(events)
    >>> found.holdings.column("account_id").to_pylist()
    ['a', 'b']
    """
    from linkage.fingerprints._holdings import count_holdings
    from linkage.fingerprints._join import join_prints, order_prompts
    from linkage.fingerprints._prints import collect_prints
    from linkage.fingerprints._shared import number_shared_prints

    table = collect_prints(iterate_batches(batches), config, key=key, threads=threads)
    shared = number_shared_prints(table, threads=threads)
    order = order_prompts(table, shared, config)
    labels = join_prints(table, shared, order, config, threads=threads)
    holdings = count_holdings(table, shared, order, labels)
    n_labels = int(labels.max(initial=-1)) + 1
    n_accounts = np.bincount(holdings.labels, minlength=n_labels)
    is_kept = n_accounts >= config.min_accounts
    ids = _name_labels(labels, shared.values, n_labels, key)
    rows = is_kept[holdings.labels]
    account_codes, held = holdings.codes[rows], holdings.labels[rows]
    counts, first, last = holdings.counts[rows], holdings.first_us[rows], holdings.last_us[rows]
    by_id = np.argsort(ids, kind="stable")
    rank = np.empty(n_labels, np.int64)
    rank[by_id] = np.arange(n_labels)
    order_out = np.lexsort((rank[held], account_codes))
    holding_table = pa.table(
        {
            "account_id": table.accounts.take(pa.array(account_codes[order_out])),
            "template_id": pa.array(ids[held[order_out]], pa.string()),
            "count": counts[order_out],
            "first_seen": _make_times(first[order_out]),
            "last_seen": _make_times(last[order_out]),
        }
    )
    kept = by_id[is_kept[by_id]]
    template_table = pa.table(
        {
            "template_id": pa.array(ids[kept], pa.string()),
            "skeleton": pa.nulls(len(kept), pa.string()),
            "n_accounts": n_accounts[kept].astype(np.int64),
            "n_prompts": np.bincount(held, counts, n_labels)[kept].astype(np.int64),
            "public": np.zeros(len(kept), bool),
            "first_seen": _make_times(_reduce(np.minimum, held, first, n_labels)[kept]),
            "last_seen": _make_times(_reduce(np.maximum, held, last, n_labels)[kept]),
        }
    )
    return Templates(
        templates=template_table,
        holdings=holding_table,
        counts={"prompts": len(table.codes), "prints": len(table.prints), **table.dropped},
    )


def _name_labels(
    labels: npt.NDArray[np.int32], values: npt.NDArray[np.uint64], n_labels: int, key: bytes
) -> npt.NDArray[np.str_]:
    """Name each template after its smallest print, hashed with the case's key."""
    _, first = np.unique(labels, return_index=True)
    names = [
        hashlib.blake2b(
            value.tobytes(), digest_size=8, key=key[:64], person=b"linkage tpl"
        ).hexdigest()
        for value in values[first]
    ]
    return np.array([f"t{name}" for name in names], dtype="<U17").reshape(n_labels)


def _make_times(times_us: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(times_us, pa.int64(), mask=times_us == NO_TIME).cast(_TIME)


def _reduce(
    function: np.ufunc, labels: npt.NDArray[np.int32], times: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """Return the first or last known time of each label, NO_TIME where none is known."""
    is_known = times != NO_TIME
    bounds = np.iinfo(np.int64)
    start = bounds.max if function is np.minimum else NO_TIME
    out = np.full(n, start)
    function.at(out, labels[is_known], times[is_known])
    out[out == bounds.max] = NO_TIME
    return out
