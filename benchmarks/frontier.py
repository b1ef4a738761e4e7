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
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.baselines import BASELINES
from benchmarks.worlds import World, simulate_world
from linkage.errors import ConfigError
from linkage.evaluate import Evaluation, evaluate
from linkage.simulate import INTENSITIES
from linkage.simulate import World as SimulatedWorld

HERE: Final = Path(__file__).parent
BLIND: Final = 0.5  # recall below which an operator's accounts are mostly missed
COSTLY: Final = 0.1  # loss of recall that is told
PRECISE: Final = 0.95  # precision below which it is told
SCORES: Final = {"recall": "operator_bcubed_recall", "precision": "operator_bcubed_precision"}

# Residential proxies at an intensity are datacentre proxies at the rest of it.
BEHAVIOURS: Final = tuple(name for name in INTENSITIES if name != "datacentre")
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
    >>> make_world("cells", 1.0, level=2, accounts=100).operators[0].resolve(2).cells
    10
    """
    if behaviour == ALL_AT_ONCE:
        turned: dict[str, float] = {}
        level = round(5 * intensity)
    elif behaviour in BEHAVIOURS:
        turned = {behaviour: intensity}
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
                {"accounts": size, "count": n, "events_per_day": 4.0, "intensity": turned}
                for size, n in sizes.items()
            ],
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How every point of the frontier is measured."""

    method: str = "linkage"  # or a baseline
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the baseline
    level: int = 2  # evasion of everything else, 0..5
    accounts: int = 2_000  # innocents of each world


def measure(
    behaviours: Iterable[str],
    intensities: Iterable[float],
    seeds: Iterable[int],
    plan: Plan,
    *,
    jobs: int = 1,
) -> pd.DataFrame:
    """Simulate every behaviour at every intensity, and evaluate what a method makes of it.

    Parameters
    ----------
    behaviours : iterable of str
    intensities : iterable of float
        0..1.
    seeds : iterable of int
        One world each.
    plan : Plan
    jobs : int, default 1
        Worlds at a time.

    Returns
    -------
    pandas.DataFrame
        behaviour, intensity, seed, recall, precision (0..1), n_strangers, n_innocents.
    """
    points = list(product(behaviours, intensities, seeds))
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        waiting = [pool.submit(measure_point, *point, plan) for point in points]
        return pd.DataFrame([done.result() for done in waiting])


def measure_point(behaviour: str, intensity: float, seed: int, plan: Plan) -> dict[str, Any]:
    """Simulate one world, and evaluate what a method makes of it.

    Parameters
    ----------
    behaviour : str
    intensity : float
    seed : int
    plan : Plan

    Returns
    -------
    dict
        A row of `measure`.
    """
    description = make_world(behaviour, intensity, level=plan.level, accounts=plan.accounts)
    with tempfile.TemporaryDirectory() as folder:
        world = simulate_world(
            description, name=behaviour, seed=seed, evasion=None, folder=Path(folder)
        )
        result = choose_method(plan.method, plan.settings)(world)
    row: dict[str, Any] = {"behaviour": behaviour, "intensity": intensity, "seed": seed}
    row |= {name: result[score].value for name, score in SCORES.items()}
    row |= {"n_strangers": result.counts.n_strangers, "n_innocents": result.counts.n_innocents}
    print(row, file=sys.stderr, flush=True)
    return row


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
        data = world.observations if found.prepare is None else found.prepare(world.observations)
        members = found.run(data, **chosen)
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


