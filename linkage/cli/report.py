"""``linkage report``: a page about a cluster, or about all of them, to hand on."""

from __future__ import annotations

import argparse
from pathlib import Path

from linkage.errors import InputError

__all__ = ["add_arguments", "run"]

DESCRIPTION = """\
Write a dossier: one HTML file that explains a cluster to a colleague, to a lawyer, or to those who
were banned. Without CLUSTER, an overview of all of them. The file holds everything that it shows,
runs no script and loads nothing; to get a PDF, open it in a browser and print.
"""

EPILOG = """\
examples:
  linkage report CASE --out overview.html              all clusters
  linkage report CASE 1 --out cluster1.html            cluster 1
  linkage report CASE 1 --out outside.html --redact    for outside readers: no names, no texts

What the prompts aim at (coding, agents, reasoning ...) shows where the run read prompts. Where it
read fingerprints made elsewhere, give a table of what they stand for with --prints.

Sign-ups and bans come from the accounts file that the run read, if it is still there unchanged,
or from --accounts.
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
        "cluster", metavar="CLUSTER", type=int, nargs="?", help="a cluster (default: overview)"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="page to write")
    parser.add_argument(
        "--redact",
        action="store_true",
        help="number accounts and identifiers, cut times to days, leave texts out",
    )
    parser.add_argument("--accounts", type=Path, metavar="FILE", help="accounts table, for bans")
    parser.add_argument(
        "--prints",
        type=Path,
        metavar="TABLE",
        help="template_id, skeleton, public, in place of the case's own templates",
    )
    parser.add_argument(
        "--purposes", type=Path, metavar="TOML", help="further rules for what prompts aim at"
    )


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
        If the case or a file cannot be read, there is no such cluster, or jinja2 is missing.
    """
    from linkage import desk
    from linkage.case import read_case

    if args.out.is_dir():
        raise InputError(f"{args.out} is a folder; name the file to write, such as page.html")
    result = read_case(args.case)
    settings = desk.DossierSettings(
        redact=args.redact,
        purposes=desk.load_purposes(args.purposes) if args.purposes else None,
    )
    if args.cluster is None:
        page = desk.render_overview(result, settings=settings)
    else:
        background = desk.find_background(result.manifest, args.accounts, args.prints)
        page = desk.render_dossier(result, args.cluster, background=background, settings=settings)
    path = desk.write_page(page, args.out)
    print(f"wrote {path}: {len(page.encode()) / 1e6:.1f} MB; open it in a browser")
    return 0
