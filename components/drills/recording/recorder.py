"""The history as it grows, and one client that calls and records what became of each call."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from components.drills.recording import wire
from kvstore.check.history import AnyRequest, Call, History, KeepAlive, Range, Record, collect, encode

CALL_SECONDS = 1.5
REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""The store looked at the request and said no. Anything else may have been done."""
OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.use_local_subchannel_pool", 1),
)


class Recorder:
    """Every record with the time of one clock that never goes back."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.revision = 1
        """The highest revision any answer showed."""

    @staticmethod
    def now() -> int:
        return time.monotonic_ns()

    def add(self, record: Record) -> None:
        self.records.append(record)

    def history(self) -> History:
        return collect(self.records)

    def write(self, path: Path) -> None:
        path.write_bytes(b"".join(encode(record) + b"\n" for record in self.records))


class Endpoint:
    """One member's client port (`host:port`); with `credentials` TLS is spoken there."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.address = address
        self.channel = (
            grpc.aio.insecure_channel(address, options=OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, options=OPTIONS)
        )

    async def unary(self, path: str, request: Any, kind: Any, seconds: float = CALL_SECONDS) -> Any:
        method = self.channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=kind.FromString
        )
        return await method(request, timeout=seconds)

    def stream(self, path: str, request: Any, kind: Any, **options: Any) -> Any:
        method = self.channel.stream_stream(
            path, request_serializer=request.SerializeToString, response_deserializer=kind.FromString
        )
        return method(**options)

    async def close(self) -> None:
        await self.channel.close()


class Client:
    """Calls one endpoint at a time; moves on to the next one when a call fails."""

    def __init__(self, number: int, endpoints: list[Endpoint], recorder: Recorder) -> None:
        self.number = number
        self._endpoints = endpoints
        self._at = number
        self._recorder = recorder

    @property
    def endpoint(self) -> Endpoint:
        return self._endpoints[self._at % len(self._endpoints)]

    def pin(self, index: int) -> None:
        self._at = index

    async def call(self, request: AnyRequest, seconds: float = CALL_SECONDS) -> Call:
        endpoint, start = self.endpoint, self._recorder.now()
        try:
            response = await self._send(endpoint, request, seconds)
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            record = self._failed(request, start, error, endpoint)
            self._at += record.outcome == "unknown" or "failed to connect" in record.error
        else:
            result = wire.result(request, response)
            self._recorder.revision = max(self._recorder.revision, result.revision or 0)
            end = self._recorder.now()
            record = Call(self.number, start, request, "ok", end, result, endpoint=endpoint.address)
        self._recorder.add(record)
        return record

    def pinned(self, index: int) -> Pinned:
        """The same client, always at one endpoint."""
        return Pinned(self, index)

    async def _send(self, endpoint: Endpoint, request: AnyRequest, seconds: float) -> Any:
        path, kind = wire.METHODS[type(request)]
        if not isinstance(request, KeepAlive):
            return await endpoint.unary(path, wire.message(request), kind, seconds)
        async with asyncio.timeout(seconds):
            stream = endpoint.stream(path, type(wire.message(request)), kind)
            try:
                await stream.write(wire.message(request))
                answer = await stream.read()
                if answer is grpc.aio.EOF:
                    raise TimeoutError("the stream ended")
                return answer
            finally:
                stream.cancel()

    def _failed(
        self, request: AnyRequest, start: int, error: grpc.aio.AioRpcError | TimeoutError, endpoint: Endpoint
    ) -> Call:
        """A refusal, a connection that was never made, or an outcome nobody knows."""
        code = error.code() if isinstance(error, grpc.aio.AioRpcError) else None
        text = (error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)) or ""
        end = self._recorder.now()
        not_sent = code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in text
        certain = not_sent or code in REFUSALS or isinstance(request, Range)
        outcome = "error" if certain else "unknown"
        return Call(
            client=self.number,
            call=start,
            request=request,
            outcome=outcome,  # type: ignore[arg-type]
            returned=end,
            error=text or str(code),
            endpoint=endpoint.address,
        )


class Pinned:
    """Calls one endpoint, whatever comes of it."""

    def __init__(self, client: Client, index: int) -> None:
        self._client, self._index = client, index

    async def call(self, request: AnyRequest) -> Call:
        self._client.pin(self._index)
        return await self._client.call(request)
