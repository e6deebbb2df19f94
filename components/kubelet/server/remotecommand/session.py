"""Joins a client's channels with a command or container, until one of them ends.

Fed by `remotecommand.handler`; the channels are a WebSocket's or a SPDY connection's, the session the runtime's.
Every copy waits for its receiver, in both directions: that is all the backpressure there is, and it is enough.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from components.kubelet.runtime.interface import Session
from components.kubelet.server.remotecommand import options


class Channels(Protocol):
    """`read_stdin` gives b"" at the end of the input; `gone` returns when the client has gone."""

    async def read_stdin(self) -> bytes: ...
    async def read_size(self) -> tuple[int, int] | None: ...
    async def write_stdout(self, data: bytes) -> None: ...
    async def write_stderr(self, data: bytes) -> None: ...
    async def finish(self, status: options.Status) -> None: ...
    async def gone(self) -> None: ...


async def serve(channels: Channels, session: Session, status: Callable[[int], options.Status]) -> None:
    """`status` turns the exit code into the answer. The session is closed in any case."""
    tasks = [asyncio.ensure_future(work) for work in (_input(channels, session), _sizes(channels, session))]
    gone = asyncio.ensure_future(channels.gone())
    ending = asyncio.ensure_future(_until_end(channels, session))
    try:
        await asyncio.wait([gone, ending], return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            with contextlib.suppress(ConnectionError):
                await channels.finish(status(ending.result()))
    except ConnectionError:
        pass  # the client went while it was written to
    finally:
        for task in (*tasks, gone, ending):
            task.cancel()
        await asyncio.gather(*tasks, gone, ending, return_exceptions=True)
        await session.close()


async def _until_end(channels: Channels, session: Session) -> int:
    """The exit code, when all output has been passed on."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_output(session.read_stdout, channels.write_stdout))
        group.create_task(_output(session.read_stderr, channels.write_stderr))
    return await session.wait()


async def _output(read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]) -> None:
    with contextlib.suppress(ConnectionError):  # `gone` tells it
        while data := await read():
            await write(data)


async def _input(channels: Channels, session: Session) -> None:
    with contextlib.suppress(BrokenPipeError):  # the program does not want more: the rest is thrown away
        while data := await channels.read_stdin():
            await session.write_stdin(data)
        session.close_stdin()
        return
    while await channels.read_stdin():
        pass


async def _sizes(channels: Channels, session: Session) -> None:
    while (size := await channels.read_size()) is not None:
        session.resize(*size)
