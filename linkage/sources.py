"""Files and frames in, relations that SQL can scan out; says clearly what cannot be read.

A source is what was given for one table: Parquet files of one schema, scanned where they lie; one
CSV or JSON Lines file, checked and turned into Parquet once; or a data frame. Whatever it is, each
row can be traced by its file and its number, and each column is read as text, time or count by
the same few rules.
"""

import csv
import glob
import gzip
import hashlib
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from linkage.config import Config
from linkage.engine import ROW_COLUMN, Engine, quote_name
from linkage.errors import InputError, MissingInputError, SchemaError
from linkage.schema import INPUTS

__all__ = [
    "KEPT",
    "MAX_LISTED",
    "REJECTED",
    "Columns",
    "Rejections",
    "Source",
    "SourceFile",
    "digest_inputs",
    "is_binary",
    "is_number",
    "is_text",
    "list_columns",
    "make_rejected",
    "open_sources",
    "resolve_columns",
    "unwrap_type",
]

REJECTED: Final = pa.schema(
    [("source", pa.string()), ("row", pa.int64()), ("column", pa.string()), ("reason", pa.string())]
)

FORMATS: Final[dict[str, str]] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}

DELIMITERS: Final = (",", ";", "\t", "|")
BLOCK_BYTES: Final = 32 << 20  # pyarrow holds a whole row in one block
HEADER_BYTES: Final = 1 << 20
LINE_DELIMITER: Final = "\x01"  # cannot stand unescaped in JSON

KEPT: Final = "; the rest of the row was used"

MAX_LISTED: Final = 1_000_000  # refusals of a source; the others are counted

Rejection = tuple[int | None, str | None, str]  # row, column, reason


