"""Real sockets: bytes, half-close, failing endpoints, draining, UDP flows, refused addresses."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from unittest import skipIf

import pytest

from components.proxy import tcp
from components.proxy.rules import Backend, Frontend, Target
from components.proxy.sockets import ListenError, listen
from components.proxy.tcp import TcpForwarder
from components.proxy.udp import UdpForwarder

LIMIT = 10


def backend(*targets: Target, affinity: int | None = None) -> Backend:
    return Backend("ns", "svc", targets, affinity)


def bound(protocol: str) -> tuple[socket.socket, int]:
    sock = listen(Frontend("127.0.0.1", 0, protocol))
    return sock, sock.getsockname()[1]


@contextlib.asynccontextmanager
async def tcp_endpoint(name: bytes) -> AsyncIterator[Target]:
    """Greets with its name, reads to the end of the request, then answers with what it got."""

    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(ConnectionError):
            writer.write(name)
            data = await reader.read()
            writer.write(b":" + data)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Target("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*handlers)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def ask(port: int, data: bytes) -> bytes:
    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        writer.write_eof()
        answer = await reader.read()
        await hang_up(writer)
        return answer


def closed_target() -> Target:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return Target("127.0.0.1", sock.getsockname()[1])


def test_requests_reach_every_endpoint_and_half_close_is_kept() -> None:
    async def main() -> None:
        async with tcp_endpoint(b"a") as a, tcp_endpoint(b"b") as b:
            sock, port = bound("TCP")
            forwarder = TcpForwarder(sock, backend(a, b))
            answers = [await ask(port, b"x") for _ in range(4)]
            assert sorted(answers) == [b"a:x", b"a:x", b"b:x", b"b:x"]
            large = os.urandom(3_000_000)
            assert (await ask(port, large))[2:] == large
            await forwarder.close()

    asyncio.run(main())


def test_a_dead_endpoint_is_skipped_without_an_error_for_the_client() -> None:
    async def main() -> None:
        async with tcp_endpoint(b"a") as a:
            sock, port = bound("TCP")
            forwarder = TcpForwarder(sock, backend(closed_target(), a))
            assert [await ask(port, b"") for _ in range(3)] == [b"a:"] * 3
            await forwarder.close()

    asyncio.run(main())


def test_without_a_living_endpoint_the_client_gets_a_reset() -> None:
    async def main() -> None:
        sock, port = bound("TCP")
        forwarder = TcpForwarder(sock, backend(closed_target()))
        with pytest.raises(ConnectionResetError):
            await ask(port, b"x")
        await forwarder.close()

    asyncio.run(main())


def test_connections_to_a_removed_endpoint_are_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A removed endpoint gets no new connection; an open one may finish, and is cut only after the limit."""

    async def main() -> None:
        async with tcp_endpoint(b"a") as a, tcp_endpoint(b"b") as b:
            sock, port = bound("TCP")
            forwarder = TcpForwarder(sock, backend(a))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"he")
            assert await reader.readexactly(1) == b"a"
            forwarder.retarget(backend(b))
            assert await ask(port, b"x") == b"b:x"
            writer.write(b"llo")
            writer.write_eof()
            assert await reader.read() == b":hello"
            await hang_up(writer)

            forwarder.retarget(backend(a))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.readexactly(1) == b"a"
            monkeypatch.setattr(tcp, "DRAIN_SECONDS", 0.0)
            forwarder.retarget(backend(b))
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), LIMIT) == b""
            await hang_up(writer)
            await forwarder.close()

    asyncio.run(main())


class _UdpEcho(asyncio.DatagramProtocol):
    def __init__(self, name: bytes) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(self.name + b":" + data, addr)  # type: ignore[attr-defined]


class _UdpClient(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.put_nowait(data)


def test_udp_flow_stays_on_its_endpoint_until_that_is_removed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        targets, transports = [], []
        for name in (b"a", b"b"):
            transport, _ = await loop.create_datagram_endpoint(
                lambda name=name: _UdpEcho(name), local_addr=("127.0.0.1", 0)
            )
            transports.append(transport)
            targets.append(Target(*transport.get_extra_info("sockname")))
        sock, port = bound("UDP")
        forwarder = await UdpForwarder.open(sock, backend(*targets))
        sender, client = await loop.create_datagram_endpoint(_UdpClient, remote_addr=("127.0.0.1", port))

        async def exchange(data: bytes) -> bytes:
            sender.sendto(data)
            return await asyncio.wait_for(client.answers.get(), LIMIT)

        assert [await exchange(b"1"), await exchange(b"2")] == [b"a:1", b"a:2"]
        forwarder.retarget(backend(targets[1]))
        assert await exchange(b"3") == b"b:3"
        await forwarder.close()
        for transport in [*transports, sender]:
            transport.close()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_taken_address_is_explained() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match="another program has it open") as info:
            listen(Frontend("127.0.0.1", port, "TCP"))
    assert info.value.reason == "PortInUse"


def test_address_of_another_machine_is_explained() -> None:
    with pytest.raises(ListenError, match="service range") as info:
        listen(Frontend("203.0.113.7", 8080, "TCP"))
    assert info.value.reason == "AddressNotAvailable"


@skipIf(os.geteuid() == 0, "root may bind every port")
def test_privileged_port_names_the_remedy() -> None:
    with pytest.raises(ListenError, match="ip_unprivileged_port_start=80") as info:
        listen(Frontend("127.0.0.1", 80, "TCP"))
    assert info.value.reason == "PortNotPermitted"
