"""The endpoints of a cluster, and which one is spoken to.

Under `kvstore.client.client` and `watch`; over one lazily opened grpc channel for each endpoint. An endpoint that
fails is left for the next one in turn. A call has two limits: `attempt_timeout` for one endpoint, so that one that
hangs does not use up everything, and `timeout` for all attempts together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from kvstore.client.failures import NotReached, failure, had_no_effect, wants_new_token
from kvstore.errors import AuthNotEnabled, RequestTimeout, StoreError, Unavailable
from kvstore.rpc.proto import rpc_pb2 as pb

Reply = TypeVar("Reply", bound=Message)
T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]

PAUSE_SECONDS = 0.05
"""Before the first endpoint is tried again after the last one."""
_NEEDS_LEADER: Metadata = (("hasleader", "true"),)
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Tls:
    """Files in PEM. Without `ca_file` the system's roots are trusted."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises `OSError`."""
        files = (
            path.read_bytes() if path else None for path in (self.ca_file, self.key_file, self.cert_file)
        )
        return grpc.ssl_channel_credentials(*files)


class Connections:
    """`endpoints` are HOST:PORT, http://HOST:PORT or https://HOST:PORT. Raises `ValueError`, `OSError`."""

    def __init__(
        self,
        endpoints: Sequence[str],
        tls: Tls | None,
        user: str,
        password: str,
        timeout: float,
        attempt_timeout: float,
    ) -> None:
        if not endpoints:
            raise ValueError("no endpoint is given")
        self.endpoints = tuple(endpoints)
        self._secure = [_is_secure(endpoint, tls) for endpoint in endpoints]
        self._credentials = (tls or Tls()).credentials() if any(self._secure) else None
        self._user, self._password = user, password
        self.timeout, self.attempt_timeout = timeout, attempt_timeout
        self._channels: dict[int, grpc.aio.Channel] = {}
        self._calls: dict[tuple[int, str], Any] = {}
        self._turn = 0
        self._token = ""
        self._token_lock = asyncio.Lock()

    async def close(self) -> None:
        channels, self._channels = self._channels, {}
        self._calls.clear()
        for channel in channels.values():
            await channel.close(None)

    async def unary(
        self,
        method: str,
        request: Message,
        reply: type[Reply],
        *,
        repeatable: bool,
        timeout: float | None = None,
    ) -> Reply:
        """`method` is a full name such as "etcdserverpb.KV/Range". A request that is not `repeatable` is sent
        again only when it provably had no effect; otherwise its unknown outcome is raised as `RequestTimeout`
        or `LeaderChanged`."""

        async def attempt(number: int, limit: float) -> Reply:
            call = self._call(number, method, type(request), reply)
            answer: Reply = await call(request, timeout=limit, metadata=self._metadata())
            return answer

        return await self.attempts(attempt, repeatable=repeatable, timeout=timeout)

    async def at(self, endpoint: str, method: str, request: Message, reply: type[Reply]) -> Reply:
        """From this endpoint or none."""
        number = self.endpoints.index(endpoint)

        async def attempt(limit: float) -> Reply:
            call = self._call(number, method, type(request), reply)
            answer: Reply = await call(request, timeout=limit, metadata=self._metadata())
            return answer

        return await self._authenticated(number, attempt, self.timeout)

    async def attempts(
        self, attempt: Callable[[int, float], Awaitable[T]], *, repeatable: bool, timeout: float | None = None
    ) -> T:
        """`attempt(number of the endpoint, seconds)` on one endpoint after the other. Raises `StoreError`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.timeout if timeout is None else timeout)
        failed = 0
        while True:
            turn = self._turn
            number = turn % len(self.endpoints)
            limit = max(min(self.attempt_timeout, deadline - loop.time()), 0.001)
            try:
                return await self._authenticated(number, lambda limit: attempt(number, limit), limit)
            except Unavailable as error:
                self.leave(turn)
                if not (repeatable or had_no_effect(error)) or loop.time() >= deadline:
                    raise
            failed += 1
            if failed % len(self.endpoints) == 0:
                await asyncio.sleep(PAUSE_SECONDS)

    @property
    def turn(self) -> int:
        """Which attempt at finding a good endpoint is current; `turn % len(endpoints)` is the endpoint."""
        return self._turn

    def leave(self, turn: int) -> None:
        """Go on to the next endpoint, unless somebody else has already."""
        if self._turn == turn:
            self._turn += 1

    def stream(
        self,
        number: int,
        method: str,
        requests: AsyncIterator[Message],
        kind: type[Message],
        reply: type[Reply],
    ) -> AsyncIterator[Reply]:
        """A stream on one endpoint that ends when that has no leader. Iterate within `translated`."""
        call: Any = self._channel(number).stream_stream(
            f"/{method}", request_serializer=kind.SerializeToString, response_deserializer=reply.FromString
        )
        stream: AsyncIterator[Reply] = call(requests, metadata=self._metadata() + _NEEDS_LEADER)
        return stream

    def answers(self, number: int, method: str, request: Message, reply: type[Reply]) -> AsyncIterator[Reply]:
        """The stream of answers to one request."""
        call: Any = self._channel(number).unary_stream(
            f"/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        stream: AsyncIterator[Reply] = call(request, metadata=self._metadata())
        return stream

    async def ensure_token(self, number: int) -> None:
        """So that a stream can be opened on the endpoint."""
        if self._user and not self._token:
            await self._authenticate(number, "")

    def forget_token(self) -> None:
        self._token = ""

    def translated(self, number: int, error: grpc.aio.AioRpcError) -> StoreError:
        return failure(error.code().name, error.details() or "", self.endpoints[number])

    async def _authenticated(self, number: int, attempt: Callable[[float], Awaitable[T]], limit: float) -> T:
        """Once, and once more with a new token if the server does not know the old one."""
        await self.ensure_token(number)
        token = self._token
        try:
            return await self._guarded(number, attempt, limit)
        except StoreError as error:
            if not self._user or not wants_new_token(error):
                raise
        await self._authenticate(number, token)
        return await self._guarded(number, attempt, limit)

    async def _guarded(self, number: int, attempt: Callable[[float], Awaitable[T]], limit: float) -> T:
        try:
            async with asyncio.timeout(limit + 1):
                return await attempt(limit)
        except grpc.aio.AioRpcError as error:
            raise self.translated(number, error) from error
        except TimeoutError as error:
            raise RequestTimeout(f"{self.endpoints[number]}: no answer within {limit:.1f} s") from error

    async def _authenticate(self, number: int, old: str) -> None:
        """Replace the token `old`, unless somebody did."""
        async with self._token_lock:
            if self._token != old:
                return
            request = pb.AuthenticateRequest(name=self._user, password=self._password)
            call = self._call(
                number, "etcdserverpb.Auth/Authenticate", type(request), pb.AuthenticateResponse
            )
            try:
                answer = await self._guarded(
                    number, lambda limit: call(request, timeout=limit), self.attempt_timeout
                )
                self._token = answer.token
            except AuthNotEnabled:
                self._token = ""
            except RequestTimeout as error:
                raise NotReached(str(error)) from error  # what the token was wanted for was never sent

    def _metadata(self) -> Metadata:
        return (("token", self._token),) if self._token else ()

    def _call(self, number: int, method: str, kind: type[Message], reply: type[Message]) -> Any:
        call = self._calls.get((number, method))
        if call is None:
            call = self._calls[number, method] = self._channel(number).unary_unary(
                f"/{method}",
                request_serializer=kind.SerializeToString,
                response_deserializer=reply.FromString,
            )
        return call

    def _channel(self, number: int) -> grpc.aio.Channel:
        channel = self._channels.get(number)
        if channel is None:
            address = self.endpoints[number].rpartition("://")[2].rstrip("/")
            if self._secure[number]:
                channel = grpc.aio.secure_channel(address, self._credentials, options=_OPTIONS)
            else:
                channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
            self._channels[number] = channel
        return channel


def _is_secure(endpoint: str, tls: Tls | None) -> bool:
    scheme, separator, _ = endpoint.rpartition("://")
    if separator and scheme not in ("http", "https"):
        raise ValueError(f"{endpoint}: an endpoint is HOST:PORT, http://HOST:PORT or https://HOST:PORT")
    return scheme == "https" or (not separator and tls is not None)