@dataclass(slots=True)
class Rejections:
    """What is refused while a file is read: counted, and the first listed.

    Attributes
    ----------
    listed : list of (row, column, reason)
        At most `MAX_LISTED`; without a column where it is the whole row.
    n_rows, n_cells : int
        All of them: whole rows, and cells of other rows.
    """

    listed: list[Rejection] = field(default_factory=list)
    n_rows: int = 0
    n_cells: int = 0

    def add(self, row: int | None, column: str | None, reason: str) -> None:
        """Note one refusal."""
        if len(self.listed) < MAX_LISTED:
            self.listed.append((row, column, reason))
        if column is None:
            self.n_rows += 1
        else:
            self.n_cells += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a source are understood, and as what.

    Attributes
    ----------
    found : mapping of contract column -> column of the source
    kinds : tuple of (column of the source, kind)
        Columns whose values are identifiers, the contract's and those declared in the
        configuration.
    ignored : tuple of str
        Columns that nothing says anything about.
    missing : tuple of str
        Columns that the configuration names and the source lacks.
    vectors : tuple of str
        Columns of embeddings.
    """

    found: Mapping[str, str]
    kinds: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[str, ...]:
        """Columns of the source that are read, without repetition."""
        return tuple(dict.fromkeys([*self.found.values(), *(column for column, _ in self.kinds)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file, or one frame, of an input."""

    label: str
    path: Path | None  # None for a frame
    digest: str | None  # SHA-256 of the bytes, hexadecimal; None for a frame
    n_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows of one input table that can be scanned.

    Attributes
    ----------
    table : str
        The contract's table.
    label : str
        What people call it: the path or pattern as it was given.
    relation : str
        Its name in the engine. It has the columns of ``types`` and `ROW_COLUMN`, and
        `FILE_COLUMN` where ``has_file_column``.
    types : mapping of column -> pyarrow.DataType
    """

    table: str
    label: str
    relation: str
    types: Mapping[str, pa.DataType]
    columns: Columns
    files: tuple[SourceFile, ...]
    # What was refused while the file was read, before any SQL.
    rejections: Rejections = field(default_factory=Rejections)
    has_file_column: bool = False

    @property
    def n_rows(self) -> int:
        """Rows in the relation: without those refused while reading."""
        return sum(file.n_rows for file in self.files) - self.rejections.n_rows


def make_rejected(rows: Sequence[tuple[str, int | None, str | None, str]]) -> pa.Table:
    """Build a table of refused rows.

    Parameters
    ----------
    rows : sequence of (source, row, column, reason)
        Row numbers count from 1; None for what concerns a whole source.

    Returns
    -------
    pyarrow.Table
        Columns of `REJECTED`.
    """
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return pa.table(
        [pa.array(column, f.type) for column, f in zip(columns, REJECTED, strict=True)],
        schema=REJECTED,
    )


# --- columns ---------------------------------------------------------------------------------


def resolve_columns(table: str, names: Sequence[str], config: Config, label: str) -> Columns:
    """Decide which columns of an input are understood, and as what.

    Parameters
    ----------
    table : str
        The contract's table.
    names : sequence of str
        Columns that the input has.
    config : Config
        Its ``columns`` rename, its ``kinds`` declare further columns.
    label : str
        What people call the input.

    Returns
    -------
    Columns

    Raises
    ------
    SchemaError
        If a required column is missing, or a column that is used stands twice in the input.

    Examples
    --------
    >>> columns = resolve_columns("events", ["Account_ID", "ts", "ip", "x"], Config(), "events")
    >>> columns.found["account_id"], columns.ignored
    ('Account_ID', ('x',))
    """
    contract = INPUTS[table]
    renamed = config.columns.get(table, {})
    # A column that is mapped to one name of the contract is not found under another.
    free = [name for name in names if name not in renamed.values()]
    found, missing = {}, []
    for column in contract.columns:
        wanted = renamed.get(column.name)
        match = _match_name(wanted or column.name, names if wanted else free)
        if match is not None:
            found[column.name] = match
        elif wanted is not None:
            missing.append(wanted)
    lacking = [name for name in contract.required if name not in found]
    if lacking:
        raise SchemaError(
            f"{table} lack {lacking}: found columns {list(names)[:40]} in {label}; "
            f"map it in linkage.toml under [columns.{table}]"
        )
    kinds = [(found[c.name], c.kind) for c in contract.columns if c.kind and c.name in found]
    for kind, settings in config.kinds.items():
        if settings.table != table or settings.column is None:
            continue
        match = found.get(settings.column) or _match_name(settings.column, names)
        if match is None:
            missing.append(settings.column)
        elif (match, kind) not in kinds:
            kinds.append((match, kind))
    used = {*found.values(), *(column for column, _ in kinds)}
    of_vectors = {said.column for said in config.embeddings.values() if said.table == table}
    twice = [name for name, n in Counter(names).items() if n > 1 and name in used]
    if twice:
        raise SchemaError(f"{label} has the column {twice[0]!r} twice: rename or remove one")
    return Columns(
        found=found,
        kinds=tuple(kinds),
        ignored=tuple(name for name in names if name not in used | of_vectors),
        missing=tuple(missing),
        vectors=tuple(name for name in names if name in of_vectors),
    )


def _match_name(wanted: str, names: Sequence[str]) -> str | None:
    """Find a column by its name, else by its name in any case if only one fits."""
    if wanted in names:
        return wanted
    close = [name for name in names if name.strip().casefold() == wanted.casefold()]
    return close[0] if len(close) == 1 else None


def _check_types(source: str, columns: Columns, types: Mapping[str, pa.DataType]) -> None:
    """Refuse columns whose type cannot be read as what the contract says."""
    wanted = {c.name: c.type for table in INPUTS.values() for c in table.columns}
    for name, column in columns.found.items():
        _check_type(source, column, types[column], wanted[name])
    for column, _ in columns.kinds:
        _check_type(source, column, types[column], "text")


def _check_type(source: str, column: str, found: pa.DataType, wanted: str) -> None:
    checks = {"text": _is_scalar, "timestamp": _is_time, "count": _is_countable}
    expected = {
        "text": "text or a number",
        "timestamp": "a timestamp, ISO 8601 text, or seconds since 1970",
        "count": "a whole number",
    }
    if not checks[wanted](unwrap_type(found)):
        raise SchemaError(
            f"column {column!r} of {source} has type {found}; expected {expected[wanted]}: "
            "convert it, or map another column in linkage.toml"
        )


def unwrap_type(found: pa.DataType) -> pa.DataType:
    """Return the type of the values of a dictionary or run-end encoded column."""
    if pa.types.is_dictionary(found) or pa.types.is_run_end_encoded(found):
        return found.value_type
    return found


def is_text(found: pa.DataType) -> bool:
    """Whether a type is text; a column of nothing but nulls counts as text."""
    return bool(
        pa.types.is_string(found)
        or pa.types.is_large_string(found)
        or pa.types.is_string_view(found)
        or pa.types.is_null(found)
    )


def is_binary(found: pa.DataType) -> bool:
    """Whether a type is bytes."""
    return bool(
        pa.types.is_binary(found)
        or pa.types.is_large_binary(found)
        or pa.types.is_fixed_size_binary(found)
        or pa.types.is_binary_view(found)
    )


def is_number(found: pa.DataType) -> bool:
    """Whether a type is a number."""
    return bool(
        pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found)
    )


def _is_scalar(found: pa.DataType) -> bool:
    if isinstance(found, pa.BaseExtensionType):
        return bool(found.extension_name == "arrow.uuid")
    return not pa.types.is_nested(found)


def _is_time(found: pa.DataType) -> bool:
    return bool(
        is_text(found)
        or is_number(found)
        or pa.types.is_timestamp(found)
        or pa.types.is_date(found)
    )


def _is_countable(found: pa.DataType) -> bool:
    return is_text(found) or is_number(found)


# --- inputs to sources -----------------------------------------------------------------------


@dataclass(slots=True)
class _Opener:
    """Gathers the sources of one run; numbers their relations."""

    engine: Engine
    config: Config
    sources: list[Source] = field(default_factory=list)

    def name(self) -> str:
        return f"source_{len(self.sources)}"

    def open_table(self, table: str, given: Any) -> None:
        """Open all that was given for one table."""
        items = given if isinstance(given, list | tuple) else [given]
        if not items:
            raise MissingInputError(f"{table}: an empty list was given; give at least one file")
        paths: dict[Path, str] = {}
        for position, item in enumerate(items):
            if isinstance(item, str | Path):
                paths.update(_find_files(table, item))
            else:
                label = f"{table} frame" if len(items) == 1 else f"{table} frame {position + 1}"
                self.open_frame(table, item, label)
        self.open_files(table, paths)
        self.check_said(table)

    def open_files(self, table: str, paths: Mapping[Path, str]) -> None:
        """Open files: Parquet by schema, the others one by one."""
        schemas: dict[tuple[tuple[str, str], ...], list[Path]] = {}
        for path in sorted(paths):
            kind = _find_format(path, paths[path])
            if kind == "parquet":
                schema = _read_schema(path, paths[path])
                key = tuple((f.name, str(f.type)) for f in schema)
                schemas.setdefault(key, []).append(path)
            elif kind == "csv":
                self.open_csv(table, path, paths[path])
            else:
                self.open_json(table, path, paths[path])
        for group in schemas.values():
            self.open_parquet(table, {path: paths[path] for path in group})

    def open_parquet(self, table: str, paths: Mapping[Path, str]) -> None:
        """Open Parquet files of one schema as one relation, scanned in place."""
        first = next(iter(paths))
        label = paths[first] if len(paths) == 1 else f"{paths[first]} and {len(paths) - 1} more"
        schema = pq.read_schema(first)
        types = dict(zip(schema.names, schema.types, strict=True))
        columns = resolve_columns(table, schema.names, self.config, label)
        _check_types(label, columns, types)
        if "file_row_number" in schema.names:
            raise SchemaError(
                f"{label} has a column 'file_row_number', which the engine uses itself: rename it"
            )
        relation = self.name()
        self.engine.attach_parquet(relation, list(paths), source=label)
        files = tuple(
            SourceFile(
                label=paths[path],
                path=path,
                digest=_digest(path),
                n_rows=pq.read_metadata(path).num_rows,
            )
            for path in paths
        )
        self.sources.append(
            Source(
                table=table,
                label=label,
                relation=relation,
                types=types,
                columns=columns,
                files=files,
                has_file_column=True,
            )
        )

    def open_frame(self, table: str, frame: Any, label: str) -> None:
        """Open a pandas, polars or Arrow frame."""
        found = _to_arrow(frame, label)
        columns = resolve_columns(table, found.column_names, self.config, label)
        used = found.select([*columns.used, *columns.vectors])
        types = dict(zip(used.column_names, used.schema.types, strict=True))
        _check_types(label, columns, types)
        _check_utf8(used, label)
        numbers = pa.array(np.arange(1, len(used) + 1))
        relation = self.name()
        self.engine.register(relation, used.append_column(ROW_COLUMN, numbers))
        file = SourceFile(label=label, path=None, digest=None, n_rows=len(used))
        self.sources.append(
            Source(
                table=table,
                label=label,
                relation=relation,
                types=types,
                columns=columns,
                files=(file,),
            )
        )

    def open_csv(self, table: str, path: Path, label: str) -> None:
        """Open a CSV or TSV file by way of Parquet."""
        names, delimiter = _read_header(path, label)
        columns = resolve_columns(table, names, self.config, label)
        staged, stage = self.stage_path("csv"), _Stage(label=label)
        batches = _read_csv(path, names, delimiter, columns.used, stage)
        _write_batches(batches, columns.used, staged)
        self.add_staged(table, path, columns, staged, stage)

    def open_json(self, table: str, path: Path, label: str) -> None:
        """Open a JSON Lines file by way of Parquet."""
        engine, stage = self.engine, _Stage(label=label)
        lines, objects = self.stage_path("lines"), self.stage_path("objects")
        _write_batches(_read_lines(path, stage), ("line",), lines)
        engine.attach_parquet("json_lines", [lines], source=label, number_rows=False)
        sql = JSON_OBJECTS.format(relation="json_lines", row=ROW_COLUMN)
        engine.write_parquet(sql, objects, source=label)
        _find_bad_json(engine, "json_lines", label, stage.rejections)
        engine.attach_parquet("json_objects", [objects], source=label, number_rows=False)
        names = _find_json_keys(engine, "json_objects", label)
        if stage.n_rows and not names:
            raise InputError(f"{label} holds no JSON object: write one object a line")
        columns = self.resolve_keys(table, names, label)
        _find_nested_json(engine, "json_objects", columns.used, label, stage.rejections)
        staged = self.stage_path("json")
        _extract_json(engine, "json_objects", columns.used, staged, label)
        lines.unlink()
        objects.unlink()
        self.add_staged(table, path, columns, staged, stage)

    def resolve_keys(self, table: str, names: Sequence[str], label: str) -> Columns:
        """Decide which keys are understood; a file without lines has the required columns."""
        renamed = self.config.columns.get(table, {})
        required = [renamed.get(name, name) for name in INPUTS[table].required]
        return resolve_columns(table, names or required, self.config, label)

    def stage_path(self, what: str) -> Path:
        """Return where the next source is staged."""
        return self.engine.tmp_dir / f"{self.name()}_{what}.parquet"

    def add_staged(
        self, table: str, path: Path, columns: Columns, staged: Path, stage: "_Stage"
    ) -> None:
        """Add a text file that now lies as Parquet, all text, with row numbers."""
        relation = self.name()
        self.engine.attach_parquet(relation, [staged], source=stage.label, number_rows=False)
        file = SourceFile(label=stage.label, path=path, digest=_digest(path), n_rows=stage.n_rows)
        self.sources.append(
            Source(
                table=table,
                label=stage.label,
                relation=relation,
                types=dict.fromkeys(columns.used, pa.string()),
                columns=columns,
                files=(file,),
                rejections=stage.rejections,
            )
        )

    def check_said(self, table: str) -> None:
        """Refuse columns that the configuration names and no source of the table has."""
        own = [source for source in self.sources if source.table == table]
        missing = set.intersection(*(set(source.columns.missing) for source in own))
        if missing:
            names = sorted({name for source in own for name in source.columns.ignored})
            raise SchemaError(
                f"{table} lack {sorted(missing)}, which the configuration names: "
                f"found further columns {names[:40]}; correct linkage.toml"
            )


def open_sources(engine: Engine, inputs: Mapping[str, Any], config: Config) -> list[Source]:
    """Open every input, or say in one sentence why one cannot be read.

    Parameters
    ----------
    engine : Engine
        Gets a relation for each source.
    inputs : mapping of table -> path, folder, glob, frame, or a list of those
        Tables of the contract; None stands for a table that is not given. Frames are pandas,
        polars or Arrow, or anything that offers ``__arrow_c_stream__``.
    config : Config
        Renamed columns and declared kinds.

    Returns
    -------
    list of Source
        In the contract's order of tables, then by path.

    Raises
    ------
    InputError
        If no table is given or a file cannot be read; its subclasses `MissingInputError` if a
        path names nothing, `SchemaError` if a column is missing or has a type that cannot be read.
    """
    unknown = sorted(set(inputs) - set(INPUTS))
    if unknown:
        raise InputError(f"unknown table {unknown[0]!r}: known are {sorted(INPUTS)}")
    given = {table: inputs[table] for table in INPUTS if inputs.get(table) is not None}
    if not given:
        raise InputError(f"no input: give at least one of {list(INPUTS)}")
    opener = _Opener(engine=engine, config=config)
    for table, item in given.items():
        opener.open_table(table, item)
    return opener.sources


def _find_files(table: str, given: str | Path) -> dict[Path, str]:
    """Return the files that a path, folder or pattern names, each with what people call it."""
    text, path = str(given), Path(given)
    if path.is_dir():
        found = [
            file
            for file in sorted(path.rglob("*"))
            if file.is_file() and _is_data(file.relative_to(path))
        ]
        if not found:
            raise MissingInputError(
                f"{table}: the folder {text!r} holds no file that ends in {sorted(FORMATS)}, "
                "with or without .gz"
            )
    elif path.exists():
        found = [path]
    elif glob.has_magic(text):
        found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 - text may be absolute
        found = [file for file in found if file.is_file()]
        if not found:
            raise MissingInputError(f"{table}: the pattern {text!r} matches no file")
    else:
        raise MissingInputError(f"{table}: there is no file or folder {text!r}")
    return {file: file.as_posix() for file in found}


def _is_data(file: Path) -> bool:
    """Whether a file of a folder is data: not hidden, not a marker such as _SUCCESS."""
    hidden = any(part.startswith((".", "_")) for part in file.parts)
    return not hidden and _suffix(file) in FORMATS


def _suffix(file: Path) -> str:
    name = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    return name.suffix.lower()


def _find_format(path: Path, label: str) -> str:
    """Return a file's format, by its name or else by how it begins."""
    known = FORMATS.get(_suffix(path))
    start = _read_start(path, label, 16).lstrip(b"\xef\xbb\xbf \r\n\t")
    if known is None and start.startswith(b"PAR1"):
        known = "parquet"
    if known is None and start.startswith(b"{"):
        known = "json"
    if known is None and path.suffix.lower() == ".txt":
        known = "csv"
    if known is None:
        raise InputError(
            f"cannot tell the format of {label}: name it .parquet, .csv, .tsv or .jsonl "
            "(text may be compressed, .gz)"
        )
    if known == "json" and start.startswith(b"["):
        raise InputError(f"{label} is one JSON list: write JSON Lines, one object a line")
    return known


