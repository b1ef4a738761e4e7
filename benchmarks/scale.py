"""How time and memory grow: the seed world at a hundredth, a tenth and its full size.

    python -m benchmarks.scale --folder WORLDS --accounts 10_000 100_000 1_000_000

writes ``benchmarks/results/scale.md`` and ``benchmarks/figures/scale.png``. Each run is a process
of its own. Beside it stands a yardstick on the same files: the bare grouping that no method which
reads the rows can do without. Splink and networks alone (igraph, networkx) are given what linkage
has read.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

import linkage
from linkage.checkpoints import remove_checkpoints
from linkage.evaluate import evaluate, read_truth
from linkage.simulate import World, load_preset, simulate

HERE: Final = Path(__file__).parent
SEED: Final = 3
FULL: Final = 1_000_000  # innocents of the preset
TABLES: Final = ("events", "payments", "accounts")
KINDS: Final = ("ip", "device_id", "user_agent", "tls_fingerprint", "prompt_fingerprint")
STAGES: Final = [
    "read",
    "kinds",
    "overlaps",
    "validate",
    "evidence",
    "communities",
    "attribution",
    "significance",
    "hierarchy",
    "describe",
]

# Keys of 64 bits in place of strings. All columns are read, so that no statistics of the files can
# answer, and the groups are consumed, not kept.
YARDSTICK: Final = """
WITH seen AS ({columns}),
edges AS (
    SELECT account, kind, identifier, count(*) AS n, min(ts) AS first_seen, max(ts) AS last_seen
    FROM seen
    GROUP BY account, kind, identifier
)
SELECT count(*), sum(n), min(first_seen), max(last_seen) FROM edges
"""
COLUMN: Final = """
SELECT hash(account_id) AS account, {number} AS kind, hash({column}) AS identifier, {time} AS ts
FROM read_parquet('{file}')
WHERE {column} IS NOT NULL
"""

GROUP: Final = """
import sys, duckdb
connection = duckdb.connect(config={"threads": int(sys.argv[2]), "temp_directory": sys.argv[3]})
print(connection.sql(sys.argv[1]).fetchall())
"""

# What others do with the same observations: components, and communities of the bipartite graph of
# accounts and shared identifiers; pairs by Fellegi-Sunter, as in the table of methods.
PEERS: Final = {
    "networkx components": """
import sys, networkx as nx, pyarrow.parquet as pq
seen = pq.read_table(sys.argv[1], columns=["account_id", "kind", "value"]).to_pandas()
graph = nx.Graph()
graph.add_edges_from(zip(seen["account_id"], seen["kind"] + ":" + seen["value"]))
print(nx.number_connected_components(graph))
""",
    "igraph components": """
import sys, igraph, pandas as pd, pyarrow.parquet as pq
seen = pq.read_table(sys.argv[1], columns=["account_id", "kind", "value"]).to_pandas()
a, names = pd.factorize(seen["account_id"])
i, values = pd.factorize(seen["kind"] + ":" + seen["value"])
edges = list(zip(a.tolist(), (i + len(names)).tolist()))
graph = igraph.Graph(n=len(names) + len(values), edges=edges)
print(len(graph.connected_components()))
""",
    "igraph Leiden": """
import sys, igraph, pandas as pd, pyarrow.parquet as pq
seen = pq.read_table(sys.argv[1], columns=["account_id", "kind", "value"]).to_pandas()
a, names = pd.factorize(seen["account_id"])
i, values = pd.factorize(seen["kind"] + ":" + seen["value"])
edges = list(zip(a.tolist(), (i + len(names)).tolist()))
graph = igraph.Graph(n=len(names) + len(values), edges=edges)
print(len(graph.community_leiden(objective_function="modularity", n_iterations=2)))
""",
    "Splink, trained, predicted, clustered": """
import sys, pyarrow.parquet as pq
from benchmarks.baselines.fellegi_sunter import link_splink, train_splink
seen = pq.read_table(sys.argv[1], columns=["account_id", "kind", "value"]).to_pandas()
print(link_splink(train_splink(seen), threshold=0.9)["cluster_id"].nunique())
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_gb: float


