import ipaddress

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.config import Config
from linkage.identifiers import (
    canonicalise,
    canonicalise_kind_names,
    describe_refusals,
    shorten,
    trim,
)

CONFIG = Config()


def spell(kind, *values, config=CONFIG):
    return canonicalise(kind, pa.array(values, pa.string()), config)[kind].to_pylist()


def expected_ip(address):
    """The oracle: Python's ipaddress, under the rules of the module."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    if address.version == 4:
        return None if address.is_loopback or int(address) == 0 else str(address)
    network = ipaddress.ip_network((int(address) >> 64 << 64, 64))
    return None if int(network.network_address) == 0 else str(network)


GROUPS = st.lists(st.sampled_from([0, 0, 0, 1, 0xDB8, 0xFFFF, 0x2001]), min_size=8, max_size=8)
ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    GROUPS.map(lambda g: ipaddress.IPv6Address(sum(x << 16 * (7 - i) for i, x in enumerate(g)))),
    st.ip_addresses(v=4).map(lambda a: ipaddress.IPv6Address((0xFFFF << 32) + int(a))),
)


def spellings(address):
    """Every way in which the address is commonly written."""
    written = [str(address), address.exploded, str(address).upper(), f" {address}\t"]
    if address.version == 4:
        return [*written, f"{address}:65000", f"{address}/32"]
    tail = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    head = address.exploded.rsplit(":", 2)[0]
    more = [f"[{address}]", f"[{address}]:443", f"{address}%eth0", f"{address}/128"]
    return [*written, *more, f"{head}:{tail}"]


@settings(max_examples=300, deadline=None)
@given(st.lists(ADDRESSES, min_size=1, max_size=5))
def test_addresses_are_spelt_as_the_standard_library_does_however_they_are_written(addresses):
    written = [(text, expected_ip(a)) for a in addresses for text in spellings(a)]
    assert spell("ip", *(text for text, _ in written)) == [canonical for _, canonical in written]


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="0123456789abf:.", max_size=24))
def test_a_text_is_an_address_exactly_when_the_standard_library_says_so(text):
    try:
        expected = expected_ip(ipaddress.ip_address(text))
    except ValueError:
        expected = None
        # Only a port makes an address of what ipaddress refuses.
        if text.count(":") == 1 and "." in text:
            return
    assert spell("ip", text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4.5",
        "1:2:3:4:5:6:7",
        "1::2::3",
        ":1::",
        "1:::2",
        "1:2:3:4::5:6:7:8",
        "12345::",
        "2001:db8::/48",
        "host",
        "1.2.3.4, 5.6.7.8",
        "::ffff:1.2.3.999",
    ],
)
def test_what_is_no_address_is_unusable(text):
    assert spell("ip", text) == [None]
    reason = describe_refusals("ip", pa.array([text]), CONFIG)[0].as_py()
    assert reason == f"'{text}' is no IP address"


@pytest.mark.parametrize("text", ["0.0.0.0", "127.0.0.1", "::", "::1", "::ffff:127.0.0.1"])  # noqa: S104
def test_addresses_that_every_machine_has_carry_nothing(text):
    assert spell("ip", text) == [None]
    reason = describe_refusals("ip", pa.array([text]), CONFIG)[0].as_py()
    assert "tells nothing" in reason


def test_canonical_values_are_their_own_canonical_values():
    for kind, values in {
        "ip": ["192.0.2.1", "2001:db8:0:7::/64", "2001:db8::/64"],
        "email": ["ab@gmail.com", "+x@corp.example", "jo.doe@corp.example"],
        "phone": ["+49151123456", "5551234567"],
        "device": ["d 1"],
    }.items():
        assert spell(kind, *values) == values


def test_mail_is_spelt_by_hand():
    raw = [
        "A.B+c@Gmail.com",
        "a.b+c@googlemail.com",
        "John.Smith1984+x@Corp.Example.",
        "x",
        "@y.z",
        "x@",
        "a b@c.d",
        "\uff4a\uff4f@example.com",
        "..@gmail.com",
        "+tag@b.example",
        None,
    ]
    found = canonicalise("email", pa.array(raw), CONFIG)
    assert found["email"].to_pylist() == [
        "ab@gmail.com",
        "ab@gmail.com",
        "john.smith1984@corp.example",
        None,
        None,
        None,
        None,
        "jo@example.com",
        None,
        "+tag@b.example",
        None,
    ]
    assert found["email_pattern"].to_pylist() == [
        "a@gmail.com",
        "a@gmail.com",
        "a.a9999@corp.example",
        None,
        None,
        None,
        None,
        "a@example.com",
        None,
        "+a@b.example",
        None,
    ]
    assert found["email_domain"].to_pylist() == [
        None,
        None,
        "corp.example",
        None,
        None,
        None,
        None,
        "example.com",
        None,
        "b.example",
        None,
    ]


def test_domains_that_the_configuration_calls_public_carry_nothing():
    config = Config(public_domains=("Campus.example",))
    found = canonicalise("email", pa.array(["jo@campus.example"]), config)
    assert found["email_domain"].to_pylist() == [None]
    assert found["email"].to_pylist() == ["jo@campus.example"]


LOCALS = st.text(alphabet="abcxyz0123456789._-", min_size=1, max_size=20)


@settings(max_examples=200, deadline=None)
@given(LOCALS, st.sampled_from(["corp.example", "mail.example.org"]), st.text("ab1", max_size=5))
def test_a_tag_and_upper_case_never_make_another_mailbox(local, domain, tag):
    plain, tagged = spell("email", f"{local}@{domain}", f" {local.upper()}+{tag}@{domain.upper()}")
    assert plain == tagged == f"{local}@{domain}"


@settings(max_examples=200, deadline=None)
@given(LOCALS)
def test_a_pattern_keeps_separators_and_the_number_of_digits(local):
    found = canonicalise("email", pa.array([f"{local}@corp.example"]), CONFIG)
    shape = found["email_pattern"][0].as_py().removesuffix("@corp.example")
    assert shape.count("9") == sum(letter.isdigit() for letter in local)
    assert [c for c in shape if c in "._-"] == [c for c in local if c in "._-"]
    assert "aa" not in shape


def test_phones_are_spelt_by_hand():
    raw = [
        "+49 (0)151 123-4567",
        "0049151 1234567",
        "0151/1234567",
        "555-123-4567 ext. 89",
        "tel:+1-555-123-4567",
        "+1 555 123 4567",
        "\uff14\uff19\uff11\uff15\uff11\uff11\uff12\uff13\uff14\uff15",
        "123",
        "1" * 16,
        "call me 5551234567",
    ]
    assert spell("phone", *raw) == [
        "+491511234567",
        "+491511234567",
        "01511234567",
        "5551234567",
        "+15551234567",
        "+15551234567",
        "4915112345",
        None,
        None,
        None,
    ]


def test_other_kinds_are_trimmed_and_lose_control_characters():
    assert spell("device", " d\x001\n", "\u00a0x\u2003", "", " ", None) == [
        "d1",
        "x",
        None,
        None,
        None,
    ]


def test_what_is_missing_is_not_called_wrong():
    reasons = describe_refusals("phone", pa.array(["", " ", None, "12"]), CONFIG).to_pylist()
    assert reasons == [None, None, None, "'12' is no phone number of 7 to 15 digits"]


def test_values_that_are_too_long_are_unusable_and_never_repeated():
    text = "x" * 10_000
    assert spell("device", text) == [None]
    reason = describe_refusals("device", pa.array([text]), CONFIG)[0].as_py()
    assert reason == "the value is longer than 4096 characters"
    shown = describe_refusals("ip", pa.array(["y" * 4_000]), CONFIG)[0].as_py()
    assert len(shown) < 100


def test_kinds_meet_whatever_their_case():
    names = canonicalise_kind_names(pa.array(["IP", " ip", "Wallet", "x" * 101, None]), CONFIG)
    assert names.to_pylist() == ["ip", "ip", "wallet", None, None]


def test_empty_arrays_stay_empty():
    for kind in ("ip", "email", "phone", "device"):
        for array in canonicalise(kind, pa.array([], pa.string()), CONFIG).values():
            assert array.to_pylist() == []
    assert trim(pa.array([], pa.string())).to_pylist() == []
    assert shorten(pa.array(["abc"]), 3).to_pylist() == ["abc"]