def write_report(table: pd.DataFrame, words: str) -> str:
    """Say in words and in a table what each behaviour costs.

    Parameters
    ----------
    table : pandas.DataFrame
        As measure returns.
    words : str
        The arguments that made it.

    Returns
    -------
    str
        Markdown.
    """
    mean = table.groupby(["behaviour", "intensity"], sort=False)[[*SCORES]].mean()
    costs = [_weigh(name, mean.loc[name]) for name in table["behaviour"].unique()]
    costs.sort(key=lambda cost: -cost["lost"])
    blind = [cost for cost in costs if cost["recall"] < BLIND]
    costly = [cost for cost in costs if cost["lost"] >= COSTLY and cost not in blind]
    harmless = [_name(cost) for cost in costs if cost["lost"] < COSTLY and cost not in blind]
    dragging = [cost for cost in costs if cost["precision"] < PRECISE]
    n_worlds, n_strangers = len(table), int(table["n_strangers"].sum())
    lines = [
        "# The evasion frontier",
        "",
        "Made by",
        "",
        f"    python -m benchmarks.frontier {words}".rstrip(),
        "",
        "One behaviour of all operators goes from 0 to 1, everything else stays at its base level. "
        "Recall and precision are B-cubed, over the operators' accounts, mean over the worlds of a "
        "point; two worlds of one point differ by a standard deviation of "
        f"{_measure_spread(table):.2f} in recall. docs/simulator.md says what each behaviour does.",
        "",
        "## Where it goes blind",
        "",
        *_list_costs(f"Recall falls below {BLIND:g}:", blind),
        *_list_costs(f"Recall falls by {COSTLY:g} or more:", costly),
        f"Recall falls by less than {COSTLY:g}: {', '.join(harmless) or 'nowhere'}.",
        "",
        "Others are put with operators (precision below "
        f"{PRECISE:g}): {', '.join(_name(cost) for cost in dragging) or 'nowhere'}. Over all "
        f"{n_worlds} worlds, {n_strangers} of {table['n_innocents'].sum():,} innocents were put "
        "with strangers.",
        "",
        "## Recall / precision by intensity",
        "",
        *_draw_table(mean),
        "",
    ]
    return "\n".join(lines)


def _measure_spread(table: pd.DataFrame) -> float:
    """Return the standard deviation of recall between worlds of one point, pooled; NaN for one."""
    variance = table.groupby(["behaviour", "intensity"])["recall"].var()
    return float(np.sqrt(variance.mean()))


def _weigh(behaviour: str, curve: pd.DataFrame) -> dict[str, Any]:
    """Return where a curve is lowest, and how much that is below its highest point before."""
    recall = curve["recall"].to_numpy()
    worst = int(recall.argmin())
    before = float(recall[: worst + 1].max())
    return {
        "behaviour": behaviour,
        "intensity": float(curve.index.to_numpy()[worst]),
        "recall": float(recall[worst]),
        "lost": before - float(recall[worst]),
        "before": before,
        "precision": float(curve["precision"].min()),
    }


def _name(cost: Mapping[str, Any]) -> str:
    return str(cost["behaviour"]).replace("_", " ")


def _list_costs(head: str, costs: list[dict[str, Any]]) -> list[str]:
    said = [
        f"- **{_name(cost)}**: from {cost['before']:.2f} to {cost['recall']:.2f} at intensity "
        f"{cost['intensity']:g}"
        for cost in costs
    ]
    return [head, "", *(said or ["- nowhere"]), ""]


def _draw_table(mean: pd.DataFrame) -> list[str]:
    cells = mean["recall"].map("{:.2f}".format) + " / " + mean["precision"].map("{:.2f}".format)
    intensities = list(dict.fromkeys(cells.index.get_level_values("intensity")))
    head = ["behaviour", *(f"{value:g}" for value in intensities)]
    rows = [
        [str(name), *curve.droplevel("behaviour").reindex(intensities).fillna("").tolist()]
        for name, curve in cells.groupby(level="behaviour", sort=False)
    ]
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def main(argv: list[str] | None = None) -> int:
    """Measure the frontier, draw it, and write table and words beside the picture."""
    args = _parse(argv)
    words = shlex.join(sys.argv[1:] if argv is None else argv)
    plan = Plan(
        method=args.method,
        settings=_read_settings(args.settings),
        level=args.level,
        accounts=args.accounts,
    )
    intensities = np.linspace(0, 1, args.steps).round(4).tolist()
    table = measure(args.behaviours, intensities, range(args.seeds), plan, jobs=args.jobs)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(args.out, index=False, float_format="%.4f")
    text = write_report(table, words)
    args.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    draw(table, args.figure, f"{args.method}: python -m benchmarks.frontier {words}")
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
    parser.add_argument("--jobs", type=int, default=2, help="worlds at a time (default: 2)")
    parser.add_argument("--method", default="linkage", help="linkage (default) or a baseline")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--figure", type=Path, default=HERE / "figures" / "frontier.png")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "frontier.csv")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
