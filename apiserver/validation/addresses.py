"""IP addresses and CIDRs, as strict as the field they stand in. Pure.

Fields from before Go grew strict (`legacy_*`) take leading zeros and IPv4-mapped addresses; newer ones want the
canonical form. Source: apimachinery ``util/validation/ip.go``, ``ValidateEndpointIP``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from apiserver.api.field_errors import FieldError, Path, invalid, quote

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NO_ADDRESS: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NO_CIDR: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_ZEROS: Final = re.compile(r"(?<![0-9a-fA-F:.])0+(?=\d)|(?<=\.)0+(?=\d)")
_LINK_LOCAL_4: Final = ipaddress.ip_network("224.0.0.0/24")


def parse_ip(text: str) -> Address | None:
    """As Go's ``ParseIPSloppy``: leading zeros are decimal, a mapped IPv4 address is that address, no zones."""
    if "%" in text:
        return None
    try:
        parsed = ipaddress.ip_address(_ZEROS.sub("", text) if ":" not in text else text)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def parse_cidr(text: str) -> Network | None:
    """The network of ``address/bits``, host bits dropped."""
    address, slash, bits = text.partition("/")
    parsed = parse_ip(address)
    if parsed is None or not slash or not bits.isascii() or not bits.isdigit():
        return None
    length = int(bits)
    if parsed.version == 4 and ":" in address:
        length -= 96
    if not 0 <= length <= parsed.max_prefixlen:
        return None
    return ipaddress.ip_network((str(parsed), length), strict=False)


def legacy_ip(text: str, path: Path, known: Collection[str] = ()) -> list[FieldError]:
    """``known``: values the old object has, which stay allowed whatever they are."""
    return [] if text in known or parse_ip(text) is not None else [invalid(path, text, _NO_ADDRESS)]


def legacy_cidr(text: str, path: Path, known: Collection[str] = ()) -> list[FieldError]:
    return [] if text in known or parse_cidr(text) is not None else [invalid(path, text, _NO_CIDR)]


def strict_ip(text: str, path: Path) -> list[FieldError]:
    parsed = parse_ip(text)
    if parsed is None:
        return [invalid(path, text, _NO_ADDRESS)]
    if ":" not in text and text != str(parsed):
        return [invalid(path, text, "must not have leading 0s")]
    if ":" in text and parsed.version == 4:
        return [invalid(path, text, "must not be an IPv4-mapped IPv6 address")]
    return _canonical(text, str(parsed), path)


def strict_cidr(text: str, path: Path) -> list[FieldError]:
    network = parse_cidr(text)
    if network is None:
        return [invalid(path, text, _NO_CIDR)]
    address, _, bits = text.partition("/")
    parsed = parse_ip(address)
    if (bits != str(int(bits))) or (":" not in address and address != str(parsed)):
        return [invalid(path, text, "must not have leading 0s in IP or prefix length")]
    if ":" in address and network.version == 4:
        return [invalid(path, text, "must not have an IPv4-mapped IPv6 address")]
    if parsed != network.network_address:
        return [invalid(path, text, "must not have bits set beyond the prefix length")]
    return _canonical(text, str(network), path)


def _canonical(text: str, wanted: str, path: Path) -> list[FieldError]:
    return [] if text == wanted else [invalid(path, text, f"must be in canonical form ({quote(wanted)})")]


def endpoint_ip(text: str, path: Path, *, allow_loopback: bool = False) -> list[FieldError]:
    """No address that makes no sense as one to connect to from elsewhere."""
    address = parse_ip(text)
    if address is None:
        return [invalid(path, text, "must be a valid IP address")]
    refusals = (
        (address.is_unspecified, f"may not be unspecified ({text})"),
        (
            address.is_loopback and not allow_loopback,
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (address.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            _is_link_local_multicast(address),
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    )
    return [invalid(path, text, reason) for applies, reason in refusals if applies]


def _is_link_local_multicast(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address in _LINK_LOCAL_4
    return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 2
