"""Headers on their way through the proxy (P): what belongs to one hop stays there.

As httputil.ReverseProxy and apimachinery's proxy transport do it; credentials for this server never leave it. A
backend that is another API server is told by the headers of a front proxy who makes the request (``X-Remote-*``, as
client-go's ``SetAuthProxyHeaders``); what a client sent under these names is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from apiserver.auth.user import User

Pairs: TypeAlias = Sequence[tuple[str, str]]

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_CREDENTIALS: Final = frozenset({"authorization"})
_CORS: Final = frozenset(
    {
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
    }
)
_FORWARDED_FOR: Final = "X-Forwarded-For"
_REMOTE: Final = "X-Remote-"
_OWN: Final = frozenset({"host", "audit-id"})
_TOKEN: Final = frozenset(b"!#$&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def decoded(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def _is_credential(name: str) -> bool:
    return name in _CREDENTIALS or name.startswith("impersonate-")


def _hop_by_hop(pairs: Pairs) -> frozenset[str]:
    """Also those that the Connection header names."""
    named = (part for name, value in pairs if name.lower() == "connection" for part in value.split(","))
    return _HOP_BY_HOP | {part.strip().lower() for part in named}


def _forwarded(pairs: Pairs, client: str) -> list[tuple[str, str]]:
    before = [value for name, value in pairs if name.lower() == _FORWARDED_FOR.lower()]
    rest = [(name, value) for name, value in pairs if name.lower() != _FORWARDED_FOR.lower()]
    known = [*before, client] if client else before
    return [*rest, (_FORWARDED_FOR, ", ".join(known))] if known else rest


def for_upgrade(pairs: Pairs, client: str) -> list[tuple[str, str]]:
    """Everything but credentials: the upgrade is agreed on by client and backend."""
    return _forwarded([pair for pair in pairs if not _is_credential(pair[0].lower())], client)


def for_request(pairs: Pairs, client: str, forwarded_uri: str) -> list[tuple[str, str]]:
    dropped = _hop_by_hop(pairs)
    kept = [(n, v) for n, v in pairs if n.lower() not in dropped and not _is_credential(n.lower())]
    kept = [(n, v) for n, v in kept if n.lower() != "x-forwarded-uri"]
    return [*_forwarded(kept, client), ("X-Forwarded-Uri", forwarded_uri)]


def for_response(pairs: Pairs) -> list[tuple[str, str]]:
    dropped = _hop_by_hop(pairs) | _CORS
    return [(name, value) for name, value in pairs if name.lower() not in dropped]


def identity(user: User) -> list[tuple[str, str]]:
    """The headers by which a front proxy names the user. Raises ValueError for what no header can say."""
    found = [(f"{_REMOTE}User", user.name)]
    found += [(f"{_REMOTE}Uid", user.uid)] if user.uid else []
    found += [(f"{_REMOTE}Group", group) for group in user.groups]
    for key, values in user.extra.items():
        found += [(f"{_REMOTE}Extra-{_escaped(key)}", value) for value in values]
    for name, value in found:
        if any((char < " " and char != "\t") or char == "\x7f" for char in value):
            raise ValueError(f"net/http: invalid header field value for {name!r}")
    return found


def _escaped(key: str) -> str:
    return "".join(chr(byte) if byte in _TOKEN else f"%{byte:02X}" for byte in key.encode())


def as_user(pairs: Pairs, user: User, host: str, audit_id: str) -> list[tuple[str, str]]:
    """Any header whose name a careless backend could take for one of a front proxy's is the user's or none."""
    kept = [pair for pair in pairs if not _speaks_of_users(pair[0]) and pair[0].lower() not in _OWN]
    return [("Host", host), *kept, ("Audit-Id", audit_id), *identity(user)]


def _speaks_of_users(name: str) -> bool:
    return name.lower().replace("_", "-").startswith(_REMOTE.lower())
