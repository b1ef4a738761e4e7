"""``linkage check``: say what would be understood of the input, without running."""

import argparse
from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

from linkage.schema import INPUTS

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from linkage.checkup import Checkup

__all__ = ["add_arguments", "run"]

EPILOG: Final = """\
examples:
  linkage check --events events.parquet --accounts accounts.csv
  linkage check logs/*.csv.gz                    the table is guessed from names or columns
  linkage check --events logs/ --config linkage.toml

A column that is called otherwise in your data, or one more kind of identifier, is declared so:

  [columns.events]            # linkage.toml
  account_id = "customer"     # the contract's column = your column
  [kinds.wallet]
  family = "payment"
  table = "payments"
  column = "wallet_address"

exit codes: 0 a run could start, 2 it could not
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``check`` can be told.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    parser.description = (
        "Read the input as a run would and print what was understood: tables, columns, kinds, "
        "what was refused and why, and columns that nothing says anything about."
    )
    parser.epilog = EPILOG
    for table in INPUTS.values():
        parser.add_argument(
            f"--{table.name}",
            action="append",
            metavar="PATH",
            help=f"{table.summary}: Parquet, CSV or JSON Lines; a file, folder or pattern",
        )
    parser.add_argument("--config", metavar="FILE", help="settings, such as linkage.toml")
    parser.add_argument("--threads", type=int, default=2, help="threads to use (default 2)")
    parser.add_argument(
        "files", nargs="*", metavar="FILES", help="files whose table is guessed, and said"
    )


def run(args: argparse.Namespace) -> int:
    """Print what linkage understands of the input.

    Parameters
    ----------
    args : argparse.Namespace
        As `add_arguments` defines them.

    Returns
    -------
    int
        0 if a run could start, 2 if not.

    Raises
    ------
    InputError
        If a source cannot be read at all.
    """
    from rich.console import Console

    from linkage.checkup import check_input, guess_table
    from linkage.config import Config, load_config
    from linkage.engine import Engine

    console = Console()
    config = load_config(args.config) if args.config else Config()
    inputs: dict[str, Any] = {
        table: list(getattr(args, table)) for table in INPUTS if getattr(args, table)
    }
    for file in args.files:
        table, reason = guess_table(file)
        console.print(f"{file}: taken for {table}, by {reason}", markup=False, highlight=False)
        inputs.setdefault(table, []).append(file)
    with Engine(threads=args.threads) as engine:
        checkup = check_input(engine, inputs, config)
    for table in _show(checkup):
        console.print(table)
    if not checkup.ignored.empty:
        console.print(_hint(checkup), markup=False, highlight=False)
    if checkup.problem is None:
        console.print("a run could start", highlight=False)
        return 0
    console.print(f"a run could not start: {checkup.problem}", markup=False, highlight=False)
    return 2


def _show(checkup: "Checkup") -> Iterator["Table"]:
    """Yield a table of sources, one of columns, and one of what was refused."""
    yield _make_table(
        "Sources",
        checkup.sources.assign(
            span=[
                f"{first:%Y-%m-%d} to {last:%Y-%m-%d}" if first == first else "no time"  # noqa: PLR0124 - NaT
                for first, last in zip(
                    checkup.sources["first_seen"], checkup.sources["last_seen"], strict=True
                )
            ]
        ),
        ["table", "source", "n_rows", "n_used", "n_accounts", "span"],
    )
    yield _make_table(
        "Columns",
        checkup.columns,
        [
            "table",
            "column",
            "meaning",
            "family",
            "n_values",
            "share_empty",
            "most_shared",
            "most_accounts",
        ],
    )
    if not checkup.reasons.empty:
        yield _make_table(
            "Refused",
            checkup.reasons.head(20),
            ["table", "column", "n", "example_row", "example"],
        )


def _make_table(title: str, frame: "pd.DataFrame", columns: list[str]) -> "Table":
    """Lay a frame out for a terminal; numbers to the right, nothing where nothing is known."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in columns:
        is_number = frame[column].dtype.kind in "iuf"
        table.add_column(
            column.removeprefix("n_").replace("_", " "), justify="right" if is_number else "left"
        )
    for row in frame[columns].itertuples(index=False):
        table.add_row(*(Text(_write(value)) for value in row))
    return table


def _write(value: Any) -> str:
    """Write one cell."""
    import pandas as pd

    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.1%}" if value <= 1 else f"{value:,.0f}"
    return f"{int(value):,}" if isinstance(value, Integral) else str(value)


def _hint(checkup: "Checkup") -> str:
    """Say how an ignored column would be declared."""
    first = checkup.ignored.iloc[0]
    names = ", ".join(dict.fromkeys(checkup.ignored["column"]))
    return (
        f"ignored columns: {names}\n"
        f"  to use one as a kind of identifier, write in linkage.toml:\n"
        f'  [kinds.{first["column"]}]\n  family = "..."\n  table = "{first["table"]}"\n'
        f'  column = "{first["column"]}"'
    )
