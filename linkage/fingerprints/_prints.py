"""From batches of prompts to their prints, kept in memory or in a temporary file."""

import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linkage.errors import InputError, SchemaError
from linkage.fingerprints._source import NO_TIME, BatchColumns, read_columns, view_text
from linkage.fingerprints._texts import TextSample
from linkage.fingerprints._unicode import build_fold_table
from linkage.fingerprints._winnow import WEIGHT_WORD, derive_seeds, list_ascii_entries, winnow
from linkage.fingerprints.config import FingerprintConfig

_MEGABYTE: Final = 1 << 20
_AT_ONCE: Final = 1 << 26  # bytes of accounts that are numbered together
_AHEAD: Final = 6  # pieces a thread that wait, enough to go on with while accounts are numbered

__all__ = ["AccountCodes", "PrintTable", "Spool", "Winnower", "collect_prints"]


class PrintBatch(NamedTuple):
    """Prints of one batch."""

    prints: npt.NDArray[np.uint64]  # those of one prompt after those of the one before
    counts: npt.NDArray[np.int32]  # (n prompts,)
    contents: npt.NDArray[np.uint32]  # (n prompts,) hash of all words
    n_cut: int  # prompts longer than max_characters


class Winnower:
    """The kernel with its tables and secrets filled in; safe to call from several threads.

    Parameters
    ----------
    config : FingerprintConfig
    key : bytes
        The case's key.
    """

    __slots__ = ("_ascii", "_config", "_local", "_seeds", "_table")

    def __init__(self, config: FingerprintConfig, key: bytes) -> None:
        self._config = config
        self._seeds = derive_seeds(key)
        self._table = build_fold_table()
        self._ascii = list_ascii_entries(self._table.entries)
        self._local = threading.local()  # each thread's room to write in

    def __call__(self, prompts: pa.Array) -> PrintBatch:
        """Return the prints of each prompt of a large_string array."""
        data, starts, ends = view_text(prompts)
        config = self._config
        n = len(starts)
        # every token costs a byte at least; only ligatures of whole phrases expand to more
        room = 2 * int(np.minimum(ends - starts, 4 * config.max_characters).sum()) + 1
        prints = self._take_room(room)
        counts, contents = np.empty(n, np.int32), np.empty(n, np.uint64)
        written = winnow(
            data,
            starts,
            ends,
            self._ascii,
            self._table.entries,
            self._table.expansions,
            self._seeds,
            config.shingle_words * WEIGHT_WORD,
            config.window,
            config.max_characters,
            prints,
            counts,
            contents,
        )
        was_cut = counts < 0
        counts = np.where(was_cut, -1 - counts, counts)
        return PrintBatch(
            prints[:written].copy(),
            counts,
            (contents >> np.uint64(32)).astype(np.uint32),
            int(was_cut.sum()),
        )

    def _take_room(self, n: int) -> npt.NDArray[np.uint64]:
        """Return room that this thread may write to until it asks again.

        Memory that is new is handed out page by page, at an eighth of the kernel's own time.
        """
        room: npt.NDArray[np.uint64] | None = getattr(self._local, "room", None)
        if room is None or len(room) < n:
            self._local.room = room = np.empty(n, np.uint64)
        return room


