"""Direct evidence between two accounts, for groups that are too small to overlap.

Three accounts that share a card and a handful of prompts have no identifier with many holders, and
no overlap of two identifiers that chance could not make. But each pair of them shares rare
identifiers of independent families, and that many rare things are not shared by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["link_pairs"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

MAX_HOLDERS: Final = 30  # of an identifier that leads to a pair; larger ones overlap by themselves
MAX_PAIRS_PER_ACCOUNT: Final = 256  # meetings looked at, on average; rarer identifiers come first


def link_pairs(graph: AccountGraph, edges: pd.DataFrame, config: MethodConfig) -> pd.DataFrame:
    """Link pairs of accounts that share more than chance explains.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``, sorted: the edges that take part.
    config : MethodConfig
        ``min_bits`` is what counts as support of a family, and the odds from which on a pair is
        linked; ``max_family_bits`` caps what one family says.

    Returns
    -------
    pandas.DataFrame
        ``left`` < ``right`` (account codes), ``bits`` (odds beyond the prior of 1 / N), sorted.

    Notes
    -----
    Accounts a and b with deg_ak and deg_bk identifiers of kind k share one that at most d accounts
    hold, by chance, lambda times on average (the configuration model)::

        lambda_k(d) = deg_ak deg_bk  sum_{j of kind k, d_j <= d} d_j (d_j - 1) / E_k^2

    where E_k is the number of edges to the kind. A shared identifier of d holders says
    ``-log2(1 - exp(-lambda_k(d)))`` bits, but no more than ``log2((N - 1) / (d - 1))``. Two busy
    accounts meet more often, and by what is often shared, and both are in the formula.

    Of a family the strongest identifier counts, identifiers of chosen kinds add up; of dependent
    families the strongest count. Two families must support a pair, or one by
    ``single_family_bits`` more.

    Only identifiers of at most ``MAX_HOLDERS`` accounts lead to a pair, and the commonest are left
    out where there would be more than ``MAX_PAIRS_PER_ACCOUNT`` meetings an account. The cost is
    linear in meetings; no table of pairs is held.
    """
    holders = np.bincount(edges["identifier"], minlength=graph.n_identifiers)
    cap = _bound_holders(holders, graph.n_accounts)
    leads = (holders >= 2) & (holders <= cap)
    used = edges[leads[edges["identifier"].to_numpy()]]
    if used.empty:
        return pd.DataFrame(
            {"left": np.empty(0, np.int64), "right": np.empty(0, np.int64), "bits": np.empty(0)}
        )
    degree, rate = _count_meetings(graph)
    by_identifier = used.sort_values(["identifier", "account"])
    found = compile_kernel(_link)(
        np.searchsorted(used["account"].to_numpy(), np.arange(graph.n_accounts + 1)),
        used["identifier"].to_numpy(np.int64),
        np.searchsorted(by_identifier["identifier"].to_numpy(), np.arange(len(holders) + 1)),
        by_identifier["account"].to_numpy(np.int64),
        graph.kind_codes,
        graph.family_codes,
        graph.identifiers["chosen"].to_numpy(bool),
        graph.list_independent(config.dependent_families),
        degree,
        rate,
        np.log2((graph.n_accounts - 1) / np.maximum(graph.holders - 1, 1)),
        config.min_bits,
        config.max_family_bits,
        config.single_family_bits,
    )
    pairs = pd.DataFrame(dict(zip(("left", "right", "bits"), found, strict=True)))
    return pairs.sort_values(["left", "right"], ignore_index=True)


def _bound_holders(holders: Ints, n_accounts: int) -> int:
    """Return the largest number of holders whose meetings can be afforded."""
    counts = np.bincount(np.minimum(holders, MAX_HOLDERS + 1), minlength=MAX_HOLDERS + 2)
    size = np.arange(MAX_HOLDERS + 1)
    meetings = np.cumsum(counts[:-1] * size * (size - 1) / 2)
    return int(np.searchsorted(meetings, MAX_PAIRS_PER_ACCOUNT * n_accounts, side="right")) - 1


def _count_meetings(graph: AccountGraph) -> tuple[Floats, Floats]:
    """Return accounts' degrees by kind, and lambda of each identifier at degrees of one.

    Returns
    -------
    degree : array of float64, shape (N, kinds)
    rate : array of float64, shape (M,)
    """
    kinds, holders = graph.kind_codes, graph.holders
    degree = graph.degrees.astype(np.float64)
    order = np.lexsort((holders, kinds))
    meetings = np.zeros(len(holders))
    for kind, n_edges in enumerate(degree.sum(axis=0)):
        rows = order[kinds[order] == kind]
        running = np.cumsum(holders[rows] * (holders[rows] - 1.0))
        # Identifiers of as many holders count together, whatever their order.
        last = np.searchsorted(holders[rows], holders[rows], side="right") - 1
        meetings[rows] = running[last] / n_edges**2
    return degree, meetings


def _link(  # noqa: PLR0912 - one compiled loop
    starts: Any,
    identifiers: Any,
    holder_starts: Any,
    holder: Any,
    kind: Any,
    family: Any,
    chosen: Any,
    sets: Any,
    degree: Any,
    rate: Any,
    most: Any,
    min_bits: float,
    max_family_bits: float,
    single_family_bits: float,
) -> Any:
    """Weigh every pair of accounts that meet; compiled by numba."""
    n_accounts, n_families = len(starts) - 1, sets.shape[1]
    prior = np.log2(n_accounts)
    slot = np.full(n_accounts, -1, np.int64)  # of the accounts that the present one meets
    left, right, bits = [0], [0], [0.0]  # typed by their first element, which is dropped
    for a in range(n_accounts):
        n_meetings = 0
        for p in range(starts[a], starts[a + 1]):
            n_meetings += holder_starts[identifiers[p] + 1] - holder_starts[identifiers[p]]
        met = np.empty(n_meetings, np.int64)
        says = np.zeros((n_meetings, n_families))
        n_met = 0
        for p in range(starts[a], starts[a + 1]):
            i = identifiers[p]
            for q in range(holder_starts[i], holder_starts[i + 1]):
                b = holder[q]
                if b <= a:
                    continue
                if slot[b] < 0:
                    slot[b] = n_met
                    met[n_met] = b
                    n_met += 1
                by_chance = degree[a, kind[i]] * degree[b, kind[i]] * rate[i]
                said = min(-np.log2(-np.expm1(-by_chance)), most[i])
                if chosen[i]:
                    said += says[slot[b], family[i]]
                says[slot[b], family[i]] = max(says[slot[b], family[i]], said)
        for s in range(n_met):
            slot[met[s]] = -1
        for s in range(n_met):
            b, said = met[s], says[s]
            most_said, n_strong = -1.0, 0
            for k in range(len(sets)):
                said_in_set, strong_in_set = 0.0, 0
                for f in range(n_families):
                    if sets[k, f]:
                        said_in_set += min(said[f], max_family_bits)
                        strong_in_set += said[f] >= min_bits
                if said_in_set > most_said:
                    most_said, n_strong = said_in_set, strong_in_set
            total = most_said - prior
            margin = min_bits if n_strong >= 2 else max(min_bits, single_family_bits)
            if total >= margin:
                left.append(a)
                right.append(b)
                bits.append(total)
    return np.array(left[1:]), np.array(right[1:]), np.array(bits[1:])
