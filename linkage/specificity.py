"""Specificity: which of a cluster's evidence is its own, and what no program explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from linkage.kernels import compile_kernel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_bound", "find_own", "judge_bound"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MOSTLY: Final = 0.5  # of an identifier's other holders are members, for it to be the cluster's own
MIN_BOUND: Final = 1 / 4  # of accounts, from which on nothing but what binds them explains a group
UNBOUND: Final = 4  # accounts that are known beforehand: of few, two are easily bound by chance


def find_own(evidence: pd.DataFrame, holders: Ints) -> Flags:
    """Find the evidence that is mostly the cluster's: half of the others who hold it are members.

    Parameters
    ----------
    evidence : pandas.DataFrame
        ``cluster``, ``identifier``, ``bits``: what ties members to their clusters.
    holders : array of int64, shape (M,)
        Accounts that hold each identifier.

    Returns
    -------
    array of bool, one a row of the evidence
        False where the bits are 0.

    Notes
    -----
    With n members among the d holders of an identifier, (n - 1) / (d - 1) of the others who hold it
    are members. Inside more than outside is what makes a community in the weak sense of Radicchi et
    al. (2004), here asked of one identifier.
    """
    cluster, identifier = (evidence[name].to_numpy(np.int64) for name in ("cluster", "identifier"))
    key = cluster * len(holders) + identifier
    _, code, n = np.unique(key, return_inverse=True, return_counts=True)
    mostly = n[code] - 1 >= MOSTLY * np.maximum(holders[identifier] - 1, 1)
    return np.asarray(mostly & (evidence["bits"].to_numpy() > 0))


def find_bound(
    starts: Ints,
    identifiers: Ints,
    holders: Ints,
    is_free: Flags,
    account: Ints,
    group: Ints,
    min_bits: float,
) -> Flags:
    """Find the accounts of groups that are tied to others of their group by some identifiers.

    Parameters
    ----------
    starts, identifiers : array of int, shapes (N + 1,) and (edges,)
        The identifiers of each account, one account after the other.
    holders : array of int64, shape (M,)
        Accounts that hold each identifier.
    is_free : array of bool, shape (M,)
        The identifiers that count: those that do not come along with what made the group.
    account, group : array of int64, shape (R,)
        An account of a group in each row; an account may be in several groups.
    min_bits : float
        What is shared has to be 2 to the power of so much times as common in the group as among
        all accounts, the account itself left out.

    Returns
    -------
    array of bool, shape (R,)

    Notes
    -----
    Users of one program send its prompts, and come from its servers. Whether they are one
    operator's, or customers of whoever made the program, shows in what no program brings along:
    cards, devices, mail domains. Of a program's customers, households and teams share such things;
    of an operator's accounts, a good part does at any level of evasion but the highest.
    """
    order = np.argsort(group, kind="stable")
    bound = np.zeros(len(account), bool)
    bound[order] = compile_kernel(_bind)(
        starts,
        identifiers,
        is_free,
        account[order],
        group[order],
        holders,
        max(len(starts) - 1, 2),
        np.exp2(min_bits),
    )
    return bound


def judge_bound(n_bound: Ints, n: Ints) -> Floats:
    """Return how far groups are taken for one operator's, by how many of their accounts are bound.

    Parameters
    ----------
    n_bound, n : array of int64
        Accounts that :func:`find_bound` found, and all accounts, of each group.

    Returns
    -------
    array of float64
        0 where none is, 1 where ``MIN_BOUND`` of them are, and in proportion between.
    """
    return np.minimum(n_bound / (n + UNBOUND) / MIN_BOUND, 1.0)


def _bind(
    starts: Any,
    identifiers: Any,
    is_free: Any,
    account: Any,
    cell: Any,
    holders: Any,
    n_accounts: int,
    least: float,
) -> Any:
    """Find the rows, which come by cell, that are bound to others; compiled by numba."""
    bound = np.zeros(len(account), np.bool_)
    seen = np.zeros(len(holders), np.int32)
    begin = 0
    while begin < len(account):
        end = begin
        while end < len(account) and cell[end] == cell[begin]:
            end += 1
        for row in range(begin, end):
            for p in range(starts[account[row]], starts[account[row] + 1]):
                seen[identifiers[p]] += 1
        n_others = end - begin - 1
        for row in range(begin, end):
            for p in range(starts[account[row]], starts[account[row] + 1]):
                i = identifiers[p]
                if is_free[i] and seen[i] >= 2:
                    usual = (holders[i] - 1) / (n_accounts - 1)
                    if seen[i] - 1 >= least * usual * n_others:
                        bound[row] = True
                        break
        for row in range(begin, end):
            for p in range(starts[account[row]], starts[account[row] + 1]):
                seen[identifiers[p]] = 0
        begin = end
    return bound
