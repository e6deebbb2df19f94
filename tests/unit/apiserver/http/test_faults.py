"""Injected faults over real connections: what clients see of each, and that an informer gets over all of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from apiserver.config import ApiServerConfig
from apiserver.http import chain
from apiserver.http.filters.faults import with_faults
from components.client.errors import ApiError, ConnectionFailed
from components.client.informer import Informer
from components.client.kubeconfig import ClientConfig
from components.client.resources import CONFIG_MAPS
from components.client.transport import ApiClient, WatchEvent
from components.cluster.faults import PATH, Faults, document
from tests.support.api import ADMIN, Api, serving

COLLECTION = "/api/v1/namespaces/default/configmaps"
OURS = {"resources": ["configmaps"]}
SECONDS = 15
Body = Callable[["Rig"], Awaitable[None]]


class Rig:
    """A server, a client, and its faults."""

    def __init__(self, api: Api, client: ApiClient, faults: Faults) -> None:
        self.api, self.client, self.faults = api, client, faults

    async def add(self, action: dict[str, Any], **share: Any) -> str:
        added = await self.faults.add(document(action, OURS, share))
        return str(added["metadata"]["name"])

    async def write(self, name: str, value: str = "1") -> Any:
        return await self.client.create(CONFIG_MAPS, config_map(name, value))

    async def version(self) -> str:
        return str((await self.client.list(CONFIG_MAPS, "default"))["metadata"]["resourceVersion"])

    def watch(self, since: str) -> Any:
        return self.client.watch(CONFIG_MAPS, "default", resource_version=since)


def config_map(name: str, value: str = "1") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"a": value}}


@asynccontextmanager
async def rig(folder: Path, **flags: Any) -> AsyncIterator[Rig]:
    async with serving(folder, enable_fault_injection=True, **flags) as api:
        config = ClientConfig(api.server.url, token=ADMIN, insecure_skip_tls_verify=True)
        async with ApiClient(config, user_agent="tests") as client, Faults([config]) as faults:
            yield Rig(api, client, faults)


Run = Callable[[Body], None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One server for all tests, which each leave it as they found it."""
    with asyncio.Runner() as runner:
        context = rig(tmp_path_factory.mktemp("api"))
        found = runner.run(context.__aenter__())
        yield lambda body: runner.run(asyncio.wait_for(body(found), SECONDS))
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
def run(shared: Run) -> Iterator[Run]:
    async def clean(r: Rig) -> None:
        await r.faults.clear()
        await r.client.delete_collection(CONFIG_MAPS, "default")

    yield shared
    shared(clean)


# ---- the endpoint


def test_where_it_is_off_the_endpoint_says_how_to_switch_it_on(tmp_path: Path) -> None:
    async def body() -> None:
        async with serving(tmp_path) as api:
            assert with_faults not in chain.filters(api.server.services)
            for method in ("GET", "POST", "DELETE"):
                answer = await api.ask(method, PATH, {} if method == "POST" else None)
                assert answer.code == 501
                assert "kuberaft up --enable-fault-injection" in answer.message

    asyncio.run(body())
    assert not ApiServerConfig().enable_fault_injection


def test_only_masters_may_set_faults(run: Run) -> None:
    async def body(r: Rig) -> None:
        for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/x")):
            answer = await r.api.ask(method, path, token="aliceToken")
            assert (answer.code, answer.message) == (
                403,
                f'forbidden: User "alice" cannot {method.lower()} path "{path}"',
            )
        await r.api.create(f"{RBAC}/clusterroles", granted())
        await r.api.create(f"{RBAC}/clusterrolebindings", bound())
        assert (await r.api.ask("GET", PATH, token="aliceToken")).code == 200
        refused = await r.api.ask("POST", PATH, document({"type": "drop"}), token="aliceToken")
        assert refused.code == 403
        assert refused.message.endswith("faults are set by system:masters alone")

    run(body)


RBAC = "/apis/rbac.authorization.k8s.io/v1"


def granted() -> dict[str, Any]:
    """All that is below /kuberaft, as a role of a dashboard may have it."""
    return {"metadata": {"name": "all"}, "rules": [{"nonResourceURLs": ["/kuberaft/*"], "verbs": ["*"]}]}


def bound() -> dict[str, Any]:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "all"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}
    return {"metadata": {"name": "all"}, "roleRef": role, "subjects": [subject]}


