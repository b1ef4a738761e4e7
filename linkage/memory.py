"""Memory that is free goes back to the system."""

from __future__ import annotations

import ctypes

import pyarrow as pa

__all__ = ["release_memory"]


def release_memory() -> None:
    """Give back what is free: allocators keep it for what is asked for next.

    A stage asks for much that the one before it did not: what either keeps for itself would add up.
    Of allocators other than Arrow's and GNU's nothing is known, and nothing is done about them.

    Examples
    --------
    >>> release_memory()
    """
    pa.default_memory_pool().release_unused()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # there is none on macOS, Windows and musl
        return
    trim(0)
