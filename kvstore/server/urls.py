"""(P) URLs in flags, checked and worded as etcd's `types.NewURLs` and `checkBindURLs` do."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

SCHEMES = ("http", "https")


class Url(NamedTuple):
    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def bind_host(self) -> str:
        """`localhost` without a resolver: what Go binds for it, too."""
        return "127.0.0.1" if self.host == "localhost" else self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_url(text: str) -> Url:
    """Raises `ValueError` with etcd's text."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f'parse "{text}": {error}') from error
    if parts.scheme in ("unix", "unixs"):
        raise ValueError(f"URL scheme {parts.scheme} is not supported by kvstore: {text}")
    if parts.scheme not in SCHEMES:
        raise ValueError(f"URL scheme must be http, https, unix, or unixs: {text}")
    if host is None or port is None or parts.username is not None:
        raise ValueError(f'URL address does not have the form "host:port": {text}')
    if parts.path or parts.query or parts.fragment:
        raise ValueError(f"URL must not contain a path: {text}")
    return Url(parts.scheme, host, port)


def parse_urls(text: str) -> tuple[Url, ...]:
    """A comma-separated list without duplicates, sorted as etcd sorts them; empty for an empty text."""
    if not text:
        return ()
    return tuple(sorted({parse_url(part) for part in text.split(",")}, key=str))


def check_bind(urls: tuple[Url, ...]) -> None:
    """Only addresses and `localhost` can be listened on. Raises `ValueError`."""
    for url in urls:
        if url.host == "localhost":
            continue
        try:
            ipaddress.ip_address(url.host)
        except ValueError as error:
            raise ValueError(f"expected IP in URL for binding ({url})") from error


def parse_cluster(text: str) -> dict[str, tuple[Url, ...]]:
    """`--initial-cluster`: member name -> peer URLs. A name may be given several times."""
    found: dict[str, list[Url]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, url = part.partition("=")
        if not equals or not name or not url:
            raise ValueError(f'error setting up initial cluster: expected NAME=URL, not "{part}"')
        found.setdefault(name, []).append(parse_url(url))
    seen: set[Url] = set()
    for url_ in (url for urls in found.values() for url in urls):
        if url_ in seen:
            raise ValueError(f"error setting up initial cluster: duplicate URL {url_}")
        seen.add(url_)
    return {name: tuple(sorted(urls, key=str)) for name, urls in found.items()}
