"""``linkage recalibrate``: correct a case's confidence by what an analyst has found out."""

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]

DESCRIPTION = """\
Correct the confidence of a case's clusters by what an analyst has found out about some accounts.

The labels are a table with account_id and is_operator (true or false): whether the account turned
out to be one of many that somebody runs. Clusters and members stay; confidence and risk change, and
the case is written to another folder.
"""

EPILOG = """\
examples:
  linkage recalibrate CASE --labels reviewed.csv --out CASE-2
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
    parser.add_argument(
        "--labels",
        required=True,
        type=Path,
        metavar="L",
        help="reviewed accounts, .parquet or .csv",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="CASE", help="folder to write the new case to"
    )


def run(args: argparse.Namespace) -> int:
    """Recalibrate and write.

    Parameters
    ----------
    args : argparse.Namespace
        As add_arguments declares.

    Returns
    -------
    int
        0.

    Raises
    ------
    LinkageError
        Where the case or the labels cannot be used.
    """
    from linkage.case import check_place, read_case, write_case
    from linkage.datafiles import read_texts

    check_place(args.out)
    result = read_case(args.case)
    corrected = result.recalibrate(read_texts(args.labels, "table of labels"))
    write_case(corrected, args.out)
    n = corrected.manifest["recalibrated"]["clusters"]
    print(f"confidence recalibrated by {n} reviewed cluster{'s' * (n != 1)}: {args.out}")
    return 0
