"""Where a proxied request goes: names, addresses and paths as the original reads and writes them."""

from __future__ import annotations

import ipaddress
import posixpath
import ssl
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from apiserver.auth.user import User

_SCHEMES: Final = frozenset({"http", "https", ""})
_PATH_SAFE: Final = "-_.~$&+,/:;=@"  # what Go leaves as it is in a path
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Target(NamedTuple):
    """`path` and `query` are encoded. `context`: how TLS is spoken if `scheme` is https; `server_name`: the name that
    the certificate must have, if it is not that of the host. `user`: whom the backend is told that the request comes
    from, in the headers of a front proxy.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""
    context: ssl.SSLContext | None = None
    server_name: str = ""
    user: User | None = None

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def uri(self) -> str:
        """As it stands in a request line."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.uri}"


class Named(NamedTuple):
    scheme: str
    name: str
    port: str


def split_name(text: str) -> Named | None:
    """`name`, `name:port` or `scheme:name:port`; None for anything else."""
    parts = text.split(":")
    if len(parts) > 3:
        return None
    scheme, name, port = ("", parts[0], "") if len(parts) == 1 else ("", *parts) if len(parts) == 2 else parts
    return Named(scheme, name, port) if name and scheme in _SCHEMES else None


def is_proxyable(address: str, *, allow_loopback: bool) -> bool:
    """Not to this machine itself, its neighbours' link-local addresses or nowhere."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.is_loopback:
        return allow_loopback
    return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or str(ip) == "255.255.255.255")


def subpath(parts: Sequence[str], path: str) -> str:
    """What comes after `proxy` in the request's `path`, cleaned and encoded. `parts` are decoded."""
    text = "/".join(parts[3:])
    if text:
        text = posixpath.normpath("/" + text)
    if path.endswith("/") and not text.endswith("/"):
        text += "/"
    return quote(text.replace("//", "/"), safe=_PATH_SAFE)
