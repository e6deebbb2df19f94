"""One port for two protocols, on real sockets: who gets which connection, and who is thrown out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from kvstore.server import front as front_module
from kvstore.server.certificates import Certificates, Files
from kvstore.server.front import ALPN, Front
from kvstore.server.port import Port
from kvstore.server.selfsigned import self_signed
from kvstore.server.sniff import MAX_HEAD, PREFACE, Protocol, sniff
from kvstore.server.urls import parse_url


@pytest.mark.parametrize(
    ("head", "protocol"),
    [
        (b"P", Protocol.MORE),
        (PREFACE[:-1], Protocol.MORE),
        (PREFACE, Protocol.GRPC),
        (PREFACE + b"\0\0\0", Protocol.GRPC),
        (b"POST / HTTP/1.1\r\n", Protocol.MORE),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n{", Protocol.HTTP),
        (b"\x16\x03\x01garbage\r\n\r\n", Protocol.HTTP),
        (b"x" * MAX_HEAD, Protocol.HTTP),
    ],
)
def test_first_bytes(head: bytes, protocol: Protocol) -> None:
    assert sniff(head) is protocol


@given(st.binary(max_size=200), st.integers(0, 200))
def test_a_decision_stands_whatever_follows(data: bytes, cut: int) -> None:
    early = sniff(data[:cut])
    assert early is Protocol.MORE or sniff(data) is early


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """On the loop that the product uses: it has transports of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario)


class Named(asyncio.Protocol):
    """Answers everything with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(f"{self.name}:{len(data)};".encode())


class Running:
    """A front on a port of its own."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        self.front = Front(lambda: Named("grpc"), lambda: Named("http"))
        scheme = "http" if certificates is None else "https"
        self.port = Port(parse_url(f"{scheme}://127.0.0.1:0"), self.front.connection, certificates, ALPN)

    async def __aenter__(self) -> Running:
        self.port.bind()
        await self.port.serve()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.port.close()
        self.front.stop()

    async def ask(self, *parts: bytes, tls: ssl.SSLContext | None = None) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port.number, ssl=tls)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        found = await asyncio.wait_for(reader.read(100), 5)
        writer.close()
        return found.decode()


def test_plain_connections_go_where_they_belong() -> None:
    async def scenario() -> None:
        async with Running() as running:
            assert await running.ask(PREFACE + b"xyz") == f"grpc:{len(PREFACE) + 3};"
            assert await running.ask(PREFACE[:10], PREFACE[10:]) == f"grpc:{len(PREFACE)};"
            assert await running.ask(b"GET / HTTP/1.1\r\n", b"\r\n") == "http:18;"
            assert not running.front.undecided

    run(scenario())


def test_a_client_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "DECIDE_SECONDS", 0.05)

    async def scenario() -> None:
        async with Running() as running:
            assert await running.ask(b"GET / HT") == ""
            assert not running.front.undecided

    run(scenario())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return self_signed(tmp_path_factory.mktemp("tls"), ["127.0.0.1"], 1)


def client(files: Files, *alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.cert))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def test_with_tls_the_offered_protocols_decide(files: Files) -> None:
    async def scenario() -> None:
        async with Running(Certificates(files)) as running:
            assert await running.ask(b"abc", tls=client(files, "h2")) == "grpc:3;"
            assert await running.ask(b"abc", tls=client(files, "h2", "http/1.1")) == "http:3;"
            assert await running.ask(b"abc", tls=client(files, "http/1.1")) == "http:3;"
            assert await running.ask(PREFACE, tls=client(files)) == f"grpc:{len(PREFACE)};"

    run(scenario())


def test_new_connections_see_new_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvstore.server.certificates.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("kvstore.server.port.FOLLOW_SECONDS", 0.02)
    old = self_signed(tmp_path / "old", ["127.0.0.1"], 1)
    new = self_signed(tmp_path / "new", ["127.0.0.1"], 1)
    used = self_signed(tmp_path / "used", ["127.0.0.1"], 1)

    def install(source: Files) -> None:
        used.key.write_bytes(source.key.read_bytes())
        used.cert.write_bytes(source.cert.read_bytes())

    async def scenario() -> None:
        install(old)
        async with Running(Certificates(used)) as running:
            assert await running.ask(b"x", tls=client(old, "h2")) == "grpc:1;"
            used.cert.write_bytes(b"half of a certi")
            await asyncio.sleep(0.1)
            assert await running.ask(b"x", tls=client(old, "h2")) == "grpc:1;"
            install(new)
            for _ in range(200):
                try:
                    assert await running.ask(b"x", tls=client(new, "h2")) == "grpc:1;"
                    break
                except ssl.SSLCertVerificationError:
                    await asyncio.sleep(0.02)
            with pytest.raises(ssl.SSLCertVerificationError):
                await running.ask(b"x", tls=client(old, "h2"))

    run(scenario())


def test_a_port_that_is_taken_is_named() -> None:
    async def scenario() -> None:
        async with Running() as running:
            url = parse_url(f"http://127.0.0.1:{running.port.number}")
            with pytest.raises(OSError, match=f"listen tcp 127.0.0.1:{url.port}: Address already in use"):
                Port(url, running.front.connection).bind()

    run(scenario())
