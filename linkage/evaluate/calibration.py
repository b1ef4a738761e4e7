"""Calibration: of the things said with probability p, how many came true."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linkage.errors import InputError

__all__ = ["Calibration", "ReliabilityBin", "bin_numbers", "measure_calibration", "wilson_interval"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The predictions of one range: what was said, and what came true."""

    lower: float  # the range is [lower, upper); the last one includes 1
    upper: float
    n: int
    mean_predicted: float
    observed: float  # share that came true
    low: float  # Wilson 95 % interval of the share, as if the predictions were independent
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How well probabilities match what came true."""

    n: int
    ece: float  # expected calibration error, 0..1
    brier: float  # mean squared error, 0..1
    bins: tuple[ReliabilityBin, ...]  # empty ranges are left out


def measure_calibration(
    probability: npt.ArrayLike, outcome: npt.ArrayLike, *, n_bins: int = 10
) -> Calibration | None:
    """Compare probabilities with what came true.

    Parameters
    ----------
    probability : array-like of float, shape (n,)
        Predicted probabilities, 0..1.
    outcome : array-like of bool, shape (n,)
        What came true.
    n_bins : int, default 10
        Number of ranges of equal width.

    Returns
    -------
    Calibration or None
        None where there is no prediction.

    Raises
    ------
    InputError
        Where the two differ in length, a probability is outside 0..1, or n_bins is below 1.

    Notes
    -----
    ECE = sum_b (n_b / n) |o_b - e_b|, with o_b the share that came true and e_b the mean prediction
    of range b [1]_; it is biased upwards where ranges hold few predictions. The Brier score is
    mean (p - y)^2 [2]_.

    References
    ----------
    .. [1] Naeini, Cooper, Hauskrecht (2015), Obtaining Well Calibrated Probabilities Using Bayesian
       Binning, AAAI.
    .. [2] Brier (1950), Verification of Forecasts Expressed in Terms of Probability, Monthly
       Weather Review 78(1).

    Examples
    --------
    >>> result = measure_calibration([0.9, 0.9, 0.1, 0.1], [True, True, False, True])
    >>> round(result.ece, 3), round(result.brier, 3)
    (0.25, 0.21)
    """
    p = np.asarray(probability, dtype=np.float64)
    y = np.asarray(outcome, dtype=np.float64)
    if p.shape != y.shape:
        raise InputError(f"probability and outcome differ in length: {p.shape} and {y.shape}")
    if not np.all((p >= 0) & (p <= 1)):
        raise InputError("probabilities must lie in 0..1, without nulls")
    if not len(p):
        return None
    number = bin_numbers(p, n_bins)
    n = np.bincount(number, minlength=n_bins)
    predicted = np.bincount(number, weights=p, minlength=n_bins)
    observed = np.bincount(number, weights=y, minlength=n_bins)
    return Calibration(
        n=len(p),
        ece=float(np.abs(observed - predicted).sum() / len(p)),
        brier=float(np.mean((p - y) ** 2)),
        bins=tuple(
            _describe_bin(b, n_bins, int(n[b]), float(predicted[b]), float(observed[b]))
            for b in np.flatnonzero(n).tolist()
        ),
    )


def bin_numbers(probability: Floats, n_bins: int) -> npt.NDArray[np.int64]:
    """Return the range that each probability falls into, 0..n_bins-1."""
    if n_bins < 1:
        raise InputError(f"n_bins must be at least 1; got {n_bins}")
    return np.minimum((probability * n_bins).astype(np.int64), n_bins - 1)


def _describe_bin(
    number: int, n_bins: int, n: int, predicted: float, observed: float
) -> ReliabilityBin:
    low, high = wilson_interval(observed, n)
    return ReliabilityBin(
        lower=number / n_bins,
        upper=(number + 1) / n_bins,
        n=n,
        mean_predicted=predicted / n,
        observed=observed / n,
        low=low,
        high=high,
    )


def wilson_interval(successes: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson 1927).

    Parameters
    ----------
    successes : float
        Number of successes, 0..n.
    n : int
        Number of trials, at least 1.
    z : float, default 1.959964
        Normal quantile; the default is that of a 95 % interval.

    Returns
    -------
    tuple of float
        Lower and upper end, 0..1.

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(0, 10)]
    [0.0, 0.278]
    """
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
