"""Compiled loops; numba is imported when the first one runs, for importing it costs seconds."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compile_kernel"]


@cache
def compile_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as machine code, kept on disk for the next process.

    Parameters
    ----------
    function : callable
        A loop over arrays that numba understands; it must not close over anything.

    Returns
    -------
    callable
        It releases Python's lock while it runs.
    """
    from numba import njit

    compiled: Callable[..., Any] = njit(nogil=True, cache=True)(function)
    return compiled
