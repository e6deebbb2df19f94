"""The HTTP side on a member that is not there: the gateway's mapping, health, version, metrics, refusals."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from kvstore import telemetry
from kvstore.errors import Compacted, EmptyKey, NoLeader, StoreError
from kvstore.member import Progress
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.server import gateway
from kvstore.server.gateway import HttpCall
from kvstore.server.health import Health
from kvstore.server.metrics import Metrics
from kvstore.server.port import Port
from kvstore.server.urls import parse_url
from kvstore.server.web import Access, Pages, WebServer, application
from kvstore.types import (
    AlarmMember,
    AlarmResponse,
    AlarmType,
    RangeRequest,
    RangeResponse,
    ResponseHeader,
    StatusResponse,
)

VERSION = "3.6.0"
MAX_REQUEST = 1000


class FakeMember:
    """A member whose health is what a test says."""

    id = 0xAB
    leader_id: int | None = 0xAB
    is_leader = True

    def __init__(self) -> None:
        self.alarm: AlarmType | None = None
        self.failure: StoreError | None = None
        self.learner = False

    def alarms(self) -> AlarmResponse:
        return AlarmResponse(alarms=(AlarmMember(1, self.alarm),) if self.alarm else ())

    async def range(self, request: RangeRequest) -> RangeResponse:
        if self.failure and not request.serializable:
            raise self.failure
        return RangeResponse()

    async def status(self) -> StatusResponse:
        return StatusResponse(
            header=ResponseHeader(revision=7),
            leader=self.leader_id or 0,
            is_learner=self.learner,
            db_size=4096,
        )

    def compact_revision(self) -> int:
        return 3

    def figures(self) -> telemetry.Figures:
        return telemetry.Figures(5, 2, 1)

    def progress(self) -> list[Progress]:
        return [Progress(0xAB, "a", True, 1, 0), Progress(0xCD, "b", False, 0, 0)]

    def on_leader_change(self, callback: Callable[[int | None], None]) -> None:
        self.changed = callback


class FakeKV:
    async def Range(self, request: pb.RangeRequest, call: HttpCall) -> pb.RangeResponse:
        if not request.key:
            raise EmptyKey
        if request.key == b"boom":
            raise RuntimeError("a bug")
        if request.revision == 1:
            raise Compacted(5)
        text = f"{call.token}/{call.metadata.get('hasleader')}".encode()
        return pb.RangeResponse(count=1, kvs=[{"key": request.key, "value": text}])  # type: ignore[list-item]


class FakeWatch:
    """Answers every request, then goes on until the client leaves."""

    ended = asyncio.Event()

    async def Watch(
        self, requests: AsyncIterator[pb.WatchRequest], call: HttpCall
    ) -> AsyncIterator[pb.WatchResponse]:
        try:
            async for request in requests:
                yield pb.WatchResponse(watch_id=request.create_request.watch_id, created=True)
        finally:
            FakeWatch.ended.set()


class FakeLease:
    async def LeaseKeepAlive(
        self, requests: AsyncIterator[pb.LeaseKeepAliveRequest], call: HttpCall
    ) -> AsyncIterator[pb.LeaseKeepAliveResponse]:
        async for request in requests:
            if request.ID == 13:
                raise NoLeader
            yield pb.LeaseKeepAliveResponse(ID=request.ID, TTL=9)


SERVICES = {"etcdserverpb.KV": FakeKV(), "etcdserverpb.Watch": FakeWatch(), "etcdserverpb.Lease": FakeLease()}


class Site:
    def __init__(self, session: ClientSession, server: TestServer, member: FakeMember) -> None:
        self._session, self._server, self.member = session, server, member

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, str, str]:
        """(status, body, content type)"""
        async with self._session.request(method, self._server.make_url(path), **more) as response:
            return response.status, await response.text(), response.headers.get("Content-Type", "")

    async def get(self, path: str) -> tuple[int, str]:
        status, body, _ = await self.ask("GET", path)
        return status, body

    def stream(self, path: str, body: str) -> Any:
        return self._session.post(self._server.make_url(path), data=body)


def on_site(scenario: Callable[[Site], Awaitable[None]], access: Access | None = None) -> None:
    async def run() -> None:
        member = FakeMember()
        metrics = Metrics(member, VERSION)  # type: ignore[arg-type]
        pages = Pages(Health(member, metrics.health_recorded), metrics, VERSION)  # type: ignore[arg-type]
        app = application(pages, access or Access(), gateway.routes(SERVICES), MAX_REQUEST)
        async with TestServer(app, handler_cancellation=True) as server, ClientSession() as session:
            await scenario(Site(session, server, member))

    asyncio.run(run())


def test_a_unary_call() -> None:
    async def scenario(site: Site) -> None:
        for prefix in ("/v3", "/v3beta"):
            status, body, kind = await site.ask(
                "POST",
                f"{prefix}/kv/range",
                data='{"key":"YQ=="}',
                headers={"Authorization": "t.1", "Grpc-Metadata-HasLeader": "true"},
            )
            assert (status, kind) == (200, "application/json")
            assert body == '{"kvs":[{"key":"YQ==","value":"dC4xL3RydWU="}],"count":"1"}'

    on_site(scenario)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("POST", "/v3/kv/range", "", 400, '"error":"etcdserver: key is not provided","code":3,'),
        ("POST", "/v3/kv/range", "{", 400, '"error":"unexpected EOF","code":3'),
        ("POST", "/v3/kv/range", "[]", 400, "must be a JSON object"),
        ("POST", "/v3/kv/range", '{"key":"YQ==","revision":1}', 400, '"code":11,'),
        ("POST", "/v3/kv/range", '{"key":"' + "YWFh" * 600 + '"}', 400, "etcdserver: request is too large"),
        ("POST", "/v3/kv/range", '{"key":"Ym9vbQ=="}', 500, "Internal Server Error\n"),
        ("GET", "/v3/kv/range", None, 405, "Method Not Allowed\n"),
        ("POST", "/v3/nope", "{}", 404, "Not Found\n"),
        ("POST", "/v3alpha/kv/range", "{}", 404, "404 page not found\n"),
        ("GET", "/nope", None, 404, "404 page not found\n"),
        ("GET", "/debug/pprof/", None, 404, "404 page not found\n"),
        ("POST", "/health", "", 405, "Method Not Allowed\n"),
        ("POST", "/v3/lease/keepalive", "x", 400, '{"error":{"grpc_code":3,"http_code":400,'),
        ("POST", "/v3/lease/keepalive", '{"ID":"13"}', 503, "etcdserver: no leader"),
    ],
)
def test_refusals(method: str, path: str, body: str | None, status: int, answer: str) -> None:
    async def scenario(site: Site) -> None:
        found = await site.ask(method, path, data=body)
        assert found[0] == status
        assert answer in found[1]

    on_site(scenario)


def test_a_bug_is_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(site: Site) -> None:
        await site.ask("POST", "/v3/kv/range", data='{"key":"Ym9vbQ=="}')

    caplog.set_level(logging.INFO)
    on_site(scenario)
    ours = [(r.levelname, r.exc_info or None) for r in caplog.records if r.name.startswith("kvstore")]
    assert ours == [("ERROR", None)]


def test_a_stream_of_requests_is_answered_line_by_line() -> None:
    async def scenario(site: Site) -> None:
        status, body, _ = await site.ask("POST", "/v3/lease/keepalive", data='{"ID":"7"} {"ID":8}{"ID":"13"}')
        lines = [json.loads(line) for line in body.splitlines()]
        assert status == 200
        assert lines[:2] == [{"result": {"ID": "7", "TTL": "9"}}, {"result": {"ID": "8", "TTL": "9"}}]
        assert lines[2]["error"]["message"] == "etcdserver: no leader"

    on_site(scenario)


def test_a_watch_goes_on_until_the_client_leaves() -> None:
    async def scenario(site: Site) -> None:
        FakeWatch.ended = asyncio.Event()
        async with site.stream("/v3/watch", '{"create_request":{"watch_id":"5"}}') as response:
            line = await response.content.readline()
            assert line == b'{"result":{"watch_id":"5","created":true}}\n'
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.content.readline(), 0.05)
            assert not FakeWatch.ended.is_set()
            response.close()
        await asyncio.wait_for(FakeWatch.ended.wait(), 5)

    on_site(scenario)


def test_health() -> None:
    async def scenario(site: Site) -> None:
        success, failures = telemetry.HEALTH_SUCCESS.values[()], telemetry.HEALTH_FAILURES.values[()]
        status, body, kind = await site.ask("GET", "/health")
        assert (status, body, kind) == (200, '{"health":"true","reason":""}', "text/plain; charset=utf-8")
        site.member.alarm = AlarmType.NOSPACE
        assert await site.get("/health") == (503, '{"health":"false","reason":"ALARM NOSPACE"}\n')
        assert (await site.get("/health?exclude=NOSPACE"))[0] == 200
        site.member.alarm, site.member.failure = None, NoLeader()
        answer = '{"health":"false","reason":"RANGE ERROR:etcdserver: no leader"}\n'
        assert await site.get("/health") == (503, answer)
        assert (await site.get("/health?serializable=true"))[0] == 200
        site.member.leader_id = None
        assert await site.get("/health") == (503, '{"health":"false","reason":"RAFT NO LEADER"}\n')
        assert telemetry.HEALTH_SUCCESS.values[()] - success == 3
        assert telemetry.HEALTH_FAILURES.values[()] - failures == 3

    on_site(scenario)


def test_probes() -> None:
    every = "[+]non_learner ok\n[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n"

    async def scenario(site: Site) -> None:
        assert await site.get("/livez") == (200, "ok\n")
        assert await site.get("/livez?verbose") == (200, "[+]serializable_read ok\nok\n")
        assert await site.get("/readyz?verbose") == (200, every)
        assert await site.get("/readyz/non_learner") == (200, "ok\n")
        assert (await site.get("/readyz/nope"))[0] == 404
        site.member.failure, site.member.alarm, site.member.learner = NoLeader(), AlarmType.CORRUPT, True
        status, body = await site.get("/readyz")
        assert status == 503
        assert "[-]linearizable_read failed: etcdserver: no leader\n" in body
        assert "[-]data_corruption failed: alarm activated: CORRUPT\n" in body
        assert "[-]non_learner failed: not supported for learner\n" in body
        excluded = "exclude=linearizable_read&exclude=data_corruption&exclude=non_learner"
        assert await site.get(f"/readyz?{excluded}") == (200, "ok\n")
        assert await site.get("/livez") == (200, "ok\n")

    on_site(scenario)


def test_version() -> None:
    async def scenario(site: Site) -> None:
        status, body, kind = await site.ask("GET", "/version")
        assert (status, kind) == (200, "application/json")
        assert body == '{"etcdserver":"3.6.0","etcdcluster":"3.6.0","storage":"3.6.0"}'

    on_site(scenario)


def test_metrics() -> None:
    async def scenario(site: Site) -> None:
        changes = telemetry.LEADER_CHANGES.values[()]
        site.member.changed(0xAB)
        site.member.changed(None)
        site.member.changed(0xCD)
        status, body, kind = await site.ask("GET", "/metrics")
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        lines = body.splitlines()
        for line in (
            "etcd_server_has_leader 1",
            "# TYPE etcd_server_has_leader gauge",
            "etcd_mvcc_db_total_size_in_bytes 4096",
            "etcd_debugging_mvcc_current_revision 7",
            "etcd_debugging_mvcc_keys_total 5",
            "# TYPE etcd_server_health_success counter",
            'etcd_network_active_peers{Local="ab",Remote="cd"} 0',
            f"etcd_server_leader_changes_seen_total {changes + 2:.0f}",
            "# TYPE etcd_disk_wal_fsync_duration_seconds histogram",
        ):
            assert line in lines
        assert any(line.startswith("process_resident_memory_bytes ") for line in lines)

    on_site(scenario)


def test_who_may_ask_from_a_browser() -> None:
    async def scenario(site: Site) -> None:
        status, body, _ = await site.ask("OPTIONS", "/v3/kv/range", headers={"Origin": "http://a.example"})
        assert (status, body) == (200, "")
        status, body, _ = await site.ask("GET", "/version", headers={"Host": "evil.example"})
        assert status == 421

    on_site(scenario, Access(("http://a.example",), ("127.0.0.1",)))


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /\x00\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: bogus\r\nContent-Length: -1\r\n\r\n",
        b"POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /v3/watch HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
)
def test_malformed_requests_are_refused_in_a_line(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        member = FakeMember()
        metrics = Metrics(member, VERSION)  # type: ignore[arg-type]
        pages = Pages(Health(member, metrics.health_recorded), metrics, VERSION)  # type: ignore[arg-type]
        server = WebServer(application(pages, Access(), gateway.routes(SERVICES), MAX_REQUEST))
        port = Port(parse_url("http://127.0.0.1:0"), server.connection)
        port.bind()
        await server.start()
        await port.serve()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            writer.write(data)
            assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
            writer.close()
        finally:
            port.close()
            await server.stop()

    caplog.set_level(logging.INFO)
    asyncio.run(scenario())
    assert [record.exc_info for record in caplog.records if record.exc_info] == []
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == []
