"""``linkage export``: write a case's graph for Gephi and others, or what to act on."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from linkage.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from linkage.export import Written
    from linkage.result import Result

__all__ = ["add_arguments", "run"]

DESCRIPTION = """\
Write a case's accounts and identifiers as nodes and its observations as edges.

Nodes come with a colour by cluster (grey without one), a size, and a position; edges with their
bits of evidence as weight. gexf (for Gephi) also has first and last seen as a timeline; graphml is
read by igraph, networkx, Cytoscape and yEd; csv writes FILE_nodes.csv and FILE_edges.csv.

blocklist (CSV, or JSON by FILE's ending), stix (2.1) and misp write what others can act on instead:
the accounts of tier operator (or of the clusters named), and identifiers that hardly anybody else
holds. Payment data stays out unless asked for.
"""

EPILOG = """\
examples:
  linkage export CASE --out case.gexf                        all clusters, for Gephi
  linkage export CASE --cluster 1 --cluster 7 --out two.gexf only these clusters
  linkage export CASE --format graphml --out case.graphml
  linkage export CASE --out case.csv --identifiers-min-accounts 1
  linkage export CASE --backbone 5 --out thin.gexf           each account's 5 strongest edges
  linkage export CASE --format blocklist --out block.csv
  linkage export CASE --format stix --tlp amber --cluster 1 --out cluster1.json

in Gephi: File > Open, keep "Undirected". It opens coloured and laid out; docs/gephi.md has recipes.
"""

GRAPHS: Final = ("gexf", "graphml", "csv")
LISTS: Final = ("blocklist", "stix", "misp")
FORMATS: Final = (*GRAPHS, *LISTS)


def _count(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _share(text: str) -> float:
    """Read a share from 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


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
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="file to write",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="what to write; by default what FILE's ending says"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--cluster",
        type=int,
        action="append",
        metavar="ID",
        help="write this cluster only; may be given several times (default: all clusters)",
    )
    which.add_argument(
        "--everything",
        action="store_true",
        help="write the accounts that are in no cluster as well",
    )
    parser.add_argument(
        "--identifiers-min-accounts",
        type=_count,
        default=2,
        metavar="N",
        help="leave out identifiers that fewer of the written accounts hold (default: 2)",
    )
    parser.add_argument(
        "--backbone",
        type=_count,
        metavar="N",
        help="keep each account's N strongest edges only: a readable part of a large graph",
    )
    parser.add_argument(
        "--no-timeline",
        action="store_true",
        help="gexf: write first and last seen as texts, for networkx",
    )
    lists = parser.add_argument_group("blocklist, stix, misp")
    lists.add_argument(
        "--max-outside",
        type=_share,
        default=0.1,
        metavar="SHARE",
        help="largest share of an identifier's holders outside the cluster (default: 0.1)",
    )
    lists.add_argument(
        "--min-probability",
        type=_share,
        default=0.9,
        metavar="P",
        help="accounts of a lower membership are left out (default: 0.9)",
    )
    lists.add_argument("--payment-data", action="store_true", help="write payment data as well")
    lists.add_argument(
        "--tlp",
        choices=("white", "green", "amber", "red"),
        default="amber",
        help="stix, misp: with whom it may be shared (default: amber)",
    )


def _find_format(out: Path, asked: str | None) -> str:
    ending = out.suffix.lower().removeprefix(".")
    if asked is None and ending not in GRAPHS:
        raise InputError(
            f"cannot tell the format of {out}: end its name in .gexf, .graphml or .csv, "
            "or give --format (blocklist, stix and misp are never guessed)"
        )
    return asked or ending


