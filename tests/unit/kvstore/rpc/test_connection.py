"""HTTP/2 as `kvstore.rpc.grpc` speaks it: calls, flow control, ends, and what clients may do wrong."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvstore.errors import EmptyKey
from kvstore.http2 import frames
from kvstore.http2.frames import PREFACE
from kvstore.rpc.grpc.answers import message, trailers, unary
from kvstore.rpc.grpc.codes import Code
from kvstore.rpc.grpc.connection import CONNECTION_WINDOW, STREAM_WINDOW, Connection, limits
from kvstore.rpc.grpc.methods import Methods
from kvstore.rpc.proto import rpc_pb2 as pb
from tests.support.virtual_time import run_virtual
from tests.unit.kvstore.rpc.wire import Client, data

PUT, RANGE, TXN = "/etcdserverpb.KV/Put", "/etcdserverpb.KV/Range", "/etcdserverpb.KV/Txn"
WATCH, SNAPSHOT = "/etcdserverpb.Watch/Watch", "/etcdserverpb.Maintenance/Snapshot"
MAX_MESSAGE = 1 << 20
LIMITS = limits(max_streams=50, ping_interval=60.0, ping_timeout=20.0)
REQUEST = pb.PutRequest(key=b"k", value=b"v").SerializeToString()
GREETING = PREFACE + frames.settings({})


class KV:
    """Put answers with the value as previous one; Range refuses; Txn never ends."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []
        self.calls: list[Any] = []

    async def Put(self, request: pb.PutRequest, call: Any) -> pb.PutResponse:
        self.calls.append(call)
        return pb.PutResponse(prev_kv={"value": request.value})

    async def Range(self, request: pb.RangeRequest, call: Any) -> pb.RangeResponse:
        raise EmptyKey

    async def Txn(self, request: pb.TxnRequest, call: Any) -> pb.TxnResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append("Txn")
            raise
        raise AssertionError

    async def DeleteRange(self, request: Any, call: Any) -> Any:
        raise ZeroDivisionError("a bug")

    Compact = Put


class Streams:
    """Watch echoes the keys it is asked for, as encoded messages; a snapshot is `size` bytes in chunks."""

    def __init__(self) -> None:
        self.size = 0
        self.produced = 0
        self.calls: list[Any] = []

    async def Watch(self, requests: AsyncIterator[pb.WatchRequest], call: Any) -> AsyncIterator[list[bytes]]:
        self.calls.append(call)
        async for request in requests:
            event = {"kv": {"key": request.create_request.key}}
            yield [pb.WatchResponse(events=[event]).SerializeToString()] * 2

    async def Snapshot(self, request: Any, call: Any) -> AsyncIterator[pb.SnapshotResponse]:
        while self.produced < self.size:
            self.produced += 10_000
            yield pb.SnapshotResponse(blob=bytes(10_000))

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():
            return self.Watch
        raise AttributeError(name)


Check = Callable[[Client, KV, Streams], Awaitable[None]]


def serve(check: Check, *, greeted: bool = True) -> None:
    async def main() -> None:
        kv, streams = KV(), Streams()
        services = {
            "etcdserverpb.KV": kv,
            "etcdserverpb.Watch": streams,
            "etcdserverpb.Maintenance": streams,
        }
        client = Client(Connection(Methods([pb.DESCRIPTOR], services), LIMITS, MAX_MESSAGE))
        if greeted:
            await client.feed(GREETING)
        await check(client, kv, streams)
        client.connection.connection_lost(None)
        await asyncio.sleep(0)

    run_virtual(main())


def put(client: Client, stream: int = 1, token: str = "") -> bytes:
    return client.headers(stream, PUT, token=token) + data(stream, message(REQUEST), end=True)


def answer_of(client: Client, stream: int = 1) -> bytes:
    (only,) = client.messages(stream)
    return pb.PutResponse.FromString(only).prev_kv.value


def test_answers_a_call() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(put(client, token="secret"))
        assert client.ended(1) == (0, "")
        assert answer_of(client) == b"v"
        assert kv.calls[0].token == "secret"
        assert not client.connection.streams

    serve(check)


@pytest.mark.parametrize("step", [1, 2, 7, 100])
def test_bytes_may_come_in_any_pieces(step: int) -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        whole = GREETING + put(client, 1) + put(client, 3)
        for at in range(0, len(whole), step):
            client.connection.data_received(whole[at : at + step])
        await client.settle()
        assert [answer_of(client, stream) for stream in (1, 3)] == [b"v", b"v"]

    serve(check, greeted=False)


