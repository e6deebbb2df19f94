"""Requests as bytes over one kept connection: nothing is checked or put right on the way out."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import NamedTuple

http.client._MAXHEADERS = 1000  # type: ignore[attr-defined]  # warnings of the server; it stops at 4 kB
HANG_SECONDS = 8.0
"""An answer that takes longer is a failure. Watches end within two."""


class Request(NamedTuple):
    """``target``: path and query, as sent."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def encode(self) -> bytes:
        length = (b"Content-Length", b"%d" % len(self.body))
        headers = [(b"Host", b"localhost"), *self.headers, *([length] if self.body else [])]
        lines = [b"%b %b HTTP/1.1" % (self.method.encode(), self.target)]
        lines += [b"%b: %b" % header for header in headers]
        return b"\r\n".join([*lines, b"", self.body])

    def __str__(self) -> str:
        shown = self.body if len(self.body) < 2000 else self.body[:2000] + b"..."
        return f"{self.method} {self.target!r} {self.headers!r}\n{shown!r}"


class Answer(NamedTuple):
    """``body`` is empty for streams, which are not read."""

    code: int
    content_type: str
    body: bytes


class NoAnswer(Exception):
    """The connection was ended instead."""


class Wire:
    """One connection at a time; made anew when the server or a stream has ended it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: ssl.SSLSocket | None = None
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, request: Request) -> Answer:
        """Raises TimeoutError for a hang, NoAnswer when the connection is ended instead."""
        fresh = self._socket is None
        try:
            return self._ask(request)
        except (ConnectionError, http.client.HTTPException, ssl.SSLError) as exc:
            self.close()
            if fresh:
                raise NoAnswer(repr(exc)) from exc
            return self.ask(request)  # the server may end a connection that it has answered on

    def _ask(self, request: Request) -> Answer:
        if self._socket is None:
            plain = socket.create_connection(("127.0.0.1", self._port), HANG_SECONDS)
            self._socket = self._context.wrap_socket(plain)
        self._socket.sendall(request.encode())
        response = http.client.HTTPResponse(self._socket, method=request.method)
        try:
            response.begin()
            streams = response.chunked or response.status == 101
            body = b"" if streams else response.read()
            if streams or response.will_close:
                self.close()
            return Answer(response.status, response.headers.get("Content-Type", ""), body)
        finally:
            response.close()
