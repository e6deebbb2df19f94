"""What an authorization webhook is asked, what its answers mean and how long they hold; time is virtual."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from apiserver.auth.authorizer import Decision
from apiserver.auth.rbac import Attributes
from apiserver.auth.structured.access_review import matches, spec_of
from apiserver.auth.structured.expressions import ExpressionFault
from apiserver.auth.structured.review_client import ReviewFailed
from apiserver.auth.structured.webhook import Settings, WebhookAuthorizer
from apiserver.auth.user import User

Object = dict[str, Any]
JANE = User("jane", ("dev", "ops"), "u1", {"k": ["v"]})
LIST = Attributes(
    JANE,
    "list",
    "apps",
    "deployments",
    "",
    "ns",
    version="v1",
    field_selector="metadata.name=a,status.x!=b",
    label_selector="app in (a,b),!gone,tier,n>1,x=y,x!=z",
)
PATH = Attributes(JANE, "get", path="/metrics")
SETTINGS = Settings("w", "v1", denies=False, authorized_ttl=300, unauthorized_ttl=30)


class Remote:
    """``answer``: the status that is given, or what is raised."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked: list[Object] = []
        self.now = 0.0

    async def send(self, review: Object) -> Object:
        self.asked.append(review)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"status": self.answer}

    def decide(self, asked: Attributes, settings: Settings = SETTINGS) -> Decision:
        return asyncio.run(self.authorizer(settings).decide(asked))

    def authorizer(self, settings: Settings = SETTINGS) -> WebhookAuthorizer:
        return WebhookAuthorizer(settings, self.send, lambda: self.now)


def test_what_is_asked() -> None:
    remote = Remote({})
    remote.decide(LIST)
    remote.decide(PATH, replace(SETTINGS, version="v1beta1"))
    who = {"user": "jane", "extra": {"k": ["v"]}, "uid": "u1"}
    resource = {
        "namespace": "ns",
        "verb": "list",
        "group": "apps",
        "version": "v1",
        "resource": "deployments",
        "fieldSelector": {
            "requirements": [
                {"key": "metadata.name", "operator": "In", "values": ["a"]},
                {"key": "status.x", "operator": "NotIn", "values": ["b"]},
            ]
        },
        "labelSelector": {
            "requirements": [
                {"key": "app", "operator": "In", "values": ["a", "b"]},
                {"key": "gone", "operator": "DoesNotExist"},
                {"key": "tier", "operator": "Exists"},
                {"key": "x", "operator": "In", "values": ["y"]},
                {"key": "x", "operator": "NotIn", "values": ["z"]},
            ]
        },
    }
    resource["labelSelector"]["requirements"].sort(key=str)
    first, second = remote.asked
    first["spec"]["resourceAttributes"]["labelSelector"]["requirements"].sort(key=str)
    common = {"kind": "SubjectAccessReview", "metadata": {}, "status": {"allowed": False}}
    assert first == {
        **common,
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes": resource, **who, "groups": ["dev", "ops"]},
    }
    assert second == {
        **common,
        "apiVersion": "authorization.k8s.io/v1beta1",
        "spec": {
            "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
            **who,
            "group": ["dev", "ops"],
        },
    }


def test_selectors_that_cannot_be_read_are_left_out() -> None:
    spec = spec_of(replace(LIST, field_selector="a", label_selector="!!"))
    assert not {"fieldSelector", "labelSelector"} & spec["resourceAttributes"].keys()


BOTH = "webhook subject access review returned both allow and deny response"


@pytest.mark.parametrize(
    ("status", "decision"),
    [
        ({"allowed": True, "reason": "r"}, Decision(True, "r")),
        ({"allowed": False, "reason": "r"}, Decision(False, "r")),
        ({"denied": True, "reason": "r"}, Decision(False, "r", denied=True)),
        ({"allowed": True, "denied": True}, Decision(False, denied=True, error=BOTH)),
        ({"allowed": "yes"}, Decision(False)),
        ({}, Decision(False)),
        (None, Decision(False, error="the answer has no status")),
        (ReviewFailed("gone"), Decision(False, error="gone")),
    ],
)
def test_what_answers_mean(status: Any, decision: Decision) -> None:
    assert Remote(status).decide(LIST) == decision


