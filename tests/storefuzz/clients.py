"""Bytes of clients: an HTTP/2 connection, and requests as protobuf or JSON until they are applied."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.message import DecodeError

from kvstore.command import Command, encode
from kvstore.errors import StoreError
from kvstore.http2 import frames
from kvstore.rpc import convert
from kvstore.rpc.grpc.answers import message
from kvstore.rpc.grpc.connection import Connection, limits
from kvstore.rpc.grpc.methods import Methods
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.server import jsonpb
from kvstore.statemachine import KVStateMachine
from kvstore.types import RangeRequest, WatchCreateRequest
from tests.storefuzz.support import CLUSTER, CUT, MEMBER, Target, in_loop, scratch
from tests.unit.kvstore.rpc.wire import Client, data


class _KV:
    async def Put(self, request: pb.PutRequest, call: Any) -> pb.PutResponse:
        return pb.PutResponse(prev_kv={"value": request.value})

    async def Range(self, request: pb.RangeRequest, call: Any) -> pb.RangeResponse:
        return pb.RangeResponse()

    Txn = DeleteRange = Compact = Put


class _Streams:
    async def Watch(self, requests: Any, call: Any) -> Any:
        async for _ in requests:
            yield [pb.WatchResponse().SerializeToString()]

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():
            return self.Watch
        raise AttributeError(name)


_PUT = "/etcdserverpb.KV/Put"
_WATCH = "/etcdserverpb.Watch/Watch"


def _client() -> Client:
    services = {
        "etcdserverpb.KV": _KV(),
        "etcdserverpb.Watch": _Streams(),
        "etcdserverpb.Maintenance": _Streams(),
    }
    return Client(Connection(Methods([pb.DESCRIPTOR], services), limits(20, 60.0, 20.0), 1 << 16))


_GREETING = frames.PREFACE + frames.settings({})


def grpc() -> Target:
    """A client's connection, after its greeting."""

    async def feed(content: bytes) -> None:
        client = _client()
        await client.feed(_GREETING)
        for piece in content.split(CUT):
            if not client.transport.closed:
                await client.feed(piece)
        client.connection.connection_lost(None)
        await asyncio.sleep(0)

    return in_loop(feed)


def grpc_seeds() -> list[bytes]:
    async def make() -> list[bytes]:
        client = _client()
        body = message(pb.PutRequest(key=b"k", value=b"v").SerializeToString())
        call = client.headers(1, _PUT) + data(1, body, end=True)
        watch = client.headers(3, _WATCH, grpc_timeout="5S") + data(3, message(b""))
        settings = frames.settings({frames.INITIAL_WINDOW_SIZE: 1})
        window = frames.window_update(0, 10) + frames.window_update(3, 10)
        return [call, watch, call + CUT + watch + settings + window, frames.goaway(1, 0)]

    return asyncio.run(make())


_REQUESTS: list[tuple[Any, Callable[[Any], Any]]] = [
    (pb.PutRequest, convert.put_request),
    (pb.RangeRequest, convert.range_request),
    (pb.DeleteRangeRequest, convert.delete_request),
    (pb.TxnRequest, convert.txn_request),
    (pb.WatchCreateRequest, convert.watch_request),
]
_LIVES = 500
"""Inputs that one state machine gets."""


def _machines() -> Iterator[KVStateMachine]:
    while True:
        with scratch() as directory:
            machine = KVStateMachine(directory, cluster_id=CLUSTER, member_id=MEMBER, clock=lambda: 0.0)
            for _ in range(_LIVES):
                yield machine
            machine.close()


def _apply(machine: KVStateMachine, command: bytes) -> None:
    """Errors are values there."""
    (_,) = machine.apply(machine.applied()[0] + 1, 1, [command])


def _read(content: bytes) -> Any:
    kind, into = _REQUESTS[content[0] % len(_REQUESTS)]
    if content[0] < 128:
        return into(kind.FromString(content[1:]))
    return into(jsonpb.parse(json.loads(content[1:]), kind()))


def request() -> Target:
    """A request as protobuf or (first byte from 128 on) as the gateway's JSON, until it is applied."""
    machines = _machines()

    def feed(content: bytes) -> None:
        try:
            asked = _read(content or b"\0")
        except (StoreError, ValueError, RecursionError, DecodeError):
            return
        machine = next(machines)
        if isinstance(asked, RangeRequest):
            try:
                machine.range(asked)
            except StoreError:
                return
        elif not isinstance(asked, WatchCreateRequest):
            _apply(machine, encode(Command(asked)))

    return feed


def request_seeds() -> list[bytes]:
    put = pb.RequestOp(request_put=pb.PutRequest(key=b"k", value=b"v"))
    txn = pb.TxnRequest(compare=[pb.Compare(key=b"k", version=1)], success=[put], failure=[put])
    requests = [
        pb.PutRequest(key=b"k", value=b"v", prev_kv=True),
        pb.RangeRequest(key=b"k", range_end=b"\0", limit=2, sort_order=pb.RangeRequest.DESCEND),
        pb.DeleteRangeRequest(key=b"a", range_end=b"z", prev_kv=True),
        txn,
        pb.WatchCreateRequest(key=b"k", start_revision=3),
    ]
    encoded = [bytes([n]) + message.SerializeToString() for n, message in enumerate(requests)]
    first = 130  # names the first kind, as JSON
    return encoded + [bytes([first + n]) + jsonpb.to_json(m).encode() for n, m in enumerate(requests)]


def command() -> Target:
    """What a log entry holds."""
    machines = _machines()

    def feed(content: bytes) -> None:
        _apply(next(machines), content)

    return feed


def command_seeds() -> list[bytes]:
    asked = [
        convert.put_request(pb.PutRequest(key=b"k")),
        convert.delete_request(pb.DeleteRangeRequest(key=b"k")),
    ]
    return [encode(Command(one)) for one in asked]
