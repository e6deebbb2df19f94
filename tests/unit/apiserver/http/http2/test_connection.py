"""One connection over memory, in virtual time: when it ends, and what any other bytes do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.http.http2.connection import IDLE_SECONDS, Http2Connection, limits
from kvstore.http2 import frames
from kvstore.http2.hpack import literal
from tests.support.virtual_time import run_virtual
from tests.unit.kvstore.rpc.wire import Client, data

GREETING = frames.PREFACE + frames.settings({})
HEAD = b"\x82\x87" + literal(":path", b"/echo") + literal(":authority", b"x")
FRAMES = st.builds(
    frames.frame, st.integers(0, 12), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=30)
)
WHOLE = st.just(frames.head(1, HEAD)) | st.just(frames.head(3, HEAD, frames.END_STREAM))


class Server:
    """Answers with what it was sent; `/slow` when it is `let`."""

    def __init__(self) -> None:
        self.lost: list[Http2Connection] = []
        self.let = asyncio.Event()
        self.errors: list[str] = []

    async def request_handler(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/slow":
            await self.let.wait()
        try:
            body = await request.read()
        except ConnectionError as error:
            self.errors.append(str(error))
            raise
        if request.path == "/broken":
            raise ZeroDivisionError
        return web.Response(body=request.path.encode() + body)

    def request_factory(self, *parts: Any) -> web.BaseRequest:
        return web.BaseRequest(*parts, loop=asyncio.get_running_loop())

    def http2_lost(self, lost: Http2Connection) -> None:
        self.lost.append(lost)


def play(scene: Callable[[Client, Server], Awaitable[None]]) -> None:
    async def main() -> None:
        server = Server()
        client = Client(Http2Connection(server, limits()))
        await client.feed(GREETING, frames.window_update(0, 1 << 20))
        await scene(client, server)
        client.connection.connection_lost(None)
        server.let.set()
        await client.settle()

    run_virtual(main())


def head(stream: int, path: str, *, method: bytes = b"\x83", end: bool = True) -> bytes:
    block = method + b"\x87" + literal(":path", path.encode()) + literal(":authority", b"x")
    return frames.head(stream, block, frames.END_STREAM if end else 0)


def body(client: Client, stream: int) -> bytes:
    return b"".join(p for kind, _, of, p in client.got if of == stream and kind == frames.DATA)


def status(client: Client, stream: int) -> bytes:
    blocks = [p for kind, _, of, p in client.got if of == stream and kind == frames.HEADERS]
    return dict(client.decoder.decode(blocks[0], raw=True))[b":status"]  # type: ignore[arg-type, index, return-value]


def test_an_idle_connection_ends_and_a_busy_one_does_not() -> None:
    async def scene(client: Client, server: Server) -> None:
        await client.feed(head(1, "/slow"))
        await asyncio.sleep(2 * IDLE_SECONDS)
        assert client.gone_away() is None
        server.let.set()
        await client.settle()
        assert body(client, 1) == b"/slow"
        await asyncio.sleep(IDLE_SECONDS - 1)
        assert client.gone_away() is None
        await asyncio.sleep(2)
        await client.settle()
        assert client.gone_away() == frames.NO_ERROR
        assert client.transport.closed

    play(scene)


def test_an_answer_ends_in_its_last_data_or_in_its_head() -> None:
    async def scene(client: Client, server: Server) -> None:
        await client.feed(head(1, "/echo", end=False), data(1, b"abc", end=True))
        assert (status(client, 1), body(client, 1)) == (b"200", b"/echoabc")
        assert client.kinds(1) == [frames.HEADERS, frames.DATA]
        assert [flags for _, flags, of, _ in client.got if of == 1][-1] == frames.END_STREAM
        await client.feed(head(3, "/echo", method=literal(":method", b"HEAD")))
        assert (client.kinds(3), body(client, 3)) == ([frames.HEADERS, frames.DATA], b"")

    play(scene)


def test_what_a_handler_fails_with_is_told_and_the_rest_of_a_body_not_waited_for() -> None:
    async def scene(client: Client, server: Server) -> None:
        await client.feed(head(1, "/broken"))
        assert (status(client, 1), body(client, 1)) == (b"500", b"500 Internal Server Error")
        await client.feed(head(3, "/broken", end=False), frames.reset(3, frames.CANCEL))
        assert client.kinds(3) == []
        assert server.errors == ["the client is gone"]

    play(scene)


def test_a_body_that_is_not_read_closes_its_window() -> None:
    async def scene(client: Client, server: Server) -> None:
        window = client.connection.limits.stream_window
        await client.feed(head(1, "/slow", end=False), data(1, bytes(window)))
        granted = [p for kind, _, of, p in client.got if of == 1 and kind == frames.WINDOW_UPDATE]
        assert sum(int.from_bytes(p, "big") for p in granted) < window
        await client.feed(data(1, b"x" * (window + 1)))
        assert client.gone_away() == frames.FLOW_CONTROL_ERROR

    play(scene)


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    async def scene(client: Client, server: Server) -> None:
        client.connection.pause_writing()
        assert client.transport.reading_paused
        await client.feed(head(1, "/echo"))
        assert body(client, 1) == b""
        client.connection.resume_writing()
        await client.settle()
        assert body(client, 1) == b"/echo"
        assert not client.transport.reading_paused

    play(scene)


@given(st.lists(FRAMES | WHOLE | st.binary(max_size=30), max_size=12))
@settings(max_examples=200)
def test_whatever_a_client_sends_it_is_served_or_sent_away(parts: list[bytes]) -> None:
    async def scene(client: Client, server: Server) -> None:
        await client.feed(*parts)
        assert client.transport.closed == (client.gone_away() is not None)
        if not client.transport.closed and not client.connection._rest and client.connection._block is None:
            await client.feed(head(101, "/echo"))
            assert body(client, 101) == b"/echo"

    play(scene)
