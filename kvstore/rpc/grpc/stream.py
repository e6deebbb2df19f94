"""One call on a connection: what came in, the task that answers, what has yet to go out.

Made by `connection` for each HEADERS frame, fed with the payload of DATA frames; calls the service's method and
hands its responses back to the connection, which sends them as the client's windows allow.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from kvstore import telemetry
from kvstore.errors import StoreError
from kvstore.http2 import stream as http2
from kvstore.rpc.grpc import answers
from kvstore.rpc.grpc.answers import PREFIX
from kvstore.rpc.grpc.codes import GO_NAMES, Code, Status, status_of
from kvstore.rpc.grpc.methods import Method

log = logging.getLogger(__name__)

HIGH_WATER = 256 << 10
"""Bytes of a stream that wait to be sent; its method rests until they are fewer."""


class Owner(Protocol):
    """The connection."""

    peer: str
    common_name: str | None
    max_message: int

    def answer(self, stream: Stream, body: bytes) -> None:
        """Send the only response and the end."""

    def send(self, stream: Stream, data: bytes) -> None:
        """Send the next framed messages, or let them wait in `out`."""

    def pump(self, stream: Stream) -> None:
        """Send what waits in `out`, and the end if the stream is `done`."""

    def consumed(self, stream: Stream, size: int) -> None:
        """The method has read that much of what the client sent."""


class RpcCall:
    """The caller, as services see one (`kvstore.rpc.call.Call`)."""

    __slots__ = ("common_name", "metadata", "peer", "push")

    def __init__(self, metadata: Mapping[str, str], peer: str, common_name: str | None) -> None:
        self.metadata, self.peer, self.common_name = metadata, peer, common_name
        self.push: Callable[[list[bytes]], bool] | None = None

    @property
    def token(self) -> str | None:
        return self.metadata.get("token", self.metadata.get("authorization"))


class Stream(http2.Stream):
    """`started`: the head was sent."""

    __slots__ = (
        "_body",
        "_call",
        "_inbox",
        "_method",
        "_owner",
        "_readable",
        "_writable",
        "deadline",
        "started",
        "status",
        "task",
    )

    def __init__(
        self, owner: Owner, stream_id: int, method: Method, headers: Mapping[str, str], window: int
    ) -> None:
        super().__init__(stream_id, window)
        self._owner, self._method = owner, method
        self._call = RpcCall(headers, owner.peer, owner.common_name)
        self.status: Status | None = None
        self.started = False
        self.task: asyncio.Task[None] | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self._body = bytearray()
        self._inbox: deque[bytes] = deque()
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    # From the client.

    def begin(self) -> None:
        """The head is read."""
        telemetry.GRPC_STARTED.inc(*self._method.labels)
        if self._method.client_stream:
            self._call.push = self.push
            self._run(self._respond(self._requests()))

    def receive(self, payload: bytes, *, end: bool) -> None:
        """The next bytes of the client's messages."""
        if self.done:
            return
        if end and not self._body and not self._inbox and not self._method.client_stream:
            size = len(payload) - PREFIX
            if size >= 0 and not payload[0] and int.from_bytes(payload[1:PREFIX], "big") == size:
                self._start(payload[PREFIX:])
                return
        self._body += payload
        self._split()
        if end and not self.done:
            self._ended()

    def _split(self) -> None:
        body = self._body
        while len(body) >= PREFIX:
            size = int.from_bytes(body[1:PREFIX], "big")
            if body[0]:
                self.end(Status(Code.UNIMPLEMENTED, "grpc: compressed messages are not supported"))
                return
            if size > self._owner.max_message:
                text = f"grpc: received message larger than max ({size} vs. {self._owner.max_message})"
                self.end(Status(Code.RESOURCE_EXHAUSTED, text))
                return
            if len(body) < PREFIX + size:
                return
            self._inbox.append(bytes(body[PREFIX : PREFIX + size]))
            del body[: PREFIX + size]
            _wake(self._readable)

    def _ended(self) -> None:
        if self._method.client_stream:
            _wake(self._readable)
        elif len(self._inbox) == 1 and not self._body:
            self._start(self._inbox.popleft())
        else:
            self.end(Status(Code.INTERNAL, "grpc: the call needs exactly one whole message"))

    async def _requests(self) -> AsyncIterator[Any]:
        """Ends when the client has said all."""
        while True:
            while not self._inbox:
                if self.half_closed:
                    return
                self._readable = asyncio.get_running_loop().create_future()
                await self._readable
            data = self._inbox.popleft()
            self._owner.consumed(self, len(data) + PREFIX)
            yield self._method.parse(data)

    # The answer.

    def _start(self, data: bytes) -> None:
        try:
            request = self._method.parse(data)
        except DecodeError as error:
            self.end(_unreadable(error))
            return
        self._run(self._respond(request) if self._method.server_stream else self._answer(request))

    def _run(self, work: Any) -> None:
        self.task = asyncio.get_running_loop().create_task(work)

    async def _answer(self, request: Any) -> None:
        try:
            response = await self._method.function(request, self._call)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.end(_status(error))
        else:
            self._owner.answer(self, response.SerializeToString())

    async def _respond(self, given: Any) -> None:
        try:
            async with aclosing(self._method.function(given, self._call)) as responses:
                async for response in responses:
                    self._owner.send(self, _framed(response))
                    if len(self.out) > HIGH_WATER:
                        await self._room()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.end(_status(error))
        else:
            self.end(None)

    def push(self, messages: list[bytes]) -> bool:
        """Send encoded messages now, past the method's own; False if something waits to be sent."""
        if self.done or self.out:
            return False
        self._owner.send(self, _framed(messages))
        return True

    async def _room(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()
        await self._writable

    def head(self) -> bytes:
        if self.started:
            return b""
        self.started = True
        return answers.response_head(self.id)

    def tail(self) -> bytes:
        return answers.trailers(self.id, self.status, alone=not self.started)

    def sent(self) -> None:
        _wake(self._writable)

    def end(self, status: Status | None) -> None:
        """The call is over; the client learns how once all responses are sent."""
        if not self.done:
            self.done, self.status = True, status
            self._count(status.code if status is not None else Code.OK)
            self._owner.pump(self)

    def expire(self) -> None:
        """The client's deadline has passed."""
        self.end(Status(Code.DEADLINE_EXCEEDED, "context deadline exceeded"))
        self.over()

    def over(self) -> None:
        if not self.done:
            self._count(Code.CANCELLED)
        self.done = True
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def _count(self, code: int) -> None:
        telemetry.GRPC_HANDLED.inc(*self._method.labels, GO_NAMES[code])


def _framed(response: Any) -> bytes:
    """A message, or several that are encoded already."""
    if type(response) is list:
        return b"".join(map(answers.message, response))
    return answers.message(response.SerializeToString())


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


def _unreadable(error: Exception) -> Status:
    return Status(Code.INTERNAL, f"grpc: error unmarshalling request: {error}")


def _status(error: Exception) -> Status:
    if isinstance(error, StoreError):
        return status_of(error)
    if isinstance(error, DecodeError):
        return _unreadable(error)
    log.error("a call failed", exc_info=error)
    return Status(Code.UNKNOWN, f"{type(error).__name__}: {error}")
