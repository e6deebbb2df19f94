"""A channel to one endpoint of a cluster, ours or etcd's, as the subcommands need it.

Errors of the server come as `StoreError`s with its own code and text, a server that cannot be reached as
`Unavailable` naming the endpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from kvstore.commands.durations import seconds
from kvstore.errors import StoreError
from kvstore.rpc.proto import rpc_pb2

Reply = TypeVar("Reply", bound=Message)

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]
_CALL_SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """Where to connect and as whom."""

    endpoints: tuple[str, ...]
    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str = ""
    password: str = ""
    dial_timeout: float = 2.0


def target(
    endpoints: str,
    cacert: Path | None,
    cert: Path | None,
    key: Path | None,
    user: str,
    password: str,
    dial_timeout: str,
) -> Target:
    """From the flags. Raises `ValueError`."""
    found = tuple(each.strip() for each in endpoints.split(",") if each.strip())
    if not found:
        raise ValueError("--endpoints names no address")
    name, colon, inline = user.partition(":")
    return Target(found, cacert, cert, key, name, inline if colon else password, seconds(dial_timeout))


class ServerError(StoreError):
    """What a server answered, or that it did not: `code` is the gRPC status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """Calls by their full names, such as "etcdserverpb.KV/Range"."""

    def __init__(self, endpoint: str, channel: grpc.aio.Channel) -> None:
        self.endpoint = endpoint
        self._channel = channel
        self._metadata: list[tuple[str, str]] = []

    async def authenticate(self, name: str, password: str) -> None:
        request = rpc_pb2.AuthenticateRequest(name=name, password=password)
        reply = await self.call("etcdserverpb.Auth/Authenticate", request, rpc_pb2.AuthenticateResponse)
        self._metadata = [("token", reply.token)]

    async def call(self, method: str, request: Message, reply: type[Reply]) -> Reply:
        call: Any = self._channel.unary_unary(
            f"/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        with translated(self.endpoint):
            answer: Reply = await call(request, timeout=_CALL_SECONDS, metadata=self._metadata)
        return answer

    async def stream(self, method: str, request: Message, reply: type[Reply]) -> AsyncIterator[Reply]:
        """The answers to one request."""
        open_stream: Any = self._channel.unary_stream(
            f"/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = open_stream(request, metadata=self._metadata)
        try:
            with translated(self.endpoint):
                async for answer in call:
                    yield answer
        finally:
            call.cancel()

    async def watch(
        self, requests: AsyncIterator[rpc_pb2.WatchRequest]
    ) -> AsyncIterator[rpc_pb2.WatchResponse]:
        open_stream: Any = self._channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=rpc_pb2.WatchRequest.SerializeToString,
            response_deserializer=rpc_pb2.WatchResponse.FromString,
        )
        call = open_stream(requests, metadata=self._metadata)
        try:
            with translated(self.endpoint):
                async for answer in call:
                    yield answer
        finally:
            call.cancel()


@contextmanager
def translated(endpoint: str) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        code, text = error.code(), error.details() or error.code().name
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            text = f"{endpoint}: {text}"
        raise ServerError(code.name, text) from error


@asynccontextmanager
async def connected(target: Target, endpoint: str) -> AsyncIterator[Connection]:
    """A connection to this endpoint, as the target's user. Raises `ServerError`."""
    async with _channel(target, endpoint) as channel:
        try:
            await asyncio.wait_for(channel.channel_ready(), target.dial_timeout)
        except TimeoutError as error:
            raise ServerError(
                "UNAVAILABLE", f"{endpoint}: no connection within {target.dial_timeout} s"
            ) from error
        connection = Connection(endpoint, channel)
        if target.user:
            await connection.authenticate(target.user, target.password)
        yield connection


@asynccontextmanager
async def connected_to_any(target: Target) -> AsyncIterator[Connection]:
    """A connection to the first endpoint that takes it."""
    async with AsyncExitStack() as stack:
        for endpoint in target.endpoints:
            try:
                connection = await stack.enter_async_context(connected(target, endpoint))
                break
            except ServerError as error:
                if endpoint == target.endpoints[-1] or error.code != "UNAVAILABLE":
                    raise
        yield connection


def _channel(target: Target, endpoint: str) -> grpc.aio.Channel:
    scheme, separator, address = endpoint.rpartition("://")
    if separator and scheme not in ("http", "https"):
        raise ValueError(f"{endpoint}: an endpoint is HOST:PORT, http://HOST:PORT or https://HOST:PORT")
    if scheme != "https" and not target.cacert and not target.cert:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    files = (path.read_bytes() if path else None for path in (target.cacert, target.key, target.cert))
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(*files), options=_OPTIONS)
