"""Crowds: clusters whose accounts have in common only what many others have as well.

The busiest customers behind a carrier's gateway share hundreds of its addresses, and prompts that
everybody sends. Together that looks like two kinds of evidence, and both say that they are busy.
Whoever is run by one operator holds something that is mostly that operator's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from linkage.attribution.profiles import count_members
from linkage.specificity import find_own

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_crowds"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MIN_CROWD: Final = 10  # accounts; what fewer have in common may be rare only as a whole


def find_crowds(evidence: pd.DataFrame, labels: Ints, holders: Ints) -> Flags:
    """Find large clusters of which most accounts hold nothing that is mostly the cluster's.

    Parameters
    ----------
    evidence : pandas.DataFrame
        ``account``, ``cluster``, ``identifier``, ``bits``: what ties members to their clusters.
    labels : array of int64, shape (N,)
        Cluster of each account, from 0; -1 for none.
    holders : array of int64, shape (M,)
        Accounts that hold each identifier.

    Returns
    -------
    array of bool, shape (C,)
        False for clusters of fewer than ``MIN_CROWD`` accounts: name, town and year of birth may be
        one person's together, and each of them many people's.
    """
    sizes = count_members(labels)
    account = evidence["account"].to_numpy(np.int64)[find_own(evidence, holders)]
    holds = np.zeros(len(labels), bool)
    holds[account] = True
    n_holding = np.bincount(labels[holds & (labels >= 0)], minlength=len(sizes))
    return np.asarray((2 * n_holding < sizes) & (sizes >= MIN_CROWD))
