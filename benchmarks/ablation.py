"""What each step and each family of evidence is worth: linkage without it, on the same worlds.

    python -m benchmarks.ablation --evasion 1 3 5 --quiet --real

Whatever the configuration can switch off is switched off, one thing at a time: every setting of the
method that is on by default, and the settings of `NEUTRAL` at a value at which they do nothing.
Then the observations of one family at a time are taken out of the input.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from benchmarks.worlds import World, list_real_worlds, simulate_world
from linkage.config import Config, MethodConfig
from linkage.evaluate import evaluate
from linkage.schema import INPUTS
from linkage.simulate import World as SimulatedWorld
from linkage.simulate import load_preset

RESULTS: Final = Path(__file__).parent / "results" / "ablation.md"
WHOLE: Final = "everything"

# Steps that a number or a list stands for: the value at which each does nothing, and what it does.
NEUTRAL: Final[dict[str, tuple[Any, str]]] = {
    "strata": ((), "the null holds an account's country fixed"),
    "rounds": (1, "attribution and merging again, until nothing changes"),
    "dependent_families": ((), "families of which one brings the other never count as two"),
    "common_causes": ((), "what users of one program have in common anyway is taken off"),
    "shared_families": ((), "what a vendor sells to several operators never merges clusters"),
    "evading": (1e-6, "an operator's accounts may look like strangers in a family"),
    "min_bits": (0.0, "weak support does not count as support"),
    "min_probability": (1e-6, "members who are not sure enough are left out"),
}
SCORES: Final = {
    "operator_f1_size_10_up": "F1, 10 up",
    "operator_f1_weighted": "F1, weighted",
    "operator_f1_size_3_9": "F1, 3 to 9",
    "operator_pair_f1": "pair F1",
    "operator_bcubed_f1": "B-cubed F1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing that is taken away, or nothing."""

    name: str
    what: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the method
    kinds: frozenset[str] = frozenset()  # whose observations are left out


def list_steps(method: MethodConfig | None = None) -> list[Removal]:
    """List the steps that the method's settings can switch off.

    Parameters
    ----------
    method : MethodConfig, optional
        The defaults, unless others are given.

    Returns
    -------
    list of Removal
        One for each setting that is true, and for each of `NEUTRAL` that the method has.

    Examples
    --------
    >>> [step.settings for step in list_steps() if step.name == "strata"]
    [{'strata': ()}]
    """
    method = method or MethodConfig()
    steps = []
    for setting in fields(method):
        value = getattr(method, setting.name)
        if value is True:
            steps.append(Removal(name=setting.name, settings={setting.name: False}))
        elif setting.name in NEUTRAL and NEUTRAL[setting.name][0] != value:
            neutral, what = NEUTRAL[setting.name]
            steps.append(Removal(name=setting.name, what=what, settings={setting.name: neutral}))
    return steps


def list_families(tables: Mapping[str, pd.DataFrame], config: Config) -> list[Removal]:
    """List the families of evidence that a world's tables hold.

    Parameters
    ----------
    tables : mapping of pandas.DataFrame
        Input tables by name.
    config : Config
        Which kind is of which family.

    Returns
    -------
    list of Removal
        Sorted by family; none where there is one family only.
    """
    families: dict[str, set[str]] = {}
    for kind in _list_kinds(tables):
        families.setdefault(config.get_kind(kind).family, set()).add(kind)
    if len(families) == 1:
        return []
    return [
        Removal(name=f"family {name}", what=", ".join(sorted(kinds)), kinds=frozenset(kinds))
        for name, kinds in sorted(families.items())
    ]


