"""Prompts in, templates and their holders out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.errors import ConfigError
from linkage.fingerprints._source import NO_TIME, iterate_batches
from linkage.fingerprints.config import FingerprintConfig

if TYPE_CHECKING:
    from linkage.fingerprints._holdings import Holdings
    from linkage.fingerprints._prints import PrintTable

__all__ = ["Templates", "templates"]

_TIME: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """What `templates` found."""

    templates: pa.Table  # one row a template
    holdings: pa.Table  # one row an account and template
    counts: dict[str, int]  # prompts and prints read and shared; rows dropped or cut, by reason


def templates(
    batches: Any,
    *,
    config: FingerprintConfig = FingerprintConfig(),  # noqa: B008 - frozen
    key: bytes = b"",
    threads: int = 2,
    known: Sequence[str] = (),
) -> Templates:
    """Find the templates behind prompts, and who used which.

    Parameters
    ----------
    batches : Table, RecordBatch, frame, Arrow stream, or iterable of these
        Columns account_id (text or integers), prompt (text) and, optionally, ts (timestamp).
        Read batch by batch; a stream that can be read once only is read once.
    config : FingerprintConfig, optional
    key : bytes, optional
        The case's key, up to 64 bytes. With another key, prints and template ids are other ones.
    threads : int, optional
        Threads; the outcome does not depend on them.
    known : sequence of str, optional
        Prompts of public tools; what they explain is marked public.

    Returns
    -------
    Templates
        `templates` with template_id, skeleton (null beyond `max_skeletons`), n_accounts,
        n_prompts, public, first_seen, last_seen, by template_id; `holdings` with account_id (of
        the type that came), template_id, count (prompts), first_seen, last_seen, by account and
        template. Times are UTC; naive ones are taken for UTC.

    Raises
    ------
    InputError
        If `batches` is nothing that holds rows.
    SchemaError
        If a column is missing or of a wrong type.
    ConfigError
        If the key is too long or `threads` is not positive.

    Notes
    -----
    A run of ``window + shingle_words - 1`` words (12 by default) that two prompts share leaves at
    least one print in both, whatever stands around it. Public means: in `known`, or held by at
    least `public_accounts` accounts that share nothing else. It describes; nothing is dropped.

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
    # the kernels, and with them numba, are loaded when the first prompt comes
    from linkage.fingerprints import _holdings, _join, _prints, _public, _shared

    if len(key) > 64 or threads < 1:
        raise ConfigError(
            f"a key has at most 64 bytes and threads are at least 1, got {len(key)} and {threads}"
        )
    winnower = _prints.Winnower(config, key)
    sample = _start_sample(batches, config)
    table = _prints.collect_prints(
        iterate_batches(batches), winnower, config, threads=threads, sample=sample
    )
    shared = _shared.number_shared_prints(table, threads=threads)
    order = _join.order_prompts(table, shared, config)
    labels = _join.join_prints(table, shared, order, config, threads=threads)
    holdings, is_core = _holdings.count_holdings(table, shared, order, labels)
    n_labels = int(labels.max(initial=-1)) + 1
    is_kept = np.bincount(holdings.labels, minlength=n_labels) >= config.min_accounts
    holdings = holdings.select(is_kept[holdings.labels])
    public = _public.find_public(holdings, len(table.accounts), n_labels, config)
    every_shingle = _prints.Winnower(replace(config, window=1), key)
    public |= _public.match_known(known, every_shingle, shared.values, labels, is_core, n_labels)
    skeletons = np.full(n_labels, None, object)
    wanted = _widest(holdings, n_labels, config.max_skeletons)
    skeletons[wanted] = _draw(batches, sample, (table, shared, order, labels), wanted)
    ids = _name_labels(labels, shared.values, is_core, key)
    return Templates(
        templates=_tabulate_templates(holdings, ids, skeletons, public),
        holdings=_tabulate_holdings(holdings, ids, table),
        counts={
            "prompts": len(table.codes),
            "prints": len(table.prints),
            "shared_prints": len(shared.values),
            **table.dropped,
        },
    )


def _start_sample(source: Any, config: FingerprintConfig) -> Any:
    """Return a sample to fill, where skeletons are wanted and the source cannot be read again."""
    from linkage.fingerprints._texts import TextSample, can_be_read_twice

    return None if config.max_skeletons == 0 or can_be_read_twice(source) else TextSample()


