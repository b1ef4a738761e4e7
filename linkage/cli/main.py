"""The ``linkage`` command: parses the words, imports the command asked for, and runs it."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from linkage._version import __version__
from linkage.errors import LinkageError

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "main"]

EXIT_ERROR: Final = 2
EXIT_INTERRUPTED: Final = 130

# Name, module and one line of help. A command's module is imported only when it is called, so
# that `linkage --help` does not pay for numpy; it offers add_arguments(parser) and run(args),
# which returns the exit code.
COMMANDS: Final = (
    ("run", "linkage.cli.run", "link accounts: files in, case folder out"),
    ("check", "linkage.cli.check", "say what would be understood of the input, without running"),
    ("explain", "linkage.cli.explain", "print why accounts were linked"),
    ("report", "linkage.cli.report", "write a page about a cluster, or about all of them"),
    ("export", "linkage.cli.export", "write a case's graph for Gephi and others"),
    ("fingerprint", "linkage.cli.fingerprint", "find the templates behind prompts"),
    ("coaction", "linkage.cli.coaction", "find who acts on the same things within seconds"),
    ("simulate", "linkage.cli.simulate", "make a world of accounts whose truth is known"),
    ("recalibrate", "linkage.cli.recalibrate", "correct a case's confidence by reviewed accounts"),
    ("evaluate", "linkage.cli.evaluate", "compare a case with the truth"),
)

EPILOG: Final = """\
first steps:
  linkage run --demo                        link the shipped demo world
  linkage check --events events.parquet     see what linkage understands of a file
  linkage run --events events.parquet --payments payments.csv --out CASE
  linkage explain CASE 1                    why is cluster 1 one operator?
  linkage report CASE 1 --out cluster1.html
  linkage export CASE --format gexf --out case.gexf

exit codes: 0 done, 2 the input, a setting or a path cannot be used, 130 interrupted
"""


def _find_command(argv: Sequence[str]) -> str | None:
    return next((word for word in argv if not word.startswith("-")), None)


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Build the parser, with the arguments of one command filled in.

    Parameters
    ----------
    command : str or None
        The command whose module is imported and asked for its arguments; None for none.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(
        prog="linkage",
        description=(
            "Find the one operator behind many accounts, and show the evidence for every link."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"linkage {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, module, summary in COMMANDS:
        sub = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == command:
            importlib.import_module(module).add_arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``linkage``; the process's own by default.

    Returns
    -------
    int
        0 when done, 2 when an input, a setting or a path cannot be used, 130 when interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = _find_command(words)
    parser = build_parser(command)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    module = {name: module for name, module, _ in COMMANDS}[args.command]
    try:
        return int(importlib.import_module(module).run(args))
    except LinkageError as error:
        print(f"linkage: {error}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print("linkage: interrupted; a case folder is written whole or not at all", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
