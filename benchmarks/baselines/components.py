"""Connected components: whoever shares an identifier, directly or through others, is one."""

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from benchmarks.baselines.incidence import build_incidence, make_members

__all__ = ["link_components"]


def link_components(observations: pd.DataFrame, *, max_holders: int) -> pd.DataFrame:
    """Link accounts that share an identifier held by at most ``max_holders`` accounts.

    Parameters
    ----------
    observations : pandas.DataFrame
        account_id, kind, value.
    max_holders : int
        Hub cap.

    Returns
    -------
    pandas.DataFrame
        account_id, cluster_id.
    """
    incidence = build_incidence(observations, max_holders=max_holders)
    matrix = incidence.matrix
    n_accounts, n_identifiers = matrix.shape
    account, identifier = matrix.tocoo().coords
    ends = (account, identifier + n_accounts)
    bipartite = sparse.csr_array(
        (np.ones(matrix.nnz), ends), shape=(n_accounts + n_identifiers,) * 2
    )
    _, labels = connected_components(bipartite, directed=False)
    return make_members(incidence.accounts, labels[: len(incidence.accounts)])