def test_a_failure_is_a_no_where_the_policy_says_so() -> None:
    settings = replace(SETTINGS, denies=True)
    assert Remote(ReviewFailed("gone")).decide(LIST, settings) == Decision(False, denied=True, error="gone")
    failing = replace(settings, conditions=["request.resourceAttributes.name == 'a'"])
    fault = (
        "cel evaluation error: expression 'request.resourceAttributes.name == 'a'' resulted in error: no such key: "
        "resourceAttributes"
    )
    assert Remote({"allowed": True}).decide(PATH, failing) == Decision(False, denied=True, error=fault)


@pytest.mark.parametrize(("allowed", "ttl"), [(True, 300), (False, 30)])
def test_answers_hold_for_their_time(allowed: bool, ttl: int) -> None:
    async def body() -> None:
        remote = Remote({"allowed": allowed})
        authorizer = remote.authorizer()
        for now, asked in ((0, 1), (ttl - 1, 1), (ttl, 2), (ttl + 1, 2)):
            remote.now = now
            assert (await authorizer.decide(LIST)).allowed == allowed
            assert len(remote.asked) == asked
        await authorizer.decide(replace(LIST, user=User("joe")))
        assert len(remote.asked) == 3

    asyncio.run(body())


def test_what_is_not_remembered() -> None:
    async def body() -> None:
        remote = Remote({"allowed": True})
        never = remote.authorizer(replace(SETTINGS, authorized_ttl=0))
        for asked in (LIST, LIST):
            await never.decide(asked)
        usual, long = remote.authorizer(), replace(LIST, name="x" * 10_000)
        for asked in (long, long):
            await usual.decide(asked)
        assert len(remote.asked) == 4
        remote.answer = ReviewFailed("gone")
        await usual.decide(LIST)
        remote.answer = {"allowed": True}
        assert (await usual.decide(LIST)).allowed

    asyncio.run(body())


@pytest.mark.parametrize(
    ("conditions", "asked", "expected"),
    [
        ([], LIST, True),
        (["has(request.resourceAttributes)"], LIST, True),
        (["has(request.resourceAttributes)"], PATH, False),
        (["request.resourceAttributes.namespace == 'ns'", "'dev' in request.groups"], LIST, True),
        (["request.user == 'jane'", "request.resourceAttributes.version == 'v2'"], LIST, False),
        (["request.resourceAttributes.name == ''"], LIST, True),
        (["request.resourceAttributes.labelSelector.requirements.exists(r, r.key == 'app')"], LIST, True),
        (["request.nonResourceAttributes.path.startsWith('/met')"], PATH, True),
        (["request.resourceAttributes.name == 'a'", "request.user == 'joe'"], PATH, False),
    ],
)
def test_match_conditions(conditions: list[str], asked: Attributes, expected: bool) -> None:
    assert matches(conditions, asked) is expected
    remote = Remote({"allowed": True})
    assert remote.decide(asked, replace(SETTINGS, conditions=conditions)).allowed is expected
    assert len(remote.asked) == expected


def test_all_conditions_that_fail_are_named() -> None:
    one, other = "request.resourceAttributes.name == 'a'", "request.resourceAttributes.verb == 'b'"
    with pytest.raises(ExpressionFault, match=r"^\[cel evaluation error: .*, cel evaluation error: .*\]$"):
        matches([one, other, "true"], PATH)


def test_a_condition_that_takes_long_is_worked_out_beside_the_event_loop() -> None:
    condition = "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, "
    condition += "[1,2,3,4,5,6,7,8,9,10].all(d, a + b + c + d > 0))))"
    assert Remote({"allowed": True}).decide(LIST, replace(SETTINGS, conditions=[condition])).allowed