def test_faults_are_listed_and_removed(run: Run) -> None:
    async def body(r: Rig) -> None:
        name = await r.add({"type": "delay", "seconds": 0.001})
        again = await r.api.ask("POST", PATH, {**document({"type": "drop"}), "metadata": {"name": name}})
        assert (again.code, again.body["reason"]) == (409, "AlreadyExists")
        await r.write("a")
        (found,) = await r.faults.listed()
        assert found["status"] == {"matched": 1, "injected": 1}
        assert (await r.api.ask("GET", f"{PATH}/{name}")).body["spec"]["match"] == OURS
        await r.faults.remove(name)
        for method in ("GET", "DELETE"):
            answer = await r.api.ask(method, f"{PATH}/{name}")
            assert (answer.code, answer.message) == (404, f'faults.kuberaft.io "{name}" not found')
        assert (await r.api.ask("PUT", f"{PATH}/{name}", {})).code == 405
        refused = await r.api.ask("POST", PATH, {"spec": {"action": {"type": "delay"}}})
        assert (refused.code, refused.message) == (
            422,
            "Fault is invalid: spec.action: Object missing required field 'seconds'",
        )
        await r.add({"type": "drop"})
        assert len(await r.faults.clear()) == 1
        assert await r.faults.listed() == []

    run(body)


# ---- answers


ERRORS = [
    (409, "Conflict"),
    (410, "Expired"),
    (429, "TooManyRequests"),
    (500, "InternalError"),
    (503, "ServiceUnavailable"),
    (504, "Timeout"),
]


@pytest.mark.parametrize(("code", "reason"), ERRORS)
def test_an_error_looks_real_and_says_that_it_is_not(run: Run, code: int, reason: str) -> None:
    async def body(r: Rig) -> None:
        name = await r.add({"type": "error", "code": code, "retryAfter": 7}, first=1)
        answer, headers = await asked(r, f"{COLLECTION}/absent")
        status = json.loads(answer)
        assert (status["code"], status["reason"]) == (code, reason)
        assert f"injected by fault {name}" in status["message"]
        assert headers["X-Kuberaft-Fault"] == name
        assert headers.get("Retry-After") == (None if code in (409, 410) else "7")
        _, headers = await asked(r, f"{COLLECTION}/absent")
        assert "X-Kuberaft-Fault" not in headers

    run(body)


async def asked(r: Rig, path: str) -> tuple[bytes, Any]:
    url = r.client.config.server + path
    async with (await r.client._http()).get(url) as answer:
        return await answer.read(), answer.headers


def test_a_write_is_done_or_not_as_the_fault_says(run: Run) -> None:
    async def body(r: Rig) -> None:
        await r.faults.add(document({"type": "drop"}, {"verbs": ["create"]}, {"first": 1}))
        with pytest.raises(ConnectionFailed):
            await r.write("before")
        await r.faults.add(document({"type": "drop", "afterEffect": True}, {"verbs": ["create"]}))
        with pytest.raises(ConnectionFailed):
            await r.write("after")
        await r.faults.clear()
        after = {"type": "error", "code": 500, "afterEffect": True}
        await r.faults.add(document(after, {"verbs": ["create"]}))
        with pytest.raises(ApiError) as refused:
            await r.write("failed")
        assert refused.value.code == 500
        with pytest.raises(ApiError) as refused:
            await r.write("failed")  # a real refusal stays what it is
        assert refused.value.is_already_exists
        names = [o["metadata"]["name"] for o in (await r.client.list(CONFIG_MAPS, "default"))["items"]]
        assert names == ["after", "failed"]

    run(body)


def test_shares_of_the_requests(run: Run) -> None:
    async def codes(r: Rig, count: int) -> list[int]:
        return [(await r.client.raw("GET", COLLECTION))[0] for _ in range(count)]

    async def body(r: Rig) -> None:
        await r.add({"type": "error", "code": 500}, first=2)
        assert await codes(r, 4) == [500, 500, 200, 200]
        await r.faults.clear()
        await r.add({"type": "error", "code": 503}, every=3)
        assert await codes(r, 6) == [200, 200, 503, 200, 200, 503]
        await r.faults.clear()
        await r.add({"type": "error", "code": 500}, probability=0.5, seed=4)
        once = await codes(r, 12)
        await r.faults.clear()
        await r.add({"type": "error", "code": 500}, probability=0.5, seed=4)
        assert await codes(r, 12) == once
        assert {200, 500} == set(once)

    run(body)


