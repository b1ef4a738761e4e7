"""Corroborated edges: what an identifier proves about an account, given what else the account has.

That an account was seen at an address proves nothing; that it was seen there *and* holds the card
that the others there hold does. An edge (account, identifier) carries evidence only through
validated overlaps of its identifier with the account's identifiers of other families.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from linkage.graph import find_starts
from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    from linkage.config import MethodConfig
    from linkage.graph import AccountGraph

__all__ = ["corroborate_edges"]


def corroborate_edges(
    graph: AccountGraph, edges: pd.DataFrame, pairs: pd.DataFrame, config: MethodConfig
) -> pd.DataFrame:
    """Weigh edges by the validated overlaps that support them.

    Parameters
    ----------
    graph : AccountGraph
    edges : pandas.DataFrame
        ``account``, ``identifier``, sorted: the edges that take part.
    pairs : pandas.DataFrame
        ``left``, ``right``, ``bits``: validated overlaps, sorted.
    config : MethodConfig
        ``max_family_bits`` caps what one family adds.

    Returns
    -------
    pandas.DataFrame
        ``account``, ``identifier``, ``bits`` > 0: the supported edges, sorted.

    Notes
    -----
    For each edge and each family, the strongest overlap counts, capped; families are added. The
    cost is the sum over accounts of the squared number of identifiers, which is bounded.
    """
    if edges.empty or pairs.empty:
        return edges[["account", "identifier"]].iloc[:0].assign(bits=np.empty(0))
    starts = find_starts(edges["account"].to_numpy(), graph.n_accounts)
    first = find_starts(pairs["left"].to_numpy(), graph.n_identifiers)
    bits = compile_kernel(_sum_supports)(
        starts,
        edges["identifier"].to_numpy(np.int32),
        graph.family_codes,
        len(graph.family_names),
        first,
        pairs["right"].to_numpy(np.int64),
        np.minimum(pairs["bits"].to_numpy(), config.max_family_bits),
    )
    weighed = edges[["account", "identifier"]].assign(bits=bits)
    return weighed[weighed["bits"] > 0].reset_index(drop=True)


def _sum_supports(
    starts: Any, identifier: Any, family: Any, n_families: int, first: Any, right: Any, bits: Any
) -> Any:
    """Add up, for each edge, its strongest overlap in each family; compiled by numba."""
    total, place = np.zeros(len(identifier)), np.full(len(first), -1, np.int32)
    for account in range(len(starts) - 1):
        begin, end = starts[account], starts[account + 1]
        best = np.zeros((end - begin, n_families))
        for p in range(begin, end):
            place[identifier[p]] = p - begin
        for p in range(begin, end):
            i = identifier[p]
            low, high = first[i], first[i + 1]
            if low == high:
                continue
            # Of overlaps and the account's further identifiers, the fewer are gone through.
            few = high - low <= end - p - 1
            for k in range(high - low if few else end - p - 1):
                if few:
                    found, j = low + k, right[low + k]
                    if place[j] < 0:
                        continue
                else:
                    j = identifier[p + 1 + k]
                    found = low + np.searchsorted(right[low:high], j)
                    if found == high or right[found] != j:
                        continue
                q = place[j]
                best[p - begin, family[j]] = max(best[p - begin, family[j]], bits[found])
                best[q, family[i]] = max(best[q, family[i]], bits[found])
        for p in range(begin, end):
            total[p] = best[p - begin].sum()
            place[identifier[p]] = -1
    return total
