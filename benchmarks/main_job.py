"""The main job on the demo, on simulated worlds and on real sets: time, memory, what came out.

``python -m benchmarks.main_job`` writes ``benchmarks/results/main_job.md``. Each run is a process
of its own, started as an analyst would; the truth is read only to score it.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

import linkage
from benchmarks.worlds import DATA
from linkage.evaluate import evaluate, read_truth

RESULTS: Final = Path(__file__).parent / "results" / "main_job.md"
SEED: Final = 11
SIMULATED: Final = (("small", 0), ("small", 2), ("small", 4), ("small", 5), ("quiet", None))
REAL: Final = ("er_febrl3", "er_historical50k", "coortweet_ru", "coortweet_de", "prompts_chat")
SCORES: Final = (
    "operator_f1_size_10_up",
    "operator_f1_size_3_9",
    "operator_f1_weighted",
    "pair_f1",
    "bcubed_f1",
    "average_precision",
    "confidence_ece",
    "membership_ece",
)
HEADER: Final = (
    "| input | accounts | clusters | wall s | CPU s | peak GB | operators >= 10 | 3 to 9 "
    "| weighted | pair F1 | B-cubed F1 | AP of risk | error of confidence | of membership "
    "| innocents with strangers "
    "| innocents in tier operator |"
)


def run_command(words: list[str]) -> tuple[float, float, float]:
    """Run linkage in a process of its own; return wall seconds, CPU seconds and peak GB."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "linkage.cli.main", *words])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"failed: {words}")
    return time.perf_counter() - started, _cpu(usage), usage.ru_maxrss / 1e6


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def list_inputs(folder: Path) -> Iterator[tuple[str, list[str], Path | None]]:
    """Yield name, words of the command and truth of each input; simulate what is simulated."""
    demo = linkage.datasets.demo()
    yield "demo", ["--demo"], demo.truth_path
    for preset, evasion in SIMULATED:
        level = ["--evasion", str(evasion)] if evasion is not None else []
        place = folder / "-".join([preset, *level[1:]])
        run_command(
            ["simulate", "--preset", preset, "--seed", str(SEED), *level, "--out", str(place)]
        )
        tables = ("events", "payments", "accounts")
        words = [w for table in tables for w in (f"--{table}", str(place / f"{table}.parquet"))]
        name = ", ".join([preset, *(["evasion " + level[1]] if level else []), f"seed {SEED}"])
        yield name, words, place / "truth.parquet"
    for name in REAL:
        if not (DATA / name).is_dir():
            print(f"skipped: no folder {name} under LINKAGE_DATA ({DATA})")
        elif name == "prompts_chat":
            prompts = pd.read_parquet(DATA / name / "prompts.parquet")
            texts = prompts[["prompt_id", "ts", "prompt"]]
            texts.rename(columns={"prompt_id": "account_id"}).to_parquet(folder / "texts.parquet")
            words = ["--events", str(folder / "texts.parquet")]
            yield "prompts_chat, a text an account", words, DATA / name / "truth.csv"
        else:
            truth = DATA / name / "truth.csv"
            words = ["--observations", str(DATA / name / "observations.parquet")]
            yield name, words, truth if truth.exists() else None


def score(case: Path, truth: Path | None) -> dict[str, Any]:
    """Return the figures of a case; without a truth, none."""
    result = linkage.read_case(case)
    figures: dict[str, Any] = {
        "accounts": result.manifest["counts"]["accounts"],
        "clusters": len(result.clusters),
    }
    if truth is None:
        return figures
    found = evaluate(result.clusters, result.members, read_truth(truth), n_bootstrap=0).to_dict()
    figures |= {name: found["scores"][name]["value"] for name in SCORES}
    if found["counts"]["n_innocents"]:
        figures |= found["counts"]
    return figures


def write_row(name: str, cost: tuple[float, float, float], figures: dict[str, Any]) -> str:
    """Return a line of the table; a figure that does not apply is a dash."""
    shown = [name, f"{figures['accounts']:,}", f"{figures['clusters']:,}"]
    shown += [f"{cost[0]:.1f}", f"{cost[1]:.1f}", f"{cost[2]:.2f}"]
    values = [figures.get(key) for key in SCORES]
    shown += ["-" if value is None else f"{value:.3f}" for value in values]
    for key in ("n_strangers", "n_innocents_in_operator_tier"):
        of = figures.get("n_innocents")
        shown.append(f"{figures[key]:,} of {of:,}" if of else "-")
    return "| " + " | ".join(shown) + " |"


def main() -> None:
    """Measure everything and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, words, truth in list_inputs(folder):
            cost = run_command(["run", "--quiet", *words, "--out", str(folder / "case")])
            rows.append(write_row(name, cost, score(folder / "case", truth)))
            print(rows[-1], flush=True)
    rule = "|" + "---|" * HEADER.count(" | ") + "---|"
    text = [
        "# The main job",
        "",
        "Made by `python -m benchmarks.main_job`; one default configuration, each run a process of",
        "its own, two cores. One seed a world. The simulated worlds were looked at while the rules",
        "of the tiers were written: take them for orientation, not for a test.",
        "",
        HEADER,
        rule,
        *rows,
        "",
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(text), encoding="utf-8")
    print(json.dumps({"written": RESULTS.name}))


if __name__ == "__main__":
    main()
