"""(P) IP addresses and networks, as Kubernetes' libraries ``ip`` and ``cidr``: no IPv4 inside IPv6, no zones."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from apiserver.cel.library.function import Function, function, traversal
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import Opaque

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Ip(Opaque):
    type_name = "net.IP"

    address: Address

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True)
class Cidr(Opaque):
    """``address`` may have bits beyond the prefix."""

    type_name = "net.CIDR"

    address: Address
    prefix: int

    @property
    def network(self) -> Network:
        return ipaddress.ip_network(f"{self.address}/{self.prefix}", strict=False)

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


def parse_ip(text: str) -> Ip:
    """Raises EvaluationError."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise EvaluationError(
            f'IP Address "{text}" parse error during conversion from string: unable to parse IP'
        ) from None
    if "%" in text:
        raise EvaluationError(f'IP address "{text}" with zone value is not allowed')
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Ip(address)


def parse_cidr(text: str) -> Cidr:
    """Raises EvaluationError."""
    address, _, prefix = text.partition("/")
    failure = f'network address parse error during conversion from string: netip.ParsePrefix("{text}")'
    if not re.fullmatch(r"0|[1-9]\d{0,2}", prefix):
        raise EvaluationError(failure)
    try:
        parsed = parse_ip(address).address
    except EvaluationError:
        raise EvaluationError(failure) from None
    if int(prefix) > parsed.max_prefixlen:
        raise EvaluationError(f"{failure}: prefix length out of range")
    return Cidr(parsed, int(prefix))


def _parses(parse: object, text: str) -> bool:
    try:
        parse(text)  # type: ignore[operator]
    except EvaluationError:
        return False
    return True


def _is_canonical(text: str) -> bool:
    return str(parse_ip(text)) == text


def _contains_ip(cidr: Cidr, ip: Ip | str) -> bool:
    address = parse_ip(ip).address if isinstance(ip, str) else ip.address
    return address.version == cidr.address.version and address in cidr.network


def _contains_cidr(cidr: Cidr, other: Cidr | str) -> bool:
    inner = parse_cidr(other) if isinstance(other, str) else other
    return cidr.prefix <= inner.prefix and _contains_ip(cidr, Ip(inner.address))


def _masked(cidr: Cidr) -> Cidr:
    return Cidr(cidr.network.network_address, cidr.prefix)


def _is_global_unicast(ip: Ip) -> bool:
    address = ip.address
    broadcast = address == ipaddress.IPv4Address("255.255.255.255")
    local = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not (local or broadcast)


def _is_link_local_multicast(ip: Ip) -> bool:
    scope = "224.0.0.0/24" if ip.address.version == 4 else "ff02::/16"
    return ip.address in ipaddress.ip_network(scope)


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("ip(string) -> net_ip", parse_ip, traversal),
    function("isIP(string) -> bool", lambda text: _parses(parse_ip, text), traversal),
    function("ip::isCanonical(string) -> bool", _is_canonical, traversal),
    function("string(net_ip) -> string", str),
    function("net_ip.family() -> int", lambda ip: ip.address.version),
    function("net_ip.isUnspecified() -> bool", lambda ip: ip.address.is_unspecified),
    function("net_ip.isLoopback() -> bool", lambda ip: ip.address.is_loopback),
    function("net_ip.isLinkLocalMulticast() -> bool", _is_link_local_multicast),
    function("net_ip.isLinkLocalUnicast() -> bool", lambda ip: ip.address.is_link_local),
    function("net_ip.isGlobalUnicast() -> bool", _is_global_unicast),
    function("cidr(string) -> net_cidr", parse_cidr, traversal),
    function("isCIDR(string) -> bool", lambda text: _parses(parse_cidr, text), traversal),
    function("string(net_cidr) -> string", str),
    *(function(f"net_cidr.containsIP({kind}) -> bool", _contains_ip) for kind in ("net_ip", "string")),
    *(function(f"net_cidr.containsCIDR({kind}) -> bool", _contains_cidr) for kind in ("net_cidr", "string")),
    function("net_cidr.ip() -> net_ip", lambda cidr: Ip(cidr.address)),
    function("net_cidr.masked() -> net_cidr", _masked),
    function("net_cidr.prefixLength() -> int", lambda cidr: cidr.prefix),
)
