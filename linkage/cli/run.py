"""``linkage run``: files in, case folder out."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from linkage.errors import InputError
from linkage.schema import INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from linkage.result import Result

__all__ = ["add_arguments", "run"]

DESCRIPTION = """\
Read tables of events, payments, accounts and other signals; find the groups of accounts that one
operator runs; write them, with all evidence, as a case folder.

Inputs are Parquet, CSV or JSON Lines: a file, a folder or a glob, several where you like. Any table
may be missing, not all. Every table needs account_id; events and payments need ts (UTC).
"""

EPILOG = """\
examples:
  linkage run --demo                                        the shipped demo world
  linkage run --events logs/ --payments pay.csv --out CASE
  linkage run --observations 'signals/*.jsonl' --config linkage.toml --out CASE
  linkage run --events logs/ --key-file case.key --known-prompts tools.txt --out CASE

what next:
  linkage explain CASE 1            why cluster 1 is one operator
  linkage export CASE --out c.gexf  look at it in Gephi
  python -c "import linkage; print(linkage.read_case('CASE').clusters)"

A case folder holds clusters, members, evidence, templates, rejected and observations as Parquet,
and manifest.json. Prompts are in it as redacted skeletons of templates; their ids are hashes, which
only a key (--key-file, or the variable LINKAGE_KEY) keeps from those who guess a prompt. A case
that stands at --out already is replaced; any other folder is refused.

CASE.checkpoints, beside it, holds what each stage has made of the input, identifiers included: a
run that was killed, or that is repeated with other settings, starts at the first stage that is out
of date. Delete it whenever you like.
"""

KEY_VARIABLE: Final = "LINKAGE_KEY"
MAX_CLUSTERS: Final = 15  # rows of the summary table
MIN_WIDTH: Final = 118  # columns; a narrower table cannot be read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Changed in place.
    """
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    for table in INPUTS.values():
        parser.add_argument(
            f"--{table.name}", action="append", metavar="PATH", help=f"{table.summary}"
        )
    parser.add_argument("--demo", action="store_true", help="link the shipped demo world")
    parser.add_argument("--out", type=Path, metavar="CASE", help="folder to write")
    parser.add_argument("--config", type=Path, metavar="TOML", help="column names, kinds, settings")
    parser.add_argument("--seed", type=int, default=0, help="of community detection (default: 0)")
    prompts = parser.add_argument_group("prompts")
    prompts.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help=f"secret of 32 bytes or more that template ids depend on; default: ${KEY_VARIABLE}",
    )
    prompts.add_argument(
        "--known-prompts",
        type=Path,
        metavar="FILE",
        help="prompts of tools that anybody uses; a line of --- between two",
    )
    prompts.add_argument(
        "--keep-text",
        action="store_true",
        help="write one prompt of each template to the case as it came, up to 2,000 characters",
    )
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument(
        "--memory-limit",
        metavar="SIZE",
        help="spill to disk above it, as in 4GB; default: 60%% of the machine",
    )
    parser.add_argument("--tmp-dir", type=Path, metavar="DIR", help="where to spill to")
    parser.add_argument(
        "--from",
        dest="start",
        choices=("read", "overlaps", "communities", "attribution"),
        help="stage to start at, whatever CASE.checkpoints holds of it",
    )
    parser.add_argument(
        "--no-checkpoints",
        action="store_true",
        help="keep nothing that the next run could start from; remove CASE.checkpoints",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    args : argparse.Namespace
        What `add_arguments` declares.

    Returns
    -------
    int
        0.

    Raises
    ------
    LinkageError
        If an input, a setting or the place of the case cannot be used.
    """
    inputs = _choose_inputs(args)
    if not args.quiet:
        print(_announce(args, inputs), flush=True)
    started = time.perf_counter()
    from linkage.checkpoints import remove_checkpoints
    from linkage.pipeline import link
    from linkage.prompts import read_known_prompts

    with _show_progress(quiet=args.quiet) as progress:
        result = link(
            **inputs,
            config=args.config,
            seed=args.seed,
            key=_find_key(args),
            known_prompts=read_known_prompts(args.known_prompts) if args.known_prompts else (),
            keep_text=args.keep_text,
            keep_observations=False,
            out=args.out,
            threads=args.threads,
            memory_limit=args.memory_limit,
            tmp_dir=args.tmp_dir,
            checkpoints=not args.no_checkpoints,
            start=args.start,
            progress=progress,
        )
    if args.no_checkpoints:
        remove_checkpoints(args.out)
    if not args.quiet:
        _print_summary(result, args.out, time.perf_counter() - started)
    return 0


def _choose_inputs(args: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(args, name) for name in INPUTS if getattr(args, name)}
    if args.demo:
        if given:
            raise InputError(f"--demo brings its own tables; leave out --{next(iter(given))}")
        from linkage.datasets import demo

        world = demo()
        args.out = args.out or Path(tempfile.gettempdir()) / "linkage-demo-case"
        return {
            "events": world.events_path,
            "payments": world.payments_path,
            "accounts": world.accounts_path,
        }
    if not given:
        raise InputError(
            "nothing to link: give --events, --payments, --accounts or --observations, or --demo"
        )
    if args.out is None:
        raise InputError("say where the case folder is to stand, such as --out CASE")
    return given


def _find_key(args: argparse.Namespace) -> bytes | None:
    """Return the secret of the file or of the environment; an empty variable is none."""
    if args.key_file is not None:
        from linkage.prompts import read_key

        return read_key(args.key_file)
    return os.fsencode(os.environ.get(KEY_VARIABLE, "")) or None


def _announce(args: argparse.Namespace, inputs: dict[str, Any]) -> str:
    what = "the shipped demo world" if args.demo else ", ".join(inputs)
    return f"linkage: reading {what}"


@contextmanager
def _show_progress(*, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Show on a terminal what is being done, with the time it takes; elsewhere nothing."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield status.update


def _print_summary(result: Result, out: Path, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.width = max(console.width, MIN_WIDTH)
    console.print(f"\n{result!r}\n", highlight=False, markup=False)
    clusters = result.clusters
    if len(clusters):
        table = Table(title="riskiest clusters", title_justify="left", box=None, pad_edge=False)
        for name in ("cluster", "accounts", "confidence", "q", "risk"):
            table.add_column(name, justify="right")
        for name in ("tier", "tied by", "innocent explanation"):
            table.add_column(name)
        for row in clusters.head(MAX_CLUSTERS).to_dict(orient="records"):
            table.add_row(
                str(row["cluster_id"]),
                f"{row['n_accounts']:,}",
                f"{row['confidence']:.3f}",
                f"{row['q_value']:.1g}",
                f"{row['risk']:.2f}",
                row["tier"],
                row["families"].replace("+", ", "),
                row["explanation"],
            )
        console.print(table)
        if len(clusters) > MAX_CLUSTERS:
            console.print(f"... and {len(clusters) - MAX_CLUSTERS:,} more")
    _print_refusals(result, console)
    console.print(f"\ncase folder: {out}  ({seconds:.1f} s)", highlight=False, markup=False)
    if len(clusters):
        console.print(f"next: linkage explain {out} 1", highlight=False, markup=False)


def _print_refusals(result: Result, console: Any) -> None:
    rejected = result.rejected
    if rejected.empty:
        return
    reasons = rejected.groupby("reason").size().sort_values(ascending=False, kind="stable")
    console.print(f"\n{len(rejected):,} refusals in rejected.parquet, most often:")
    for reason, n in reasons.head(3).items():
        console.print(f"  {n:>9,}  {reason}", highlight=False, markup=False, soft_wrap=True)