def _read_start(path: Path, label: str, n_bytes: int) -> bytes:
    with _explained(label), _open_bytes(path) as stream:
        return stream.read(n_bytes)


def _open_bytes(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


class _explained:  # noqa: N801 - reads as a verb where it is used
    """Turns what readers raise about a file into a sentence for the person who gave it."""

    def __init__(self, label: str, stage: "_Stage | None" = None) -> None:
        self.label, self.stage = label, stage

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        if isinstance(error, PermissionError):
            raise InputError(f"may not read {self.label}: permission denied") from error
        if not isinstance(error, pa.ArrowException | OSError | EOFError | zlib.error):
            return
        if "straddl" in str(error):
            last = 0 if self.stage is None else self.stage.n_rows
            raise InputError(
                f"{self.label}: a row after row {last} is longer than {BLOCK_BYTES >> 20} MiB, or "
                "a quote opens there that never closes: correct or remove that row"
            ) from error
        raise InputError(
            f"cannot read {self.label}: {str(error).splitlines()[0][:300]}; "
            "the file may be damaged or cut off: write it again"
        ) from error


def _read_schema(path: Path, label: str) -> pa.Schema:
    if path.stat().st_size == 0:
        raise InputError(f"{label} is empty: a Parquet file has at least a schema")
    with _explained(label):
        return pq.read_schema(path)


def digest_inputs(inputs: Mapping[str, Any]) -> list[tuple[str, str, str]] | None:
    """Return the SHA-256 digest of every file of the input.

    Parameters
    ----------
    inputs : mapping of table -> path, folder, glob, frame, or a list of those

    Returns
    -------
    list of (table, what the file is called, digest), or None
        Sorted; None where frames are among the inputs, or a file cannot be read.

    Raises
    ------
    MissingInputError
        If a path names no file.
    """
    found = []
    for table, given in inputs.items():
        for item in given if isinstance(given, list | tuple) else [given]:
            if not isinstance(item, str | Path):
                return None
            for path, label in _find_files(table, item).items():
                try:
                    found.append((table, label, _digest(path)))
                except OSError:  # who opens it will say so
                    return None
    return sorted(found)


def _digest(path: Path) -> str:
    seen = path.stat()
    return _digest_once(path, seen.st_mtime_ns, seen.st_size, seen.st_ino)


@lru_cache(maxsize=4096)
def _digest_once(path: Path, *_: int) -> str:
    """Return the digest of a file; it is read again when it has changed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- frames ----------------------------------------------------------------------------------


def _to_arrow(frame: Any, label: str) -> pa.Table:
    """Return a frame as an Arrow table."""
    if hasattr(frame, "collect") and not hasattr(frame, "__arrow_c_stream__"):
        frame = frame.collect()
    try:
        if hasattr(frame, "itertuples"):
            return _from_pandas(frame)
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
    except (pa.ArrowException, UnicodeError, TypeError, ValueError) as error:
        raise InputError(
            f"cannot read the {label}: {str(error).splitlines()[0][:300]}; "
            "give its columns one type each"
        ) from error
    raise InputError(
        f"the {label} is a {type(frame).__name__}: give a path, or a pandas, polars or Arrow frame"
    )


def _from_pandas(frame: Any) -> pa.Table:
    """Return a pandas frame as an Arrow table; columns of mixed scalars become text."""
    frame = frame.rename(columns=str)
    columns = []
    for position in range(frame.shape[1]):
        series = frame.iloc[:, position]
        try:
            columns.append(pa.array(series, from_pandas=True))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            columns.append(pa.array(series.astype("string"), from_pandas=True))
    columns = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns]
    return pa.table(columns, names=list(frame.columns))


def _check_utf8(table: pa.Table, label: str) -> None:
    try:
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InputError(f"the {label} holds invalid values: {str(error)[:200]}") from error


# --- CSV and JSON Lines ----------------------------------------------------------------------


@dataclass(slots=True)
class _Stage:
    """What is learned about a text file while it is read."""

    label: str
    n_rows: int = 0  # data rows, the refused ones included
    rejections: Rejections = field(default_factory=Rejections)


class _QuoteCounter(io.RawIOBase):
    """Counts the quotes of a stream that passes through: an odd number means one never closes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.n_quotes = stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        self.n_quotes += data.count(b'"')
        return len(data)


def _read_header(path: Path, label: str) -> tuple[list[str], str]:
    """Return the column names of a CSV file and its delimiter."""
    start = _read_start(path, label, HEADER_BYTES)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in start[:200]:
        raise InputError(f"{label} is not UTF-8 text (UTF-16?): save it as UTF-8")
    line = re.split(rb"[\r\n]", start.removeprefix(b"\xef\xbb\xbf"), maxsplit=1)[0]
    if not line.strip():
        raise InputError(f"{label} is empty: its first line must name the columns")
    try:
        header = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"the first line of {label} is not UTF-8 text: save it so") from error
    try:
        delimiter = "\t" if _suffix(path) == ".tsv" else _sniff_delimiter(header)
        names = next(csv.reader([header], delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"the first line of {label} names no columns: {error}") from error
    return [name.strip() for name in names], delimiter


def _sniff_delimiter(header: str) -> str:
    """Return the delimiter that cuts a header into most names; a comma where there is only one."""
    return max(
        DELIMITERS, key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter)))
    )


