"""Observations as a sparse matrix of accounts by identifiers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

__all__ = ["Incidence", "build_incidence", "make_members"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Incidence:
    """Which account was seen with which identifier."""

    accounts: pd.Index
    matrix: sparse.csr_array  # (n_accounts, n_identifiers), 0/1
    holders: npt.NDArray[np.int64]  # (n_identifiers,)

    @property
    def idf(self) -> npt.NDArray[np.float64]:
        """Return ln(N / holders) of each identifier, shape (n_identifiers,)."""
        return np.log(len(self.accounts) / self.holders)


def build_incidence(
    observations: pd.DataFrame, *, min_holders: int = 2, max_holders: int | None = None
) -> Incidence:
    """Build the 0/1 matrix of accounts by identifiers (kind and value).

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    min_holders, max_holders : int
        Identifiers with fewer or more holders are left out. Accounts stay.

    Returns
    -------
    Incidence
    """
    row, accounts = pd.factorize(observations["account_id"], sort=True)
    column = observations.groupby(["kind", "value"], sort=True).ngroup().to_numpy()
    pairs = pd.DataFrame({"row": row, "column": column}).drop_duplicates()
    holders = np.bincount(pairs["column"])
    kept = holders >= min_holders
    if max_holders is not None:
        kept &= holders <= max_holders
    pairs = pairs[kept[pairs["column"]]]
    number = np.cumsum(kept) - 1
    shape = (len(accounts), int(kept.sum()))
    ones = np.ones(len(pairs))
    matrix = sparse.csr_array((ones, (pairs["row"], number[pairs["column"]])), shape=shape)
    return Incidence(accounts=pd.Index(accounts), matrix=matrix, holders=holders[kept])


def make_members(accounts: pd.Index, labels: npt.NDArray[np.integer]) -> pd.DataFrame:
    """Turn a label for each account into members; -1 and labels of one account are left out."""
    frame = pd.DataFrame({"account_id": accounts, "cluster_id": labels})
    frame = frame[frame["cluster_id"] >= 0]
    sizes = frame["cluster_id"].map(frame["cluster_id"].value_counts())
    return frame[sizes > 1].reset_index(drop=True)
