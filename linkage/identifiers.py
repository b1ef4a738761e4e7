"""Canonical identifiers: one spelling for each value, and nothing for values that say nothing.

Two accounts share an identifier when their canonical values are equal, so what is equal for the
world must be spelt equally here, and what is different must stay different. Functions take Arrow
arrays of distinct raw values and never loop over them in Python.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linkage.config import Config

__all__ = [
    "CANONICAL_KINDS",
    "DERIVED_KINDS",
    "MAX_KIND_CHARS",
    "PUBLIC_DOMAINS",
    "canonicalise",
    "canonicalise_kind_names",
    "describe_refusals",
    "trim",
]

# Kinds that a raw value of another kind yields besides its own.
DERIVED_KINDS: Final[dict[str, tuple[str, ...]]] = {"email": ("email_pattern", "email_domain")}

# Mail domains at which anyone can get an address: sharing one says nothing about who runs it.
PUBLIC_DOMAINS: Final = frozenset(
    """
    126.com 139.com 163.com 21cn.com aim.com aliyun.com aol.com arcor.de att.net bellsouth.net
    bigpond.com bluewin.ch bol.com.br btinternet.com charter.net comcast.net cox.net daum.net
    earthlink.net email.com fastmail.com fastmail.fm foxmail.com free.fr freenet.de frontier.com
    gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.fr gmx.net googlemail.com hanmail.net hey.com
    hotmail.co.jp hotmail.co.uk hotmail.com hotmail.com.br hotmail.de hotmail.es hotmail.fr
    hotmail.it icloud.com inbox.com inbox.lv inbox.ru interia.pl juno.com kakao.com laposte.net
    libero.it list.ru live.ca live.co.uk live.com live.com.au live.de live.fr live.it live.nl
    mac.com mail.com mail.de mail.ru me.com msn.com mweb.co.za nate.com naver.com netscape.net
    o2.pl onet.pl op.pl optonline.net optusnet.com.au orange.fr outlook.co.id outlook.com
    outlook.com.br outlook.de outlook.es outlook.fr outlook.it outlook.jp passmail.net pm.me
    posteo.de privaterelay.appleid.com proton.me protonmail.ch protonmail.com qq.com rambler.ru
    rediffmail.com relay.firefox.com rocketmail.com rogers.com sapo.pt sbcglobal.net
    seznam.cz sfr.fr shaw.ca simplelogin.com sina.cn sina.com sky.com sohu.com sympatico.ca
    t-online.de talktalk.net telus.net terra.com.br tin.it tiscali.it tuta.com tuta.io
    tutanota.com ukr.net uol.com.br verizon.net virgilio.it virginmedia.com wanadoo.fr web.de
    wp.pl ya.ru yahoo.ca yahoo.co.id yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.ar
    yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.com.tw yahoo.com.vn yahoo.de yahoo.es yahoo.fr
    yahoo.in yahoo.it yandex.com yandex.ru yeah.net ymail.com zoho.com zohomail.com
    """.split()  # noqa: SIM905 - two hundred quotes would say no more
)

MAX_KIND_CHARS: Final = 100

_GMAIL: Final = pa.array(["gmail.com", "googlemail.com"])

_IPV4: Final = r"^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$"
# Loopback and "no address": every machine has them, so they name nobody.
_IPV4_EMPTY: Final = r"^(?:127\..*|0\.0\.0\.0)$"
_IPV4_PORT: Final = r"^(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5}|/32)$"
_IPV6_BRACKETS: Final = r"^\[([^\[\]]*)\](?::\d{1,5})?$"
_IPV6_SUFFIX: Final = r"(?:%[^:\[\]/]+)?(?:/128)?$"
_IPV6_GROUPS: Final = r"^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}$"
_IPV6_TAIL: Final = (
    r"^(?P<head>[0-9a-f:]*:)(?P<a>\d{1,3})\.(?P<b>\d{1,3})\.(?P<c>\d{1,3})\.(?P<d>\d{1,3})$"
)
_CONTROL: Final = r"[\p{Cc}]+"


def trim(values: pa.Array) -> pa.Array:
    r"""Take away surrounding white space and control characters; empty becomes null.

    Parameters
    ----------
    values : pyarrow.Array of string
        Raw values.

    Returns
    -------
    pyarrow.Array of string
        Same length; null where nothing is left.

    Examples
    --------
    >>> trim(pa.array([" a b ", "\t", None])).to_pylist()
    ['a b', None, None]
    """
    text = pc.cast(values, pa.string())
    if pc.any(pc.match_substring_regex(text, _CONTROL)).as_py():
        text = pc.replace_substring_regex(text, _CONTROL, "")
    text = pc.utf8_trim_whitespace(text)
    return _null_where(text, pc.equal(text, ""))


def canonicalise(kind: str, values: pa.Array, config: Config) -> dict[str, pa.Array]:
    """Spell raw values of one kind canonically.

    Parameters
    ----------
    kind : str
        The kind; a kind that linkage does not know is trimmed text.
    values : pyarrow.Array of string, length n
        Raw values, best distinct ones.
    config : Config
        ``limits.max_value_chars`` and ``public_domains`` count here.

    Returns
    -------
    dict of kind -> pyarrow.Array of string, length n
        The kind itself first, then the kinds that its values also yield (`DERIVED_KINDS`).
        Null where a value is missing or unusable.

    Notes
    -----
    ``ip`` is an IPv4 address, or the /64 network of an IPv6 address, since one subscriber line
    gets a /64 at least (RFC 6177, 2011); text follows RFC 5952 (2010). Ports, brackets and zones
    go; IPv4 within ::ffff:0:0/96 is IPv4; loopback and unspecified addresses are unusable.
    ``email`` is lower case in Unicode form NFKC, without a +tag and, at Gmail, without dots.
    ``phone`` is digits with a leading + where the number is international.

    Examples
    --------
    >>> found = canonicalise("email", pa.array(["Jo.Doe+x@googlemail.com"]), Config())
    >>> {kind: array.to_pylist() for kind, array in found.items()}
    {'email': ['jodoe@gmail.com'], 'email_pattern': ['a@gmail.com'], 'email_domain': [None]}
    >>> canonicalise("ip", pa.array(["[2001:DB8::1]:443"]), Config())["ip"].to_pylist()
    ['2001:db8::/64']
    """
    text = trim(values)
    text = _null_where(text, pc.greater(pc.utf8_length(text), config.limits.max_value_chars))
    if kind == "email":
        return _canonicalise_emails(text, config)
    return {kind: _CANONICAL.get(kind, _keep)(text)}


def describe_refusals(kind: str, values: pa.Array, config: Config) -> pa.Array:
    """Say why raw values of one kind are unusable.

    Parameters
    ----------
    kind : str
        The kind.
    values : pyarrow.Array of string, length n
        Raw values, each of which `canonicalise` answers with null.
    config : Config
        As for `canonicalise`.

    Returns
    -------
    pyarrow.Array of string, length n
        A reason of at most some 160 characters; null where a value is missing rather than wrong.

    Examples
    --------
    >>> print(describe_refusals("ip", pa.array(["1.2.3.256"]), Config())[0])
    '1.2.3.256' is no IP address
    """
    text = trim(values)
    limit = config.limits.max_value_chars
    shown = pc.binary_join_element_wise("'", shorten(text), "' ", "")
    reason = pc.binary_join_element_wise(shown, _WRONG.get(kind, "is unusable"), "")
    if kind == "ip":
        carries_nothing = pc.binary_join_element_wise(
            shown, "is a loopback or unspecified address and tells nothing", ""
        )
        reason = pc.if_else(_is_empty_address(text), carries_nothing, reason)
    is_long = pc.greater(pc.utf8_length(text), limit)
    return pc.if_else(is_long, f"the value is longer than {limit} characters", reason)


def shorten(values: pa.Array, n_chars: int = 60) -> pa.Array:
    """Cut texts so that they can be shown.

    Parameters
    ----------
    values : pyarrow.Array of string
        Texts of any length.
    n_chars : int, default 60
        Characters that are kept.

    Returns
    -------
    pyarrow.Array of string

    Examples
    --------
    >>> shorten(pa.array(["abcdef"]), 3).to_pylist()
    ['abc…']
    """
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, n_chars), "…", "")
    return pc.if_else(pc.greater(pc.utf8_length(values), n_chars), cut, values)


def canonicalise_kind_names(names: pa.Array, config: Config) -> pa.Array:
    """Spell kinds of the observations table as the configuration does.

    ``IP`` and ``ip`` must not become two kinds, let alone two families that corroborate each other.

    Parameters
    ----------
    names : pyarrow.Array of string, length n
        Kinds as they came.
    config : Config
        Its kinds are matched whatever the case.

    Returns
    -------
    pyarrow.Array of string, length n
        A configured kind, else the name in lower case; null where it is missing or too long.

    Examples
    --------
    >>> canonicalise_kind_names(pa.array(["IP ", "Wallet", " "]), Config()).to_pylist()
    ['ip', 'wallet', None]
    """
    text = trim(names)
    known = pa.array(sorted(config.kinds), pa.string())
    position = pc.index_in(pc.utf8_lower(text), value_set=pc.utf8_lower(known))
    exact = pc.take(known, pc.index_in(text, value_set=known))
    lower = pc.coalesce(exact, pc.take(known, position), pc.utf8_lower(text))
    return _null_where(lower, pc.greater(pc.utf8_length(lower), MAX_KIND_CHARS))


def _keep(text: pa.Array) -> pa.Array:
    return text


def _null_where(values: pa.Array, condition: pa.Array) -> pa.Array:
    """Null out values; a null condition counts as true."""
    keep = pc.invert(pc.fill_null(condition, fill_value=True))
    return pc.if_else(keep, values, pa.scalar(None, pa.string()))


def _canonicalise_ips(text: pa.Array) -> pa.Array:
    """Spell addresses canonically and drop those that every machine has."""
    address = _parse_ips(text)
    return _null_where(address, _names_nobody(address))


def _is_empty_address(text: pa.Array) -> pa.Array:
    """Whether texts are addresses that every machine has (false for anything else)."""
    address = _parse_ips(text)
    return pc.fill_null(_names_nobody(address), fill_value=False)


def _names_nobody(address: pa.Array) -> pa.Array:
    """Whether addresses are loopback or unspecified; null where there is no address."""
    v4 = pc.match_substring_regex(address, _IPV4_EMPTY)
    # Of ::/64 only :: and ::1 name nobody, and canonical text no longer tells them apart; but
    # no other address of ::/64 is in use either (RFC 4291 reserves it), so all of it goes.
    return pc.or_(v4, pc.equal(address, "::/64"))


def _parse_ips(text: pa.Array) -> pa.Array:
    """Return dotted IPv4, or the IPv6 /64 network; null where a text is no address."""
    text = pc.utf8_lower(text)
    text = pc.replace_substring_regex(text, _IPV4_PORT, r"\1")
    v4 = _null_where(text, pc.invert(pc.match_substring_regex(text, _IPV4)))
    is_v6 = pc.fill_null(pc.match_substring(text, ":"), fill_value=False)
    if not pc.any(is_v6).as_py():
        return v4
    return pc.replace_with_mask(v4, is_v6, _parse_ipv6(pc.filter(text, is_v6)))


def _parse_ipv6(text: pa.Array) -> pa.Array:
    """Return the /64 network of IPv6 addresses, dotted IPv4 of mapped ones, null of others."""
    is_short = pc.invert(pc.match_substring_regex(text, _IPV6_GROUPS))
    full = pc.replace_with_mask(text, is_short, _spell_out(pc.filter(text, is_short)))
    is_whole = pc.fill_null(pc.match_substring_regex(full, _IPV6_GROUPS), fill_value=False)
    chosen = pc.filter(full, is_whole)
    groups = _read_hex(pc.list_flatten(pc.split_pattern(chosen, ":"))).reshape(-1, 8)
    is_mapped = (groups[:, :5] == 0).all(axis=1) & (groups[:, 5] == 0xFFFF)
    found = pc.if_else(pa.array(is_mapped), _write_ipv4(groups[:, 6:]), _write_network(groups))
    position = np.full(len(text), -1, np.int64)
    position[np.flatnonzero(is_whole)] = np.arange(len(chosen))
    return pc.take(found, pa.array(position, mask=position < 0))


def _spell_out(text: pa.Array) -> pa.Array:
    """Write IPv6 addresses as eight groups; what comes out for other texts is none."""
    text = pc.replace_substring_regex(text, _IPV6_BRACKETS, r"\1")
    # The canonical form itself is read back; a network of another size is no address.
    text = pc.replace_substring_regex(text, r"::/64$", "::")
    text = pc.replace_substring_regex(text, _IPV6_SUFFIX, "")
    return _spell_out_zeros(_spell_out_tail(text))


def _spell_out_tail(text: pa.Array) -> pa.Array:
    """Write an embedded dotted IPv4 (``::ffff:1.2.3.4``) as two groups of hexadecimal digits."""
    parts = pc.extract_regex(text, pattern=_IPV6_TAIL)
    if parts.null_count == len(parts):
        return text
    tail = pc.binary_join_element_wise(*(pc.struct_field(parts, name) for name in "abcd"), ".")
    is_tail = pc.fill_null(pc.match_substring_regex(tail, _IPV4), fill_value=False)
    octets = [
        pc.cast(pc.if_else(is_tail, pc.struct_field(parts, name), "0"), pa.int32())
        for name in "abcd"
    ]
    high, low = (
        pc.take(_hex_texts(), pc.add(pc.multiply(octets[i], 256), octets[i + 1])) for i in (0, 2)
    )
    whole = pc.binary_join_element_wise(pc.struct_field(parts, "head"), high, ":", low, "")
    return pc.if_else(is_tail, whole, text)


def _spell_out_zeros(text: pa.Array) -> pa.Array:
    """Write the zero groups that ``::`` stands for; null where it stands for none."""
    halves = pc.split_pattern(text, "::")
    n_halves = pc.list_value_length(halves)
    split = pc.if_else(pc.equal(n_halves, 2), halves, pa.scalar(["", ""], halves.type))
    left, right = pc.list_element(split, 0), pc.list_element(split, 1)
    n_missing = pc.subtract(8, pc.add(_count_groups(left), _count_groups(right)))
    can_fill = pc.and_(pc.equal(n_halves, 2), pc.greater_equal(n_missing, 1))
    zeros = pc.take(_ZEROS, pc.if_else(can_fill, n_missing, 0))
    filled = pc.utf8_trim(pc.binary_join_element_wise(left, zeros, right, ":"), ":")
    # A stray colon at either end is trimmed with the empty halves; it was an error.
    is_stray = pc.match_substring_regex(text, r"^:[^:]|[^:]:$|:::")
    result = pc.if_else(pc.equal(n_halves, 1), text, pc.if_else(can_fill, filled, None))
    return _null_where(result, is_stray)


def _count_groups(half: pa.Array) -> pa.Array:
    n_groups = pc.add(pc.count_substring(half, ":"), 1)
    return pc.if_else(pc.equal(half, ""), 0, n_groups)


_ZEROS: Final = pa.array([":".join(["0"] * n) for n in range(9)])


@cache
def _hex_texts() -> pa.Array:
    """Return hexadecimal text of 0 to 65,535 without leading zeros."""
    return pa.array([f"{number:x}" for number in range(1 << 16)])


def _read_hex(groups: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Read groups of one to four hexadecimal digits as numbers."""
    numbers = pc.cast(pc.binary_join_element_wise("0x", groups, ""), pa.int64())
    return np.asarray(numbers)