def _read_csv(
    path: Path, names: Sequence[str], delimiter: str, used: Sequence[str], stage: _Stage
) -> Iterator[pa.RecordBatch]:
    """Yield the used columns of a CSV file as text, with row numbers; note what is refused."""
    positions = [names.index(name) for name in used]
    parse = {"delimiter": delimiter, "newlines_in_values": True}
    last: pa.RecordBatch | None = None
    with _explained(stage.label, stage), _open_bytes(path) as stream:
        counter = _QuoteCounter(stream)
        for batch in _read_batches(counter, len(names), positions, parse, stage):
            if last is not None:
                yield last
            last = batch
        if last is not None and counter.n_quotes % 2:
            last = _drop_swallowing_row(last, stage)
    if last is not None:
        yield last


def _drop_swallowing_row(batch: pa.RecordBatch, stage: _Stage) -> pa.RecordBatch:
    """Refuse the last row of a file if a quote that never closes made it swallow others."""
    end = batch.slice(len(batch) - 1)
    row = end.column(ROW_COLUMN)[0].as_py() if len(end) else None
    swallowed = [c for c in end.columns[1:] if len(c) and "\n" in (c[0].as_py() or "")]
    if row != stage.n_rows or not swallowed:
        return batch
    stage.rejections.add(
        row, None, "a quote opens here that never closes: it swallowed the rest of the file"
    )
    return batch.slice(0, len(batch) - 1)


