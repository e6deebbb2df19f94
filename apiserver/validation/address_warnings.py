"""Warnings about addresses that are taken for now, in the words of apimachinery's ``util/validation/ip.go``. Pure."""

from __future__ import annotations

from apiserver.api.field_errors import Path, quote
from apiserver.validation.addresses import parse_cidr, parse_ip


def ip_warnings(text: str, path: Path) -> list[str]:
    address = parse_ip(text)
    if address is None or text == str(address):
        return []
    wanted = quote(str(address))
    if address.version == 6:
        return [f"{path}: IPv6 address {quote(text)} should be in RFC 5952 canonical format ({wanted})"]
    future = "will be considered invalid in a future Kubernetes release"
    return [f"{path}: non-standard IP address {quote(text)} {future}: use {wanted}"]


def cidr_warnings(text: str, path: Path) -> list[str]:
    network, address = parse_cidr(text), parse_ip(text.partition("/")[0])
    if network is None or address is None or text == str(network):
        return []
    found = []
    if address != network.network_address:
        alone = quote(f"{address}/{network.max_prefixlen}")
        ambiguous = f"is ambiguous in this context (should be {quote(str(network))} or {alone}?)"
        found.append(f"{path}: CIDR value {quote(text)} {ambiguous}")
    if text.partition("/")[0] != str(address) and network.version == 4:
        future = "will be considered invalid in a future Kubernetes release"
        wanted = quote(str(network))
        found.append(f"{path}: non-standard CIDR value {quote(text)} {future}: use {wanted}")
    if found or network.version == 4:
        return found
    wanted = quote(str(network))
    return [f"{path}: IPv6 CIDR value {quote(text)} should be in RFC 5952 canonical format ({wanted})"]
