"""Prompts in, templates and their holders out."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.errors import ConfigError
from linkage.fingerprints._source import NO_TIME, iterate_batches
from linkage.fingerprints.config import FingerprintConfig

if TYPE_CHECKING:
    from linkage.fingerprints._holdings import Holdings
    from linkage.fingerprints._order import Prompts
    from linkage.fingerprints._skeleton import Drawn

__all__ = ["Templates", "templates"]

_TIME: Final = pa.timestamp("us", tz="UTC")
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_AT_ONCE: Final = 1 << 20  # rows that are worked on together
_EXAMPLES: Final = 3  # of a template in the sample of texts are enough
_MOST: Final = 0.9  # share of the templates with enough, below which prompts are read again


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """What `templates` found."""

    templates: pa.Table  # one row a template
    counts: dict[str, int]  # prompts and prints read and shared; rows dropped or cut, by reason
    _held: "_HeldTemplates" = field(repr=False)

    @property
    def holdings(self) -> pa.Table:
        """One row an account and template: all of `iterate_holdings`, as one table."""
        return pa.Table.from_batches([*self.iterate_holdings()], self._held.schema)

    @property
    def holdings_schema(self) -> pa.Schema:
        """Columns of `holdings`."""
        return self._held.schema

    @property
    def n_holdings(self) -> int:
        """Rows of `holdings`, without making it."""
        return len(self._held.holdings.codes)

    def iterate_holdings(self, rows: int = 1 << 20) -> Iterator[pa.RecordBatch]:
        """Yield the holdings by account and template, so many rows at a time.

        Parameters
        ----------
        rows : int, optional
            Rows of a batch, the last one may have fewer.

        Yields
        ------
        pyarrow.RecordBatch
            account_id (of the type that came), template_id, count, first_seen, last_seen.
        """
        for start in range(0, self.n_holdings, rows):
            yield self._held.make_batch(start, start + rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeldTemplates:
    """Holdings as numbers, sorted by account and template."""

    holdings: "Holdings"
    names: npt.NDArray[np.uint64]  # of each label
    accounts: pa.Array  # of each code
    times_us: npt.NDArray[np.int64] | None

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(
            [
                ("account_id", self.accounts.type),
                ("template_id", pa.string()),
                ("count", pa.int64()),
                ("first_seen", _TIME),
                ("last_seen", _TIME),
            ]
        )

    def make_batch(self, start: int, stop: int) -> pa.RecordBatch:
        part = self.holdings.select(slice(start, stop))
        return pa.record_batch(
            [
                self.accounts.take(pa.array(part.codes)),
                _spell(self.names[part.labels]),
                part.counts.astype(np.int64),
                _make_times(_look_up(self.times_us, part.first)),
                _make_times(_look_up(self.times_us, part.last)),
            ],
            schema=self.schema,
        )


def templates(
    batches: Any,
    *,
    config: FingerprintConfig = FingerprintConfig(),  # noqa: B008 - frozen
    key: bytes = b"",
    threads: int = 2,
    known: Sequence[str] = (),
    example_characters: int = 0,
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
    example_characters : int, optional
        Adds a column `example` with so much of one prompt, as it came, of each template that has a
        skeleton. By default no text leaves but in skeletons.

    Returns
    -------
    Templates
        `templates` with template_id, skeleton (null beyond `max_skeletons`, and where no two
        accounts' prompts were at hand to compare), n_accounts,
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
    A run of ``window + shingle_words - 1`` words (16 by default) that two prompts share leaves at
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
    from linkage.fingerprints import _holdings, _join, _order, _prints, _public, _shared
    from linkage.fingerprints._texts import TextSample

    if len(key) > 64 or threads < 1:
        raise ConfigError(
            f"a key has at most 64 bytes and threads are at least 1, got {len(key)} and {threads}"
        )
    winnower = _prints.Winnower(config, key)
    sample = None if config.max_skeletons == 0 else TextSample()
    table = _prints.collect_prints(
        iterate_batches(batches), winnower, config, threads=threads, sample=sample
    )
    shared = _shared.number_shared_prints(table, threads=threads)
    counts = {
        "prompts": len(table.codes),
        "prints": len(table.prints),
        "shared_prints": len(shared.values),
        **table.dropped,
    }
    prompts = _order.sort_prompts(table, shared, config, threads=threads)
    accounts = table.accounts
    del table, shared  # numbers in a better order stand for both
    labels = _join.join_prints(prompts, config, threads=threads)
    holdings, is_core = _holdings.count_holdings(prompts, labels, threads=threads)
    n_labels = int(labels.max(initial=-1)) + 1
    is_kept = np.bincount(holdings.labels, minlength=n_labels) >= config.min_accounts
    if not is_kept.all():
        holdings = holdings.select(is_kept[holdings.labels])
    wanted = _widest(holdings, n_labels, config.max_skeletons)
    drawn = _draw(batches, sample, prompts, labels, wanted)
    texts = _lay_out(drawn, wanted, n_labels, example_characters)
    names = _name_labels(labels, prompts.values, is_core, key)
    every_shingle = _prints.Winnower(replace(config, window=1), key)
    public = _public.match_known(known, every_shingle, prompts.values, labels, is_core, n_labels)
    times_us = prompts.times_us
    del prompts, labels, is_core, sample  # what follows needs the holdings only, and much room
    public |= _public.find_public(holdings, len(accounts), n_labels, config, threads=threads)
    return Templates(
        templates=_tabulate_templates(holdings, names, texts, public, times_us),
        _held=_sort_holdings(holdings, names, accounts, times_us),
        counts=counts,
    )


def _widest(holdings: "Holdings", n_labels: int, n: int) -> npt.NDArray[np.int64]:
    """Return the `n` templates with the most holders; of equals, those with the smaller prints."""
    holders = np.bincount(holdings.labels, minlength=n_labels)
    order = np.argsort(-holders, kind="stable")[:n]
    return np.sort(order[holders[order] > 0])


def _draw(
    source: Any,
    sample: Any,
    prompts: "Prompts",
    labels: npt.NDArray[np.int32],
    wanted: npt.NDArray[np.int64],
) -> "list[Drawn]":
    """Draw the skeletons of some templates."""
    from linkage.fingerprints._skeleton import draw_skeletons, pick_examples
    from linkage.fingerprints._texts import can_be_read_twice, make_reader

    if len(wanted) == 0:
        return []
    picked, fetch = pick_examples(prompts, labels, wanted, sample.rows), sample.fetch
    has_enough = np.count_nonzero(picked >= 0, axis=1) >= _EXAMPLES
    if has_enough.mean() < _MOST and not sample.is_whole and can_be_read_twice(source):
        picked, fetch = pick_examples(prompts, labels, wanted), make_reader(source)
        examples = np.where(picked >= 0, prompts.rows[picked], -1)
    else:
        keys = prompts.codes.astype(np.uint64) << np.uint64(32) | prompts.contents
        examples = sample.settle(picked, prompts.rows, keys)
    return list(draw_skeletons(examples, fetch))


def _lay_out(
    drawn: "list[Drawn]", wanted: npt.NDArray[np.int64], n_labels: int, example_characters: int
) -> dict[str, npt.NDArray[np.object_]]:
    """Return the columns of text, by label."""
    skeleton = np.full(n_labels, None, object)
    skeleton[wanted] = [one.skeleton for one in drawn]
    if not example_characters:
        return {"skeleton": skeleton}
    example = np.full(n_labels, None, object)
    example[wanted] = [
        None if one.example is None else one.example[:example_characters] for one in drawn
    ]
    return {"skeleton": skeleton, "example": example}


def _name_labels(
    labels: npt.NDArray[np.int32],
    values: npt.NDArray[np.uint64],
    is_core: npt.NDArray[np.bool_],
    key: bytes,
) -> npt.NDArray[np.uint64]:
    """Name each template after its smallest core print, hashed with the case's key.

    A template keeps its name while its core keeps that print, whatever else comes and goes.
    """
    smallest = np.full(int(labels.max(initial=-1)) + 1, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, labels[is_core], values[is_core])
    keyed = hashlib.blake2b(digest_size=8, key=key, person=b"linkage template")

    def digest(value: bytes) -> bytes:
        named = keyed.copy()
        named.update(value)
        return named.digest()

    names = np.empty(len(smallest), np.uint64)
    for start in range(0, len(names), _AT_ONCE):  # an object a digest, for so many at a time
        octets = smallest[start : start + _AT_ONCE].astype("<u8").tobytes()
        digests = b"".join(digest(octets[at : at + 8]) for at in range(0, len(octets), 8))
        names[start : start + _AT_ONCE] = np.frombuffer(digests, ">u8")
    return names


def _spell(names: npt.NDArray[np.uint64]) -> pa.Array:
    """Return names as text: a t and 16 hexadecimal digits, in the order of the numbers."""
    letters = np.empty((len(names), 17), np.uint8)
    letters[:, 0] = ord("t")
    octets = names.astype(">u8").view(np.uint8).reshape(-1, 8)
    letters[:, 1::2] = _HEX[octets >> 4]
    letters[:, 2::2] = _HEX[octets & 15]
    offsets = np.arange(0, letters.size + 1, 17, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(names), [None, pa.py_buffer(offsets), pa.py_buffer(letters)]
    )


def _tabulate_templates(
    holdings: "Holdings",
    names: npt.NDArray[np.uint64],
    texts: dict[str, npt.NDArray[np.object_]],
    public: npt.NDArray[np.bool_],
    times_us: npt.NDArray[np.int64] | None,
) -> pa.Table:
    n = len(names)
    n_accounts = np.bincount(holdings.labels, minlength=n)
    n_prompts = np.zeros(n, np.int64)
    np.add.at(n_prompts, holdings.labels, holdings.counts)
    kept = np.flatnonzero(n_accounts)
    kept = kept[np.argsort(names[kept])]
    first, last = _find_spans(holdings, times_us, n)
    return pa.table(
        {
            "template_id": _spell(names[kept]),
            "skeleton": pa.array(texts["skeleton"][kept].tolist(), pa.string()),
            "n_accounts": n_accounts[kept].astype(np.int64),
            "n_prompts": n_prompts[kept],
            "public": public[kept],
            "first_seen": _make_times(first[kept]),
            "last_seen": _make_times(last[kept]),
        }
        | {
            name: pa.array(column[kept].tolist(), pa.string())
            for name, column in texts.items()
            if name != "skeleton"
        }
    )


def _sort_holdings(
    holdings: "Holdings",
    names: npt.NDArray[np.uint64],
    accounts: pa.Array,
    times_us: npt.NDArray[np.int64] | None,
) -> _HeldTemplates:
    """Sort each account's holdings by template, where they lie: they are the largest table."""
    rank = np.empty(len(names), np.int32)
    rank[np.argsort(names)] = np.arange(len(names), dtype=np.int32)
    codes = holdings.codes
    cuts = np.unique(np.searchsorted(codes, codes[::_AT_ONCE])).tolist()
    for first, last in pairwise([*cuts, len(codes)]):
        part = holdings.select(slice(first, last))
        order = np.lexsort((rank[part.labels], part.codes))
        for column in part:
            column[:] = column[order]
    return _HeldTemplates(
        holdings=holdings,
        names=names,
        accounts=accounts,
        times_us=times_us,
    )


def _look_up(
    times_us: npt.NDArray[np.int64] | None, rows: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    return np.full(len(rows), NO_TIME) if times_us is None else times_us[rows]


def _make_times(times_us: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(times_us, pa.int64(), mask=times_us == NO_TIME).cast(_TIME)


def _find_spans(
    holdings: "Holdings", times_us: npt.NDArray[np.int64] | None, n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and the last known time of each label, NO_TIME where none is known."""
    latest = np.iinfo(np.int64).max
    first, last = np.full(n, latest), np.full(n, NO_TIME)
    for start in range(0, len(holdings.codes), _AT_ONCE):
        part = holdings.select(slice(start, start + _AT_ONCE))
        times = _look_up(times_us, part.first)
        np.minimum.at(first, part.labels, np.where(times == NO_TIME, latest, times))
        np.maximum.at(last, part.labels, _look_up(times_us, part.last))
    first[first == latest] = NO_TIME
    return first, last