def _read_lines(path: Path, stage: _Stage) -> Iterator[pa.RecordBatch]:
    """Yield the lines of a text file, with row numbers."""
    parse = {"delimiter": LINE_DELIMITER, "quote_char": False, "newlines_in_values": False}
    with _explained(stage.label, stage), _open_bytes(path) as stream:
        yield from _read_batches(stream, 1, [0], parse, stage, header_rows=0)


def _read_batches(
    stream: Any,
    n_columns: int,
    positions: Sequence[int],
    parse: Mapping[str, Any],
    stage: _Stage,
    *,
    header_rows: int = 1,
) -> Iterator[pa.RecordBatch]:
    """Yield columns of a delimited file as text behind a column of row numbers."""
    names = [f"c{i}" for i in range(n_columns)]
    chosen = [names[i] for i in positions]
    bad: list[int] = []  # numbers of malformed rows that may stand before good ones to come
    n_settled = 0  # and of those that certainly do

    def refuse(row: Any) -> str:
        number = row.number - header_rows
        bad.append(number)
        stage.rejections.add(
            number,
            None,
            f"malformed row: {row.actual_columns} columns instead of {row.expected_columns}"
            if header_rows
            else "malformed JSON: a control character",
        )
        return "skip"

    try:
        reader = pa_csv.open_csv(
            stream,
            read_options=pa_csv.ReadOptions(
                column_names=names, skip_rows=header_rows, block_size=BLOCK_BYTES, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(**parse, invalid_row_handler=refuse),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()),
                include_columns=chosen,
                check_utf8=False,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if "too short" in str(error) or "Empty CSV" in str(error):
            return
        raise
    n_good = 0
    for batch in reader:
        numbers, n_before = _number_rows(n_good, len(batch), np.asarray(bad, np.int64), n_settled)
        del bad[:n_before]
        n_settled += n_before
        n_good += len(batch)
        yield _check_text(batch, numbers, stage)
        stage.n_rows = n_good + n_settled + len(bad)
    stage.n_rows = n_good + n_settled + len(bad)


def _number_rows(
    n_before: int, n_rows: int, bad: np.ndarray[tuple[int], np.dtype[np.int64]], n_settled: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """Return the numbers of good rows, from 1, given those of the bad rows among them, ascending.

    The k-th good row (from 0) comes after as many bad ones as have at most k good rows before them.
    Of the bad ones ``n_settled`` have been taken away already; how many more come before all
    further good rows is returned as well.
    """
    rank = np.arange(n_before, n_before + n_rows)
    n_good_before = bad - 1 - n_settled - np.arange(len(bad))
    numbers = rank + 1 + n_settled + np.searchsorted(n_good_before, rank, side="right")
    return numbers, int(np.searchsorted(n_good_before, n_before + n_rows, side="right"))


def _check_text(
    batch: pa.RecordBatch, numbers: np.ndarray[tuple[int], np.dtype[np.int64]], stage: _Stage
) -> pa.RecordBatch:
    """Turn columns of bytes into text; refuse rows that are not UTF-8."""
    is_bad = np.zeros(len(batch), bool)
    for column in batch.columns:
        is_bad[list(_find_invalid(column, 0))] = True
    for number in numbers[is_bad].tolist():
        stage.rejections.add(number, None, "not UTF-8 text")
    good = batch.filter(pa.array(~is_bad)) if is_bad.any() else batch
    columns = [column.cast(pa.string()) for column in good.columns]
    names = [ROW_COLUMN, *(f"c{i}" for i in range(len(columns)))]
    return pa.RecordBatch.from_arrays([pa.array(numbers[~is_bad]), *columns], names=names)


def _find_invalid(column: pa.Array, offset: int) -> Iterator[int]:
    """Yield positions of bytes that are not UTF-8, by halving; one check where there are none."""
    try:
        column.cast(pa.string())
    except pa.ArrowInvalid:
        if len(column) == 1:
            yield offset
            return
        half = len(column) // 2
        yield from _find_invalid(column.slice(0, half), offset)
        yield from _find_invalid(column.slice(half), offset + half)


def _write_batches(batches: Iterable[pa.RecordBatch], names: Sequence[str], path: Path) -> None:
    """Write batches to one Parquet file under the columns' own names."""
    schema = pa.schema([(ROW_COLUMN, pa.int64()), *((name, pa.string()) for name in names)])
    with pq.ParquetWriter(path, schema, compression="snappy") as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))


