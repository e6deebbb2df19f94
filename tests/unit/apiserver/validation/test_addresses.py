"""Addresses as Go's net packages read them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.field_errors import Path
from apiserver.validation.address_warnings import cidr_warnings, ip_warnings
from apiserver.validation.addresses import (
    endpoint_ip,
    legacy_cidr,
    legacy_ip,
    parse_cidr,
    parse_ip,
    strict_cidr,
    strict_ip,
)

_PATH = Path("f")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("010.000.0.09", "10.0.0.9"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("fd00::01", "fd00::1"),
        ("10.0.0", None),
        ("fe80::1%eth0", None),
        ("256.0.0.1", None),
        ("", None),
        ("-1.0.0.1", None),
    ],
)
def test_addresses(text: str, parsed: str | None) -> None:
    found = parse_ip(text)
    assert (None if found is None else str(found)) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("010.0.0.0/08", "10.0.0.0/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("fd00::/8", "fd00::/8"),
        ("10.0.0.0", None),
        ("10.0.0.0/33", None),
        ("10.0.0.0/-1", None),
        ("10.0.0.0/", None),
    ],
)
def test_networks(text: str, parsed: str | None) -> None:
    found = parse_cidr(text)
    assert (None if found is None else str(found)) == parsed


@given(st.ip_addresses())
def test_what_is_canonical_is_taken_everywhere(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if getattr(address, "ipv4_mapped", None) is not None:
        return
    text = str(address)
    assert parse_ip(text) == address
    assert [*legacy_ip(text, _PATH), *strict_ip(text, _PATH), *ip_warnings(text, _PATH)] == []


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_networks_of_ipv4(address: ipaddress.IPv4Address, bits: int) -> None:
    text, network = f"{address}/{bits}", ipaddress.ip_network((str(address), bits), strict=False)
    assert parse_cidr(text) == network
    assert legacy_cidr(text, _PATH) == []
    assert (strict_cidr(text, _PATH) == []) == (cidr_warnings(text, _PATH) == []) == (text == str(network))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
        ("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("224.0.0.5", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("ff12::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ],
)
def test_addresses_nobody_can_be_reached_at(text: str, complaint: str) -> None:
    assert [error.detail for error in endpoint_ip(text, _PATH)] == [complaint]


def test_loopback_where_it_is_allowed() -> None:
    assert endpoint_ip("127.0.0.1", _PATH, allow_loopback=True) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("010.0.0.1", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
        ("FD00::1", 'must be in canonical form ("fd00::1")'),
    ],
)
def test_strict_addresses(text: str, complaint: str) -> None:
    assert [error.detail for error in strict_ip(text, _PATH)] == [complaint]
