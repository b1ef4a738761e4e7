"""What the timing of co-action says: on real shares, on planted pairs, in simulated worlds.

    python -m benchmarks.coaction

The real sets have no truth. Their control is jitter: every post is moved by up to half an hour, at
random, so that who shares what, and when within the hour, stays as it is.
"""

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.worlds import DATA
from linkage.coaction import find_coaction, weigh_coaction
from linkage.simulate import World, load_preset, simulate

RESULTS: Final = Path(__file__).parent / "results" / "coaction.md"
REAL: Final = ("coortweet_ru", "coortweet_de")
WINDOWS_S: Final = (10, 30, 60)
FDR: Final = 0.01
HALF_HOUR_S: Final = 1_800
N_JITTERS: Final = 5
N_PLANTED: Final = 50  # pairs of accounts for each row
OBJECTS: Final = ("ip", "device_id", "prompt_fingerprint")  # of the simulated events

# Name, preset, evasion level, behaviours of all operators that stand above it.
WORLDS: Final[tuple[tuple[str, str, int | None, Mapping[str, float]], ...]] = (
    ("no operator", "quiet", None, {}),
    ("evasion 0", "small", 0, {}),
    ("evasion 1", "small", 1, {}),
    ("evasion 3", "small", 3, {}),
    ("evasion 2, all sittings begin together", "small", 2, {"synchrony": 1.0}),
    ("evasion 2, all requests go round robin", "small", 2, {"load_balancing": 1.0}),
)