def _list_kinds(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    for name, frame in tables.items():
        for column in INPUTS[name].columns:
            if column.name in frame and (kind := _get_kind(column.name, column.kind)):
                yield kind
        if name == "observations":
            yield from frame["kind"].unique().tolist()


def _get_kind(column: str, kind: str | None) -> str | None:
    return "prompt" if column == "prompt" else kind


def drop_kinds(
    tables: Mapping[str, pd.DataFrame], kinds: frozenset[str]
) -> dict[str, pd.DataFrame]:
    """Leave out the observations of some kinds; accounts stay.

    Parameters
    ----------
    tables : mapping of pandas.DataFrame
        Input tables by name.
    kinds : frozenset of str
        What is derived from a column, such as a mail address's domain, goes with the column.

    Returns
    -------
    dict of pandas.DataFrame

    Examples
    --------
    >>> events = pd.DataFrame({"account_id": ["a"], "ip": ["192.0.2.1"], "device_id": ["d"]})
    >>> list(drop_kinds({"events": events}, frozenset({"ip"}))["events"])
    ['account_id', 'device_id']
    """
    left = {}
    for name, frame in tables.items():
        gone = [
            column.name
            for column in INPUTS[name].columns
            if column.name in frame and _get_kind(column.name, column.kind) in kinds
        ]
        rows = frame.drop(columns=gone)
        if name == "observations":
            rows = rows[~rows["kind"].isin(kinds)]
        left[name] = rows
    return left


def run(world: World, removal: Removal) -> dict[str, Any]:
    """Link a world without something, and score what comes out.

    Parameters
    ----------
    world : World
    removal : Removal

    Returns
    -------
    dict
        world, name, what, one value a score (None where the world has no such operators),
        n_strangers, n_accused (innocents in the tier ``operator``), n_innocents.
    """
    config = Config(method=replace(MethodConfig(), **removal.settings))
    left = replace(world, tables=drop_kinds(world.tables, removal.kinds))
    result = left.link(config)
    found = evaluate(result.clusters, result.members, world.truth, n_bootstrap=0)
    row: dict[str, Any] = {"world": world.name, "name": removal.name, "what": removal.what}
    row |= {name: found[name].value for name in SCORES}
    row |= {
        "n_strangers": found.counts.n_strangers,
        "n_accused": found.counts.n_innocents_in_operator_tier,
        "n_innocents": found.counts.n_innocents,
    }
    print(row, file=sys.stderr, flush=True)
    return row


def make_world(evasion: int | None, accounts: int) -> SimulatedWorld:
    """Describe a world with the operators of the preset `small` among fewer innocents.

    Parameters
    ----------
    evasion : int or None
        Level of all operators, 0..5; None for a world without an operator.
    accounts : int
        Innocents.

    Returns
    -------
    linkage.simulate.World
    """
    base = load_preset("small" if evasion is not None else "quiet")
    events = round(base.innocents.events / base.innocents.accounts * accounts)
    fewer = replace(base, innocents=replace(base.innocents, accounts=accounts, events=events))
    return fewer if evasion is None else fewer.at_evasion(evasion)


def _list_worlds(args: argparse.Namespace) -> Iterator[World]:
    wanted = [("evasion " + str(level), level) for level in args.evasion]
    wanted += [("quiet", None)] if args.quiet else []
    for name, level in wanted:
        for seed in range(args.seeds):
            with tempfile.TemporaryDirectory() as folder:
                yield simulate_world(
                    make_world(level, args.accounts),
                    name=name,
                    seed=seed,
                    evasion=None,
                    folder=Path(folder),
                )
    if args.real:
        yield from list_real_worlds()


def write_report(rows: pd.DataFrame, words: str, missing: Iterable[str] = ()) -> str:
    """Write the tables as Markdown: what every removal changes, and every world's figures.

    Parameters
    ----------
    rows : pandas.DataFrame
        As `run` returns them.
    words : str
        The arguments that made them.
    missing : iterable of str
        Worlds that could not be used, and why.

    Returns
    -------
    str
    """
    figures = [*SCORES, "n_strangers", "n_accused"]
    keys = ["world", "name", "what", "n_innocents"]
    mean = rows.groupby(keys, sort=False)[figures].mean().reset_index()
    whole = mean[mean["name"] == WHOLE].set_index("world")
    change = mean[mean["name"] != WHOLE].copy()
    change[figures] = change[figures].to_numpy() - whole.loc[change["world"], figures].to_numpy()
    by_removal = change.groupby(["name", "what"], sort=False)
    total = by_removal[list(SCORES)].mean()
    total[["n_strangers", "n_accused"]] = by_removal[["n_strangers", "n_accused"]].sum()
    total["n_worlds"] = by_removal.size()
    total = total.sort_values("operator_pair_f1").reset_index()
    header = [*SCORES.values(), "strangers", "accused"]
    lines = [
        "# Ablation",
        "",
        "Made by",
        "",
        f"    python -m benchmarks.ablation {words}".rstrip(),
        "",
        "linkage with its defaults, and with one thing taken away at a time. *Strangers* are "
        "innocents in a cluster of three or more that is not theirs, *accused* innocents in the "
        "tier `operator`.",
        "",
        "## What is lost without it",
        "",
        "Mean change over the worlds in which it could be removed (strangers and accused: sum). "
        "Below zero, it pays; above zero for strangers, it protects.",
        "",
        *_table(
            ["without", *header, "worlds", "what it is"],
            [
                [
                    row["name"],
                    *(_format(row[name], "+.3f") for name in SCORES),
                    *(f"{row[name]:+.1f}" for name in ("n_strangers", "n_accused")),
                    str(row["n_worlds"]),
                    row["what"],
                ]
                for row in total.to_dict("records")
            ],
        ),
        "",
    ]
    for world, group in mean.groupby("world", sort=False):
        shown = [
            [
                row["name"],
                *(_format(row[name], ".3f") for name in SCORES),
                *(f"{row[name]:.1f}" for name in ("n_strangers", "n_accused")),
            ]
            for row in group.to_dict("records")
        ]
        n_innocents = group["n_innocents"].iloc[0]
        lines += [f"## {world}, {n_innocents:,.0f} innocents", ""]
        lines += [*_table(["without", *header], shown), ""]
    lines += [f"- {line}" for line in missing]
    return "\n".join(lines).rstrip() + "\n"


def _format(value: float | None, form: str) -> str:
    return "" if value is None or pd.isna(value) else format(value, form)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def main(argv: list[str] | None = None) -> int:
    """Measure every removal on every world, print the tables and write them to the results."""
    args = _parse(argv)
    rows: list[dict[str, Any]] = []
    missing = []
    with ProcessPoolExecutor(max_workers=args.jobs) as pool:
        for world in _list_worlds(args):
            if world.missing is not None:
                missing.append(f"{world.name}: skipped, {world.missing}")
                continue
            removals = [Removal(name=WHOLE), *list_steps(), *list_families(world.tables, Config())]
            waiting = [pool.submit(run, world, removal) for removal in removals]
            rows += [done.result() for done in waiting]
    text = write_report(
        pd.DataFrame(rows), shlex.join(sys.argv[1:] if argv is None else argv), missing
    )
    print(text)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text, encoding="utf-8")
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--evasion", nargs="*", type=int, default=[], metavar="0..5")
    parser.add_argument("--quiet", action="store_true", help="a world without an operator")
    parser.add_argument("--real", action="store_true", help="the real sets under LINKAGE_DATA")
    parser.add_argument("--accounts", type=int, default=6_000, help="innocents (default: 6000)")
    parser.add_argument("--seeds", type=int, default=1, help="worlds a level (default: 1)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default: 2)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
