# mypy: disable-error-code="untyped-decorator"
"""What a template is called: nothing that says what its prints are without the case's key."""

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit, types

__all__ = ["hash_numbers", "name_templates", "spell"]

_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_T: Final = np.uint8(ord("t"))
_LETTERS: Final = 17  # of a name: a t and 16 digits
_LENGTH: Final = np.uint64(8 << 56)  # the last block of a message of eight bytes
_START: Final = np.array(
    [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573], np.uint64
)

_U64_IN = types.Array(types.uint64, 1, "C", readonly=True)


@njit(
    types.UniTuple(types.uint64, 4)(types.uint64, types.uint64, types.uint64, types.uint64),
    inline="always",
)
def _mix(a: Any, b: Any, c: Any, d: Any) -> Any:
    """One round of SipHash."""
    a += b
    b = ((b << np.uint64(13)) | (b >> np.uint64(51))) ^ a
    a = (a << np.uint64(32)) | (a >> np.uint64(32))
    c += d
    d = ((d << np.uint64(16)) | (d >> np.uint64(48))) ^ c
    a += d
    d = ((d << np.uint64(21)) | (d >> np.uint64(43))) ^ a
    c += b
    b = ((b << np.uint64(17)) | (b >> np.uint64(47))) ^ c
    c = (c << np.uint64(32)) | (c >> np.uint64(32))
    return a, b, c, d


@njit(types.void(types.uint64[::1], _U64_IN), nogil=True, cache=True, error_model="numpy")
def _hash(values: Any, start: Any) -> None:
    """Replace numbers by their SipHash-2-4, each a message of eight bytes."""
    for at in range(len(values)):
        a, b, c, d = start[0], start[1], start[2], start[3]
        for block in (values[at], _LENGTH):
            d ^= block
            a, b, c, d = _mix(a, b, c, d)
            a, b, c, d = _mix(a, b, c, d)
            a ^= block
        c ^= np.uint64(0xFF)
        for _ in range(4):
            a, b, c, d = _mix(a, b, c, d)
        values[at] = a ^ b ^ c ^ d


@njit(types.void(_U64_IN, types.uint8[:, ::1]), nogil=True, cache=True, error_model="numpy")
def _spell(names: Any, letters: Any) -> None:
    """Write a t and the digits of each name, the highest first."""
    for row in range(len(names)):
        letters[row, 0] = _T
        name = names[row]
        for place in range(_LETTERS - 1, 0, -1):
            letters[row, place] = _HEX[name & np.uint64(15)]
            name >>= np.uint64(4)


def hash_numbers(values: npt.NDArray[np.uint64], secret: tuple[int, int]) -> npt.NDArray[np.uint64]:
    """Return SipHash-2-4 of each number, written as eight bytes, the lowest first.

    Parameters
    ----------
    values : ndarray of uint64, shape (n,)
    secret : tuple of two int
        The key's first and last eight bytes, the lowest first.

    Returns
    -------
    ndarray of uint64, shape (n,)

    Notes
    -----
    Aumasson and Bernstein, SipHash: a fast short-input PRF (2012).
    """
    hashed = np.array(values, np.uint64)
    _hash(hashed, _START ^ np.array([*secret, *secret], np.uint64))
    return hashed


def name_templates(
    labels: npt.NDArray[np.int32],
    values: npt.NDArray[np.uint64],
    is_core: npt.NDArray[np.bool_],
    key: bytes,
) -> npt.NDArray[np.uint64]:
    """Name each template after its smallest core print, hashed with the case's key.

    A template keeps its name while its core keeps that print, whatever else comes and goes.

    Parameters
    ----------
    labels : ndarray of int32, shape (n prints,)
        The template of each print.
    values : ndarray of uint64, shape (n prints,)
    is_core : ndarray of bool, shape (n prints,)
    key : bytes
        Up to 64 bytes.

    Returns
    -------
    ndarray of uint64, shape (n templates,)
    """
    smallest = np.full(int(labels.max(initial=-1)) + 1, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, labels[is_core], values[is_core])
    derived = hashlib.blake2b(digest_size=16, key=key, person=b"linkage template").digest()
    low, high = (int.from_bytes(part, "little") for part in (derived[:8], derived[8:]))
    return hash_numbers(smallest, (low, high))


def spell(names: npt.NDArray[np.uint64]) -> pa.Array:
    """Return names as text: a t and 16 hexadecimal digits, in the order of the numbers."""
    letters = np.empty((len(names), _LETTERS), np.uint8)
    _spell(names, letters)
    offsets = np.arange(0, letters.size + 1, _LETTERS, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(names), [None, pa.py_buffer(offsets), pa.py_buffer(letters)]
    )
