"""``linkage evaluate``: compare a case with the truth."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__ = ["add_arguments", "run"]

DESCRIPTION = """\
Compare the clusters of a case with known operators.

The truth is a table with account_id and operator_id (empty for innocents), and, where known, role
and group_id: the household, office or campus that an innocent account belongs to. Accounts without
a row in it are unlabelled: they are left out of every figure, and counted.
"""

EPILOG = """\
what to look at first:
  operator_f1                how well each operator is met by one cluster, mean over operators
  operator_pair_precision    of two accounts linked with an operator's, how often rightly
  stranger_rate              innocents put where they do not belong
  false discoveries          whether a q-value of 0.05 means 5 % wrong

examples:
  linkage evaluate CASE --truth truth.parquet
  linkage evaluate CASE --truth truth.csv --json | jq '.scores.operator_f1'
  linkage evaluate CASE --truth truth.csv --json --detail > evaluation.json
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
        "--truth", required=True, type=Path, metavar="T", help="true operators, .parquet or .csv"
    )
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument(
        "--detail", action="store_true", help="add every operator and every cluster to the JSON"
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=200,
        metavar="N",
        help="samples behind the intervals, 0 for no intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of these samples (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Compare and print.

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
        Where the case or the truth cannot be used.
    """
    from linkage.case import read_table
    from linkage.evaluate import evaluate, read_truth

    clusters = read_table(args.case, "clusters")
    members = read_table(args.case, "members")
    evaluation = evaluate(
        clusters, members, read_truth(args.truth), n_bootstrap=args.bootstrap, seed=args.seed
    )
    if args.json:
        print(json.dumps(evaluation.to_dict(detail=args.detail), indent=2, allow_nan=False))
        return 0
    from linkage.evaluate.text import print_evaluation

    print_evaluation(evaluation)
    return 0