def jitter(acts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Move every post by up to half an hour, with whatever it acts on."""
    rng = np.random.default_rng(seed)
    post = acts.groupby(["account_id", "content_id"]).ngroup().to_numpy()
    moved_s = rng.integers(-HALF_HOUR_S, HALF_HOUR_S + 1, post.max() + 1)[post]
    return acts.assign(ts=acts["ts"] + pd.to_timedelta(moved_s, unit="s"))


def plant(acts: pd.DataFrame, n_meetings: int, lag_s: float, seed: int) -> pd.DataFrame:
    """Add pairs of accounts that come to popular objects within so many seconds of each other."""
    rng = np.random.default_rng(seed)
    near = acts.iloc[rng.integers(len(acts), size=N_PLANTED * n_meetings)].reset_index(drop=True)
    pair = np.repeat(np.arange(N_PLANTED), n_meetings)
    start = near["ts"] + pd.to_timedelta(rng.uniform(0, 60, len(near)), unit="s")
    lags_s = {"left": np.zeros(len(near)), "right": rng.uniform(0, lag_s, len(near))}
    both = []
    for side, late_s in lags_s.items():
        names = [f"planted-{number:03d}-{side}" for number in pair]
        both.append(
            near.assign(
                account_id=names,
                ts=start + pd.to_timedelta(late_s, unit="s"),
                content_id=[f"{name}-{k}" for k, name in enumerate(names)],
            )
        )
    return pd.concat([acts, *both], ignore_index=True)


def count_sure(acts: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs whose timing chance does not explain."""
    pairs = weigh_coaction(acts).pairs
    return pairs[pairs["q_value"] <= FDR]


def measure_real(name: str, acts: pd.DataFrame) -> Iterator[list[str]]:
    """Yield rows: edges by window, and sure pairs, with the real times and with moved ones."""
    moved = [jitter(acts, seed) for seed in range(N_JITTERS)]
    for window_s in WINDOWS_S:
        counts = [
            int((find_coaction(table, window_s=window_s).edges["weight"] >= 2).sum())
            for table in (acts, *moved)
        ]
        what = f"pairs of accounts twice within {window_s} s"
        yield [name, what, f"{counts[0]:,}", f"{np.mean(counts[1:]):,.1f}"]
    counts = [len(count_sure(table)) for table in (acts, *moved)]
    yield [name, f"q <= {FDR:g}", f"{counts[0]:,}", f"{np.mean(counts[1:]):,.1f}"]


def measure_planted(name: str, acts: pd.DataFrame) -> Iterator[list[str]]:
    """Yield rows: how many planted pairs are found, and how many others beside them."""
    before = len(count_sure(acts))
    for lag_s in (1, 10, 60):
        for n_meetings in (2, 3, 4, 6, 10):
            sure = count_sure(plant(acts, n_meetings, lag_s, seed=n_meetings))
            planted = sure["account_id"].str.startswith("planted") & (
                sure["account_id"].str[:11] == sure["account_id_y"].str[:11]
            )
            more = len(sure) - int(planted.sum()) - before
            found = f"{planted.sum() / N_PLANTED:.2f}"
            yield [name, f"{lag_s} s", str(n_meetings), found, f"{more:+,}"]


def measure_world(
    name: str, preset: str, evasion: int | None, behaviour: Mapping[str, float]
) -> list[str]:
    """Return a row: sure pairs of one operator, of one innocent group, of strangers."""
    base = load_preset(preset)
    world = World.from_dict(
        {
            **base.to_dict(),
            "start": base.start,
            "operators": [
                {**said, "behaviour": dict(behaviour)} for said in base.to_dict()["operators"]
            ],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        made = simulate(folder, world=world, evasion=evasion, prompts="fingerprints")
        events, truth = pd.read_parquet(made.events), pd.read_parquet(made.truth)
    acts = pd.concat(
        [
            events[["account_id", "ts"]].assign(kind=column, value=events[column]).dropna()
            for column in OBJECTS
        ],
        ignore_index=True,
    )
    start = time.process_time()
    pairs = weigh_coaction(acts).pairs
    seconds = time.process_time() - start
    group = truth.set_index("account_id")
    belongs = group["operator_id"].fillna(group["group_id"])
    ends = [belongs.reindex(pairs[side]).to_numpy() for side in ("account_id", "account_id_y")]
    together = pd.Series((ends[0] == ends[1]) & pd.notna(ends[0]), index=pairs.index)
    run = together & group["operator_id"].reindex(pairs["account_id"]).notna().to_numpy()
    sure = pairs["q_value"] <= FDR
    shares = [f"{(sure & of).sum():,} of {of.sum():,}" for of in (run, together & ~run, ~together)]
    return [name, f"{len(acts):,}", *shares, f"{seconds:.1f}"]


def main(argv: list[str] | None = None) -> int:
    """Measure everything, print the tables and write them to the results."""
    args = _parse(argv)
    words = shlex.join(sys.argv[1:] if argv is None else argv)
    sets = {name: DATA / name / "observations.parquet" for name in REAL}
    real = {name: pd.read_parquet(path) for name, path in sets.items() if path.is_file()}
    moved = f"posts moved by up to 30 minutes (mean of {N_JITTERS})"
    header = ["set", "what", "as it is", moved]
    rows = [row for name, acts in real.items() for row in measure_real(name, acts)]
    lines = ["# Co-action", "", "Made by", ""]
    lines += [f"    python -m benchmarks.coaction {words}".rstrip()]
    lines += ["", "## Real shares", "", *_table(header, rows)]
    header = ["set", "lag up to", "meetings", "found", "others found"]
    rows = [row for name in REAL[:1] if name in real for row in measure_planted(name, real[name])]
    lines += ["", f"## {N_PLANTED} pairs of accounts planted among real ones", ""]
    lines += [*_table(header, rows), ""]
    lines += [f"- {name}: skipped, not under LINKAGE_DATA" for name in REAL if name not in real]
    lines += ["", "## Simulated worlds of 20,000 accounts", ""]
    header = ["world", "acts", "pairs of one operator", "of one innocent group", "of strangers"]
    wanted = [world for world in WORLDS if args.worlds is None or world[0] in args.worlds]
    lines += _table([*header, "CPU s"], [measure_world(*world) for world in wanted])
    lines += [
        "",
        f"Pairs at q <= {FDR:g}, of the pairs that met twice or more at an address, a device or a "
        "prompt's fingerprint.",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text, encoding="utf-8")
    return 0


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coaction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [world[0] for world in WORLDS]
    parser.add_argument("--worlds", nargs="*", choices=names, metavar="NAME", help="default: all")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
