"""Times the analyst's desk on one cluster of 25,000 accounts and 500,000 observations.

    python benchmarks/desk.py [--accounts 25000] [--browser]

GEXF is timed by export.py. Prints one line a measurement: the median of several calls, or one
call where it takes seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from linkage.result import Result

KINDS = {"ip": "network", "prompt": "content", "payment": "payment", "device": "client"}


def make_result(n_accounts: int, each: int = 20, seed: int = 0) -> Result:
    """Return a case whose one cluster has `n_accounts` accounts of `each` identifiers."""
    rng = np.random.default_rng(seed)
    account = np.repeat(np.arange(n_accounts), each)
    kind = np.tile(np.arange(each) % len(KINDS), n_accounts)
    pool = np.array([400, 900, 3000, 3500])[kind]
    held = pd.DataFrame(
        {"account": account, "kind": kind, "value": (rng.random(len(kind)) ** 2 * pool).astype(int)}
    ).drop_duplicates()
    names, families = np.array(list(KINDS)), np.array(list(KINDS.values()))
    start = pd.Timestamp("2026-04-22", tz="UTC").as_unit("us")
    begun = rng.integers(0, 40 * 86_400, len(held))
    seen = pd.DataFrame(
        {
            "account_id": [f"acc_{i:06}" for i in held["account"]],
            "kind": names[held["kind"]],
            "value": [f"v{i:05}" for i in held["value"]],
            "family": families[held["kind"]],
            "count": rng.integers(1, 9, len(held)),
            "first_seen": start + pd.to_timedelta(begun, unit="s").as_unit("us"),
            "last_seen": start + pd.to_timedelta(begun + 86_400, unit="s").as_unit("us"),
        }
    )
    n_holders = seen.groupby(["kind", "value"])["account_id"].transform("size")
    accounts = sorted(set(seen["account_id"]))
    return Result(
        clusters=pd.DataFrame(
            {
                "cluster_id": [1], "tier": ["operator"], "n_accounts": [n_accounts],
                "confidence": [0.99], "q_value": [1e-30], "risk": [0.99],
                "families": ["client+content+network+payment"],
                "first_seen": [seen["first_seen"].min()], "last_seen": [seen["last_seen"].max()],
                "explanation": [""], "corroborated": [1.0],
            }
        ),
        members=pd.DataFrame({"account_id": accounts, "cluster_id": 1, "probability": 0.99}),
        evidence=seen.assign(cluster_id=1, bits=rng.uniform(2, 9, len(seen)),
                             n_accounts=n_holders),
        rejected=pd.DataFrame(columns=["source", "row", "column", "reason"]),
        observations=seen,
        manifest={"counts": {"accounts": 1_000_000, "identifiers": 1, "edges": len(seen)}},
    )  # fmt: skip


def clock(name: str, call: Callable[[], object], times: int = 1) -> float:
    """Print and return the median seconds of a call."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    print(f"{name:<58}{statistics.median(took):>9.3f} s   worst {max(took):.3f} s")
    return statistics.median(took)


def time_desk(result: Result) -> None:
    """Time what an analyst calls."""
    a, b = result.members["account_id"].iloc[[3, 4000 % len(result.members)]]
    clock("explain(a, b)", lambda: result.explain(a, b), 15)
    clock("explain(a)", lambda: result.explain(a), 15)
    result.charts(a)
    clock("charts(a), the waterfall", lambda: result.charts(a), 15)
    clock("charts(a).to_dict()", lambda: result.charts(a).to_dict(), 5)
    clock("explain(1)", lambda: result.explain(1), 3)
    clock("charts(1)", lambda: result.charts(1))
    clock("plot(1): what the browser gets", lambda: result.plot(1))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        clock("report(1)", lambda: result.report(page, 1))
        print(f"{'  its size':<58}{page.stat().st_size / 1e6:>9.1f} MB")


def time_browser(result: Result) -> None:
    """Time the widget in a headless Chromium, which draws without a graphics card."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from browser import open_page, write_widget_page

    with tempfile.TemporaryDirectory() as folder:
        file = write_widget_page(result, 1, Path(folder) / "widget.html")
        with open_page(file) as page:
            page.wait_for_function("window.ready", timeout=120_000)
            print(f"{'widget: until it is drawn':<58}{page.evaluate('renderMs') / 1e3:>9.3f} s")
            print("  ", page.inner_text(".lk-status"))
            ms = page.evaluate(
                """async () => {
                  const day = document.querySelector('[aria-label="Day"]');
                  const steps = [];
                  for (let k = 0; k < 8; k++) {
                    const start = performance.now();
                    day.value = Number(day.min) + 4 * k;
                    day.dispatchEvent(new Event("input"));
                    await new Promise((done) => requestAnimationFrame(done));
                    steps.push(performance.now() - start);
                  }
                  return steps.sort((a, b) => a - b)[4];
                }"""
            )
            print(f"{'widget: one step of the timeline':<58}{ms / 1e3:>9.3f} s")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=25_000)
    parser.add_argument("--browser", action="store_true", help="time the widget as well")
    args = parser.parse_args()
    result = make_result(args.accounts)
    time_desk(result)
    if args.browser:
        time_browser(result)


if __name__ == "__main__":
    main()