# Conditions of one CASE are tried in turn; those of an AND are not, and json_type() fails on what
# is not JSON.
BAD_JSON: Final = """
WITH judged AS (
    SELECT {row} AS row, CASE
        WHEN NOT json_valid(line) THEN 'malformed JSON'
        WHEN json_type(line) <> 'OBJECT' THEN 'not a JSON object'
    END AS reason
    FROM {relation}
)
SELECT row, reason
FROM judged
WHERE reason IS NOT NULL
ORDER BY row
"""

JSON_OBJECTS: Final = """
SELECT {row} AS row, line
FROM {relation}
WHERE CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE FALSE END
"""

JSON_KEYS: Final = """
SELECT DISTINCT unnest(json_keys(line)) AS key
FROM {relation}
ORDER BY key
"""

NESTED_JSON: Final = """
WITH cells AS (
    SELECT row, unnest(json_type(line, $paths)) AS type, unnest($names) AS name
    FROM {relation}
)
SELECT row, name, type
FROM cells
WHERE type IN ('OBJECT', 'ARRAY')
ORDER BY row, name
"""

EXTRACT_JSON: Final = """
WITH cells AS (
    SELECT row, json_extract_string(line, $paths) AS texts, json_type(line, $paths) AS types
    FROM {relation}
)
SELECT row AS {row}{columns}
FROM cells
"""

