"""Time the GEXF writer against networkx's, and count what comes back.

    python -m benchmarks.export [--accounts 20000] [--edges 520000] [--repeat 3]

Accounts hold a few hubs and many rare identifiers. Both writers get the same graph, and networkx
reads both files again: the counts must agree. Times are the best of `--repeat`, networkx's writer
runs once; building networkx's graph from the frames is shown and not counted.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from linkage.export import add_viz, write_csv, write_gexf, write_graphml

_KINDS = np.array(["ip", "payment", "prompt", "device"])
_START = pd.Timestamp("2026-04-22", tz="UTC")


def _add_span(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    first = _START + pd.to_timedelta(rng.integers(0, 3_000_000, len(frame)), unit="s")
    last = first + pd.to_timedelta(rng.integers(0, 600_000, len(frame)), unit="s")
    return frame.assign(first_seen=first, last_seen=last)


def make_graph(
    n_accounts: int, n_identifiers: int, n_edges: int, *, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a graph's two frames: skewed identifiers, all columns of the contract filled."""
    rng = np.random.default_rng(seed)
    account = np.arange(n_edges) % n_accounts
    identifier = (rng.power(0.3, n_edges) * n_identifiers).astype(np.int64)
    kind = _KINDS[np.arange(n_identifiers) % len(_KINDS)]
    names = np.char.add(np.char.add(kind, ":"), np.arange(n_identifiers).astype(str))
    accounts = pd.DataFrame({"id": [f"account:{row:06d}" for row in range(n_accounts)]}).assign(
        type="account", kind="account", family=None, tier="operator"
    )
    accounts["probability"] = rng.random(n_accounts)
    identifiers = pd.DataFrame({"id": names, "type": "identifier", "kind": kind, "family": kind})
    identifiers["n_accounts"] = np.bincount(identifier, minlength=n_identifiers)
    nodes = pd.concat([accounts, identifiers], ignore_index=True)
    nodes["label"] = nodes["id"].str.partition(":")[2]
    nodes["cluster_id"] = pd.array(rng.integers(1, 60, len(nodes)), dtype="Int64")
    nodes["n_accounts"] = nodes["n_accounts"].astype("Int64")
    edges = pd.DataFrame(
        {
            "source": accounts["id"].to_numpy()[account],
            "target": names[identifier],
            "kind": kind[identifier],
            "bits": rng.random(n_edges) * 16,
            "count": rng.integers(1, 90, n_edges),
        }
    ).drop_duplicates(["source", "target"])
    return _add_span(nodes, rng), _add_span(edges, rng)


def _keep_known(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn rows into attributes that networkx can write: no nulls, no timestamps."""
    plain = frame.copy()
    for name in ("first_seen", "last_seen"):
        plain[name] = plain[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = plain.rename(columns={"first_seen": "start", "last_seen": "end"}).to_dict("records")
    return [{str(key): value for key, value in row.items() if pd.notna(value)} for row in rows]


def build_networkx(nodes: pd.DataFrame, edges: pd.DataFrame) -> "nx.Graph[str]":
    """Build the graph that networkx is to write."""
    graph: nx.Graph[str] = nx.Graph()
    for row in _keep_known(nodes):
        looks = {"color": {key: row.pop(key) for key in "rgb"}, "size": row.pop("size")}
        looks["position"] = {"x": row.pop("x"), "y": row.pop("y"), "z": 0.0}
        looks["shape"] = row.pop("shape")
        graph.add_node(row.pop("id"), viz=looks, **row)
    for row in _keep_known(edges):
        graph.add_edge(row.pop("source"), row.pop("target"), weight=max(row["bits"], 0.1), **row)
    return graph


def _time(work: Callable[[], Any], repeat: int) -> float:
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _read(path: Path) -> tuple[int, int]:
    """Count with networkx, which knows no dateTime: the time format is renamed for it."""
    path.write_text(path.read_text().replace('timeformat="dateTime"', 'timeformat="date"'))
    graph = nx.read_gexf(path)
    return graph.number_of_nodes(), graph.number_of_edges()


def main() -> None:
    """Run the benchmark and print one line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--identifiers", type=int, default=5_000)
    parser.add_argument("--edges", type=int, default=520_000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    nodes, edges = make_graph(args.accounts, args.identifiers, args.edges)
    print(f"{len(nodes):,} nodes, {len(edges):,} edges")
    print(f"add_viz                  {_time(lambda: add_viz(nodes, edges), args.repeat):7.2f} s")
    drawn = add_viz(nodes, edges)
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = Path(name) / "ours.gexf", Path(name) / "theirs.gexf"
        fast = _time(lambda: write_gexf(drawn, edges, ours), args.repeat)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"write_gexf               {fast:7.2f} s, {ours.stat().st_size / 1e6:.0f} MB")
        print(f"peak memory so far       {peak:7.0f} MB")
        for write in (write_graphml, write_csv):
            seconds = _time(partial(write, drawn, edges, Path(name) / "g.csv"), args.repeat)
            print(f"{write.__name__:<24} {seconds:7.2f} s")
        start = time.perf_counter()
        graph = build_networkx(drawn, edges)
        print(f"(networkx: build graph   {time.perf_counter() - start:7.2f} s)")
        slow = _time(lambda: nx.write_gexf(graph, theirs, version="1.2draft"), 1)
        print(f"networkx.write_gexf      {slow:7.2f} s, {theirs.stat().st_size / 1e6:.0f} MB")
        print(f"speed-up                 {slow / fast:7.1f} x")
        counts = _read(ours), _read(theirs)
        print(f"read back by networkx    ours {counts[0]}, networkx's {counts[1]}")
        assert counts[0] == counts[1] == (len(nodes), len(edges))


if __name__ == "__main__":
    main()
