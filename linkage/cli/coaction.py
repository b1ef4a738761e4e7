"""``linkage coaction``: who acts on the same objects within a time window."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from linkage.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from linkage.coaction import Coaction, CoactionWeights

__all__ = ["add_arguments", "run"]

FDR: Final = 0.01  # of the pairs that are printed

DESCRIPTION: Final = """\
Find accounts that act on the same objects (posts, links, prompts, addresses) within a time window,
and the network of those who do it again and again. The definitions and the names of the columns
are those of the R package CooRTweet.
"""

EPILOG: Final = """\
what is written to DIR:
  pairs.parquet       two acts on one object within the window, the older first
  edges.parquet       two accounts: how often, on how many objects, how far apart on average;
                      weight_threshold is 1 where they did so more often than --edge-weight says
  components.parquet  account_id, component: who hangs together over such edges, the largest first
with --weigh also
  weights.parquet     two accounts: how often they met within an hour, how often within seconds,
                      how often they would have by chance, q_value, bits
  left_out.parquet    objects too crowded to be weighed

examples:
  linkage coaction shares.parquet --out network --window 60
  linkage coaction retweets.csv --out network --account user --object retweet_of --ts posted_at
  linkage coaction observations.parquet --out network --kinds url hashtag --min-participation 5
  linkage coaction shares.parquet --out network --weigh

Acting at the same time is no proof of one operator: news spreads within seconds as well, and
--weigh says which pairs chance does not explain.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fill in the command's arguments."""
    parser.description = DESCRIPTION
    parser.epilog = EPILOG
    parser.add_argument("file", help="Parquet, CSV or JSON Lines: a file, a folder or a glob")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the tables")
    parser.add_argument(
        "--window", type=float, default=10.0, metavar="SECONDS", help="default: %(default)g"
    )
    parser.add_argument(
        "--min-participation",
        type=int,
        default=2,
        metavar="N",
        help="acts that an account needs to take part (default: %(default)s)",
    )
    parser.add_argument(
        "--edge-weight",
        type=float,
        default=0.5,
        metavar="QUANTILE",
        help="of all weights, above which an edge counts for components (default: %(default)s)",
    )
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="kinds to use (default: all)")
    parser.add_argument(
        "--weigh", action="store_true", help="say how surprising every pair's timing is"
    )
    for name, column, what in (
        ("account", "account_id", "account"),
        ("kind", "kind", "object's kind; without one, all objects are of one kind"),
        ("object", "value", "object"),
        ("ts", "ts", "time"),
        ("content", "content_id", "post or request that carries the act, where there is one"),
    ):
        parser.add_argument(
            f"--{name}", default=column, metavar="COLUMN", help=f"{what} (default: %(default)s)"
        )


def run(args: argparse.Namespace) -> int:
    """Find the network, write its tables, print the strongest edges.

    Returns
    -------
    int
        0.
    """
    from linkage.coaction import find_coaction, weigh_coaction, write_coaction

    acts = _read(args)
    found = find_coaction(
        acts,
        window_s=args.window,
        min_participation=args.min_participation,
        edge_weight=args.edge_weight,
    )
    weights = weigh_coaction(acts) if args.weigh else None
    write_coaction(found, Path(args.out), weights=weights)
    _print_summary(found, args.out)
    if weights is not None:
        _print_weights(weights)
    return 0


def _read(args: argparse.Namespace) -> "pd.DataFrame":
    import pyarrow as pa

    from linkage.datafiles import read_batches

    names = {"account_id": args.account, "value": args.object, "ts": args.ts}
    optional = {"kind": args.kind, "content_id": args.content}
    batches = list(read_batches(args.file, names, optional=optional, what="acts"))
    if not batches:
        raise InputError(f"{args.file} holds no rows")
    frame: pd.DataFrame = pa.Table.from_batches(batches).to_pandas()
    if "kind" not in frame:
        frame = frame.assign(kind=args.object)
    if args.kinds:
        unknown = sorted(set(args.kinds) - set(frame["kind"].dropna()))
        if unknown:
            known = ", ".join(sorted(frame["kind"].dropna().astype(str).unique())[:20])
            raise InputError(f"{args.file} has no kind {unknown[0]!r}; it has {known}")
        frame = frame[frame["kind"].isin(args.kinds)]
    return frame


def _print_summary(found: "Coaction", out: str) -> None:
    edges = found.edges[found.edges["weight_threshold"] == 1]
    n_components = int(found.components["component"].max()) if len(found.components) else 0
    print(
        f"{len(found.pairs):,} pairs of acts between {len(found.edges):,} pairs of accounts; "
        f"{len(edges):,} of these above the threshold, {n_components:,} components of "
        f"{len(found.components):,} accounts; written to {out}"
    )
    if found.n_left_out:
        print(f"  {found.n_left_out:,} rows without an account, an object or a time were left out")
    strongest = edges.sort_values(
        ["weight", "account_id", "account_id_y"], ascending=[False, True, True]
    )
    for row in strongest.head(10).to_dict("records"):
        print(
            f"{row['weight']:>8,} times on {row['n_objects']:,} objects, "
            f"{row['avg_time_delta']:.1f} s apart  {row['account_id']}  {row['account_id_y']}"
        )


def _print_weights(weights: "CoactionWeights") -> None:
    sure = weights.pairs[weights.pairs["q_value"] <= FDR]
    print(
        f"{len(weights.pairs):,} pairs of accounts met more than once; the timing of {len(sure):,} "
        f"is not explained by chance (q <= {FDR:g}); {len(weights.left_out):,} objects are too "
        "crowded to tell"
    )
    for row in sure.head(10).to_dict("records"):
        print(
            f"{row['n_near']:>8,} of {row['n_meetings']:,} meetings within {row['window_s']:g} s, "
            f"{row['expected']:.2f} by chance, {row['bits']:.0f} bits  "
            f"{row['account_id']}  {row['account_id_y']}"
        )
