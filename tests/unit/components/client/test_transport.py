"""The transport against a real HTTP server on a loopback socket."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from components.client import retry
from components.client.errors import ApiError, ConnectionFailed
from components.client.kubeconfig import ClientConfig, KubeconfigError, load, write
from components.client.lines import LineSplitter
from components.client.paths import resource_path
from components.client.resources import DEPLOYMENTS, NODES, PODS
from components.client.transport import OPENED_AT_ONCE, ApiClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def served(handler: Handler, test: Callable[[ApiClient], Awaitable[None]], **options: Any) -> None:
    """Run `test` with a client of a server that answers everything with `handler`."""

    async def main() -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        config = ClientConfig(f"http://127.0.0.1:{port}", token="secret")
        client = ApiClient(config, user_agent="test", **options)
        try:
            await test(client)
        finally:
            await client.close()
            await runner.cleanup()

    asyncio.run(main())


def status(code: int, reason: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": f"{reason}!"}
    return web.json_response(body, status=code)


def test_requests_carry_what_the_api_expects() -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.text()
        seen.append((request.method, request.path_qs, request.headers.get("Content-Type"), body))
        assert request.headers["Authorization"] == "Bearer secret"
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [{}]})

    async def test(client: ApiClient) -> None:
        listed = await client.list(PODS, "ns", label_selector="a=b", limit=5, resource_version="0")
        assert listed["items"] == [{"apiVersion": "v1", "kind": "Pod"}]
        await client.patch(DEPLOYMENTS, "d", {"a": 1}, "ns", subresource="status")
        await client.delete(PODS, "p", "ns", grace_period_seconds=0, uid="u")
        await client.delete(NODES, "n")

    served(handler, test)
    path = "/api/v1/namespaces/ns/pods?labelSelector=a%3Db&limit=5&resourceVersion=0"
    assert seen[0][:2] == ("GET", path)
    patched = "/apis/apps/v1/namespaces/ns/deployments/d/status"
    assert seen[1] == ("PATCH", patched, "application/merge-patch+json", '{"a":1}')
    assert json.loads(seen[2][3]) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }
    assert seen[3][:2] == ("DELETE", "/api/v1/nodes/n")


@pytest.mark.parametrize(
    ("code", "reason", "flag"),
    [
        (404, "NotFound", "is_not_found"),
        (409, "Conflict", "is_conflict"),
        (409, "AlreadyExists", "is_already_exists"),
        (410, "Expired", "is_gone"),
        (422, "Invalid", "is_invalid"),
    ],
)
def test_a_status_becomes_an_error(code: int, reason: str, flag: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return status(code, reason)

    async def test(client: ApiClient) -> None:
        with pytest.raises(ApiError, match=f"{reason}!") as caught:
            await client.get(PODS, "p", "ns")
        assert getattr(caught.value, flag)

    served(handler, test)


def test_retry_after_is_honoured_for_writes() -> None:
    calls: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        calls.append(request.method)
        if len(calls) < 3:
            return web.Response(status=429, headers={"Retry-After": "0"})
        return web.json_response({"kind": "Pod"})

    async def test(client: ApiClient) -> None:
        assert await client.create(PODS, {"metadata": {"namespace": "x"}}) == {"kind": "Pod"}

    served(handler, test)
    assert calls == ["POST"] * 3


def test_broken_connection_is_retried_for_reads_only() -> None:
    calls: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        calls.append(request.method)
        if calls.count(request.method) < 3:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"kind": "Pod"})

    async def test(client: ApiClient) -> None:
        assert await client.get(PODS, "p", "x") == {"kind": "Pod"}
        with pytest.raises(ConnectionFailed):
            await client.create(PODS, {"metadata": {"namespace": "x"}})

    served(handler, test)
    assert calls == ["GET"] * 3 + ["POST"]


def test_a_write_on_a_connection_that_was_used_before_is_not_sent_twice() -> None:
    """Where it was done, the second would be answered with a conflict."""
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.method)
        if request.method != "GET":
            assert request.transport is not None
            request.transport.close()
        return web.json_response({})

    async def test(client: ApiClient) -> None:
        for attempt in (
            lambda: client.update(PODS, {"metadata": {"name": "p", "namespace": "ns"}}),
            lambda: client.delete(PODS, "p", "ns"),
        ):
            await client.get(PODS, "p", "ns")
            with pytest.raises(ConnectionFailed):
                await attempt()

    served(handler, test)
    assert seen == ["GET", "PUT", "GET", "DELETE"]


def test_server_that_is_not_there_is_a_connection_failure() -> None:
    async def main() -> None:
        async with ApiClient(ClientConfig("http://127.0.0.1:1"), user_agent="test") as client:
            with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1"):
                await client.update(PODS, {"metadata": {"name": "p", "namespace": "x"}})

    asyncio.run(main())


def test_answer_that_never_comes_times_out() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def test(client: ApiClient) -> None:
        with pytest.raises(ConnectionFailed):
            await client.get(PODS, "p", "x")

    served(handler, test, timeout=0.1)


def streaming(*parts: bytes, then_hang: bool = False) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if then_hang:
            await asyncio.Event().wait()
        return response

    return handler


def test_watch_delivers_events_of_any_length_until_the_end() -> None:
    long = "x" * 3_000_000
    first = json.dumps({"type": "ADDED", "object": {"long": long}}).encode()
    second = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}\n'

    async def test(client: ApiClient) -> None:
        events = [event async for event in client.watch(PODS, resource_version="5")]
        assert [event.type for event in events] == ["ADDED", "BOOKMARK"]
        assert events[0].object["long"] == long

    served(streaming(first + b"\n" + second[:10], second[10:]), test)


def test_error_event_and_refused_watch_are_raised() -> None:
    gone = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}}\n'

    async def refused(request: web.Request) -> web.Response:
        return status(410, "Expired")

    async def test(client: ApiClient) -> None:
        with pytest.raises(ApiError, match=r"old|Expired!") as caught:
            async for _ in client.watch(PODS, resource_version="5"):
                pass
        assert caught.value.is_gone

    served(streaming(gone), test)
    served(refused, test)


def test_silent_watch_ends_with_a_connection_failure() -> None:
    async def test(client: ApiClient) -> None:
        with pytest.raises(ConnectionFailed):
            async for _ in client.watch(PODS, resource_version="5"):
                pass

    served(streaming(b"", then_hang=True), test, watch_idle_timeout=0.2)


def test_watch_can_be_left_early() -> None:
    event = b'{"type":"ADDED","object":{}}\n'

    async def test(client: ApiClient) -> None:
        async with aclosing(client.watch(PODS, resource_version="5")) as stream:
            async for found in stream:
                assert found.type == "ADDED"
                break

    served(streaming(event, then_hang=True), test)


@given(st.binary(max_size=60).map(lambda b: b.replace(b"x", b"\n")), st.lists(st.integers(0, 60), max_size=8))
def test_lines_do_not_depend_on_chunks(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(data)]
    splitter = LineSplitter()
    lines = [line for a, b in itertools.pairwise(edges) for line in splitter.feed(data[a:b])]
    assert lines == [line for line in data.split(b"\n")[:-1] if line]


def test_paths() -> None:
    assert resource_path(PODS) == "/api/v1/pods"
    assert resource_path(PODS, "a", "b", "binding") == "/api/v1/namespaces/a/pods/b/binding"
    assert resource_path(DEPLOYMENTS, "a") == "/apis/apps/v1/namespaces/a/deployments"


def test_retry_rules() -> None:
    assert retry.after_answer(429, "1", 0) == 1
    assert retry.after_answer(503, "2", 0) == 2
    assert retry.after_answer(429, None, 0) is None
    assert retry.after_answer(409, "1", 0) is None
    assert retry.after_answer(429, "1", retry.MAX_RETRY_AFTER) is None
    assert retry.after_answer(429, "3600", 0) is None
    assert retry.after_broken_connection("POST", 0) is None
    assert retry.after_broken_connection("GET", retry.MAX_RECONNECTS) is None


def test_kubeconfig_round_trip_is_private(tmp_path: Path) -> None:
    config = ClientConfig("https://127.0.0.1:6443", b"CA", b"CERT", b"KEY", "token", "team")
    path = tmp_path / "kubeconfig"
    write(path, config)
    assert load(path) == config
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is not a kubeconfig"),
        ("a: [", "is not YAML"),
        ("current-context: x", "no entry named 'x' in contexts"),
    ],
)
def test_bad_kubeconfig_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=message):
        load(path)
    with pytest.raises(KubeconfigError, match="cannot read"):
        load(tmp_path / "absent")


def test_few_lists_and_watches_are_opened_at_once() -> None:
    """As many watches as wanted may be open; other requests wait for none of it."""
    asked = {"list": 0, "watch": 0, "get": 0}
    answered = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        what = "get" if request.path.endswith("/p") else "watch" if "watch" in request.query else "list"
        asked[what] += 1
        if what == "watch":
            return await streaming(b'{"type":"ADDED","object":{}}\n', then_hang=True)(request)
        if what == "list":
            await answered.wait()
        return web.json_response({"kind": "PodList", "items": []})

    async def test(client: ApiClient) -> None:
        streams = [client.watch(PODS, resource_version="1") for _ in range(2 * OPENED_AT_ONCE)]
        assert [(await anext(stream)).type for stream in streams] == ["ADDED"] * len(streams)
        lists = [asyncio.create_task(client.list(PODS)) for _ in range(2 * OPENED_AT_ONCE)]
        await client.get(PODS, "p", "ns")
        await asyncio.gather(*(client.get(PODS, "p", "ns") for _ in range(2 * OPENED_AT_ONCE)))
        assert asked == {"list": OPENED_AT_ONCE, "watch": len(streams), "get": 1 + 2 * OPENED_AT_ONCE}
        answered.set()
        await asyncio.gather(*lists)
        assert asked["list"] == len(lists)
        for stream in streams:
            await stream.aclose()

    served(handler, test)


def test_metadata_alone_is_asked_for() -> None:
    accepted: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        accepted.append(request.headers["Accept"])
        if "watch" in request.query:
            return await streaming(b'{"type":"ADDED","object":{}}\n')(request)
        return web.json_response({"kind": "PartialObjectMetadataList", "items": [{}]})

    async def test(client: ApiClient) -> None:
        listed = await client.list(PODS, metadata_only=True)
        assert listed["items"][0]["kind"] == "PartialObjectMetadata"
        async with aclosing(client.watch(PODS, resource_version="1", metadata_only=True)) as stream:
            assert [event.type async for event in stream] == ["ADDED"]
        form = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
        assert accepted == [form.format("List"), form.format("")]

    served(handler, test)
