"""The evasion frontier: what each behaviour of an operator costs linkage, as it is turned up.

    python -m benchmarks.frontier --behaviours vendor paraphrase_words --steps 5

One behaviour at a time goes from 0 to 1 while everything else stays as an operator of the base
level does it. Recall and precision are B-cubed, over the operators' accounts.
"""

import argparse
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.baselines import BASELINES
from benchmarks.worlds import World, simulate_world
from linkage.errors import ConfigError
from linkage.evaluate import Evaluation, evaluate
from linkage.simulate import World as SimulatedWorld

HERE: Final = Path(__file__).parent
SCORES: Final = {"recall": "operator_bcubed_recall", "precision": "operator_bcubed_precision"}

# What an intensity from 0 to 1 means for each behaviour, in the simulator's own settings.
BEHAVIOURS: Final[dict[str, Callable[[float], dict[str, Any]]]] = {
    "residential": lambda x: {"residential": x, "datacentre": 1 - x, "vendor": 0.0},
    "vendor": lambda x: {"residential": 1 - x, "datacentre": 0.0, "vendor": x},
    "rotation": lambda x: {"rotation": x},
    "cards": lambda x: {"accounts_per_card": 8 ** (1 - x), "virtual_cards": x},
    "unique_devices": lambda x: {"device_reuse": 1 - x, "client_diversity": x},
    "dilution": lambda x: {"templates": 2 + round(38 * x), "templates_per_account": 3},
    "slots": lambda x: {"slots": x},
    "paraphrase_words": lambda x: {"paraphrase_words": x},
    "paraphrase_sentences": lambda x: {"paraphrase_sentences": x},
    "cover": lambda x: {"cover": 0.95 * x},
    "aged": lambda x: {"aged": x},
    "stagger": lambda x: {"stagger": x, "synchrony": 0.5 * (1 - x)},
    "cells": lambda x: {"cells": 1 + round(9 * x)},
    "bans": lambda x: {"bans": 2 * x},
    "load_balancing": lambda x: {"load_balancing": x},
    "sharding": lambda x: {"sharding": x},
    "pivot": lambda x: {"pivot": x},
    "farming": lambda x: {"farming": x},
    "framing": lambda x: {"framing": x},
    "flooding": lambda x: {"flooding": x},
    "mail": lambda x: {"own_domain": 0.8 * (1 - x), "mail_pattern": 0.9 * (1 - x)},
}
ALL_AT_ONCE: Final = "level"  # the simulator's evasion levels 0 to 5


def make_world(behaviour: str, intensity: float, *, level: int, accounts: int) -> SimulatedWorld:
    """Describe a small world whose operators do one thing at an intensity.

    Parameters
    ----------
    behaviour : str
        A name of `BEHAVIOURS`, or "level".
    intensity : float
        0..1.
    level : int
        Evasion level of everything else, 0..5.
    accounts : int
        Innocent accounts.

    Returns
    -------
    linkage.simulate.World

    Examples
    --------
    >>> make_world("cells", 1.0, level=2, accounts=100).operators[0].behaviour
    {'cells': 10}
    """
    if behaviour == ALL_AT_ONCE:
        changes, level = {}, round(5 * intensity)
    elif behaviour in BEHAVIOURS:
        changes = BEHAVIOURS[behaviour](intensity)
    else:
        known = ", ".join([*BEHAVIOURS, ALL_AT_ONCE])
        raise ConfigError(f"no behaviour is called {behaviour!r}; there are {known}")
    sizes = {120: 1, 40: 2, 15: 3, 5: 4}
    return SimulatedWorld.from_dict(
        {
            "days": 21,
            "evasion": level,
            "innocents": {"accounts": accounts, "events": 10 * accounts},
            "lookalikes": {"campuses": {"size": [70, 160]}, "offices": {"size": [4, 30]}},
            "operators": [
                {"accounts": size, "count": n, "events_per_day": 4.0, "behaviour": changes}
                for size, n in sizes.items()
            ],
        }
    )


