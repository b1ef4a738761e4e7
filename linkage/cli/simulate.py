"""``linkage simulate``: make a world of accounts whose truth is known."""

import argparse
from pathlib import Path
from typing import Final

__all__ = ["add_arguments", "run"]

PRESETS: Final = ("demo", "medium", "quiet", "seed", "small")

DESCRIPTION: Final = """\
Write events, payments, accounts and truth of a made-up world as Parquet: innocent customers, some
of whom look linked (households, offices, campuses, mobile gateways, public tools ...), and
operators who hide at a level of evasion from 0 (careless) to 5.
"""

EPILOG: Final = """\
presets:
  demo     3,000 accounts, 8 operators, 30 days; with prompt texts about 4 MB
  small    20,000 accounts, 430,000 events, 18 operators of 3 to 800 accounts
  medium   100,000 accounts, 2 million events, 66 operators
  seed     1,025,000 accounts, 48.8 million events, one operator with 25,000 accounts
  quiet    20,000 innocents and no operator: whatever is found here is a false alarm

examples:
  linkage simulate --preset small --out WORLD
  linkage simulate --preset small --evasion 5 --seed 7 --out HARD
  linkage simulate --config world.toml --prompts fingerprints --out MINE

a world.toml says what differs from an ordinary world:
  days = 30
  [innocents]
  accounts = 5_000
  events = 80_000
  [lookalikes.vpns]
  share = 0.2
  [[operators]]
  accounts = 120
  evasion = 4
  behaviour = { framing = 0.2 }
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's words.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=PRESETS, default="demo", help="a world that is shipped")
    which.add_argument("--config", type=Path, metavar="TOML", help="a world of your own")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="same seed, same world (default 0)"
    )
    parser.add_argument(
        "--evasion",
        type=int,
        choices=range(6),
        help="level of all operators; without it, the ones that the world names",
    )
    parser.add_argument(
        "--prompts",
        choices=("text", "fingerprints"),
        default="text",
        help="what events say: the prompt, or one hash of it (default text)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a world that is in the folder"
    )


def run(args: argparse.Namespace) -> int:
    """Make the world and say what was written.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        0.
    """
    from linkage.simulate import load_world, simulate

    world = args.preset if args.config is None else load_world(args.config)
    made = simulate(
        args.out,
        world=world,
        seed=args.seed,
        evasion=args.evasion,
        prompts=args.prompts,
        overwrite=args.overwrite,
    )
    print(
        f"{made.folder}: {made.n_events:,} events and {made.n_payments:,} payments of "
        f"{made.n_accounts:,} accounts, {made.n_operators} operators"
    )
    return 0
