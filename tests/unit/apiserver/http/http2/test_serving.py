"""The API server over HTTP/2, asked by another library's client over real connections."""

from __future__ import annotations

import asyncio
import json
import ssl
import unittest.mock
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from apiserver.api import codec
from apiserver.config import ApiServerConfig, ConfigError
from apiserver.http.handlers import watch as watches
from apiserver.http.http2 import stream as streams
from apiserver.server import ApiServer
from kvstore.http2 import frames
from kvstore.http2.hpack import literal
from tests.support.h2_client import H2Client
from tests.support.slow_storage import SlowStorage

MAPS = "/api/v1/namespaces/default/configmaps"
PREFIX = "/registry/configmaps/default/"
WATCH = f"{MAPS}?watch=1&timeoutSeconds=100"
Scene = Callable[[ApiServer, SlowStorage, H2Client], Awaitable[None]]


def play(tmp_path: Path, scene: Scene, **config: int | float | bool) -> None:
    async def main() -> None:
        storage = SlowStorage("/slow")
        where = ApiServerConfig(bind_address="127.0.0.1", secure_port=0, cert_dir=tmp_path, **config)  # type: ignore[arg-type]
        server = ApiServer(where, storage)
        await server.start()
        client = await H2Client.open(server.port)
        try:
            async with asyncio.timeout(20):
                await scene(server, storage, client)
        finally:
            storage.let.set()
            await client.close()
            await server.stop()

    asyncio.run(main())


def config_map(name: str, size: int = 10) -> bytes:
    metadata = {"name": name, "namespace": "default"}
    return codec.encode(
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"x": "x" * size}}
    )