JSON_CELL: Final = (
    ", CASE WHEN types[{i}] NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN texts[{i}] END AS {name}"
)


def _find_bad_json(engine: Engine, relation: str, label: str, found: Rejections) -> None:
    """Note the lines that are no object."""
    sql = BAD_JSON.format(relation=quote_name(relation), row=ROW_COLUMN)
    for batch in engine.stream(sql, source=label):
        for row in batch.to_pylist():
            found.add(row["row"], None, row["reason"])


def _find_json_keys(engine: Engine, relation: str, label: str) -> list[str]:
    """Return the names that occur in JSON objects, sorted."""
    found = engine.query(JSON_KEYS.format(relation=quote_name(relation)), source=label)
    names: list[str] = found.column("key").to_pylist()
    return names


def _find_nested_json(
    engine: Engine, relation: str, used: Sequence[str], label: str, found: Rejections
) -> None:
    """Note the cells that are lists or objects themselves."""
    batches = engine.stream(
        NESTED_JSON.format(relation=quote_name(relation)),
        source=label,
        paths=_json_pointers(used),
        names=list(used),
    )
    for batch in batches:
        for row in batch.to_pylist():
            what = f"a JSON {row['type'].lower()}, not a text or number{KEPT}"
            found.add(row["row"], row["name"], what)


