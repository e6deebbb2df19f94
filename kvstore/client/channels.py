"""One gRPC channel for each endpoint, and which of them is in use.

An endpoint that fails is left for the next in order; nothing else moves the caller, so requests that follow one
another see one member as long as it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
import grpc.aio
from google.protobuf.message import Message

from kvstore.client.errors import Unreachable, translated
from kvstore.errors import AuthOldRevision, InvalidAuthToken, NoLeader, StoreError, UserEmpty
from kvstore.rpc.proto import rpc_pb2 as pb

Reply = TypeVar("Reply", bound=Message)
Request = TypeVar("Request", bound=Message)

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
_LOGIN_AGAIN = (InvalidAuthToken, AuthOldRevision, UserEmpty)


@dataclass(frozen=True)
class ClientTls:
    """PEM files; without `ca` the system's authorities are trusted, without `cert` and `key` the client shows none."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class Channels:
    """`endpoints`: `host:port`, `http://host:port` or `https://host:port`. Raises ValueError for others."""

    def __init__(
        self, endpoints: Sequence[str], tls: ClientTls | None, user: str, password: str, timeout: float
    ) -> None:
        if not endpoints:
            raise ValueError("no endpoint is named")
        self._targets = [_target(endpoint, tls is not None) for endpoint in endpoints]
        self._tls = tls
        self._user, self._password, self.timeout = user, password, timeout
        self._open: dict[int, grpc.aio.Channel] = {}
        self._current = 0
        self._token = ""
        self._login = asyncio.Lock()

    @property
    def count(self) -> int:
        return len(self._targets)

    @property
    def endpoint(self) -> str:
        """The address in use."""
        return self._targets[self._current][0]

    def leave(self, endpoint: str) -> None:
        """Go on to the next, unless somebody already did."""
        if self.endpoint == endpoint:
            self._current = (self._current + 1) % len(self._targets)

    async def close(self) -> None:
        channels, self._open = list(self._open.values()), {}
        await asyncio.gather(*(channel.close() for channel in channels))

    async def unary(self, method: str, request: Message, reply: type[Reply], *, read_only: bool) -> Reply:
        """What the endpoint in use answers, or the first other one if nothing was sent to it, or nothing done
        by it. Raises the store's errors."""
        failure: StoreError = Unreachable("no endpoint answers")
        for _ in range(len(self._targets)):
            endpoint = self.endpoint
            try:
                return await self._logged_in(method, request, reply)
            except (Unreachable, NoLeader) as error:
                failure = error
            except StoreError as error:
                if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                    raise
                if not read_only:
                    self.leave(endpoint)
                    raise
                failure = error
            self.leave(endpoint)
        raise failure

    async def _logged_in(self, method: str, request: Message, reply: type[Reply]) -> Reply:
        await self._authenticate()
        try:
            return await self._once(method, request, reply)
        except _LOGIN_AGAIN:
            if not self._user:
                raise
        self._token = ""
        await self._authenticate()
        return await self._once(method, request, reply)

    async def _authenticate(self) -> None:
        if not self._user or self._token:
            return
        async with self._login:
            if not self._token:
                request = pb.AuthenticateRequest(name=self._user, password=self._password)
                answer = await self._once("etcdserverpb.Auth/Authenticate", request, pb.AuthenticateResponse)
                self._token = answer.token

    async def _once(self, method: str, request: Message, reply: type[Reply]) -> Reply:
        call: Any = self._channel().unary_unary(
            f"/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        try:
            answer: Reply = await call(request, timeout=self.timeout, metadata=self._metadata())
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error
        return answer

    async def stream(
        self, method: str, requests: AsyncIterator[Request], request: type[Request], reply: type[Reply]
    ) -> AsyncGenerator[Reply, None]:
        """A two-way stream with the endpoint in use. Raises the store's errors."""
        await self._authenticate()
        open_stream: Any = self._channel().stream_stream(
            f"/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = open_stream(requests, metadata=self._metadata())
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            failure = translated(error)
            if isinstance(failure, _LOGIN_AGAIN):
                self._token = ""  # the next stream gets a new one
            raise failure from error
        finally:
            call.cancel()

    async def answers(self, method: str, request: Message, reply: type[Reply]) -> AsyncIterator[Reply]:
        """What the endpoint in use streams to one request. Raises the store's errors."""
        await self._authenticate()
        open_stream: Any = self._channel().unary_stream(
            f"/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        call = open_stream(request, metadata=self._metadata())
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error
        finally:
            call.cancel()

    def _metadata(self) -> list[tuple[str, str]]:
        return [("token", self._token)] if self._token else []

    def _channel(self) -> grpc.aio.Channel:
        channel = self._open.get(self._current)
        if channel is None:
            address, secure = self._targets[self._current]
            channel = self._open[self._current] = (
                grpc.aio.secure_channel(address, self._credentials(), options=OPTIONS)
                if secure
                else grpc.aio.insecure_channel(address, options=OPTIONS)
            )
        return channel

    def _credentials(self) -> grpc.ChannelCredentials:
        tls = self._tls or ClientTls()
        ca, key, cert = (path.read_bytes() if path else None for path in (tls.ca, tls.key, tls.cert))
        return grpc.ssl_channel_credentials(ca, key, cert)


def _target(endpoint: str, tls: bool) -> tuple[str, bool]:
    """(address, whether TLS is spoken there)"""
    parts = urlsplit(endpoint if "://" in endpoint else f"{'https' if tls else 'http'}://{endpoint}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port is None:
        raise ValueError(
            f"{endpoint!r} is no endpoint: write host:port, http://host:port or https://host:port"
        )
    return f"{parts.hostname}:{parts.port}", parts.scheme == "https"
