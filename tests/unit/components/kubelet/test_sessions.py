"""Commands with live streams and attached containers of the process runtime, with real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from components.kubelet.runtime.interface import NotFound, RuntimeFault, Session, StartFault, Streams
from components.kubelet.runtime.process.runtime import ProcessRuntime
from components.kubelet.runtime.process.shim import proctree
from tests.unit.components.kubelet.builders import eventually
from tests.unit.components.kubelet.test_process_runtime import sandbox, shell

ALL = Streams(stdin=True, stdout=True, stderr=True)
SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
Body = Callable[[ProcessRuntime, str, str], Awaitable[None]]


def inside(root: Path, script: str, body: Body, **more: Any) -> None:
    """Run `body(runtime, sandbox id, container id)` with one running container."""

    async def run() -> None:
        async with asyncio.timeout(40), sandbox(root) as (runtime, sandbox_id):
            container = await runtime.create_container(sandbox_id, shell(root, script, **more))
            await runtime.start_container(container)
            await body(runtime, sandbox_id, container)

    asyncio.run(run())


async def everything(read: Callable[[], Awaitable[bytes]]) -> bytes:
    found = b""
    while piece := await read():
        found += piece
    return found


async def until(read: Callable[[], Awaitable[bytes]], text: bytes) -> bytes:
    """What was read once it contains `text`."""
    found = b""
    while text not in found:
        piece = await read()
        assert piece, found
        found += piece
    return found


async def done(session: Session) -> int:
    try:
        return await session.wait()
    finally:
        await session.close()


def test_a_command_has_the_containers_environment_its_streams_and_a_code(tmp_path: Path) -> None:
    async def body(runtime: ProcessRuntime, _: str, container: str) -> None:
        session = await runtime.exec(container, ["sh", "-c", "echo $A; echo bad >&2; cat; exit 7"], ALL)
        assert await until(session.read_stdout, b"\n") == b"yes\n"
        await session.write_stdin(b"typed")
        session.close_stdin()
        assert await everything(session.read_stdout) == b"typed"
        assert await everything(session.read_stderr) == b"bad\n"
        assert await done(session) == 7
        with pytest.raises(StartFault, match="executable file not found"):
            await runtime.exec(container, ["no-such-program"], ALL)
        with pytest.raises(StartFault, match="no command"):
            await runtime.exec(container, [], ALL)

    inside(tmp_path, SLEEP, body, env={"A": "yes"})


def test_a_terminal_has_a_size_job_control_and_an_end(tmp_path: Path) -> None:
    async def body(runtime: ProcessRuntime, _: str, container: str) -> None:
        script = "stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done"
        streams = Streams(stdin=True, stdout=True, tty=True)
        session = await runtime.exec(container, ["sh", "-c", script], streams)
        session.resize(120, 40)
        await until(session.read_stdout, b"ready\r\n")
        session.resize(90, 30)
        assert b"30 90\r\n" in await everything(session.read_stdout)
        assert await done(session) == 3
        session = await runtime.exec(container, ["sh", "-c", "echo up; exec sleep 100"], streams)
        await until(session.read_stdout, b"up")
        await session.write_stdin(b"\x03")  # the terminal turns it into SIGINT for the foreground
        assert await done(session) == 130

    inside(tmp_path, SLEEP, body)


def test_a_command_ends_with_its_session(tmp_path: Path) -> None:
    async def body(runtime: ProcessRuntime, _: str, container: str) -> None:
        root = next(s.pid for s in runtime.list_containers() if s.id == container)
        shim = runtime._sandboxes.containers[container].sandbox.record.shim_pid
        session = await runtime.exec(container, ["sh", "-c", "echo up; sleep 1000; echo"], ALL)
        await until(session.read_stdout, b"up")
        assert len(proctree.children(shim)) == 2
        await session.close()
        await eventually(lambda: proctree.children(shim) == [root])

    inside(tmp_path, SLEEP, body)


def test_a_client_that_does_not_read_stops_the_command(tmp_path: Path) -> None:
    async def body(runtime: ProcessRuntime, _: str, container: str) -> None:
        streams = Streams(stdout=True)
        script = "i=0; while [ $i -lt 64 ]; do head -c 16384 /dev/zero; i=$((i+1)); echo $i >$OUT; done"
        session = await runtime.exec(container, ["sh", "-c", script], streams)
        out = tmp_path / "count"
        await eventually(lambda: out.exists() and out.read_text() not in ("", "0\n"))
        assert int(out.read_text()) < 16  # a pipe's worth, then it waits
        assert len(await everything(session.read_stdout)) == 64 * 16384
        assert await done(session) == 0

    inside(tmp_path, SLEEP, body, env={"OUT": str(tmp_path / "count")})


def test_attached_clients_share_the_output_and_stdin_once_closes_it(tmp_path: Path) -> None:
    async def body(runtime: ProcessRuntime, _: str, container: str) -> None:
        first, second = [await runtime.attach(container, ALL) for _ in range(2)]
        await first.write_stdin(b"hello\n")
        assert await until(first.read_stdout, b"\n") == b"hello\n"
        assert await until(second.read_stdout, b"\n") == b"hello\n"
        await second.close()  # input for one client only: the shim lets go of it with the first that ends
        first.close_stdin()  # the last end of the pipe: cat ends
        assert await everything(first.read_stdout) == b""
        assert await done(first) == 0
        assert b"stdout F hello" in (tmp_path / "log" / "0.log").read_bytes()
        with pytest.raises(NotFound):
            await runtime.attach(container, ALL)

    inside(tmp_path, "cat", body, stdin=True, stdin_once=True)


def test_attached_to_a_terminal(tmp_path: Path) -> None:
    async def body(runtime: ProcessRuntime, _: str, container: str) -> None:
        session = await runtime.attach(container, Streams(stdin=True, stdout=True, tty=True))
        session.resize(77, 22)
        await session.write_stdin(b"go\n")
        assert b"22 77\r\n" in await everything(session.read_stdout)
        assert await done(session) == 5

    inside(tmp_path, "read x; stty size; exit 5", body, stdin=True, tty=True)


def test_ports_are_those_of_the_pods_address(tmp_path: Path) -> None:
    async def body(runtime: ProcessRuntime, sandbox_id: str, _: str) -> None:
        address = runtime.list_pod_sandboxes()[0].ips[0]

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(answer, address, 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await runtime.port_forward(sandbox_id, port)
        writer.write(b"ping\n")
        assert await reader.read() == b"ping\n"
        writer.close()
        server.close()
        await server.wait_closed()
        with pytest.raises(RuntimeFault, match="connection refused"):
            await runtime.port_forward(sandbox_id, port)

    inside(tmp_path, SLEEP, body)