async def settled(server: ApiServer) -> None:
    """Returns when no request is under way; the other end of a connection has no event for us."""
    while server.services.lifecycle.under_way:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def test_many_requests_share_a_connection(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        json_type = {"content_type": "application/json"}
        made = await asyncio.gather(
            *(client.ask(MAPS, "POST", config_map(f"c{number}"), **json_type) for number in range(50))
        )
        assert {answer.status for answer in made} == {201}
        got = await asyncio.gather(*(client.ask(f"{MAPS}/c{number}") for number in range(50)))
        names = [json.loads(answer.body)["metadata"]["name"] for answer in got]
        assert names == [f"c{number}" for number in range(50)]
        assert got[0].headers["content-type"] == "application/json"
        assert "connection" not in got[0].headers
        gone = await client.ask(f"{MAPS}/none")
        assert (gone.status, json.loads(gone.body)["reason"]) == (404, "NotFound")
        head = await client.ask(f"{MAPS}/c1", "HEAD")
        assert (head.status, bytes(head.body)) == (405, b"")

    play(tmp_path, scene)


def test_long_bodies_go_both_ways_through_their_windows(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        names = [f"c{number}" for number in range(8)]
        for name in names:
            answer = await client.ask(
                MAPS, "POST", config_map(name, 900_000), content_type="application/json"
            )
            assert answer.status == 201
        answer = await client.ask(MAPS)
        items = json.loads(answer.body)["items"]
        assert [item["metadata"]["name"] for item in items] == names
        assert {len(item["data"]["x"]) for item in items} == {900_000}
        large = await client.ask(MAPS, "POST", b"x" * (4 << 20), content_type="application/json")
        assert large.status == 413

    play(tmp_path, scene)


def test_watches_share_a_connection_and_end_with_their_streams(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        opened = [await client.send(WATCH) for _ in range(40)]
        await client.until(lambda: all(client.answers[stream].status == 200 for stream in opened))
        for number in range(5):
            await storage.create(f"{PREFIX}c{number}", config_map(f"c{number}"))
        await client.until(lambda: all(client.answers[s].body.count(b"\n") == 5 for s in opened))
        lines = {bytes(client.answers[stream].body) for stream in opened}
        assert len(lines) == 1
        events = [json.loads(line) for line in lines.pop().splitlines()]
        assert [event["object"]["metadata"]["name"] for event in events] == [f"c{n}" for n in range(5)]
        for stream in opened:
            client.h2.reset_stream(stream, frames.CANCEL)
        await client.flush()
        await settled(server)
        assert (await client.ask(f"{MAPS}/c1")).status == 200

    play(tmp_path, scene)


def test_a_connection_takes_so_many_streams_and_no_more(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        for _ in range(3):
            await client.send(WATCH)
        theirs = client.h2.remote_settings
        await client.until(lambda: theirs.max_concurrent_streams == 3)
        theirs.max_concurrent_streams = 100  # as if it had not been told
        theirs.acknowledge()
        assert (await client.ask("/livez")).reset == frames.REFUSED_STREAM

    play(tmp_path, scene, http2_max_streams_per_connection=3)


def test_requests_that_are_reset_at_once_do_not_pile_up(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        block = b"\x82\x87" + literal(":path", f"{MAPS}/slow".encode()) + literal("host", b"x")
        for stream in range(1, 41, 2):
            await client.write(
                frames.head(stream, block, frames.END_STREAM) + frames.reset(stream, frames.CANCEL)
            )
        await client.until(lambda: client.gone_away is not None)
        assert client.gone_away == frames.ENHANCE_YOUR_CALM
        assert (await (await H2Client.open(server.port)).ask("/livez")).status == 200

    play(tmp_path, scene, http2_max_streams_per_connection=2)


def test_what_is_malformed_ends_its_stream_only(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        stream = client.h2.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "https"), (":path", "/livez"), ("connection", "close")]
        client.h2.config.validate_outbound_headers = False
        client.h2.config.normalize_outbound_headers = False
        client.h2.send_headers(stream, fields, end_stream=True)
        await client.flush()
        await client.until(lambda: client.answers[stream].reset == frames.PROTOCOL_ERROR)
        assert (await client.ask("/livez")).status == 200
        long = await client.ask("/livez?" + "a" * 40_000)
        assert (long.status, bytes(long.body)) == (414, b"414 URI Too Long")

    play(tmp_path, scene)


def test_a_draining_server_finishes_what_it_has_and_sends_clients_away(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        watching, asked = await client.send(WATCH), await client.send(f"{MAPS}/slow")
        await storage.asked.wait()
        await client.until(lambda: client.answers[watching].status == 200)
        server.begin_shutdown()
        assert (await client.ask("/livez")).status == 200
        await client.until(lambda: client.gone_away == frames.NO_ERROR)
        assert not client.answers[watching].ended, "watches go on during the delay"
        storage.let.set()
        await client.until(lambda: client.answers[asked].status == 404)
        stopping = asyncio.create_task(server.stop())
        await client.until(lambda: client.answers[watching].ended)
        with pytest.raises(ConnectionResetError):
            await client.until(lambda: False)
        await stopping

    play(tmp_path, scene)


def test_an_idle_connection_is_told_when_the_server_stops(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        assert (await client.ask("/livez")).status == 200
        await server.stop()
        with pytest.raises(ConnectionResetError):
            await client.until(lambda: False)
        assert client.gone_away == frames.NO_ERROR

    play(tmp_path, scene)


def test_a_watch_that_is_not_read_waits_alone_and_is_dropped_in_the_end(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        client.read = False  # both windows close, also that of the connection
        watching = await client.send(WATCH)
        quick = await H2Client.open(server.port)
        other = await quick.send(WATCH)
        await client.until(lambda: client.answers[watching].status == 200)
        await quick.until(lambda: quick.answers[other].status == 200)
        for number in range(20):
            await storage.create(f"{PREFIX}c{number}", config_map(f"c{number}", 100_000))
        await quick.until(lambda: quick.answers[other].body.count(b"\n") == 20)
        await client.until(lambda: client.answers[watching].reset is not None)
        assert len(client.answers[watching].body) <= frames.WINDOW
        await quick.close()

    with unittest.mock.patch.object(watches, "_WRITE_TIMEOUT", 0.2):
        play(tmp_path, scene)


def test_a_watch_that_is_read_late_gets_everything(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        client.read = False
        watching = await client.send(WATCH)
        await client.until(lambda: client.answers[watching].status == 200)
        for number in range(20):
            await storage.create(f"{PREFIX}c{number}", config_map(f"c{number}", 100_000))
        await client.until(lambda: len(client.answers[watching].body) == frames.WINDOW)
        client.read = True
        client.h2.acknowledge_received_data(frames.WINDOW, watching)
        await client.flush()
        await client.until(lambda: client.answers[watching].body.count(b"\n") == 20)

    play(tmp_path, scene)


def test_a_long_answer_that_nobody_reads_is_broken_off(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        await storage.create(f"{PREFIX}c", config_map("c", 300_000))
        client.read = False
        answer = await client.ask(MAPS)
        assert answer.reset == frames.CANCEL
        await settled(server)

    with unittest.mock.patch.object(streams, "STALLED_SECONDS", 0.1):
        play(tmp_path, scene)


def test_requests_beside_a_long_answer_that_nobody_reads_do_not_keep_it(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        await storage.create(f"{PREFIX}c", config_map("c", 300_000))
        client.read = False
        stream = await client.send(MAPS)
        client.h2.increment_flow_control_window(1 << 20)
        while client.answers[stream].reset is None:
            assert (await client.ask("/livez")).status == 200
        assert client.answers[stream].reset == frames.CANCEL

    with unittest.mock.patch.object(streams, "STALLED_SECONDS", 0.2):
        play(tmp_path, scene)


def test_a_client_that_vanishes_leaves_nothing_behind(tmp_path: Path) -> None:
    async def scene(server: ApiServer, storage: SlowStorage, client: H2Client) -> None:
        watching = await client.send(WATCH)
        await client.send(MAPS, "POST", b"", content_type="application/json")  # its body never comes
        await client.until(lambda: client.answers[watching].status == 200)
        await client.close()
        await settled(server)
        assert server._connections is not None
        assert not server._connections._http2

    play(tmp_path, scene)


def test_http2_can_be_turned_off(tmp_path: Path) -> None:
    async def main() -> None:
        config = ApiServerConfig(
            bind_address="127.0.0.1", secure_port=0, cert_dir=tmp_path, disable_http2_serving=True
        )
        server = ApiServer(config, SlowStorage("/slow"))
        await server.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()
        await server.stop()

    asyncio.run(main())
    with pytest.raises(ConfigError, match="--http2-max-streams-per-connection -1"):
        ApiServerConfig(http2_max_streams_per_connection=-1).check()
