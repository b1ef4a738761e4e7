"""Recalibration: confidence corrected by what an analyst has found out about some accounts.

Confidence rests on stated beliefs, which are the same everywhere. Where somebody has looked at some
clusters, their verdicts say what confidence is worth here. They change no cluster, only how sure it
is said to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from linkage.errors import InputError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["judge_labelled", "recalibrate_clusters"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

STATED: Final = 8  # clusters that stated confidence counts as, evenly over 0 to 1
VERDICTS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "1", "1.0", "y", "t"), True),
    **dict.fromkeys(("false", "no", "0", "0.0", "n", "f"), False),
}


def judge_labelled(members: pd.DataFrame, labels: pd.DataFrame) -> pd.Series[float]:
    """Say how far each cluster with labelled accounts is an operator's.

    Parameters
    ----------
    members : pandas.DataFrame
        ``account_id``, ``cluster_id``.
    labels : pandas.DataFrame
        ``account_id`` and ``is_operator``: true or false (also yes and no, 1 and 0), as an analyst
        found. Accounts of no cluster, and rows without a verdict, say nothing.

    Returns
    -------
    pandas.Series of float64, indexed by cluster_id
        The share of its labelled accounts that an operator runs; sorted.

    Raises
    ------
    SchemaError
        Where a column is missing.
    InputError
        Where a verdict is none, or an account has two.

    Examples
    --------
    >>> members = pd.DataFrame({"account_id": ["a", "b", "c"], "cluster_id": [1, 1, 2]})
    >>> labels = pd.DataFrame({"account_id": ["a", "b", "x"], "is_operator": [True, "no", True]})
    >>> judge_labelled(members, labels).to_dict()
    {1: 0.5}
    """
    missing = [name for name in ("account_id", "is_operator") if name not in labels]
    if missing:
        raise SchemaError(f"the labels lack {missing}; they have {list(labels.columns)}")
    said = labels["is_operator"].astype("string").str.strip().str.lower()
    given = labels.assign(
        account_id=labels["account_id"].astype("string"),
        verdict=said.map(VERDICTS).astype("boolean"),
    )[said.notna() & (said != "")]
    odd = given.loc[given["verdict"].isna(), "is_operator"]
    if len(odd):
        raise InputError(f"is_operator is true or false; got {odd.iloc[0]!r}")
    given = given[["account_id", "verdict"]].drop_duplicates()
    twice = given.loc[given["account_id"].duplicated(), "account_id"]
    if len(twice):
        raise InputError(
            f"the labels say of {twice.iloc[0]!r} both that an operator runs it and not"
        )
    held = members.assign(account_id=members["account_id"].astype("string")).merge(given)
    verdict = held["verdict"].astype(np.float64)
    return verdict.groupby(held["cluster_id"]).mean()


def recalibrate_clusters(clusters: pd.DataFrame, verdict: pd.Series[float]) -> pd.DataFrame:
    """Correct the confidence of clusters by what was found out about some.

    Parameters
    ----------
    clusters : pandas.DataFrame
        ``cluster_id``, ``n_accounts``, ``confidence``, ``risk`` and others.
    verdict : pandas.Series of float64, indexed by cluster_id
        How far clusters are an operator's, 0 to 1: of :func:`judge_labelled`.

    Returns
    -------
    pandas.DataFrame
        The same clusters, the riskiest first, with other ``confidence`` and ``risk``. Of two
        clusters, the one of which less was said is never said more of afterwards.

    Notes
    -----
    Isotonic regression [1]_ of the verdicts on the stated confidence, a cluster counting once. What
    was stated counts as ``STATED`` clusters, evenly over 0 to 1, in which it came true: a handful
    of labels corrects a little, a hundred decide. Between the blocks of the fit confidence is
    interpolated. ``risk`` is confidence x (1 - 1/n).

    References
    ----------
    .. [1] Zadrozny, Elkan (2002), Transforming Classifier Scores into Accurate Multiclass
       Probability Estimates, KDD.
    """
    found = clusters.set_index("cluster_id")["confidence"].reindex(verdict.index)
    known = found.notna().to_numpy()
    anchors = np.linspace(0, 1, STATED + 1)
    x = np.concatenate([anchors, found.to_numpy(np.float64)[known]])
    y = np.concatenate([anchors, verdict.to_numpy(np.float64)[known]])
    weight = np.concatenate([np.full(len(anchors), STATED / len(anchors)), np.ones(known.sum())])
    confidence = _fit(x, y, weight, clusters["confidence"].to_numpy(np.float64))
    risk = confidence * (1 - 1 / clusters["n_accounts"].to_numpy())
    said = clusters.assign(confidence=confidence, risk=risk, stated=clusters["risk"])
    ranked = said.sort_values(
        ["risk", "stated", "cluster_id"], ascending=[False, False, True], ignore_index=True
    )
    return ranked.drop(columns="stated")


def _fit(x: Floats, y: Floats, weight: Floats, at: Floats) -> Floats:
    """Fit y as a rising function of x, and return it at other places."""
    from scipy.optimize import isotonic_regression

    place, row = np.unique(x, return_inverse=True)
    total = np.bincount(row, weight)
    fitted = isotonic_regression(np.bincount(row, weight * y) / total, weights=total)
    block = np.repeat(np.arange(len(fitted.blocks) - 1), np.diff(fitted.blocks))
    middle = np.bincount(block, total * place) / np.bincount(block, total)
    level = np.bincount(block, total * fitted.x) / np.bincount(block, total)
    return np.interp(at, middle, level)