class Spool:
    """Appends arrays; beyond a limit of bytes they go to a temporary file without a name.

    The file is read, not mapped: what is mapped counts as memory of the process.
    """

    __slots__ = ("_dtype", "_file", "_limit", "_n", "_parts")

    def __init__(self, dtype: Any, limit_bytes: int) -> None:
        self._dtype = np.dtype(dtype)
        self._limit = limit_bytes
        self._parts: list[npt.NDArray[Any]] = []
        self._file: Any = None
        self._n = 0

    def __len__(self) -> int:
        """Return the number of elements."""
        return self._n

    def __del__(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()

    def append(self, part: npt.NDArray[Any]) -> None:
        """Add an array to the end."""
        self._n += len(part)
        if self._file is None and self._n * self._dtype.itemsize > self._limit:
            self._file = tempfile.TemporaryFile(prefix="linkage-prints-")  # noqa: SIM115
            for earlier in self._parts:
                earlier.tofile(self._file)
            self._parts = []
        if self._file is None:
            self._parts.append(part)
        else:
            part.tofile(self._file)

    def finish(self) -> None:
        """Make everything readable; nothing is appended after that."""
        if self._file is not None:
            self._file.flush()
        elif self._parts:
            self._parts = [np.concatenate(self._parts)]

    def read(self, first: int, last: int) -> npt.NDArray[Any]:
        """Return the elements first..last; safe to call from several threads."""
        if self._file is None:
            whole = self._parts[0] if self._parts else np.empty(0, self._dtype)
            return whole[first:last]
        read = np.empty(last - first, self._dtype)
        room, done = read.view(np.uint8).data, 0
        while done < len(room):
            at = first * self._dtype.itemsize + done
            n = os.preadv(self._file.fileno(), [room[done:]], at)
            if n == 0:
                raise InputError("the temporary file of prints ended too early")
            done += n
        return read


class AccountCodes:
    """Numbers accounts in the order of their values and keeps the type in which they came."""

    __slots__ = ("_n_bytes", "_names", "_parts", "_waiting", "type")

    def __init__(self) -> None:
        self.type: pa.DataType | None = None
        self._names = pa.array([], pa.string())  # in the order in which they came
        self._waiting: list[pa.Array] = []
        self._n_bytes = 0
        self._parts: list[npt.NDArray[np.int64]] = []

    def append(self, accounts: pa.Array) -> None:
        """Take one batch's accounts, without nulls.

        Raises
        ------
        SchemaError
            If their type is not that of the batches before.
        """
        if self.type is None:
            self.type = accounts.type
            if not pa.types.is_integer(accounts.type):
                self._names = pa.array([], accounts.type)
        if accounts.type != self.type:
            raise SchemaError(
                f"account_id came as {self.type} and then as {accounts.type}; cast it to one type"
            )
        if pa.types.is_integer(accounts.type):
            self._parts.append(accounts.to_numpy(zero_copy_only=False).astype(np.int64))
            return
        self._waiting.append(accounts)
        self._n_bytes += accounts.nbytes
        if self._n_bytes >= _AT_ONCE:
            self._number()

    def _number(self) -> None:
        """Give numbers to the accounts that wait: names are looked up once for all of them."""
        rows = pa.chunked_array(self._waiting, self.type).combine_chunks().dictionary_encode()
        self._waiting, self._n_bytes = [], 0
        names = rows.dictionary
        numbers = pc.index_in(names, value_set=self._names)
        new = names.filter(numbers.is_null())
        places = numbers.fill_null(-1).to_numpy().astype(np.int64)
        places[places < 0] = len(self._names) + np.arange(len(new))
        self._names = pa.concat_arrays([self._names, new])
        self._parts.append(places[rows.indices.to_numpy()])

    def finish(self) -> tuple[npt.NDArray[np.int32], pa.Array]:
        """Return the code of every row and the accounts in code order (sorted)."""
        if self._waiting:
            self._number()
        raw = np.concatenate(self._parts) if self._parts else np.empty(0, np.int64)
        self._parts = []
        kind = self.type if self.type is not None else pa.string()
        if pa.types.is_integer(kind):
            values, codes = _rank_integers(raw)
            return codes, pa.array(values).cast(kind)
        order = pc.array_sort_indices(self._names).to_numpy()
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        return rank[raw], self._names.take(pa.array(order))


def _rank_integers(
    raw: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the sorted distinct values and each row's place among them."""
    if len(raw) and raw.min() >= 0 and raw.max() < 4 * len(raw) + 65_536:
        is_there = np.zeros(int(raw.max()) + 1, bool)
        is_there[raw] = True
        rank = (np.cumsum(is_there) - 1).astype(np.int32)
        return np.flatnonzero(is_there).astype(np.int64), rank[raw]
    values, inverse = np.unique(raw, return_inverse=True)
    return values, inverse.astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintTable:
    """The prints of all prompts; one row a prompt, in the order in which they came."""

    accounts: pa.Array  # sorted; a code is a position here
    codes: npt.NDArray[np.int32]  # (n prompts,) the account
    times_us: npt.NDArray[np.int64] | None  # (n prompts,) NO_TIME where unknown
    contents: npt.NDArray[np.uint32]  # (n prompts,)
    offsets: npt.NDArray[np.int64]  # (n prompts + 1,) into prints
    prints: Spool  # of uint64
    dropped: dict[str, int]  # reason: rows


def _winnow_batches(
    batches: Iterable[pa.RecordBatch], winnower: Winnower, threads: int
) -> Iterator[tuple[BatchColumns, PrintBatch]]:
    """Winnow pieces in a pool, a few ahead, and yield them in their order."""
    pieces = (piece for batch in batches for piece in read_columns(batch))
    waiting: deque[tuple[BatchColumns, Future[PrintBatch]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for piece in pieces:
            waiting.append((piece, pool.submit(winnower, piece.prompts)))
            if len(waiting) > _AHEAD * threads:
                columns, future = waiting.popleft()
                yield columns, future.result()
        while waiting:
            columns, future = waiting.popleft()
            yield columns, future.result()


def collect_prints(
    batches: Iterable[pa.RecordBatch],
    winnower: Winnower,
    config: FingerprintConfig,
    *,
    threads: int,
    sample: TextSample | None = None,
) -> PrintTable:
    """Winnow a stream of prompts.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        Columns account_id, prompt and, optionally, ts; read once, never held together.
    winnower : Winnower
    config : FingerprintConfig
    threads : int
        Batches winnowed at the same time.
    sample : TextSample, optional
        Filled with some of the texts.

    Returns
    -------
    PrintTable
        The same whatever the number of threads.

    Raises
    ------
    SchemaError
        If a column is missing or of a wrong type.
    """
    codes = AccountCodes()
    prints = Spool(np.uint64, config.memory_mb * _MEGABYTE)
    counts, contents, times = [], [], []
    n_rows = n_cut = n_null = n_no_account = 0
    for columns, found in _winnow_batches(batches, winnower, threads):
        n = len(columns.prompts)
        if sample is not None:
            sample.add(columns, found.contents, n_rows)
        n_rows += n
        n_no_account += columns.n_dropped
        n_null += columns.prompts.null_count
        n_cut += found.n_cut
        codes.append(columns.accounts)
        prints.append(found.prints)
        counts.append(found.counts)
        contents.append(found.contents)
        times.append(np.full(n, NO_TIME) if columns.times_us is None else columns.times_us)
    prints.finish()
    all_codes, accounts = codes.finish()
    all_times = np.concatenate(times) if times else np.empty(0, np.int64)
    offsets = np.zeros(len(all_codes) + 1, np.int64)
    if counts:
        np.cumsum(np.concatenate(counts), dtype=np.int64, out=offsets[1:])
    return PrintTable(
        accounts=accounts,
        codes=all_codes,
        times_us=all_times if (all_times != NO_TIME).any() else None,
        contents=np.concatenate(contents) if contents else np.empty(0, np.uint32),
        offsets=offsets,
        prints=prints,
        dropped={"no_account": n_no_account, "no_prompt": n_null, "prompt_cut": n_cut},
    )
