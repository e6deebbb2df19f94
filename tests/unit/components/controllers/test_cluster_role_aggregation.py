"""Aggregated roles: chosen by labels, in order, without doubles, also through other aggregated roles."""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver.api.meta import Object
from components.client.resources import CLUSTER_ROLES
from components.client.testing import FakeApi
from components.controllers.clusterroleaggregation.plan import desired
from tests.support.virtual_time import run_virtual
from tests.unit.components.controllers.test_cluster_controllers import clock, manage

GET, LIST = ({"verbs": [verb], "apiGroups": [""], "resources": ["pods"]} for verb in ("get", "list"))


def role(name: str, *rules: Object, labels: dict[str, str] | None = None, chosen: str = "") -> Object:
    made: dict[str, Any] = {"metadata": {"name": name, "labels": labels or {}}, "rules": list(rules)}
    if chosen:
        made["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {chosen: "true"}}]}
    return made


def test_rules_come_from_the_chosen_roles_in_the_order_of_their_names() -> None:
    view = role("view", LIST, labels={"to-view": "true"}, chosen="to-view")
    others = [
        role("b", LIST, GET, labels={"to-view": "true"}),
        role("a", GET, labels={"to-view": "true"}),
        role("c", LIST),
    ]
    wanted = desired(view, [view, *others])
    assert wanted is not None
    assert wanted["rules"] == [GET, LIST]
    assert desired(wanted, [wanted, *others]) is None
    assert desired(others[0], others) is None


def test_what_is_aggregated_is_aggregated_further() -> None:
    async def main() -> None:
        api = FakeApi(clock)
        api.load(
            CLUSTER_ROLES,
            role("admin", chosen="to-admin"),
            role("edit", labels={"to-admin": "true"}, chosen="to-edit"),
        )
        managing = asyncio.ensure_future(manage(api, 3, "clusterrole-aggregation-controller"))
        await asyncio.sleep(1)
        await api.create(CLUSTER_ROLES, role("extra", GET, labels={"to-edit": "true"}))
        await asyncio.sleep(1)
        found = api.peek(CLUSTER_ROLES, "admin")
        assert found is not None
        assert found["rules"] == [GET]
        await managing

    run_virtual(main())
