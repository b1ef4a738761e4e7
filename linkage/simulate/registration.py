"""Names under which accounts are known: identifiers, mail addresses, phone numbers."""

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from linkage.simulate.cast import MACHINE_STYLE
from linkage.simulate.draws import Ints, Keys, hash_keys, mix
from linkage.simulate.language import make_names

__all__ = ["spell_hex", "spell_keys", "spell_mails", "spell_phones"]

_ALPHABET: Final = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)
_N_FIRST: Final = 900
_N_LAST: Final = 6_000


def spell_keys(numbers: Ints, prefix: str, seed: int) -> pa.Array:
    """Spell numbers as keys that look random and never collide.

    Parameters
    ----------
    numbers : ndarray of int64, shape (n,)
    prefix : str
        Stands before every key.
    seed : int
        The world's: other worlds have other keys.

    Returns
    -------
    pyarrow.StringArray
        Length n; 13 characters after the prefix; missing where the number is negative.

    Examples
    --------
    >>> len(set(spell_keys(np.arange(1000), "acc_", 0).to_pylist()))
    1000
    """
    salt = hash_keys(seed, sum(ord(c) << (8 * k) for k, c in enumerate(prefix[:6])))
    scrambled = mix(numbers.astype(np.uint64) ^ salt)
    return _spell(scrambled, prefix, bits=5, length=13, missing=numbers < 0)


def spell_hex(hashes: Keys) -> pa.Array:
    """Spell hashes with sixteen hexadecimal digits.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n,)

    Returns
    -------
    pyarrow.StringArray
        Length n.
    """
    return _spell(hashes, "", bits=4, length=16, missing=np.zeros(len(hashes), dtype=np.bool_))


def _spell(values: Keys, prefix: str, *, bits: int, length: int, missing: np.ndarray) -> pa.Array:
    start = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    width = len(start) + length
    letters = np.empty((len(values), width), dtype=np.uint8)
    letters[:, : len(start)] = start
    for k in range(length):
        digit = (values >> np.uint64(bits * k)) & np.uint64((1 << bits) - 1)
        letters[:, width - 1 - k] = _ALPHABET[digit.astype(np.int64)]
    offsets = np.arange(len(values) + 1, dtype=np.int32) * width
    words = pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(letters))
    return pc.if_else(pa.array(missing), None, words) if missing.any() else words


def spell_phones(numbers: Ints, country: Ints) -> pa.Array:
    """Spell phone numbers under +999, a country code that is assigned to nobody.

    Parameters
    ----------
    numbers : ndarray of int64, shape (n,)
        Negative for none.
    country : ndarray of int64, shape (n,)
        Two digits after the code.

    Returns
    -------
    pyarrow.StringArray
        Length n.
    """
    digits = pd.Series(numbers * 48_271 % 100_000_007).astype(str).str.zfill(9)
    words = "+999" + pd.Series(country % 90 + 10).astype(str) + digits
    return pa.array(words.mask(numbers < 0, None), type=pa.string())


def spell_mails(accounts: pd.DataFrame, domains: list[str], seed: int) -> pa.Array:
    """Make up mail addresses, one for each account.

    Parameters
    ----------
    accounts : DataFrame
        mail_style, mail_domain and mail_series, as in `cast.Part`.
    domains : list of str
        Mail domains by number.
    seed : int
        The world's.

    Returns
    -------
    pyarrow.StringArray
        No address twice.
    """
    n = len(accounts)
    key = hash_keys(np.arange(n), seed, 81)
    first = pd.Series(make_names(_N_FIRST, seed=1)).take(_below(key, 0, _N_FIRST))
    last = pd.Series(make_names(_N_LAST, seed=2)).take(_below(key, 16, _N_LAST))
    first, last = first.reset_index(drop=True), last.reset_index(drop=True)
    style = accounts["mail_style"].to_numpy()
    local = first + "." + last
    local = local.mask(style == 1, first.str[0] + last)
    local = local.mask(style == 2, last + "_" + first)
    number = pd.Series(_below(key, 32, 100)).astype(str)
    public = (accounts["mail_domain"].to_numpy() < 8) & (_below(key, 40, 10) < 6)
    local = local.mask(public, local + number)
    local = local.mask(style == MACHINE_STYLE, _follow_pattern(accounts, first, last, key))
    domain = pd.Series(domains).take(accounts["mail_domain"].to_numpy()).reset_index(drop=True)
    again = (local + "@" + domain).groupby(local + "@" + domain).cumcount()
    local = local.mask(again > 0, local + "." + (again + 1).astype(str))
    return pa.array(local + "@" + domain, type=pa.string())


def _below(key: Keys, shift: int, bound: int) -> Ints:
    return ((key >> np.uint64(shift)) % np.uint64(bound)).astype(np.int64)


def _follow_pattern(
    accounts: pd.DataFrame, first: pd.Series, last: pd.Series, key: Keys
) -> pd.Series:
    """Make up local parts as the programs of different operators do."""
    series = np.maximum(accounts["mail_series"].to_numpy(), 0)
    pattern = _below(hash_keys(series, 82), 0, 4)
    four = pd.Series(_below(key, 20, 10_000)).astype(str).str.zfill(4)
    year = pd.Series(1970 + _below(key, 36, 36)).astype(str)
    letters = pd.Series(
        pc.utf8_slice_codeunits(spell_hex(mix(key)), 0, 10).to_pylist(), dtype="str"
    )
    local = last + four
    local = local.mask(pattern == 1, first + "_" + last + "_" + four.str[:3])
    local = local.mask(pattern == 2, letters)
    return local.mask(pattern == 3, first + last.str[:3] + year)