def _extract_json(
    engine: Engine, relation: str, used: Sequence[str], path: Path, label: str
) -> None:
    """Write the used columns of JSON objects as text to a Parquet file."""
    cells = "".join(JSON_CELL.format(i=i + 1, name=quote_name(n)) for i, n in enumerate(used))
    sql = EXTRACT_JSON.format(relation=quote_name(relation), columns=cells, row=ROW_COLUMN)
    engine.write_parquet(sql, path, source=label, paths=_json_pointers(used))


def _json_pointers(names: Sequence[str]) -> list[str]:
    """Return names as JSON pointers (RFC 6901)."""
    return ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]


def list_columns(given: str | Path) -> list[str]:
    """Return the columns of the first file that a path, folder or pattern names.

    Parameters
    ----------
    given : str or Path
        A path, folder or pattern.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If there is no such file, or its first line cannot be read.
    """
    path, label = next(iter(_find_files("input", given).items()))
    kind = _find_format(path, label)
    if kind == "parquet":
        return list(_read_schema(path, label).names)
    if kind == "csv":
        return _read_header(path, label)[0]
    start = _read_start(path, label, HEADER_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        first = json.loads(start.split(b"\n", 1)[0])
    except ValueError as error:
        raise InputError(f"the first line of {label} is no JSON object") from error
    if not isinstance(first, dict):
        raise InputError(f"the first line of {label} is no JSON object")
    return list(first)