def test_padding_priority_and_continuations_are_read() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        block = client.headers(1, PUT)[9:]
        padded = bytes((3,)) + bytes(5) + block[:10] + bytes(3)
        await client.feed(
            frames.frame(frames.HEADERS, frames.PADDED | frames.PRIORITISED, 1, padded),
            frames.frame(frames.CONTINUATION, 0, 1, block[10:20]),
            frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[20:]),
            frames.frame(frames.PRIORITY, 0, 1, bytes(5)),
            frames.frame(
                frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x02" + message(REQUEST) + bytes(2)
            ),
        )
        assert answer_of(client) == b"v"

    serve(check)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (RANGE, message(b""), (Code.INVALID_ARGUMENT, "etcdserver: key is not provided")),
        (PUT, message(b"\x0a\xff"), (Code.INTERNAL, None)),
        (PUT, b"", (Code.INTERNAL, None)),
        (PUT, message(REQUEST) * 2, (Code.INTERNAL, None)),
        (PUT, message(REQUEST)[:-1], (Code.INTERNAL, None)),
        (PUT, b"\x01" + message(REQUEST)[1:], (Code.UNIMPLEMENTED, None)),
        (PUT, message(bytes(MAX_MESSAGE + 1)), (Code.RESOURCE_EXHAUSTED, None)),
        ("/etcdserverpb.KV/DeleteRange", message(b""), (Code.UNKNOWN, "ZeroDivisionError: a bug")),
        (
            "/etcdserverpb.KV/Nope",
            message(b""),
            (Code.UNIMPLEMENTED, "unknown method Nope for service etcdserverpb.KV"),
        ),
        ("/x.Nope/Range", message(b""), (Code.UNIMPLEMENTED, "unknown service x.Nope")),
        ("", message(b""), (Code.UNIMPLEMENTED, None)),
    ],
)
def test_says_what_was_wrong(
    path: str, body: bytes, status: tuple[Code, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(client.headers(1, path), data(1, body, end=True))
        ended = client.ended(1)
        assert ended is not None
        assert ended[0] == status[0]
        assert status[1] is None or ended[1] == status[1]
        await client.feed(put(client, 3))
        assert answer_of(client, 3) == b"v"  # the connection goes on

    serve(check)


def test_messages_of_errors_are_percent_encoded() -> None:
    assert b"100%25 %C3%A9" in trailers(1, (2, "100% é"), alone=True)  # type: ignore[arg-type]


def test_what_is_no_grpc_is_refused() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        fields = [(":method", "GET"), (":path", "/version")]
        flags = frames.END_HEADERS | frames.END_STREAM
        await client.feed(frames.frame(frames.HEADERS, flags, 1, client.encoder.encode(fields)))
        (payload,) = [p for kind, _, stream, p in client.got if stream == 1 and kind == frames.HEADERS]
        assert [tuple(map(str, field)) for field in client.decoder.decode(payload)] == [(":status", "415")]

    serve(check)


# Flow control.


def test_large_answers_wait_for_the_clients_windows() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        value = bytes(200_000)
        request = pb.PutRequest(key=b"k", value=value).SerializeToString()
        await client.feed(client.headers(1, PUT), data(1, message(request), end=True))
        sent = [p for kind, _, stream, p in client.got if stream == 1 and kind == frames.DATA]
        assert sum(map(len, sent)) == frames.WINDOW
        assert max(map(len, sent)) <= frames.MAX_FRAME
        assert client.ended(1) is None
        await client.feed(frames.window_update(0, 1 << 20))
        await client.feed(frames.window_update(1, 1 << 20))
        assert answer_of(client) == value
        assert client.ended(1) == (0, "")

    serve(check)


def test_settings_change_the_windows_of_open_streams() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(frames.settings({frames.INITIAL_WINDOW_SIZE: 4}), put(client))
        assert client.ended(1) is None
        await client.feed(frames.settings({frames.INITIAL_WINDOW_SIZE: 1000}))
        assert answer_of(client) == b"v"

    serve(check)


def test_a_method_rests_while_its_client_does_not_read() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        streams.size = 10_000_000
        await client.feed(client.headers(1, SNAPSHOT), data(1, message(b""), end=True))
        assert streams.produced < 1_000_000
        while client.ended(1) is None:
            await client.feed(frames.window_update(0, 1 << 20), frames.window_update(1, 1 << 20))
        assert len(client.messages(1)) == 1000

    serve(check)


def test_long_streams_get_new_windows() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(frames.window_update(0, 1 << 30), client.headers(1, WATCH))
        request = pb.WatchRequest(create_request={"key": bytes(500_000)}).SerializeToString()
        granted = {0: CONNECTION_WINDOW, 1: STREAM_WINDOW}
        for _ in range(60):
            await client.feed(data(1, message(request)), frames.window_update(1, 1 << 24))
            for stream in granted:
                granted[stream] -= len(message(request))
                granted[stream] += sum(
                    int.from_bytes(p, "big")
                    for kind, _, of, p in client.got
                    if kind == frames.WINDOW_UPDATE and of == stream
                )
            client.got.clear()
            assert min(granted.values()) > 0

    serve(check)


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        client.connection.pause_writing()
        assert client.transport.reading_paused
        client.connection.resume_writing()
        assert not client.transport.reading_paused

    serve(check)


# Streams both ways.


def test_a_stream_answers_as_it_is_asked() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(client.headers(1, WATCH))
        for number in range(3):
            request = pb.WatchRequest(create_request={"key": b"%d" % number}).SerializeToString()
            await client.feed(data(1, message(request)))
            assert len(client.messages(1)) == 2 * (number + 1)
        await client.feed(data(1, b"", end=True))
        assert client.ended(1) == (0, "")
        keys = [pb.WatchResponse.FromString(m).events[0].kv.key for m in client.messages(1)]
        assert keys == [b"0", b"0", b"1", b"1", b"2", b"2"]

    serve(check)


def test_what_is_pushed_leaves_at_once_unless_something_waits() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(client.headers(1, WATCH))
        request = pb.WatchRequest(create_request={"key": b"k" * 30_000}).SerializeToString()
        await client.feed(data(1, message(request)))
        push = streams.calls[0].push
        sent = len(client.messages(1))
        assert push([b"a", b"b"])
        await client.feed()
        assert client.messages(1)[sent:] == [b"a", b"b"]
        await client.feed(data(1, message(request)))  # now there is more than the window lets out
        assert not push([b"c"])
        await client.feed(frames.window_update(0, 1 << 20), frames.window_update(1, 1 << 20))
        assert push([b"d"])
        await client.feed()
        assert client.messages(1)[-1] == b"d"
        assert b"c" not in client.messages(1)

    serve(check)


# Ends.


def test_a_reset_cancels_the_method() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(client.headers(1, TXN), data(1, message(b""), end=True))
        await client.feed(frames.reset(1, frames.CANCEL))
        assert kv.cancelled == ["Txn"]
        assert client.ended(1) is None

    serve(check)


def test_the_clients_deadline_is_kept() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(client.headers(1, TXN, grpc_timeout="1500m"), data(1, message(b""), end=True))
        await asyncio.sleep(1.4)
        await client.settle()
        assert client.ended(1) is None
        await asyncio.sleep(0.2)
        await client.settle()
        assert client.ended(1) == (Code.DEADLINE_EXCEEDED, "context deadline exceeded")
        assert kv.cancelled == ["Txn"]

    serve(check)


def test_a_lost_connection_cancels_its_calls() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(client.headers(1, TXN), data(1, message(b""), end=True))
        client.connection.connection_lost(None)
        await asyncio.sleep(0)
        assert kv.cancelled == ["Txn"]

    serve(check)


def test_drains() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(client.headers(1, TXN), data(1, message(b""), end=True))
        client.connection.drain()
        await client.feed(put(client, 3))
        assert client.gone_away() == frames.NO_ERROR
        assert client.kinds(3) == [frames.RST_STREAM]
        assert not client.transport.closed
        client.connection.end()
        await client.settle()
        assert client.ended(1) == (Code.UNAVAILABLE, "etcdserver: server stopped")
        assert client.transport.closed

    serve(check)


def test_an_idle_connection_drains_at_once() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        client.connection.drain()
        assert client.transport.closed

    serve(check)


def test_pings_are_answered() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(frames.frame(frames.PING, 0, 0, b"12345678"))
        assert (frames.PING, frames.ACK, 0, b"12345678") in client.got

    serve(check)


def test_a_client_that_is_gone_is_noticed() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        for _ in range(3):  # heard of in the minute before, then pinged, then answered
            await asyncio.sleep(61)
            await client.settle()
            await client.feed(frames.frame(frames.PING, frames.ACK, 0, bytes(8)))
            assert not client.transport.closed
        await asyncio.sleep(130)
        await client.settle()
        assert (frames.PING, 0, 0, bytes(8)) in client.got
        assert not client.transport.closed
        await asyncio.sleep(20)
        assert client.transport.closed

    serve(check)


def test_more_streams_than_allowed_are_refused() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        for stream in range(1, 103, 2):
            await client.feed(client.headers(stream, TXN), data(stream, message(b""), end=True))
        assert client.kinds(99) == []
        assert client.kinds(101) == [frames.RST_STREAM]

    serve(check)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", frames.PROTOCOL_ERROR, id="HTTP/1.1"),
        pytest.param(GREETING + b"\xff\xff\xff\0\0\0\0\0\0", frames.FRAME_SIZE_ERROR, id="huge frame"),
        pytest.param(GREETING + data(1, b"x"), frames.PROTOCOL_ERROR, id="data of no stream"),
        pytest.param(GREETING + frames.frame(frames.PING, 0, 0, b"1"), frames.FRAME_SIZE_ERROR, id="ping"),
        pytest.param(
            GREETING + frames.frame(frames.SETTINGS, 0, 0, b"1"), frames.FRAME_SIZE_ERROR, id="settings"
        ),
        pytest.param(
            GREETING + frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 31}),
            frames.FLOW_CONTROL_ERROR,
            id="window of a setting",
        ),
        pytest.param(
            GREETING + frames.window_update(0, frames.MAX_WINDOW), frames.FLOW_CONTROL_ERROR, id="window"
        ),
        pytest.param(
            GREETING + frames.frame(frames.HEADERS, 4, 1, b"\x80"), frames.COMPRESSION_ERROR, id="headers"
        ),
        pytest.param(
            GREETING + frames.frame(frames.HEADERS, 4, 2, b"\x82"), frames.PROTOCOL_ERROR, id="even stream"
        ),
        pytest.param(
            GREETING + frames.frame(frames.CONTINUATION, 4, 1), frames.PROTOCOL_ERROR, id="continuation"
        ),
        pytest.param(
            GREETING + frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.PING, 0, 0, bytes(8)),
            frames.PROTOCOL_ERROR,
            id="interrupted headers",
        ),
        pytest.param(
            GREETING
            + frames.frame(frames.HEADERS, 0, 1, b"")
            + frames.frame(frames.CONTINUATION, 0, 1, bytes(16000)) * 5,
            frames.ENHANCE_YOUR_CALM,
            id="endless headers",
        ),
        pytest.param(
            GREETING + frames.frame(frames.PUSH_PROMISE, 0, 1, bytes(4)), frames.PROTOCOL_ERROR, id="push"
        ),
    ],
)
def test_ends_connections_that_break_the_rules(wrong: bytes, error: int) -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        await client.feed(wrong)
        assert client.gone_away() == error
        assert client.transport.closed

    serve(check, greeted=False)


