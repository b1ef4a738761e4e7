"""``linkage explain``: print why accounts were linked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from linkage.errors import InputError

__all__ = ["add_arguments", "run"]

DESCRIPTION = """\
Print why a cluster is one, why an account is in it, or what ties two accounts.
"""

EPILOG = """\
examples:
  linkage explain CASE                 what was found at all
  linkage explain CASE 1               cluster 1: what ties it, what was tested
  linkage explain CASE acc_1           account acc_1: the bits of each of its identifiers
  linkage explain CASE acc_1 acc_2     what the two share

A number is read as a cluster; write --account before ids that are numbers.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Changed in place.
    """
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("case", metavar="CASE", type=Path, help="folder that linkage run wrote")
    parser.add_argument("ids", metavar="ID", nargs="*", help="a cluster, an account, or two")
    parser.add_argument("--account", action="store_true", help="ids are accounts, numbers too")


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
        If the case cannot be read, or has no such cluster or account.
    """
    from linkage.case import read_case

    if len(args.ids) > 2:
        raise InputError(f"explain takes a cluster, an account, or two accounts; got {args.ids}")
    result = read_case(args.case)
    if not args.ids:
        print(repr(result))
    elif len(args.ids) == 2:
        print(repr(result.explain(args.ids[0], args.ids[1])))
    else:
        print(repr(result.explain(_read_id(args.ids[0], as_account=args.account))))
    return 0


def _read_id(text: str, *, as_account: bool) -> Any:
    return text if as_account or not text.isdecimal() else int(text)