def _widest(holdings: "Holdings", n_labels: int, n: int) -> npt.NDArray[np.int64]:
    """Return the `n` templates with the most holders; of equals, those with the smaller prints."""
    holders = np.bincount(holdings.labels, minlength=n_labels)
    order = np.argsort(-holders, kind="stable")[:n]
    return np.sort(order[holders[order] > 0])


def _draw(
    source: Any, sample: Any, found: tuple[Any, Any, Any, Any], wanted: npt.NDArray[np.int64]
) -> list[str | None]:
    """Draw the skeletons of some templates."""
    from linkage.fingerprints._skeleton import draw_skeletons, pick_examples
    from linkage.fingerprints._texts import make_reader

    if len(wanted) == 0:
        return []
    if sample is not None:
        return list(draw_skeletons(pick_examples(*found, wanted, sample.rows), sample.fetch))
    return list(draw_skeletons(pick_examples(*found, wanted), make_reader(source)))


def _name_labels(
    labels: npt.NDArray[np.int32],
    values: npt.NDArray[np.uint64],
    is_core: npt.NDArray[np.bool_],
    key: bytes,
) -> npt.NDArray[np.str_]:
    """Name each template after its smallest core print, hashed with the case's key.

    A template keeps its name while its core keeps that print, whatever else comes and goes.
    """
    core = np.flatnonzero(is_core)
    _, first = np.unique(labels[core], return_index=True)
    names = [
        hashlib.blake2b(value, digest_size=8, key=key, person=b"linkage template").hexdigest()
        for value in values[core[first]].astype("<u8").view("S8").tolist()
    ]
    return np.array([f"t{name}" for name in names], dtype="<U17")


def _tabulate_templates(
    holdings: "Holdings",
    ids: npt.NDArray[np.str_],
    skeletons: npt.NDArray[np.object_],
    public: npt.NDArray[np.bool_],
) -> pa.Table:
    n = len(ids)
    n_accounts = np.bincount(holdings.labels, minlength=n)
    n_prompts = np.zeros(n, np.int64)
    np.add.at(n_prompts, holdings.labels, holdings.counts)
    kept = np.flatnonzero(n_accounts)
    kept = kept[np.argsort(ids[kept])]
    first = _reduce(np.minimum, holdings.labels, holdings.first_us, n)
    last = _reduce(np.maximum, holdings.labels, holdings.last_us, n)
    return pa.table(
        {
            "template_id": pa.array(ids[kept], pa.string()),
            "skeleton": pa.array(skeletons[kept].tolist(), pa.string()),
            "n_accounts": n_accounts[kept].astype(np.int64),
            "n_prompts": n_prompts[kept],
            "public": public[kept],
            "first_seen": _make_times(first[kept]),
            "last_seen": _make_times(last[kept]),
        }
    )


def _tabulate_holdings(
    holdings: "Holdings", ids: npt.NDArray[np.str_], table: "PrintTable"
) -> pa.Table:
    rank = np.empty(len(ids), np.int64)
    rank[np.argsort(ids)] = np.arange(len(ids))
    order = np.lexsort((rank[holdings.labels], holdings.codes))
    names = pa.array(ids, pa.string())
    return pa.table(
        {
            "account_id": table.accounts.take(pa.array(holdings.codes[order])),
            "template_id": names.take(pa.array(holdings.labels[order])),
            "count": holdings.counts[order],
            "first_seen": _make_times(holdings.first_us[order]),
            "last_seen": _make_times(holdings.last_us[order]),
        }
    )


def _make_times(times_us: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(times_us, pa.int64(), mask=times_us == NO_TIME).cast(_TIME)


def _reduce(
    function: np.ufunc, labels: npt.NDArray[np.int32], times_us: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """Return the first or last known time of each label, NO_TIME where none is known."""
    is_known = times_us != NO_TIME
    latest = np.iinfo(np.int64).max
    reduced = np.full(n, latest if function is np.minimum else NO_TIME)
    function.at(reduced, labels[is_known], times_us[is_known])
    reduced[reduced == latest] = NO_TIME
    return reduced