def _write_ipv4(pairs: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> pa.Array:
    """Write two 16-bit numbers a row as dotted IPv4."""
    octets = (pairs[:, [0, 0, 1, 1]] >> np.array([8, 0, 8, 0])) & 255
    columns = [pc.cast(pa.array(octets[:, i]), pa.string()) for i in range(4)]
    return pc.binary_join_element_wise(*columns, ".")


def _write_network(groups: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> pa.Array:
    """Write the /64 network of eight 16-bit numbers a row, by RFC 5952.

    The lower half is all zeros, the longest run there can be, so ``::`` stands at the end and
    takes the zero groups before it along.
    """
    n_shown = 4 - np.logical_and.accumulate(groups[:, 3::-1] == 0, axis=1).sum(axis=1)
    prefix = pa.array([""] * len(groups), pa.string())
    for i in range(4):
        text = pc.take(_hex_texts(), pa.array(groups[:, i]))
        longer = pc.binary_join_element_wise(prefix, text, ":" if i else "")
        prefix = pc.if_else(pa.array(n_shown > i), longer, prefix)
    return pc.binary_join_element_wise(prefix, "::/64", "")


def _canonicalise_emails(text: pa.Array, config: Config) -> dict[str, pa.Array]:
    """Spell addresses canonically, and take their pattern and their private domain."""
    text = pc.utf8_lower(pc.utf8_normalize(pc.utf8_lower(text), form="NFKC"))
    # Matching and splitting takes a third of the time of extracting by an expression.
    is_address = pc.match_substring_regex(text, r"^[^\s]+@[^@\s]*[^@\s.]\.?$")
    parts = pc.split_pattern(pc.if_else(is_address, text, "@"), "@", max_splits=1, reverse=True)
    local, domain = (_null_where(pc.list_element(parts, i), pc.invert(is_address)) for i in (0, 1))
    domain = pc.utf8_rtrim(domain, ".")
    local = pc.replace_substring_regex(local, r"^([^+]+)\+.*$", r"\1")
    is_gmail = pc.is_in(domain, value_set=_GMAIL)
    local = pc.if_else(is_gmail, pc.replace_substring(local, ".", ""), local)
    domain = pc.if_else(is_gmail, "gmail.com", domain)
    pattern = pc.replace_substring_regex(local, r"[\p{L}\p{M}]+", "a")
    pattern = pc.replace_substring_regex(pattern, r"\p{Nd}", "9")
    public = pa.array([*PUBLIC_DOMAINS, *(name.lower() for name in config.public_domains)])
    is_unusable = pc.or_kleene(pc.is_null(local), pc.equal(local, ""))
    return {
        "email": _null_where(pc.binary_join_element_wise(local, domain, "@"), is_unusable),
        "email_pattern": _null_where(
            pc.binary_join_element_wise(pattern, domain, "@"), is_unusable
        ),
        "email_domain": _null_where(
            domain, pc.or_kleene(is_unusable, pc.is_in(domain, value_set=public))
        ),
    }


def _canonicalise_phones(text: pa.Array) -> pa.Array:
    """Keep the digits of phone numbers, and a leading + where they are international."""
    text = pc.utf8_normalize(text, form="NFKC")
    # An extension is not part of the line; "(0)" is dialled only within the country.
    text = pc.replace_substring_regex(text, r"(?i)\s*(?:ext\.?|x|;ext=)\s*\d+$", "")
    text = pc.replace_substring_regex(text, r"^(?i)tel:", "")
    is_international = pc.match_substring_regex(text, r"^\s*\(?(?:\+|00)")
    text = pc.if_else(is_international, pc.replace_substring(text, "(0)", ""), text)
    is_number = pc.match_substring_regex(text, r"^[\d\s()+./\-\x{2010}-\x{2015}]+$")
    digits = pc.replace_substring_regex(text, r"[^0-9]", "")
    has_prefix = pc.match_substring_regex(text, r"^\s*\(?00")
    digits = pc.if_else(has_prefix, pc.replace_substring_regex(digits, r"^00", ""), digits)
    n_digits = pc.utf8_length(digits)
    is_usable = pc.and_(is_number, pc.and_(pc.greater(n_digits, 6), pc.less(n_digits, 16)))
    number = pc.if_else(is_international, pc.binary_join_element_wise("+", digits, ""), digits)
    return _null_where(number, pc.invert(is_usable))


_CANONICAL: Final[dict[str, Callable[[pa.Array], pa.Array]]] = {
    "ip": _canonicalise_ips,
    "phone": _canonicalise_phones,
}

# Kinds with rules of their own; all others are trimmed text.
CANONICAL_KINDS: Final = ("email", *_CANONICAL)

_WRONG: Final[dict[str, str]] = {
    "ip": "is no IP address",
    "email": "is no e-mail address",
    "phone": "is no phone number of 7 to 15 digits",
}