def shrink_world(accounts: int) -> World:
    """Return the seed world with its innocents, its operator and their events in proportion.

    Parameters
    ----------
    accounts : int
        Innocents; a million is the preset itself.

    Returns
    -------
    World
    """
    full, share = load_preset("seed"), accounts / FULL
    innocents = replace(
        full.innocents, accounts=accounts, events=round(full.innocents.events * share)
    )
    operators = tuple(
        replace(
            operator,
            accounts=(round(operator.accounts[0] * share), round(operator.accounts[1] * share)),
            events=operator.events and round(operator.events * share),
        )
        for operator in full.operators
    )
    return replace(full, innocents=innocents, operators=operators)


def make_world(folder: Path, accounts: int, prompts: Literal["text", "fingerprints"]) -> Path:
    """Simulate a world, unless its folder is there already."""
    place = folder / f"{accounts}-{prompts}"
    if not (place / "world.json").is_file():
        simulate(place, world=shrink_world(accounts), seed=SEED, prompts=prompts, overwrite=True)
    return place


def run_process(words: Sequence[str], limit_s: float) -> tuple[Cost | None, str]:
    """Run a process; return what it took, None where it failed or was too slow, and what it said.

    Notes
    -----
    The peak is that of the largest process: children that it starts are counted by themselves.
    """
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = started + limit_s
    usage, status = None, 0
    assert process.stdout is not None
    while usage is None:
        pid, status, found = os.wait4(process.pid, os.WNOHANG)
        if pid:
            usage = found
        elif time.perf_counter() > deadline:
            process.kill()
            deadline = float("inf")
        else:
            time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    said = process.stdout.read()
    cost = Cost(
        wall_s=time.perf_counter() - started,
        cpu_s=_sum_cpu(usage),
        peak_gb=usage.ru_maxrss / 1e6,
    )
    return (cost if process.returncode == 0 else None), said


def _sum_cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def run_yardstick(place: Path, threads: int, limit_s: float) -> Cost:
    """Run the bare grouping on a world's files."""
    said = [("events", column, "ts") for column in KINDS]
    said += [("payments", "payment_method", "ts"), ("accounts", "email", "created_at")]
    parts = [
        COLUMN.format(number=k, column=column, time=when, file=place / f"{table}.parquet")
        for k, (table, column, when) in enumerate(said)
    ]
    sql = YARDSTICK.format(columns=" UNION ALL ".join(parts))
    words = [sys.executable, "-c", GROUP, sql, str(threads), str(place / "spill")]
    cost, output = run_process(words, limit_s)
    if cost is None:
        raise SystemExit(f"the yardstick failed: {output[-500:]}")
    return cost


def run_linkage(
    place: Path, case: Path, options: Sequence[str], limit_s: float
) -> tuple[Cost, dict[str, Any]]:
    """Run linkage on a world's files; return what it took and the manifest."""
    remove_checkpoints(case)
    words = [sys.executable, "-m", "linkage.cli.main", "run", "--quiet", "--out", str(case)]
    words += [word for name in TABLES for word in (f"--{name}", str(place / f"{name}.parquet"))]
    cost, output = run_process([*words, *options], limit_s)
    if cost is None:
        raise SystemExit(f"linkage failed: {output[-2000:]}")
    manifest: dict[str, Any] = json.loads((case / "manifest.json").read_text(encoding="utf-8"))
    return cost, manifest


def score(case: Path, place: Path) -> dict[str, float]:
    """Compare a case with the truth: what was found of the largest operator, and who else was."""
    result = linkage.read_case(case)
    truth = read_truth(place / "truth.parquet")
    owner = truth.set_index("account_id")["operator_id"]
    members = result.members.assign(owner=result.members["account_id"].map(owner))
    largest = owner.value_counts().index[0]
    found = members[members["owner"] == largest]
    best = found["cluster_id"].value_counts()
    n_all, n_best = int((owner == largest).sum()), int(best.iloc[0]) if len(best) else 0
    size = int((members["cluster_id"] == best.index[0]).sum()) if len(best) else 0
    counts = evaluate(result.clusters, result.members, truth, n_bootstrap=0).to_dict()["counts"]
    return {
        "recall": n_best / n_all,
        "precision": n_best / size if size else float("nan"),
        "n_strangers": counts["n_strangers"],
        "n_innocents": counts["n_innocents"],
    }