def drop_rare_identifiers(
    nodes: "pd.DataFrame", edges: "pd.DataFrame", min_accounts: int
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Leave out identifiers that few of the graph's accounts hold, with their edges.

    Parameters
    ----------
    nodes, edges : DataFrame
        The graph's tables.
    min_accounts : int
        Fewest accounts, 1 or more, counted in `edges`.

    Returns
    -------
    nodes, edges : DataFrame
        Accounts stay, also those that lose every edge.

    Examples
    --------
    >>> import pandas as pd
    >>> nodes = pd.DataFrame({"id": ["a", "b", "i", "j"],
    ...                       "type": ["account", "account", "identifier", "identifier"]})
    >>> edges = pd.DataFrame({"source": ["a", "b", "a"], "target": ["i", "i", "j"]})
    >>> [frame.shape[0] for frame in drop_rare_identifiers(nodes, edges, 2)]
    [3, 2]
    """
    is_account = nodes["type"].eq("account")
    accounts = nodes.loc[is_account, "id"]
    flip = edges["target"].isin(accounts)
    account = edges["source"].where(~flip, edges["target"])
    identifier = edges["target"].where(~flip, edges["source"])
    holders = account.groupby(identifier).nunique()
    keep = nodes["id"].isin(holders.index[holders >= min_accounts])
    kept = nodes[is_account | keep]
    return kept, edges[edges["source"].isin(kept["id"]) & edges["target"].isin(kept["id"])]


def _choose(result: "Result", asked: list[int] | None) -> list[int]:
    """Return the clusters to write: those asked for, else all."""
    return asked or [int(cluster) for cluster in result.clusters["cluster_id"]]


def _print_result(written: "Written", n_left_out: int) -> None:
    names = " and ".join(str(path) for path in written.paths)
    print(f"wrote {names}: {written.n_nodes:,} nodes, {written.n_edges:,} edges")
    if n_left_out:
        print(f"left out {n_left_out:,} identifiers that too few of these accounts hold")
    for reason, rows in written.changes.groupby("reason"):
        where = ", ".join(sorted({f"{row.table}.{row.column}" for row in rows.itertuples()}))
        print(f"{reason} in {len(rows):,} texts of {where}")


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
        The case cannot be read, a cluster is not in it, or the file cannot be written.
    """
    file_format = _find_format(args.out, args.format)
    from linkage import export
    from linkage.case import read_case

    result = read_case(args.case)
    if file_format in LISTS:
        return _write_list(result, file_format, args)
    nodes, edges = result.graph_tables(None if args.everything else _choose(result, args.cluster))
    kept, kept_edges = drop_rare_identifiers(nodes, edges, args.identifiers_min_accounts)
    if args.backbone:
        kept, kept_edges = export.keep_strongest(kept, kept_edges, args.backbone)
    writers: dict[str, Callable[..., Written]] = {
        "gexf": partial(export.write_gexf, timeline=not args.no_timeline),
        "graphml": export.write_graphml,
        "csv": export.write_csv,
    }
    written = writers[file_format](export.add_viz(kept, kept_edges), kept_edges, args.out)
    _print_result(written, len(nodes) - len(kept))
    return 0


def _write_list(result: "Result", file_format: str, args: argparse.Namespace) -> int:
    """Write what others can act on, and say what was left out."""
    from linkage import export

    indicators, left_out = export.list_indicators(
        result.clusters,
        result.members,
        result.evidence,
        args.cluster,
        max_outside=args.max_outside,
        min_probability=args.min_probability,
        payment=args.payment_data,
    )
    if file_format == "blocklist":
        export.write_blocklist(indicators, args.out)
    elif file_format == "stix":
        export.write_stix(result.clusters, indicators, args.out, tlp=args.tlp)
    else:
        export.write_misp(result.clusters, indicators, args.out, tlp=args.tlp)
    n_accounts = int((indicators["type"] == "account").sum())
    print(
        f"wrote {args.out}: {n_accounts:,} accounts, {len(indicators) - n_accounts:,} identifiers "
        f"of {indicators['cluster_id'].nunique():,} clusters"
    )
    for reason, count in zip(left_out["reason"], left_out["n"], strict=True):
        print(f"left out {count:,}: {reason}")
    return 0
