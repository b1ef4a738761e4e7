"""Specificity: which of a cluster's evidence is mostly its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_own"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MOSTLY: Final = 0.5  # of an identifier's other holders are members, for it to be the cluster's own


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
    own = evidence["bits"].to_numpy() > 0
    cluster, identifier = (
        evidence[name].to_numpy(np.int64)[own] for name in ("cluster", "identifier")
    )
    _, code, n = np.unique(
        cluster * len(holders) + identifier, return_inverse=True, return_counts=True
    )
    own[own] = n[code] - 1 >= MOSTLY * np.maximum(holders[identifier] - 1, 1)
    return np.asarray(own)