def find_exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return b of cost = a size^b between the two largest sizes; nan where there is one only."""
    if len(sizes) < 2:
        return float("nan")
    return float(np.log(costs[-1] / costs[-2]) / np.log(sizes[-1] / sizes[-2]))


def measure(accounts: int, args: argparse.Namespace, known: dict[str, Any]) -> dict[str, Any]:
    """Measure everything on one size, but for what is known already."""
    place = make_world(args.folder, accounts, "fingerprints")
    row: dict[str, Any] = {"accounts": accounts}

    def note(name: str, make: Callable[[], dict[str, Any]]) -> None:
        key = f"{accounts} {name}"
        if key not in known:
            known[key] = make()
            args.notes.write_text(json.dumps(known, indent=1), encoding="utf-8")
            print(key, json.dumps(known[key]), flush=True)
        row[name] = known[key]

    note("yardstick", lambda: asdict(run_yardstick(place, args.threads, args.limit_s)))
    note("linkage", lambda: run_once(place, args, [], peers=accounts <= args.peers_up_to))
    if accounts == max(args.accounts):
        limit = args.memory_limit
        if limit:
            note(f"linkage --memory-limit {limit}",
                 lambda: run_once(place, args, ["--memory-limit", limit]))  # fmt: skip
    if accounts in args.text:
        text = make_world(args.folder, accounts, "text")
        note("linkage, prompts as text", lambda: run_once(text, args, []))
    return row


def run_once(
    place: Path, args: argparse.Namespace, options: Sequence[str], *, peers: bool = False
) -> dict[str, Any]:
    """Run linkage once; return what it took, by stage, and what it found."""
    case = args.folder / f"case-{place.name}"
    words = ["--threads", str(args.threads), *shlex.split(args.options), *options]
    cost, manifest = run_linkage(place, case, words, args.limit_s)
    beside: dict[str, Any] = {}
    for name, script in PEERS.items() if peers else ():
        words = [sys.executable, "-c", script, str(case / "observations.parquet")]
        found = run_process(words, args.peer_limit_s)[0]
        beside[name] = asdict(found) if found else None
    said = {
        **asdict(cost),
        "stages": manifest["stages"],
        "n_events": sum(s["rows"] for s in manifest["inputs"] if s["table"] == "events"),
        "found": score(case, place),
        "peers": beside,
    }
    shutil.rmtree(case)
    remove_checkpoints(case)
    return said


def write_tables(rows: Sequence[dict[str, Any]], args: argparse.Namespace) -> str:
    """Return the report."""
    sizes = [row["accounts"] for row in rows]
    lines = [
        f"Prompts as fingerprints but where text is said, {args.threads} threads, seed {SEED}"
        + (f", options `{args.options}`" if args.options else "")
        + ". One run a line.",
        "",
        "| innocents | events | | wall s | CPU s | peak GB | CPU beside the yardstick |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        base = row["yardstick"]["cpu_s"]
        for name in (name for name in row if name != "accounts"):
            head = f"| {row['accounts']:,} | {row['linkage']['n_events']:,} |"
            lines.append(f"{head} {name} | {_write_cost(row[name])} | "
                         f"{row[name]['cpu_s'] / base:.2f} |")  # fmt: skip
        for name, cost in row["linkage"]["peers"].items():
            late = f"not within {args.peer_limit_s:g} s | - | -"
            said = _write_cost(cost) if cost else late
            lines.append(f"{head} {name}, of what linkage read | {said} | - |")
    growth = {
        name: find_exponent(sizes, [row[name]["cpu_s"] for row in rows])
        for name in ("yardstick", "linkage")
    }
    lines += [
        "",
        f"Growth of CPU between the two largest sizes: accounts to the power of "
        f"{growth['linkage']:.2f} (yardstick {growth['yardstick']:.2f}).",
        "",
        "| innocents | | recall of the largest operator | precision of its cluster "
        "| innocents put with strangers |",
        "|---|---|---|---|---|",
    ]
    runs = [
        (row["accounts"], name, run)
        for row in rows
        for name, run in row.items()
        if name.startswith("linkage")
    ]
    for size, name, run in runs:
        f = run["found"]
        lines.append(
            f"| {size:,} | {name} | {f['recall']:.4f} | {f['precision']:.4f} "
            f"| {f['n_strangers']:,} of {f['n_innocents']:,} |"
        )
    lines += ["", "By stage: CPU seconds, and the process's peak up to its end in GB.", ""]
    lines.append("| stage | " + " | ".join(f"{size:,}, {name}" for size, name, _ in runs) + " |")
    lines.append("|---|" + "---|" * len(runs))
    for stage in STAGES:
        costs = [run["stages"].get(stage) for _, _, run in runs]
        cells = [f"{c['cpu_s']:.1f} / {c['peak_gb']:.2f}" if c else "-" for c in costs]
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _write_cost(cost: dict[str, Any]) -> str:
    """Return three cells of a table."""
    return f"{cost['wall_s']:.1f} | {cost['cpu_s']:.1f} | {cost['peak_gb']:.2f}"


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw CPU and memory against size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name, unit in zip(
        figure.subplots(1, 2), ("cpu_s", "peak_gb"), ("CPU, s", "peak, GB"), strict=True
    ):
        labels = {label: None for row in rows for label in row if label != "accounts"}
        series = {label: [row.get(label) for row in rows] for label in labels}
        for label in rows[0]["linkage"]["peers"]:
            series[label] = [row["linkage"]["peers"].get(label) for row in rows]
        for label, costs in series.items():
            known = [(r["accounts"], c[name]) for r, c in zip(rows, costs, strict=True) if c]
            if known:
                axes.plot(*zip(*known, strict=True), marker="o", label=label)
        axes.set(xscale="log", yscale="log", xlabel="innocent accounts", ylabel=unit)
        axes.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> int:
    """Measure, and write the report and its figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, required=True, help="where worlds and cases stand")
    parser.add_argument("--accounts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--options", default="", help="further words for linkage run")
    parser.add_argument("--memory-limit", help="run the largest size with this limit as well")
    parser.add_argument("--text", type=int, nargs="*", default=[], help="sizes run as text, too")
    parser.add_argument("--peers-up-to", type=int, default=100_000, help="accounts")
    parser.add_argument("--notes", type=Path, help="what stands in it is not measured again")
    parser.add_argument("--limit-s", type=float, default=3_600)
    parser.add_argument("--peer-limit-s", type=float, default=300)
    parser.add_argument("--report", type=Path, default=HERE / "results" / "scale.md")
    parser.add_argument("--figure", type=Path, default=HERE / "figures" / "scale.png")
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    args.notes = args.notes or args.folder / "notes.json"
    known = json.loads(args.notes.read_text(encoding="utf-8")) if args.notes.is_file() else {}
    rows = [measure(accounts, args, known) for accounts in sorted(args.accounts)]
    words = " ".join(map(str, sorted(args.accounts)))
    report = [
        "# Growth with size",
        "",
        "Made by",
        "",
        f"    python -m benchmarks.scale --folder WORLDS --accounts {words}"
        + (f" --memory-limit {args.memory_limit}" if args.memory_limit else "")
        + (f" --text {' '.join(map(str, args.text))}" if args.text else "")
        + (f" --options '{args.options}'" if args.options else ""),
        "",
        "The worlds are the simulator's preset `seed`, and the same in proportion. The yardstick",
        "is DuckDB's bare `GROUP BY account, kind, identifier` on the same files: 64-bit hash",
        "keys, count, first and last time, all columns read. Seconds of CPU depend on what else",
        "the machine does.",
        "",
        write_tables(rows, args),
        f"![CPU and memory](../figures/{args.figure.name})",
        "",
    ]
    args.report.write_text("\n".join(report), encoding="utf-8")
    draw(rows, args.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
