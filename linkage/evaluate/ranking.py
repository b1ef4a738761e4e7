"""Ranking: whether what is put first deserves it."""

import numpy as np
import numpy.typing as npt

from linkage.errors import InputError

__all__ = ["average_precision"]

Floats = npt.NDArray[np.float64]


def average_precision(
    score: npt.ArrayLike, positive: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Floats:
    """Compute the average precision of a ranking, for one or for many weightings of its items.

    Parameters
    ----------
    score : array-like of float, shape (n,)
        What the items are ranked by, highest first. Equal scores form one step.
    positive : array-like of bool, shape (n,)
        Which items are relevant.
    weights : array-like of float, shape (n_draws, n), optional
        How often each item counts, by draw; once each by default.

    Returns
    -------
    ndarray of shape (n_draws,)
        In 0..1; NaN where nothing is relevant.

    Raises
    ------
    InputError
        Where score and positive differ in length.

    Notes
    -----
    AP = sum_k (R_k - R_{k-1}) P_k over the distinct scores in descending order, with P_k and R_k
    the precision and recall among the items with at least that score; no interpolation.

    Examples
    --------
    >>> average_precision([0.9, 0.8, 0.7], [True, False, True]).round(3).tolist()
    [0.833]
    """
    s = np.asarray(score, dtype=np.float64)
    y = np.asarray(positive, dtype=np.float64)
    if s.shape != y.shape:
        raise InputError(f"score and positive differ in length: {s.shape} and {y.shape}")
    w = np.ones((1, len(s))) if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(s):
        return np.full(len(w), np.nan)
    order = np.argsort(-s, kind="stable")
    steps = np.append(np.flatnonzero(np.diff(s[order])), len(s) - 1)
    hits = np.cumsum((w * y)[:, order], axis=1)[:, steps]
    shown = np.cumsum(w[:, order], axis=1)[:, steps]
    precision = np.divide(hits, shown, out=np.zeros_like(hits), where=shown > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    total = hits[:, -1]
    area = (gained * precision).sum(axis=1)
    out: Floats = np.full(len(w), np.nan)
    np.divide(area, total, out=out, where=total > 0)
    return out
