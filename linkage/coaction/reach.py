"""Which acts are within reach of which: same object, no more than so long apart."""

from typing import Any

import numpy as np
import numpy.typing as npt

from linkage.kernels import compile_kernel

__all__ = ["count_within", "pair_within"]

Ints = npt.NDArray[np.int64]


def count_within(objects: Ints, times_us: Ints, reach_us: int) -> Ints:
    """Count, for each act, those after it on its object and within reach.

    Parameters
    ----------
    objects, times_us : ndarray of int64, shape (n,)
        Sorted by object, then by time in microseconds.
    reach_us : int
        Microseconds, at most, between two acts.

    Returns
    -------
    ndarray of int64, shape (n,)
        In time linear in n, however many there are.

    Examples
    --------
    >>> count_within(np.array([0, 0, 0, 1]), np.array([0, 5, 9, 9]), 5).tolist()
    [1, 1, 0, 0]
    """
    counts: Ints = compile_kernel(_count)(objects, times_us, reach_us)
    return counts


def pair_within(counts: Ints) -> tuple[Ints, Ints]:
    """List the pairs of acts within reach.

    Parameters
    ----------
    counts : ndarray of int64, shape (n,)
        As `count_within` returns.

    Returns
    -------
    tuple of ndarray of int64, each of shape (sum of counts,)
        Positions of the earlier and of the later act.

    Examples
    --------
    >>> [side.tolist() for side in pair_within(np.array([2, 1, 0]))]
    [[0, 0, 1], [1, 2, 2]]
    """
    first = np.repeat(np.arange(len(counts)), counts)
    # Those within reach of an act come right after it, one after the other.
    place = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, first + 1 + place


def _count(objects: Any, times: Any, reach: int) -> Any:
    """Sweep over the acts with two hands; compiled by numba."""
    counts = np.zeros(len(objects), np.int64)
    last = 0
    for i in range(len(objects)):
        last = max(last, i)
        while (
            last + 1 < len(objects)
            and objects[last + 1] == objects[i]
            and times[last + 1] - times[i] <= reach
        ):
            last += 1
        counts[i] = last - i
    return counts
