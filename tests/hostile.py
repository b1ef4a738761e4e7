"""A ring whose every text attacks the reader: markup, formulas, control characters, megabytes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from linkage.result import Result

NASTY = (
    "<script>alert(1)</script>",
    "]]><img src=x onerror=alert(1)>",
    "a\x00b\x1b[2Jc",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "\u202eevil\u202c",
    '"><svg/onload=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "</style><script>alert(1)</script>",
    "javascript:alert(1)",
    "x" * 1_000_000,
    "\u2028\u2029\ufeff",
    "-2+3",
)


def make_hostile_result() -> Result:
    """Return a case of one cluster in which accounts, kinds and values are all nasty."""
    accounts = [f"{text}#{i}" for i, text in enumerate(NASTY)]
    rows = [
        (account, kind, value, family)
        for account in accounts
        for kind, family in (("ip", "network"), ("prompt", "content"), (NASTY[0], NASTY[1]))
        for value in (f"{text}" for text in NASTY)
    ]
    moment = pd.Timestamp("2026-04-22 10:00", tz="UTC").as_unit("us")
    seen = pd.DataFrame(rows, columns=["account_id", "kind", "value", "family"], dtype=object)
    seen = seen.assign(count=1, first_seen=moment, last_seen=moment)
    n = len(accounts)
    return Result(
        clusters=pd.DataFrame(
            {
                "cluster_id": [1],
                "tier": ["operator"],
                "n_accounts": [n],
                "confidence": [0.9],
                "q_value": [1e-9],
                "risk": [0.8],
                "families": [f"network+{NASTY[1]}"],
                "first_seen": [moment],
                "last_seen": [moment],
                "explanation": [NASTY[0]],
                "corroborated": [1.0],
            }
        ),
        members=pd.DataFrame(
            {"account_id": accounts, "cluster_id": 1, "probability": np.linspace(1, 0.95, n)},
        ).astype({"account_id": object}),
        evidence=seen.assign(cluster_id=1, bits=4.0, n_accounts=n),
        rejected=pd.DataFrame(columns=["source", "row", "column", "reason"]),
        observations=seen,
        manifest={
            "counts": {"accounts": 100, "identifiers": 50, "edges": 500, "shared_identifiers": 9},
            "inputs": [{"table": NASTY[0], "source": NASTY[8], "rows": 1, "sha256": NASTY[6]}],
            "config": {"method": {"min_bits": 3.0, NASTY[0]: NASTY[1]}},
            "libraries": {NASTY[0]: "1"},
            "linkage": NASTY[0],
            "python": "3",
            "seed": 0,
        },
    )