def test_ends_a_connection_that_overruns_its_window() -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        """Messages that nobody reads: a stream's method that waits for its own client to read."""
        streams.size = 1
        await client.feed(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}), client.headers(1, WATCH))
        request = pb.WatchRequest(create_request={"key": bytes(MAX_MESSAGE - 100)}).SerializeToString()
        for _ in range(STREAM_WINDOW // len(request) + 2):
            await client.feed(data(1, message(request)))
        assert client.gone_away() == frames.FLOW_CONTROL_ERROR
        assert client.transport.closed

    serve(check)


FRAME = st.builds(
    lambda kind, flags, stream, payload: frames.frame(kind, flags, stream, payload),
    st.integers(0, 12),
    st.integers(0, 255),
    st.integers(0, 5),
    st.binary(max_size=40),
)


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(st.one_of(FRAME, st.just("put"), st.binary(max_size=20)), max_size=12))
def test_no_bytes_break_the_server(pieces: list[bytes | str]) -> None:
    async def check(client: Client, kv: KV, streams: Streams) -> None:
        stream = 7
        for piece in pieces:
            if client.transport.closed:
                return
            stream += 2
            await client.feed(put(client, stream) if isinstance(piece, str) else piece)

    serve(check)


def test_a_frame_is_as_rfc_9113_says() -> None:
    assert frames.frame(frames.PING, 1, 3, b"12345678") == b"\0\0\x08\x06\x01\0\0\0\x0312345678"
    assert unary(1, b"x")[-len(trailers(1, None)) - 6 :][:6] == struct.pack(">BI", 0, 1) + b"x"
