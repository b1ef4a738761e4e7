"""Random numbers that depend on what they are for, not on the order in which they are drawn.

A choice that must stay the same for the whole life of a world (which address a line holds in one
lease, which templates an account uses) is a hash of its keys; everything else comes from a numpy
generator. Both start from the world's seed.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Bools",
    "Floats",
    "Ints",
    "Keys",
    "cut_groups",
    "draw_heavy",
    "draw_weighted",
    "hash_keys",
    "make_generator",
    "mix",
    "spread_uniform",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.uint64]

_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


def mix(values: Keys) -> Keys:
    """Scramble 64-bit numbers one to one.

    Parameters
    ----------
    values : ndarray of uint64, any shape of one dimension or more

    Returns
    -------
    ndarray of uint64
        Same shape; different inputs give different outputs.

    Notes
    -----
    The output function of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
    number generators").

    Examples
    --------
    >>> len(set(mix(np.arange(1000, dtype=np.uint64)).tolist()))
    1000
    """
    x = values + _STEP
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


def hash_keys(*keys: int | npt.NDArray[np.generic]) -> Keys:
    """Hash one or more integer keys, element by element, to 64 bits.

    Parameters
    ----------
    *keys : int or ndarray of integers
        Broadcast against each other; a scalar counts as an array of one.

    Returns
    -------
    ndarray of uint64

    Examples
    --------
    >>> bool(hash_keys(1, 2)[0] == hash_keys(2, 1)[0])
    False
    """
    state = np.zeros(1, dtype=np.uint64)
    for key in keys:
        part = np.atleast_1d(np.asarray(key))
        state = mix(state ^ part.astype(np.int64, copy=False).view(np.uint64))
    return state


def spread_uniform(hashes: Keys) -> Floats:
    """Turn hashes into numbers in [0, 1).

    Parameters
    ----------
    hashes : ndarray of uint64

    Returns
    -------
    ndarray of float64
    """
    numbers: Floats = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def make_generator(seed: int, *path: int) -> np.random.Generator:
    """Make the generator of one part of the world.

    Parameters
    ----------
    seed : int
        The world's seed, >= 0.
    *path : int
        Which part: the same path gives the same stream whatever else the world holds.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *path]))


def draw_weighted(rng: np.random.Generator, weights: npt.ArrayLike, size: int) -> Ints:
    """Draw positions with probability proportional to their weight.

    Parameters
    ----------
    rng : numpy.random.Generator
    weights : array_like of float, shape (k,)
        Not negative, not all zero.
    size : int

    Returns
    -------
    ndarray of int64, shape (size,)
        Values in ``range(k)``.
    """
    bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
    drawn = np.searchsorted(bounds, rng.random(size) * bounds[-1], side="right")
    positions: Ints = np.minimum(drawn, len(bounds) - 1).astype(np.int64)
    return positions


def draw_heavy(rng: np.random.Generator, size: int, total: float, sigma: float) -> Floats:
    """Draw heavy-tailed amounts that sum to a total.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : int
    total : float
        Sum of the result.
    sigma : float
        Standard deviation of the logarithm; 0 gives equal shares.

    Returns
    -------
    ndarray of float64, shape (size,)
        Lognormal shares; none is larger than 2,000 times the median.
    """
    if size == 0:
        return np.zeros(0)
    shares = np.minimum(np.exp(sigma * rng.standard_normal(size)), 2000.0)
    amounts: Floats = shares * (total / shares.sum())
    return amounts


def cut_groups(rng: np.random.Generator, total: int, smallest: int, largest: int) -> Ints:
    """Cut a row of members into groups of random, log-uniform size.

    Parameters
    ----------
    rng : numpy.random.Generator
    total : int
        Members to place.
    smallest, largest : int
        Bounds of a group's size.

    Returns
    -------
    ndarray of int64, shape (total,)
        Group of each member, rising from 0; -1 for the rest that fills no group.

    Examples
    --------
    >>> cut_groups(np.random.default_rng(0), 7, 3, 3)
    array([ 0,  0,  0,  1,  1,  1, -1])
    """
    if total < smallest:
        return np.full(total, -1, dtype=np.int64)
    n_draws = total // smallest + 1
    low, high = np.log(smallest), np.log(largest + 1)
    sizes = np.exp(low + (high - low) * rng.random(n_draws)).astype(np.int64)
    sizes = np.clip(sizes, smallest, largest)
    ends = np.cumsum(sizes)
    n_groups = int(np.searchsorted(ends, total, side="right"))
    if n_groups == 0:
        return np.zeros(total, dtype=np.int64)
    groups = np.repeat(np.arange(n_groups), sizes[:n_groups])
    return np.concatenate([groups, np.full(total - len(groups), -1, dtype=np.int64)])