def test_reads_of_a_stale_replica(run: Run) -> None:
    async def body(r: Rig) -> None:
        made = await r.write("a")
        await r.add({"type": "stale"})
        changed = await r.client.patch(CONFIG_MAPS, "a", {"data": {"a": "2"}}, "default")
        await r.write("a-later")
        assert await r.client.get(CONFIG_MAPS, "a", "default") == made
        with pytest.raises(ApiError) as gone:
            await r.client.get(CONFIG_MAPS, "a-later", "default")
        assert gone.value.is_not_found
        listed = await r.client.list(CONFIG_MAPS, "default")
        assert [o["data"] for o in listed["items"]] == [{"a": "1"}]
        newer = changed["metadata"]["resourceVersion"]
        behind, _ = await asked(r, f"{COLLECTION}?resourceVersion={newer}")
        assert ApiError.from_status(json.loads(behind)).is_too_large_resource_version
        await r.faults.clear()
        await r.add({"type": "stale", "revisions": 2})
        before = int(listed["metadata"]["resourceVersion"])
        listed = await r.client.list(CONFIG_MAPS, "default")
        assert int(listed["metadata"]["resourceVersion"]) > before
        await r.faults.clear()
        assert len((await r.client.list(CONFIG_MAPS, "default"))["items"]) == 2

    run(body)


def test_the_audit_log_tells(tmp_path: Path) -> None:
    policy, log = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")

    async def body(r: Rig) -> None:
        await r.faults.add(document({"type": "drop"}, {"verbs": ["create"]}, name="cut"))
        with pytest.raises(ConnectionFailed):
            await r.write("x")

    async def main() -> None:
        async with rig(tmp_path, audit_policy_file=policy, audit_log_path=str(log)) as found:
            await asyncio.wait_for(body(found), SECONDS)

    asyncio.run(main())
    events = [json.loads(line) for line in log.read_text().splitlines()]
    (cut,) = [e for e in events if e["verb"] == "create" and e["stage"] == "ResponseComplete"]
    assert cut["annotations"]["kuberaft.io/fault"] == "cut: drop"


def test_a_delayed_request_does_not_hold_up_the_end_of_the_server(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path) as r:
            await r.add({"type": "delay", "seconds": 3600})
            waiting = asyncio.create_task(r.write("x"))
            injected = 0
            while not injected:
                injected = (await r.faults.listed())[0]["status"]["injected"]
            stopping = asyncio.create_task(r.api.server.stop(grace=60))
            assert (await waiting)["metadata"]["name"] == "x"
            await stopping

    asyncio.run(asyncio.wait_for(main(), SECONDS))


# ---- watches


