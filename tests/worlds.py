"""Tiny graphs, said as who holds what, and the steps of the method up to any stage of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from linkage.config import Config, MethodConfig
from linkage.graph import AccountGraph, build_graph

METHOD = MethodConfig()


def make_graph(holdings: dict[str, str], config: Config | None = None) -> AccountGraph:
    """Return the graph of ``{"account": "kind:value kind:value"}``, coded as a run codes it."""
    settings = config or Config()
    held = sorted((account, *word.split(":", 1)) for account in holdings for word in
                  set(holdings[account].split()))  # fmt: skip
    accounts = sorted(holdings)
    nodes = sorted({(kind, value) for _, kind, value in held})
    code = {node: i for i, node in enumerate(nodes)}
    edges = sorted((accounts.index(account), code[kind, value]) for account, kind, value in held)
    kinds = [kind for kind, _ in nodes]
    moment = pa.scalar(0, pa.timestamp("us", "UTC"))
    return build_graph(
        pa.table({"account_id": pa.array(accounts, pa.string())}),
        pa.table(
            {
                "kind": pa.array(kinds, pa.string()),
                "value": pa.array([value for _, value in nodes], pa.string()),
                "family": pa.array([settings.get_kind(kind).family for kind in kinds], pa.string()),
            }
        ),
        pa.table(
            {
                "account": pa.array([account for account, _ in edges], pa.int32()),
                "identifier": pa.array([identifier for _, identifier in edges], pa.int32()),
                "count": pa.array([1] * len(edges), pa.int64()),
                "first_seen": pa.repeat(moment, len(edges)),
                "last_seen": pa.repeat(moment, len(edges)),
            }
        ),
        chosen=frozenset(kind for kind in kinds if settings.get_kind(kind).chosen),
    )


def make_strangers(n: int, *kinds: str) -> dict[str, str]:
    """Return ``n`` accounts that share nothing with anybody."""
    return {f"z{i:04}": " ".join(f"{kind}:own{i}" for kind in kinds) for i in range(n)}


def make_random_graph(
    seed: int, n_accounts: int = 30, kinds: str = "payment ip device prompt"
) -> AccountGraph:
    """Return a graph in which every account holds up to three of six values of each kind."""
    rng = np.random.default_rng(seed)
    holdings = {
        f"a{i:02}": " ".join(
            f"{kind}:{value}"
            for kind in kinds.split()
            for value in rng.choice(6, rng.integers(0, 4), replace=False)
        )
        for i in range(n_accounts)
    }
    return make_graph(holdings)


def get_code(graph: AccountGraph, name: str) -> int:
    """Return the code of an identifier named ``kind:value``."""
    return get_names(graph).index(name)


def get_names(graph: AccountGraph) -> list[str]:
    """Return the names ``kind:value`` of the identifiers, in the order of their codes."""
    return [f"{kind}:{value}" for kind, value in zip(
        graph.identifiers["kind"], graph.identifiers["value"], strict=True)]  # fmt: skip


def get_edges(graph: AccountGraph) -> pd.DataFrame:
    """Return all edges as ``account`` and ``identifier``."""
    return graph.edges[["account", "identifier", "count"]]


def name_rows(graph: AccountGraph, table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Return rows of a table with ids and names in place of codes."""
    names, accounts = get_names(graph), graph.accounts["account_id"].tolist()
    named = {
        "account": accounts.__getitem__,
        "identifier": names.__getitem__,
        "left": names.__getitem__,
        "right": names.__getitem__,
    }
    wanted = [
        [named[column](value) if column in named else value for value in table[column].tolist()]
        for column in columns
    ]
    return list(zip(*wanted, strict=True))
