"""Heads of HTTP/2 as aiohttp's, and back.

aiohttp knows no HTTP/2: a request of it is shown as one of HTTP/1.1 without anything that belongs to a connection, and
what an answer says of its connection is left out (RFC 9113, 8.2.2). Heads may be passed on to servers of HTTP/1.1, so
nothing gets through that could end a line there.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from kvstore.http2.hpack import ENTRY_OVERHEAD, Header, literal

HEAD_BYTES: Final = 1 << 20
LINE_BYTES: Final = 32 << 10

_OF_A_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path"})
_NEEDED: Final = (b":method", b":scheme", b":path")
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSEEN: Final = re.compile(rb"[\x00-\x20\x7f]")
_BREAKS: Final = re.compile(rb"[\x00\r\n]")
_STATUS_OK: Final = b"\x88"


class Refused(NamedTuple):
    """Why a head is no request: the status to answer with, or 0 for one that is not even HTTP/2."""

    status: int
    text: str


class _Malformed(ValueError):
    """Against RFC 9113, 8.1 to 8.3."""


def request(fields: list[Header]) -> RawRequestMessage | Refused:
    """Of names in lower case, those of the request line first."""
    if sum(len(name) + len(value) + ENTRY_OVERHEAD for name, value in fields) > HEAD_BYTES:
        return Refused(431, "431 Request Header Fields Too Large")
    try:
        line, raw = _split(fields)
        path = line[b":path"]
        if len(path) > LINE_BYTES:
            return Refused(414, "414 URI Too Long")
        if not path.startswith(b"/"):
            return Refused(400, "400 Bad Request")
        headers = CIMultiDict((_name(name), _text(value)) for name, value in raw)
        return RawRequestMessage(
            method=line[b":method"].decode(),
            path=_text(path),
            version=HttpVersion11,
            headers=CIMultiDictProxy(headers),
            raw_headers=tuple(raw),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=_url(_text(path)),
        )
    except _Malformed as error:
        return Refused(0, str(error))


def _split(fields: list[Header]) -> tuple[dict[bytes, bytes], list[Header]]:
    """The request line's fields, and the others with a Host among them. Raises _Malformed."""
    line: dict[bytes, bytes] = {}
    raw: list[Header] = []
    cookies: list[bytes] = []
    for name, value in fields:
        if _BREAKS.search(value):
            raise _Malformed(f"the value of {name!r} has a character that ends a line")
        if name[:1] == b":":
            if raw or cookies or name in line or name not in _PSEUDO:
                raise _Malformed(f"{name!r} is not expected here")
            line[name] = value
        elif name == b"cookie":
            cookies.append(value)
        else:
            raw.append((name, value))
    _check(line)
    if cookies:
        raw.append((b"cookie", b"; ".join(cookies)))
    if b":authority" in line and not any(name == b"host" for name, _ in raw):
        raw.insert(0, (b"host", line[b":authority"]))
    return line, raw


def _check(line: dict[bytes, bytes]) -> None:
    for name in _NEEDED:
        if not line.get(name):
            raise _Malformed(f"no {name.decode()}")
    if not _METHOD.fullmatch(line[b":method"]) or _UNSEEN.search(line[b":path"]):
        raise _Malformed("no method or path of HTTP")


@lru_cache(1024)
def _name(name: bytes) -> str:
    if not _NAME.fullmatch(name) or name.decode() in _OF_A_CONNECTION:
        raise _Malformed(f"no name of a field: {name[:100]!r}")
    return name.decode()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _url(path: str) -> URL:
    before, _, query = path.partition("#")[0].partition("?")
    return URL.build(path=before, query_string=query, encoded=True)


def response(status: int, headers: CIMultiDict[str]) -> bytes:
    """An answer's head as a header block."""
    block = [_STATUS_OK if status == 200 else literal(":status", b"%d" % status)]
    for name, value in headers.items():
        lower = name.lower()
        if lower not in _OF_A_CONNECTION:
            block.append(literal(lower, _line(value).encode("utf-8", "surrogateescape")))
    return b"".join(block)


def _line(value: str) -> str:
    """Raises ValueError for what would be two fields elsewhere."""
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError("a header's value has a character that ends a line")
    return value


def ends_connection(headers: CIMultiDict[str]) -> bool:
    """Whether the answer would be the last of its connection, were it HTTP/1.1."""
    return headers.get("Connection", "").lower() == "close"
