"""Runs the SQL of the relational stages; the only module that knows DuckDB.

Stages hand over plain SQL with named parameters and take Arrow tables back, so that another
engine can stand behind the same few verbs. Nothing is fetched from a network, no extension is
loaded, time is UTC, and what does not fit into memory spills to a folder that goes when the
engine does.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from linkage.errors import ConfigError, InputError, LinkageError

__all__ = ["FILE_COLUMN", "ROW_COLUMN", "Engine", "quote_name", "quote_text"]

# What a Parquet relation offers besides its own columns: the file that a row is from, and the
# row's number in that file, from 1.
FILE_COLUMN: Final = "__linkage_file__"
ROW_COLUMN: Final = "__linkage_row__"

SCAN: Final = "SELECT * FROM read_parquet($files, hive_partitioning = false)"
SCAN_NUMBERED: Final = """
SELECT *, file_row_number + 1 AS __linkage_row__
FROM read_parquet($files, filename = '__linkage_file__', hive_partitioning = false)
"""

SETTINGS: Final = (
    "SET TimeZone = 'UTC'",
    "SET preserve_insertion_order = false",
    # A name in SQL is a table of ours, never a variable that happens to be alive in Python.
    "SET python_enable_replacements = false",
)


DEFAULT_MEMORY_LIMIT: Final = "60%"  # of the machine; the rest is for what the stages hold

INTERRUPTED: Final = "Query interrupted"  # what DuckDB says when Ctrl-C stops a query


def quote_name(name: str) -> str:
    """Quote a column's or table's name for SQL.

    Parameters
    ----------
    name : str
        Any text without a NUL character.

    Returns
    -------
    str
        The name as an SQL identifier.

    Raises
    ------
    InputError
        If the name holds a NUL character, which no SQL engine takes.

    Examples
    --------
    >>> print(quote_name('the "real" id'))
    "the ""real"" id"
    """
    if "\0" in name:
        raise InputError(f"column {name!r} holds a NUL character: rename it")
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def quote_text(text: str) -> str:
    """Quote a text as an SQL literal, for the few places that take no parameter.

    Parameters
    ----------
    text : str
        Any text without a NUL character.

    Returns
    -------
    str

    Examples
    --------
    >>> print(quote_text("it's"))
    'it''s'
    """
    if "\0" in text:
        raise InputError(f"{text!r} holds a NUL character")
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


class Engine:
    """An in-process SQL engine over Arrow tables and Parquet files.

    Parameters
    ----------
    threads : int, default 2
        Threads that a query may use, at least 1. Results never depend on it.
    memory_limit : str, optional
        Memory from which on results spill to disk, such as ``"4GB"``; by default 60 % of the
        machine's.
    tmp_dir : str or Path, optional
        Folder in which the engine makes its own temporary folder; the system's by default.

    Raises
    ------
    ConfigError
        If ``threads`` or ``memory_limit`` make no sense.

    Examples
    --------
    >>> with Engine(threads=1) as engine:
    ...     engine.register("numbers", pa.table({"x": [1, 2, 3]}))
    ...     engine.query("SELECT sum(x) AS total FROM numbers WHERE x >= $low", low=2).to_pylist()
    [{'total': Decimal('5')}]
    """

    def __init__(
        self,
        *,
        threads: int = 2,
        memory_limit: str | None = None,
        tmp_dir: str | Path | None = None,
    ) -> None:
        if threads < 1:
            raise ConfigError(f"threads must be at least 1; got {threads!r}")
        self.threads = threads
        if tmp_dir is not None:
            Path(tmp_dir).mkdir(parents=True, exist_ok=True)
        self.tmp_dir = Path(tempfile.mkdtemp(prefix="linkage-", dir=tmp_dir))
        options: dict[str, str | bool | int] = {
            "threads": threads,
            "temp_directory": str(self.tmp_dir / "spill"),
            "memory_limit": DEFAULT_MEMORY_LIMIT if memory_limit is None else memory_limit,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        try:
            self._connection = duckdb.connect(":memory:", config=options)
        except duckdb.Error as error:
            shutil.rmtree(self.tmp_dir, ignore_errors=True)
            raise ConfigError(
                f"memory_limit must be a size such as '4GB'; got {memory_limit!r}"
            ) from error
        _configure(self._connection)
        self._registered: dict[str, pa.Table] = {}

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the engine."""
        self.close()

    def close(self) -> None:
        """Forget all tables and remove the temporary folder."""
        self._connection.close()
        shutil.rmtree(self.tmp_dir, ignore_errors=True)

    def execute(self, sql: str, *, source: str | None = None, **parameters: Any) -> None:
        """Run a statement whose result nobody needs.

        Parameters
        ----------
        sql : str
            One statement; values stand in it as ``$name``.
        source : str, optional
            The input that it reads, as people call it: an error while reading becomes an
            `InputError` that names it.
        **parameters
            The values.

        Raises
        ------
        InputError
            If ``source`` is given and cannot be read.
        """
        with _explained(source):
            self._connection.execute(sql, parameters or None)

    def query(self, sql: str, *, source: str | None = None, **parameters: Any) -> pa.Table:
        """Run a query and return the whole result.

        Parameters
        ----------
        sql : str
            One SELECT; values stand in it as ``$name``.
        source : str, optional
            The input that it reads, as people call it.
        **parameters
            The values.

        Returns
        -------
        pyarrow.Table

        Raises
        ------
        InputError
            If ``source`` is given and cannot be read.
        """
        with _explained(source):
            return self._connection.sql(sql, params=parameters or None).to_arrow_table()

    def stream(
        self, sql: str, *, source: str | None = None, batch_rows: int = 65_536, **parameters: Any
    ) -> Iterator[pa.RecordBatch]:
        """Run a query and hand its result out in batches, so that it never stands in memory.

        Parameters
        ----------
        sql : str
            One SELECT; values stand in it as ``$name``.
        source : str, optional
            The input that it reads, as people call it.
        batch_rows : int, default 65536
            Most rows of a batch.
        **parameters
            The values.

        Yields
        ------
        pyarrow.RecordBatch

        Raises
        ------
        InputError
            If ``source`` is given and cannot be read.
        """
        # A connection serves one open result at a time; a stream gets one of its own.
        cursor = self._connection.cursor()
        try:
            with _explained(source):
                _configure(cursor)
                for name, table in self._registered.items():
                    cursor.register(name, table)
                relation = cursor.sql(sql, params=parameters or None)
                reader = relation.to_arrow_reader(batch_rows)
            while True:
                with _explained(source):
                    batch = next(reader, None)
                if batch is None:
                    return
                if batch.num_rows:
                    yield batch
        finally:
            cursor.close()

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table known by a name, without copying it.

        Parameters
        ----------
        name : str
            The name in SQL; replaces what had it before.
        table : pyarrow.Table
        """
        self._connection.register(name, table)
        self._registered[name] = table

    def unregister(self, name: str) -> None:
        """Forget a registered Arrow table.

        Parameters
        ----------
        name : str
            The name in SQL; nothing happens where it is unknown.
        """
        self._connection.unregister(name)
        self._registered.pop(name, None)

    def attach_parquet(
        self, name: str, files: Sequence[str | Path], *, source: str, number_rows: bool = True
    ) -> None:
        """Make Parquet files of one schema known by a name; they are scanned in place.

        Parameters
        ----------
        name : str
            The name in SQL.
        files : sequence of str or Path
            The files, taken literally.
        source : str
            What people call them.
        number_rows : bool, default True
            Whether to offer `FILE_COLUMN` and `ROW_COLUMN` as well; queries that do not name them
            pay nothing.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        with _explained(source):
            literal = [_escape_glob(str(file)) for file in files]
            scan = SCAN_NUMBERED if number_rows else SCAN
            self._connection.sql(scan, params={"files": literal}).create_view(name, replace=True)

    def write_parquet(
        self, sql: str, path: str | Path, *, source: str | None = None, **parameters: Any
    ) -> None:
        """Write the result of a query to one Parquet file, streaming.

        Parameters
        ----------
        sql : str
            One SELECT; values stand in it as ``$name``.
        path : str or Path
            The file to write.
        source : str, optional
            The input that it reads, as people call it.
        **parameters
            The values.
        """
        statement = f"COPY ({sql}) TO $path (FORMAT parquet, COMPRESSION snappy)"
        self.execute(statement, source=source, path=str(path), **parameters)

    def drop(self, *names: str) -> None:
        """Drop tables that a stage has made and needs no more."""
        for name in names:
            self._connection.execute(f"DROP TABLE IF EXISTS {quote_name(name)}")


def _configure(connection: duckdb.DuckDBPyConnection) -> None:
    for setting in SETTINGS:
        connection.execute(setting)


def _escape_glob(path: str) -> str:
    """Make a path mean itself where the engine would read a pattern."""
    escapes: Mapping[str, str] = {"*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(escapes.get(letter, letter) for letter in path)


@contextmanager
def _explained(source: str | None) -> Iterator[None]:
    """Turn what DuckDB says about an input into a sentence for the person who gave it.

    A query that Ctrl-C stops ends, in DuckDB, in an InterruptException or a RuntimeError; both
    become the KeyboardInterrupt that they are.
    """
    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        if str(error) != INTERRUPTED:
            raise
        raise KeyboardInterrupt from error
    except duckdb.OutOfMemoryException as error:
        raise LinkageError(
            "out of memory, and the temporary folder is full or too small: "
            "give more memory or a folder with more room"
        ) from error
    except duckdb.Error as error:
        if source is None:
            raise
        said = str(error).splitlines()[0][:300]
        raise InputError(
            f"cannot read {source}: {said}; the file may be damaged or cut off: write it again"
        ) from error
