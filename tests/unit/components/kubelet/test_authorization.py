"""Who may ask a kubelet for what: the name in the certificate, put to the API server, remembered for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apiserver.api.gvk import GroupVersionResource
from components.kubelet.server.authorization import Authorization, Client, client_of, question_of

JANE = Client("jane", ("dev", "system:authenticated"))
Object = dict[str, Any]


class Reviews:
    """Allows what it is told, and keeps what it was asked."""

    def __init__(self, *allowed: tuple[str, str, str]) -> None:
        self.allowed = set(allowed)
        self.asked: list[tuple[str, str, str]] = []

    async def create(self, gvr: GroupVersionResource, obj: Object) -> Object:
        spec = obj["spec"]
        attributes = spec["resourceAttributes"]
        assert (attributes["resource"], attributes["name"]) == ("nodes", "n1")
        question = (spec["user"], attributes["verb"], attributes["subresource"])
        self.asked.append(question)
        return {"status": {"allowed": question in self.allowed}}


def test_the_client_is_whom_the_certificate_names() -> None:
    subject = ((("organizationName", "dev"),), (("commonName", "jane"),))
    assert client_of({"subject": subject}) == JANE
    assert client_of({}).name == ""


@pytest.mark.parametrize(
    ("method", "path", "verb", "subresources"),
    [
        ("GET", "/stats/summary", "get", ("stats",)),
        ("GET", "/metrics/resource", "get", ("metrics",)),
        ("GET", "/pods", "get", ("pods", "proxy")),
        ("GET", "/containerLogs/ns/p/c", "get", ("proxy",)),
        ("POST", "/exec/ns/p/c", "create", ("proxy",)),
        ("GET", "/exec/ns/p/c", "create", ("proxy",)),
        ("GET", "/portForward/ns/p", "create", ("proxy",)),
        ("POST", "/run/ns/p/c", "create", ("proxy",)),
    ],
)
def test_what_is_asked(method: str, path: str, verb: str, subresources: tuple[str, ...]) -> None:
    asked = question_of(JANE, method, path)
    assert (asked.verb, asked.subresources) == (verb, subresources)


def test_answers_are_remembered_yes_longer_than_no() -> None:
    async def body() -> None:
        now, reviews = [0.0], Reviews(("jane", "get", "stats"))
        guard = Authorization(reviews, "n1", lambda: now[0])
        stats, command = question_of(JANE, "GET", "/stats/summary"), question_of(JANE, "POST", "/exec/ns/p/c")
        for _ in range(2):
            assert await guard.allows(stats)
            assert not await guard.allows(command)
        assert reviews.asked == [("jane", "get", "stats"), ("jane", "create", "proxy")]
        now[0] = 31.0
        reviews.allowed.add(("jane", "create", "proxy"))
        assert await guard.allows(command)
        assert await guard.allows(stats)
        assert len(reviews.asked) == 3

    asyncio.run(body())


def test_one_of_several_rights_is_enough_and_nobody_is_refused_unasked() -> None:
    async def body() -> None:
        reviews = Reviews(("jane", "get", "proxy"))
        guard = Authorization(reviews, "n1", lambda: 0.0)
        assert await guard.allows(question_of(JANE, "GET", "/pods"))
        assert [part for _, _, part in reviews.asked] == ["pods", "proxy"]
        assert not await guard.allows(question_of(client_of({}), "GET", "/pods"))
        assert await guard.allows(question_of(Client("api", ("system:masters",)), "POST", "/exec/ns/p/c"))
        assert len(reviews.asked) == 2

    asyncio.run(body())