def measure(
    behaviours: Iterable[str],
    intensities: Iterable[float],
    run: Callable[[World], Evaluation],
    *,
    level: int,
    accounts: int,
    seeds: Iterable[int],
) -> pd.DataFrame:
    """Simulate every behaviour at every intensity, and evaluate what a method makes of it.

    Parameters
    ----------
    behaviours : iterable of str
    intensities : iterable of float
        0..1.
    run : callable
        Takes a world, returns an evaluation.
    level : int
        Evasion level of everything else, 0..5.
    accounts : int
        Innocent accounts of each world.
    seeds : iterable of int
        One world each.

    Returns
    -------
    pandas.DataFrame
        behaviour, intensity, seed, recall, precision (0..1), n_strangers.
    """
    intensities, seeds = list(intensities), list(seeds)
    rows = []
    for behaviour in behaviours:
        for intensity in intensities:
            description = make_world(behaviour, intensity, level=level, accounts=accounts)
            for seed in seeds:
                with tempfile.TemporaryDirectory() as folder:
                    world = simulate_world(
                        description, name=behaviour, seed=seed, evasion=None, folder=Path(folder)
                    )
                    result = run(world)
                row = {"behaviour": behaviour, "intensity": intensity, "seed": seed}
                row |= {name: result[score].value for name, score in SCORES.items()}
                rows.append(row | {"n_strangers": result.counts.n_strangers})
                print(row, file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def choose_method(name: str, settings: Mapping[str, Any]) -> Callable[[World], Evaluation]:
    """Return what runs a method on a world and evaluates it.

    Parameters
    ----------
    name : str
        "linkage" or a baseline's name.
    settings : mapping
        Of the baseline; its first ones by default.

    Returns
    -------
    callable
    """
    if name == "linkage":
        return _run_linkage
    found = next((baseline for baseline in BASELINES if baseline.name == name), None)
    if found is None:
        known = ", ".join(["linkage", *(baseline.name for baseline in BASELINES)])
        raise ConfigError(f"no method is called {name!r}; there are {known}")
    chosen = dict(settings or found.grid[0])

    def run(world: World) -> Evaluation:
        members = found.run(world.observations, **chosen)
        return evaluate(None, members, world.truth, n_bootstrap=0)

    return run


def _run_linkage(world: World) -> Evaluation:
    result = world.link()
    return evaluate(result.clusters, result.members, world.truth, n_bootstrap=0)


def draw(table: pd.DataFrame, path: Path, title: str) -> None:
    """Draw recall and precision against intensity, one small plot a behaviour.

    Parameters
    ----------
    table : pandas.DataFrame
        As measure returns.
    path : Path
        Of the picture; its folder is made.
    title : str
    """
    # Imported only here: matplotlib comes with the extra `bench`.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    behaviours = list(table["behaviour"].unique())
    n_columns = min(4, len(behaviours))
    n_rows = -(-len(behaviours) // n_columns)
    figure = Figure(figsize=(3.2 * n_columns, 2.5 * n_rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    styles = {"recall": ("#0072b2", "o", "-"), "precision": ("#d55e00", "s", "--")}
    for axis, behaviour in zip(axes.flat, behaviours, strict=False):
        rows = table[table["behaviour"] == behaviour]
        for name, (colour, marker, line) in styles.items():
            by_intensity = rows.groupby("intensity")[name]
            middle = by_intensity.mean()
            axis.plot(middle.index, middle, color=colour, marker=marker, linestyle=line, label=name)
            axis.fill_between(
                middle.index, by_intensity.min(), by_intensity.max(), color=colour, alpha=0.15
            )
        axis.set_title(behaviour.replace("_", " "), fontsize=10)
        axis.set_ylim(-0.03, 1.03)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(behaviours) :]:
        axis.set_visible(False)
    figure.supxlabel("intensity")
    figure.supylabel("B-cubed, operators' accounts")
    figure.suptitle(textwrap.fill(title, 26 * n_columns), fontsize=10)
    axes[0, 0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def main(argv: list[str] | None = None) -> int:
    """Measure the frontier, draw it, and write the figures beside the picture."""
    args = _parse(argv)
    words = shlex.join(sys.argv[1:] if argv is None else argv)
    table = measure(
        args.behaviours,
        np.linspace(0, 1, args.steps).round(4).tolist(),
        choose_method(args.method, _read_settings(args.settings)),
        level=args.level,
        accounts=args.accounts,
        seeds=range(args.seeds),
    )
    draw(table, args.figure, f"{args.method}: python -m benchmarks.frontier {words}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out, index=False, float_format="%.4f")
    means = table.groupby(["behaviour", "intensity"], sort=False).mean().drop(columns="seed")
    print(means.round(3).to_string())
    return 0


def _read_settings(words: Iterable[str]) -> dict[str, Any]:
    """Read name=value words; numbers become numbers."""
    settings: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            settings[name] = int(value) if value.isdigit() else float(value)
        except ValueError:
            settings[name] = value
    return settings


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.frontier",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*BEHAVIOURS, ALL_AT_ONCE]
    parser.add_argument("--behaviours", nargs="+", default=names, choices=names, metavar="NAME")
    parser.add_argument("--steps", type=int, default=5, help="intensities (default: %(default)s)")
    parser.add_argument("--level", type=int, default=2, help="evasion of the rest (default: 2)")
    parser.add_argument("--accounts", type=int, default=2_000, help="innocents (default: 2000)")
    parser.add_argument("--seeds", type=int, default=1, help="worlds a point (default: 1)")
    parser.add_argument("--method", default="linkage", help="linkage (default) or a baseline")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--figure", type=Path, default=HERE / "figures" / "frontier.png")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "frontier.csv")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
