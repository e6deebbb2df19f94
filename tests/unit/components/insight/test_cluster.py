"""What is put together from several masters: members, records, and who is missing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apiserver.api import codec
from apiserver.api.journal import ObjectRef, Query
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry
from apiserver.storage.memory import MemoryStorage
from components.insight.clusterstatus import merged, percentiles
from components.insight.gather import Answer, Peer, Peers, _queries
from components.insight.revisions import history, shown
from tests.support.virtual_time import run_virtual
from tests.unit.components.insight.builders import request

Object = dict[str, Any]


def member(name: str, role: str, term: int = 3, **more: Any) -> Object:
    return {"name": name, "role": role, "term": term, "rttMs": None, "reachable": True, **more}


def test_the_leaders_view_of_distances_and_who_is_away() -> None:
    leader = member("m2", "leader", peersRttMs={"m1": 0.4, "m3": 0.7})
    known = [("m3", "c"), ("m1", "a"), ("m2", "b")]
    found = merged(member("m1", "follower"), [leader], known)
    assert [(one["name"], one["rttMs"], one["reachable"]) for one in found] == [
        ("m1", 0.4, True),
        ("m2", None, True),
        ("m3", 0.7, False),
    ]
    assert found[2]["id"] == "c"
    assert found[2]["revision"] is None
    deposed = member("m3", "leader", term=2, peersRttMs={"m1": 9.0})
    assert merged(member("m1", "follower"), [leader, deposed], known)[0]["rttMs"] == 0.4
    assert merged(member("m1", "follower"), [], [])[0]["name"] == "m1"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], {"p50": None, "p99": None}),
        ([0.001], {"p50": 1.0, "p99": 1.0}),
        ([number / 1000 for number in range(100, 0, -1)], {"p50": 51.0, "p99": 100.0}),
    ],
)
def test_percentiles(seconds: list[float], expected: dict[str, float | None]) -> None:
    assert percentiles(seconds) == expected


def test_who_did_not_answer_is_named_once() -> None:
    peers = Peers(cast(Any, None), "m1", lambda: ["m1", "m2", "m3"])
    well = Answer(Peer("m2", "https://2"), b"{}", "")
    gone = Answer(Peer("m3", "https://3"), None, "refused")
    never = Answer(Peer("", "https://3"), None, "no route")
    lost = Answer(Peer("w1", "https://w1"), None, "no answer within 1 s")
    assert peers.missing([well, gone]) == [{"instance": "m3", "error": "refused"}]
    assert peers.missing([well, never]) == [{"instance": "m3", "error": "no route"}]
    assert peers.missing([well]) == [{"instance": "m3", "error": "it is not among the API servers"}]
    assert peers.missing([well, gone, gone], [lost])[-1] == {
        "instance": "w1",
        "error": "no answer within 1 s",
    }
    assert len(peers.missing([well, gone, gone], [lost])) == 2


def test_many_objects_need_several_questions() -> None:
    refs = tuple(ObjectRef("pods", "", "n", f"p{number}") for number in range(120))
    asked = _queries(Query(any_of=refs, limit=9))
    assert [text.count("of=pods") for text in asked] == [50, 50, 20]
    assert _queries(Query(ObjectRef("pods", "", "n", "x"))) == ["resource=pods&namespace=n&name=x&limit=500"]


def test_the_revisions_of_an_object_from_its_first_to_its_last() -> None:
    async def main() -> None:
        storage = MemoryStorage()
        resource = Registry.default(RegistryOptions()).lookup("", "v1", "configmaps")
        assert resource is not None
        key = resource.key("default", "web")
        made = await storage.create(key, _config_map("1"))
        await storage.create(key + "2", _config_map("other"))
        changed = await storage.update(key, _config_map("2"), made)
        found = await history(storage, resource, "default", "web")
        assert [one.revision for one in found.versions] == [made, changed]
        told = shown(found, [_by(made, "alice")])
        assert [(one["type"], one["user"]) for one in told] == [("created", "alice"), ("modified", None)]
        assert [one["object"]["data"]["a"] for one in told] == ["1", "2"]
        gone = await storage.delete(key, changed)
        found = await history(storage, resource, "default", "web", deleted_at=gone)
        assert [one["type"] for one in shown(found, [])] == ["created", "modified", "deleted"]
        assert (await history(storage, resource, "default", "web")).versions == []
        await storage.compact(changed)
        found = await history(storage, resource, "default", "web", deleted_at=gone)
        assert (found.oldest, found.complete) == (changed, False)
        assert [one["type"] for one in shown(found, [])] == ["modified", "deleted"]

    asyncio.run(main())


def _by(revision: int, user: str) -> Any:
    made = request(201)
    made.revision, made.detail["user"] = revision, user
    return made


def _config_map(value: str) -> bytes:
    return codec.encode(
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "web"}, "data": {"a": value}}
    )


class _Silent:
    """A session whose answers never come."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, _: str) -> _Silent:
        self.asked += 1
        return self

    async def __aenter__(self) -> None:
        await asyncio.Event().wait()

    async def __aexit__(self, *_: object) -> None:
        pass


def test_who_is_silent_is_left_alone_for_a_while() -> None:
    async def main() -> None:
        session = _Silent()

        async def found() -> _Silent:
            return session

        services = SimpleNamespace(kubelet=SimpleNamespace(session=found))
        peers = Peers(cast(Any, services), "m1", lambda: ["m1", "m2"])
        loop = asyncio.get_running_loop()
        for _ in range(3):
            (answer,) = await peers.ask([Peer("m2", "https://2")], "/x")
            assert answer.error == "no answer within 1 s"
        assert (session.asked, loop.time()) == (1, 1.0)
        await asyncio.sleep(3.0)
        await peers.ask([Peer("m2", "https://2")], "/x")
        assert session.asked == 2

    run_virtual(main())
