"""exec, attach and port-forward of the kubelet's server at protocol level, its containers real."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from components.client.resources import PODS
from components.client.testing import FakeApi
from components.kubelet.server.spdy.frames import Data, Ping
from tests.support.streams import SpdyClient, over_stream, over_websocket, upgraded
from tests.unit.components.kubelet.builders import eventually
from tests.unit.components.kubelet.test_kubelet import pod, script, until
from tests.unit.components.kubelet.test_server import serving

Http = aiohttp.ClientSession
SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
ALL = "input=1&output=1&error=1"


def with_pod(root: Path, body: Callable[[Http, str], Awaitable[None]]) -> None:
    """`body(client, the pod's address)` with a running pod `p`, container `c`."""

    async def run() -> None:
        api = FakeApi()
        async with asyncio.timeout(40), serving(root, api) as http:
            await api.create(PODS, pod("p", script("c", SLEEP)), namespace="default")
            await until(api, "p", lambda s: s.get("phase") == "Running")
            found = await api.get(PODS, "p", "default")
            await body(http, found["status"]["podIP"])

    asyncio.run(run())


async def messages(ws: aiohttp.ClientWebSocketResponse) -> dict[int, bytes]:
    """All that comes until the server closes, by channel."""
    found: dict[int, bytes] = {}
    async for message in ws:
        data = message.data.encode() if message.type is aiohttp.WSMsgType.TEXT else message.data
        found[data[0]] = found.get(data[0], b"") + data[1:]
    return found


def test_exec_over_websockets(tmp_path: Path) -> None:
    async def body(http: Http, _: str) -> None:
        command = "command=sh&command=-c&command=" + "cat; echo no >%262; exit 6"
        path = f"/exec/default/p/c?{ALL}&{command}"
        async with http.ws_connect(path, protocols=("v5.channel.k8s.io",)) as ws:
            assert ws.protocol == "v5.channel.k8s.io"
            await ws.send_bytes(b"\0some ")
            await ws.send_str("\0input")
            await ws.send_bytes(b"\xff\0")  # the end of stdin
            found = await messages(ws)
        assert (found[1], found[2]) == (b"some input", b"no\n")
        assert json.loads(found[3])["details"]["causes"] == [{"reason": "ExitCode", "message": "6"}]
        path = "/exec/default/p/c?output=1&command=echo&command=hi"
        async with http.ws_connect(path, protocols=("v4.base64.channel.k8s.io",)) as ws:
            pieces = [m.data async for m in ws]
        assert b"".join(base64.b64decode(p[1:]) for p in pieces if p[0] == "1") == b"hi\n"
        assert json.loads(base64.b64decode(pieces[-1][1:]))["status"] == "Success"
        async with http.ws_connect("/exec/default/p/c?output=1&command=nope") as ws:
            found = await messages(ws)  # no protocol named: the oldest, which has texts
        assert found[3].decode().endswith('exec: "nope": executable file not found in $PATH')

    with_pod(tmp_path, body)


def is_running(*command: str) -> bool:
    wanted = "\0".join((*command, "")).encode()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes() == wanted:
                return True
    return False


async def flood(ws: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        await ws.send_bytes(b"\0" + b"x" * 100_000)


def test_a_client_that_goes_ends_its_command(tmp_path: Path) -> None:
    async def body(http: Http, _: str) -> None:
        command = ("sleep", f"98{os.getpid()}")
        path = f"/exec/default/p/c?{ALL}&command={command[0]}&command={command[1]}"
        ws = await http.ws_connect(path, protocols=("v4.channel.k8s.io",))
        await eventually(lambda: is_running(*command))
        await ws.close()
        await eventually(lambda: not is_running(*command))
        # It takes no input, so the server has stopped reading when this client vanishes.
        ws = await http.ws_connect(path, protocols=("v4.channel.k8s.io",))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(ws), 1.0)
        assert is_running(*command)
        connection = ws._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await eventually(lambda: not is_running(*command))

    with_pod(tmp_path, body)


async def spdy_exec(client: SpdyClient, *kinds: str) -> dict[str, int]:
    return {kind: await client.open({"streamtype": kind}) for kind in kinds}


def test_exec_over_spdy(tmp_path: Path) -> None:
    async def body(http: Http, _: str) -> None:
        base = http._base_url
        assert base is not None
        where = (str(base.host), int(base.port or 0))
        path = f"/exec/default/p/c?{ALL}&command=sh&command=-c&command=cat;exit%205"
        head, reader, writer = await upgraded(*where, path, "v9, v4.channel.k8s.io")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in head
        client = over_stream(reader, writer)
        running = asyncio.ensure_future(client.run())
        streams = await spdy_exec(client, "error", "stdin", "stdout", "stderr")
        await client.send(Ping(1))
        await client.send(Data(streams["stdin"], b"typed", fin=True))
        assert await client.whole(streams["stdout"]) == b"typed"
        status = json.loads(await client.whole(streams["error"]))
        assert status["details"]["causes"][0]["message"] == "5"
        assert client.replied == set(streams.values())
        await client.bye()
        await running
        writer.close()
        head, _, writer = await upgraded(*where, path, "v9")
        assert head.startswith(b"HTTP/1.1 403 ")
        writer.close()

    with_pod(tmp_path, body)


def test_port_forward_through_a_tunnel_and_channels(tmp_path: Path) -> None:
    async def body(http: Http, address: str) -> None:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()

        server = await asyncio.start_server(shout, address, 0)
        port = str(server.sockets[0].getsockname()[1])
        path = "/portForward/default/p"
        async with http.ws_connect(path, protocols=("SPDY/3.1+portforward.k8s.io",)) as ws:
            client = over_websocket(ws)
            running = asyncio.ensure_future(client.run())
            pairs = []
            for request, target in (("0", port), ("1", "1"), ("2", port)):
                common = {"port": target, "requestid": request}
                error = await client.open({**common, "streamtype": "error"})
                pairs.append((error, await client.open({**common, "streamtype": "data"})))
            for number, text in ((2, b"second\n"), (0, b"first\n")):
                await client.send(Data(pairs[number][1], text, fin=True))
                assert await client.whole(pairs[number][1]) == text.upper()
            assert b"error forwarding port 1 to pod " in await client.whole(pairs[1][0])
            bad = await client.open({"port": "0", "streamtype": "data"})
            await client.until(lambda: bad in client.resets)
            await client.bye()
            await running
        async with http.ws_connect(f"{path}?port={port}", protocols=("v4.channel.k8s.io",)) as ws:
            little = int(port).to_bytes(2, "little")
            assert [await ws.receive_bytes(), await ws.receive_bytes()] == [b"\0" + little, b"\1" + little]
            await ws.send_bytes(b"\0loud\n")
            assert (await messages(ws))[0] == b"LOUD\n"
        server.close()
        await server.wait_closed()

    with_pod(tmp_path, body)


def test_what_is_refused_before_the_upgrade(tmp_path: Path) -> None:
    async def body(http: Http, _: str) -> None:
        for path, code, text in (
            ("/exec/default/p/c?command=ls", 400, "you must specify at least 1 of stdin, stdout, stderr\n"),
            ("/exec/default/q/c?output=1", 404, "pod does not exist\n"),
            ("/exec/default/p/x?output=1", 500, 'container not found ("x")\n'),
            ("/exec/default/p/no-such-uid/c?output=1", 404, "pod does not exist\n"),
            ("/attach/default/q/c?output=1", 404, "pod does not exist\n"),
            ("/portForward/default/q", 404, "pod does not exist\n"),
        ):
            async with http.post(path) as response:
                assert (response.status, await response.text()) == (code, text)
        async with http.post("/exec/default/p/c?output=1&command=ls") as response:
            assert response.status == 400
            assert "header X-Stream-Protocol-Version does not exist" in await response.text()
        async with http.post("/run/default/p/c", params={"cmd": "echo run"}) as response:
            assert await response.text() == "run\n"

    with_pod(tmp_path, body)