async def events_of(stream: Any, count: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    async for event in stream:
        found.append(shown(event))
        if len(found) == count:
            break
    return found


def shown(event: WatchEvent) -> tuple[str, str]:
    return event.type, event.object["metadata"]["name"]


async def some(r: Rig, *names: str) -> str:
    """The version before they were made."""
    before = await r.version()
    for name in names:
        await r.write(name)
    return before


def test_a_watch_is_stopped_in_order_or_cut(run: Run) -> None:
    async def body(r: Rig) -> None:
        before = await some(r, "a", "b", "c")
        await r.add({"type": "watchStop", "afterEvents": 2}, first=1)
        assert [shown(e) async for e in r.watch(before)] == [("ADDED", "a"), ("ADDED", "b")]
        await r.add({"type": "watchStop", "afterEvents": 1, "abrupt": True}, first=1)
        with pytest.raises(ConnectionFailed):
            await events_of(r.watch(before), 9)

    run(body)


@pytest.mark.parametrize("action", [{"type": "watchExpire"}, {"type": "error", "code": 410}])
def test_a_watch_expires_as_the_original_says_it(run: Run, action: dict[str, Any]) -> None:
    async def body(r: Rig) -> None:
        before = await some(r, "a")
        await r.add(action)
        with pytest.raises(ApiError) as gone:
            await events_of(r.watch(before), 9)
        assert (gone.value.code, gone.value.reason) == (410, "Expired")

    run(body)


def test_a_watch_goes_back_once(run: Run) -> None:
    async def body(r: Rig) -> None:
        before = await some(r, "a", "b", "c", "d")
        await r.add({"type": "watchRewind", "events": 2, "afterEvents": 3})
        names = [name for _, name in await events_of(r.watch(before), 6)]
        assert names == ["a", "b", "c", "b", "c", "d"]

    run(body)


def test_a_watch_is_late_and_loses_nothing(run: Run) -> None:
    async def body(r: Rig) -> None:
        before = await some(r, "a")
        await r.add({"type": "watchDelay", "seconds": 0.2})
        stream, loop = r.watch(before), asyncio.get_running_loop()
        assert await events_of(stream, 1) == [("ADDED", "a")]
        began = loop.time()
        for name in ("b", "c"):
            await r.write(name)
        stream = r.watch(before)
        names = [name for _, name in await events_of(stream, 3)]
        assert names == ["a", "b", "c"]
        assert loop.time() - began >= 0.2

    run(body)


def test_history_is_forgotten_at_once(run: Run) -> None:
    async def body(r: Rig) -> None:
        before = await some(r, "a", "b")
        await r.add({"type": "compact"})
        with pytest.raises(ApiError) as gone:
            await events_of(r.watch(before), 1)
        assert gone.value.is_gone
        with pytest.raises(ApiError) as gone:
            await r.client.list(CONFIG_MAPS, "default", resource_version=before, limit=1)
        assert gone.value.is_gone
        now = await r.version()
        await r.write("c")
        assert await events_of(r.watch(now), 1) == [("ADDED", "c")]

    run(body)


# ---- an informer


EXACT = [
    ({"type": "watchStop", "afterEvents": 1}, {}),
    ({"type": "watchStop", "afterEvents": 2, "abrupt": True}, {}),
    ({"type": "watchRewind", "events": 7, "afterEvents": 7}, {}),  # behind the deletion of "b"
    ({"type": "watchDelay", "seconds": 0.05}, {}),
    ({"type": "drop"}, {"probability": 0.3, "seed": 3}),
    ({"type": "error", "code": 503}, {"first": 1}),
    ({"type": "error", "code": 429, "retryAfter": 1}, {"first": 1}),
    ({"type": "delay", "seconds": 0.05}, {}),
]
"""Faults over which every single change is still told."""
COARSE = [
    ({"type": "watchExpire", "afterEvents": 2}, {"first": 2}),
    ({"type": "error", "code": 410}, {"every": 2}),
]
"""After which clients must list anew: what happened meanwhile is told as its result."""


class Told:
    """What the handlers of an informer were called with."""

    def __init__(self, informer: Informer) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.changed = asyncio.Event()
        informer.add_handler(
            lambda new: self._tell("add", new),
            lambda old, new: self._tell("update", new),
            lambda last: self._tell("delete", last),
        )

    def _tell(self, what: str, obj: Any) -> None:
        self.calls.append((what, obj["metadata"]["name"], (obj.get("data") or {}).get("a", "")))
        self.changed.set()

    async def until(self, last: tuple[str, str, str]) -> None:
        while last not in self.calls:
            self.changed.clear()
            await self.changed.wait()


async def told_of_a_history(r: Rig, action: dict[str, Any], share: dict[str, Any]) -> Told:
    """Everything that an informer tells under a fault, of a history that ends with the making of "end"."""
    informer = Informer(r.client, CONFIG_MAPS, namespace="default")
    told = Told(informer)
    await r.faults.add(document(action, {"resources": ["configmaps"], "verbs": ["list", "watch"]}, share))
    running = asyncio.create_task(informer.run())
    try:
        await informer.wait_synced()
        await history(r)
        await told.until(("add", "end", "1"))
        (fault,) = await r.faults.listed()
        assert fault["status"]["injected"] > 0
        return told
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def history(r: Rig) -> None:
    for name in ("a", "b", "c"):
        await r.write(name)
    for value in ("2", "3"):
        await r.client.patch(CONFIG_MAPS, "a", {"data": {"a": value}}, "default")
    await r.client.delete(CONFIG_MAPS, "b", "default")
    await r.write("b", "again")
    await r.client.delete(CONFIG_MAPS, "c", "default")
    await r.write("end")


HISTORY = [
    *[("add", name, "1") for name in ("a", "b", "c")],
    *[("update", "a", "2"), ("update", "a", "3")],
    *[("delete", "b", "1"), ("add", "b", "again"), ("delete", "c", "1"), ("add", "end", "1")],
]


@pytest.mark.parametrize(("action", "share"), EXACT, ids=[f"{a['type']}-{s}" for a, s in EXACT])
def test_an_informer_tells_every_change_once(run: Run, action: dict[str, Any], share: dict[str, Any]) -> None:
    async def body(r: Rig) -> None:
        told = await told_of_a_history(r, action, share)
        assert told.calls == HISTORY

    run(body)


@pytest.mark.parametrize(("action", "share"), COARSE, ids=[a["type"] for a, _ in COARSE])
def test_an_informer_tells_the_result_once(run: Run, action: dict[str, Any], share: dict[str, Any]) -> None:
    async def body(r: Rig) -> None:
        told = await told_of_a_history(r, action, share)
        state: dict[str, str] = {}
        for what, name, value in told.calls:
            assert (name in state) == (what != "add"), told.calls
            if what == "delete":
                del state[name]
            else:
                assert state.get(name) != value, told.calls
                state[name] = value
        assert state == {"a": "3", "b": "again", "end": "1"}

    run(body)
