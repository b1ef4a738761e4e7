"""Prompts in, templates and their holders out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linkage.errors import ConfigError
from linkage.fingerprints._source import iterate_batches
from linkage.fingerprints.config import FingerprintConfig
from linkage.memory import release_memory

if TYPE_CHECKING:
    from linkage.fingerprints._order import Prompts
    from linkage.fingerprints._skeleton import Drawn
    from linkage.fingerprints._tables import HeldTemplates

__all__ = ["Templates", "templates"]

_EXAMPLES: Final = 3  # of a template in the sample of texts are enough
_MOST: Final = 0.9  # share of the templates with enough, below which prompts are read again


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """What `templates` found."""

    templates: pa.Table  # one row a template
    counts: dict[str, int]  # prompts and prints read and shared; rows dropped or cut, by reason
    _held: "HeldTemplates" = field(repr=False)

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
        yield from self._held.iterate(rows)


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
    least one print in both, whatever stands around it. Which prints accounts share is learned from
    `max_prompts_an_account` different texts of each, and then looked for in all.

    Public means: in `known`, or held by at least `public_accounts` accounts that share nothing
    else. It describes; nothing is dropped.

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
    from linkage.fingerprints import (
        _holdings,
        _join,
        _names,
        _order,
        _prints,
        _public,
        _shared,
        _tables,
    )
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
    release_memory()  # batches came and went
    ordered = _order.order_texts(table, threads=threads)
    is_taken = ordered.take(config.max_prompts_an_account)
    shared = _shared.number_shared_prints(table, is_taken, threads=threads)
    counts = {
        "prompts": len(table.codes),
        "prints": len(table.prints),
        "shared_prints": len(shared.values),
        **table.dropped,
    }
    prompts = _order.sort_prompts(table, shared, ordered, config, threads=threads)
    accounts = table.accounts
    del table, shared, ordered, is_taken  # numbers in a better order stand for all
    labels = _join.join_prints(prompts, config, threads=threads)
    holdings, n_holders, is_core = _holdings.count_holdings(
        prompts, labels, config.min_accounts, threads=threads
    )
    wanted = _widest(n_holders, config.max_skeletons)
    drawn = _draw(batches, sample, prompts, labels, wanted)
    texts = _lay_out(drawn, wanted, len(n_holders), example_characters)
    names = _names.name_templates(labels, prompts.values, is_core, key)
    every_shingle = _prints.Winnower(replace(config, window=1), key)
    public = _public.match_known(
        known, every_shingle, prompts.values, labels, is_core, len(n_holders)
    )
    times_us = prompts.times_us
    del prompts, labels, is_core, sample  # what follows needs the holdings only, and much room
    public |= _public.find_public(holdings, n_holders, len(accounts), config, threads=threads)
    order = np.argsort(names)
    _tables.sort_holdings(holdings, order, threads=threads)
    return Templates(
        templates=_tables.tabulate_templates(
            holdings, n_holders, names, order, texts, public, times_us, threads=threads
        ),
        _held=_tables.HeldTemplates(
            holdings=holdings, names=names, accounts=accounts, times_us=times_us
        ),
        counts=counts,
    )


def _widest(n_holders: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """Return the `n` templates with the most holders; of equals, those whose prints come first."""
    order = np.argsort(-n_holders, kind="stable")[:n]
    return np.sort(order[n_holders[order] > 0])


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
        examples = np.where(picked >= 0, prompts.rows[prompts.firsts[picked]], -1)
    else:
        examples = sample.settle(picked, prompts.rows, prompts.firsts)
    return list(draw_skeletons(examples, fetch))


def _lay_out(
    drawn: "list[Drawn]", wanted: npt.NDArray[np.int64], n_labels: int, example_characters: int
) -> dict[str, pa.Array]:
    """Return the columns of text, by label."""
    place = np.full(n_labels, -1, np.int64)
    place[wanted] = np.arange(len(wanted))
    places = pa.array(place, mask=place < 0)
    skeletons = pa.array([one.skeleton for one in drawn], pa.string())
    if not example_characters:
        return {"skeleton": skeletons.take(places)}
    examples = [None if one.example is None else one.example[:example_characters] for one in drawn]
    return {
        "skeleton": skeletons.take(places),
        "example": pa.array(examples, pa.string()).take(places),
    }
