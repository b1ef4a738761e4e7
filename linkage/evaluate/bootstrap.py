"""Intervals: the units that could have come out differently are drawn again, with replacement."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["draw_weights", "percentile_interval", "resample_sums"]

Floats = npt.NDArray[np.float64]

MAX_BLOCK: Final = 4_000_000  # weights held at once


def resample_sums(active: Floats, idle: Floats, n_idle: int, *, n_draws: int, seed: int) -> Floats:
    """Sum the rows of resampled units.

    Parameters
    ----------
    active : ndarray of shape (n_active, n_columns)
        What each unit adds to every sum.
    idle : ndarray of shape (n_columns,)
        What each of ``n_idle`` further units adds, which all add the same.
    n_idle : int
        Number of these. They are drawn as one lot, which leaves the distribution as it is and makes
        a million lone accounts cost nothing.
    n_draws : int
        Number of bootstrap samples.
    seed : int
        Seed of the draws.

    Returns
    -------
    ndarray of shape (n_draws, n_columns)

    Notes
    -----
    A sample draws as many units as there are, with replacement [1]_. How many of them are idle is
    binomial; given that, the others are drawn uniformly.

    References
    ----------
    .. [1] Efron (1979), Bootstrap Methods: Another Look at the Jackknife, Ann. Stat. 7(1).

    Examples
    --------
    >>> resample_sums(np.ones((3, 1)), np.ones(1), 2, n_draws=2, seed=0).tolist()
    [[5.0], [5.0]]
    """
    rng = np.random.default_rng(seed)
    n_units = len(active) + n_idle
    if not n_units:
        return np.zeros((n_draws, len(idle)))
    lots = rng.binomial(n_units, n_idle / n_units, size=n_draws)
    sums: Floats = np.outer(lots, idle).astype(np.float64)
    if len(active):
        for draw in range(n_draws):
            chosen = rng.integers(len(active), size=n_units - lots[draw])
            sums[draw] += np.bincount(chosen, minlength=len(active)) @ active
    return sums


def draw_weights(n_units: int, *, n_draws: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield how often each unit stands in each bootstrap sample, in blocks of bounded size.

    Parameters
    ----------
    n_units : int
        Number of units, at least 1.
    n_draws : int
        Number of bootstrap samples.
    seed : int
        Seed of the draws.

    Yields
    ------
    ndarray of shape (n_draws_of_the_block, n_units)
    """
    rng = np.random.default_rng(seed)
    block = max(1, MAX_BLOCK // n_units)
    for start in range(0, n_draws, block):
        size = min(block, n_draws - start)
        yield rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=size)


def percentile_interval(values: Floats, level: float) -> tuple[float | None, float | None]:
    """Return the central interval of resampled values; (None, None) where most are undefined."""
    defined = values[np.isfinite(values)]
    if len(defined) * 2 <= len(values):
        return None, None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
