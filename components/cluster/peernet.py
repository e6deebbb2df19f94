"""Every connection between two members goes through a proxy here, so that it can be cut or slowed down.

A member's peers know it by the address of its proxy. Used by the supervisor of a cluster whose topology says
`peerProxies` (members dial from an address of their own, which names them) and by the store's robustness runs
(the kernel is asked which process owns the other end, `owner`). Blocked bytes are not lost but wait, as TCP has
it; `reset` ends connections, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 65_536
QUEUED = 256
Link = tuple[str, str]
"""From whom to whom bytes flow."""
Address = tuple[str, int]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Network:
    """The state of all links; `source` tells which member a connection from that address belongs to."""

    source: Callable[[Address], str | None]
    blocked: set[Link] = field(default_factory=set)
    delays: dict[Link, float] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _open: dict[asyncio.Task[None], tuple[str, str]] = field(default_factory=dict)
    _dialling: set[asyncio.Future[Streams]] = field(default_factory=set)

    async def proxy(self, member: str, target: Address, listen: Address = ("127.0.0.1", 0)) -> int:
        """Stands before `member`; returns the port. Raises OSError if `listen` is taken."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            source = self.source(writer.get_extra_info("peername")[:2]) or "?"
            self._open[task] = (source, member)
            try:
                await self._serve(source, member, target, reader, writer)
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                del self._open[task]
                writer.close()

        server = await asyncio.start_server(accept, *listen)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def cut(self, *links: Link, reset: bool = False) -> None:
        self.blocked.update(links)
        if reset:
            for task, (source, target) in list(self._open.items()):
                if (source, target) in links or (target, source) in links:
                    task.cancel()

    def slow(self, seconds: float, *links: Link) -> None:
        self.delays.update(dict.fromkeys(links, seconds))

    def heal(self) -> None:
        self.blocked.clear()
        self.delays.clear()
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._dialling, return_exceptions=True)

    async def _serve(
        self,
        source: str,
        member: str,
        target: Address,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        await self._passable((source, member))
        far_reader, far_writer = await self._dial(target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump((source, member), reader, far_writer))
                group.create_task(self._pump((member, source), far_reader, writer))
        except* OSError:
            pass
        finally:
            far_writer.close()

    async def _dial(self, target: Address) -> Streams:
        """A connection that is made although nobody waits for it any more is closed again."""
        dialling = asyncio.ensure_future(asyncio.open_connection(*target))
        self._dialling.add(dialling)
        dialling.add_done_callback(self._dialling.discard)
        try:
            return await asyncio.shield(dialling)
        except asyncio.CancelledError:
            dialling.add_done_callback(_hang_up)
            raise

    async def _pump(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction; the end of the stream is passed on, too."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED)

        async def deliver() -> None:
            while True:
                due, data = await queue.get()
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
                await self._passable(link)
                if not data:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(deliver())
            while True:
                data = await reader.read(CHUNK)
                await queue.put((loop.time() + self.delays.get(link, 0.0), data))
                if not data:
                    break

    async def _passable(self, link: Link) -> None:
        while link in self.blocked:
            await self._changed.wait()


def _hang_up(dialled: asyncio.Future[Streams]) -> None:
    if not dialled.cancelled() and dialled.exception() is None:
        dialled.result()[1].close()


def owner(port: int, pids: dict[int, str]) -> str | None:
    """The member whose process holds the connection from the local `port`."""
    inode = _inode(port)
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    for pid, name in pids.items():
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{descriptor}") == wanted:
                        return name
    return None


def _inode(port: int) -> str | None:
    suffix = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(suffix) and fields[9] != "0":
            return fields[9]
    return None
