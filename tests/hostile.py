"""A ring whose every text attacks the reader: markup, formulas, control characters, megabytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from linkage.result import Result

if TYPE_CHECKING:
    from pathlib import Path

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


LONGEST = "<b>" + "y" * 4000  # near what the door lets in


def write_hostile_world(folder: Path) -> dict[str, Path]:
    """Write a world in which rings share nasty identifiers, among three hundred people.

    Ids of a megabyte and with control characters are in it as well, for the door to refuse.
    """
    texts = [*NASTY, LONGEST]
    n = len(texts)
    start = pd.Timestamp("2026-04-22 10:00", tz="UTC").as_unit("us")
    events, payments, accounts, others = [], [], [], []
    for i in range(2 * n):
        account = f"{texts[i % n]}#{i}"
        for j in range(i % 3, n, 3):
            ask = f"Refactor the function in {texts[j]} and write the tests for it, with care"
            moment = start + pd.Timedelta(hours=i + j)
            address = f"203.0.113.{j}" if j % 2 else texts[j]
            events.append((account, moment, address, *np.roll(texts, -j)[:3].tolist(), ask))
        payments.append((account, start, f"{texts[i % 4]} card"))
        mail = f"{texts[i % n]}@{texts[(i + 1) % 3]}.example"
        ban = start + pd.Timedelta(days=1)
        accounts.append((account, start, mail, texts[i % 5], texts[i % n], texts[i % n], ban))
        others += [(account, texts[j], texts[(i + j) % 5], start) for j in range(3)]
    for i in range(300):
        account, moment = f"person{i:03}", start + pd.Timedelta(minutes=i)
        ask = f"What is the weather in town {i} on day {i * 7}, and what should I wear there?"
        client = (f"dev{i}", f"agent{i % 7}", f"tls{i % 7}")
        events.append((account, moment, f"198.51.100.{i % 250}", *client, ask))
        payments.append((account, start, f"card{i}"))
        row = (f"p{i}@mail.example", f"+1555{i:07}", "US", "active", pd.NaT)
        accounts.append((account, start, *row))
    columns = {
        "events": "account_id ts ip device_id user_agent tls_fingerprint prompt",
        "payments": "account_id ts payment_method",
        "accounts": "account_id created_at email phone country status banned_at",
        "observations": "account_id kind value ts",
    }
    rows = {"events": events, "payments": payments, "accounts": accounts, "observations": others}
    paths = {}
    for name, words in columns.items():
        paths[name] = folder / f"{name}.parquet"
        pd.DataFrame(rows[name], columns=words.split()).to_parquet(paths[name])
    return paths
