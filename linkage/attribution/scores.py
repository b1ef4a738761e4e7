"""The table of scores: how well accounts fit clusters, and what that makes probable."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

__all__ = ["Scores", "weigh_odds"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MAX_LOG_ODDS: Final = 500.0  # bits; keeps odds within what a float can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well accounts fit clusters: R rows, F families.

    Attributes
    ----------
    account, cluster : array of int64, shape (R,)
        In no order that means anything.
    own : array of bool, shape (R,)
        Whether the account is a member of the cluster.
    bits : array of float64, shape (R, F)
        What each family says for membership, dependent families counted once.
    score : array of float64, shape (R,)
        Log2 odds of membership, prior included.
    n_families : array of int64, shape (R,)
        Independent families that say ``min_bits`` or more.
    apart : array of float64, shape (R,)
        Bits of the families that tell operators apart, every other cluster counting as one
        outsider: what sets the cluster apart from strangers, also if parts of one operator are
        still in several clusters.
    silence : array of float64, shape (R,)
        Bits, at most 0, of those of these families in which the account shares nothing that the
        members share.
    kin : array of float64, shape (R,)
        Accounts of the cluster and of all that have its purpose, where the account's own cluster is
        one of them; 0 elsewhere.
    purposeful : array of bool, shape (R,)
        Whether the account has prompts in common with the cluster that say ``min_bits`` or more.
    aimless : array of bool, shape (R,)
        Whether the account does other things than the cluster: see ``customers``.
    """

    account: Ints
    cluster: Ints
    own: Flags
    bits: Floats
    score: Floats
    n_families: Ints
    apart: Floats
    silence: Floats
    kin: Floats
    purposeful: Flags
    aimless: Flags

    def drop(self, clusters: Flags) -> Scores:
        """Return the rows of other clusters.

        Parameters
        ----------
        clusters : array of bool, shape (C,)
            The clusters that are dropped.

        Returns
        -------
        Scores
        """
        row = np.flatnonzero(~clusters[self.cluster])
        kept = {}
        for field in fields(self):
            column = getattr(self, field.name)
            # Columns of a table stand one after the other, and do so again.
            kept[field.name] = column[row] if column.ndim == 1 else column.T.take(row, axis=1).T
        return Scores(**kept)

    def append(self, others: Scores) -> Scores:
        """Return these rows and then others."""
        joined = {}
        for field in fields(self):
            pair = [getattr(self, field.name).T, getattr(others, field.name).T]
            joined[field.name] = np.concatenate(pair, axis=-1).T
        return Scores(**joined)


def weigh_odds(scores: Scores, n_accounts: int) -> Floats:
    """Return the posterior of each row, shape (R,), for N accounts."""
    odds = np.exp2(np.minimum(scores.score, MAX_LOG_ODDS))
    total = 1 + np.bincount(scores.account, weights=odds, minlength=n_accounts)
    return np.asarray(odds / total[scores.account])
