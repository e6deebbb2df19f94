"""Bytes of a client of HTTP/2, after its greeting, up to handlers that answer with what they were sent."""

from __future__ import annotations

from hpack import Encoder

from apiserver.http.http2.connection import Http2Connection, limits
from kvstore.http2 import frames
from tests.storefuzz.support import CUT, Target, in_loop
from tests.unit.apiserver.http.http2.test_connection import GREETING, HEAD, Server
from tests.unit.kvstore.rpc.wire import Client, data


def target() -> Target:
    async def feed(content: bytes) -> None:
        server = Server()
        client = Client(Http2Connection(server, limits(8)))
        await client.feed(GREETING)
        for piece in content.split(CUT):
            if not client.transport.closed:
                await client.feed(piece)
        client.connection.connection_lost(None)
        server.let.set()
        await client.settle()

    return in_loop(feed)


def seeds() -> list[bytes]:
    encoder = Encoder()
    fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "127.0.0.1:6443"),
        (":path", "/api/v1/namespaces/default/pods?fieldManager=a"),
        ("content-type", "application/json"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("content-length", "2"),
    ]
    post = frames.head(1, encoder.encode(fields)) + data(1, b"{}", end=True)
    get = frames.head(3, HEAD, frames.END_STREAM)
    windows = frames.settings({frames.INITIAL_WINDOW_SIZE: 1}) + frames.window_update(3, 10)
    return [post, get, CUT.join((get, windows, frames.reset(3, frames.CANCEL), post)), frames.goaway(1, 0)]
