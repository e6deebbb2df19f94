"""What the record of a write says: who, what became of it, which plugin changed what; and what is never in one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from apiserver.api.journal import Journal, ObjectRef, Query, Record
from apiserver.http.scope import Placement
from tests.support.api import Api, serving

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


def play(folder: Path, scene: Callable[[Api, Journal], Awaitable[None]]) -> None:
    async def main() -> None:
        journal = Journal("m1", lambda: datetime.now(UTC))
        async with serving(folder, journal=journal) as api:
            api.server.services.placement = lambda revision: Placement(revision + 1000, 7, "m2")
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            await api.create("/api/v1/namespaces/default/serviceaccounts", account)
            await scene(api, journal)

    asyncio.run(main())


def of(journal: Journal, resource: str, name: str = "") -> list[Record]:
    found = journal.records(Query(ObjectRef(resource)))
    return [record for record in found if not name or record.object.name == name]


def config_map(**more: Any) -> Any:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", **more}, "data": {"a": "1"}}


def test_a_create_says_who_where_in_the_log_and_what_admission_changed(tmp_path: Path) -> None:
    async def scene(api: Api, journal: Journal) -> None:
        created = await api.create(PODS, POD)
        (record,) = of(journal, "pods")
        detail, metadata = record.detail, created["metadata"]
        assert record.object == ObjectRef("pods", "", "default", "web", metadata["uid"])
        assert record.revision == int(metadata["resourceVersion"])
        assert (detail["user"], detail["verb"], detail["code"]) == ("admin", "create", 201)
        assert (detail["proposed"], detail["index"], detail["term"]) == ("m2", record.revision + 1000, 7)
        assert detail["previousRevision"] is None
        changed = {one["plugin"]: one["changed"] for one in detail["admission"]}
        assert changed["DefaultTolerationSeconds"] == ["/spec/tolerations"]
        assert "/spec/priority" in changed["Priority"]
        assert "/spec/serviceAccountName" in changed["ServiceAccount"]
        assert "LimitRanger" not in changed
        assert {step["name"] for step in detail["steps"]} >= {"authorized", "answered"}
        assert record.summary == f"admin created pods/web: revision {record.revision}"

    play(tmp_path, scene)


def test_updates_name_the_revision_that_they_replaced(tmp_path: Path) -> None:
    async def scene(api: Api, journal: Journal) -> None:
        first = await api.create(MAPS, config_map())
        patch = {"Content-Type": "application/merge-patch+json"}
        second = await api.ask("PATCH", f"{MAPS}/cm", {"data": {"a": "2"}}, headers=patch)
        await api.ask("PATCH", f"{MAPS}/cm", {"data": {"a": "2"}}, headers=patch)
        await api.ask("PATCH", f"{MAPS}/cm?dryRun=All", {"data": {"a": "3"}}, headers=patch)
        await api.ask("DELETE", f"{MAPS}/cm")
        _, changed, same, dry, gone = of(journal, "configmaps", "cm")
        assert changed.revision == int(second.body["metadata"]["resourceVersion"])
        assert changed.detail["previousRevision"] == int(first["metadata"]["resourceVersion"])
        assert (same.revision, same.summary) == (None, "admin patched configmaps/cm: nothing was changed")
        assert (dry.revision, dry.detail["dryRun"]) == (None, True)
        assert gone.detail["verb"] == "delete"
        assert gone.detail["previousRevision"] == changed.revision

    play(tmp_path, scene)


def test_refusals_are_kept_with_their_reason(tmp_path: Path) -> None:
    async def scene(api: Api, journal: Journal) -> None:
        await api.ask("POST", MAPS, config_map(), token="aliceToken")
        await api.ask("POST", MAPS, config_map(namespace="elsewhere"))
        await api.ask("POST", MAPS, {**config_map(), "data": {"?": "1"}})
        denied, mistaken, invalid = of(journal, "configmaps")[-3:]
        assert denied.detail["code"] == 403
        assert 'cannot create resource "configmaps"' in denied.detail["message"]
        assert denied.revision is None
        assert mistaken.detail["code"] == 400
        assert invalid.detail["code"] == 422
        assert invalid.object.name == "cm"

    play(tmp_path, scene)


def test_generated_names_and_collections(tmp_path: Path) -> None:
    async def scene(api: Api, journal: Journal) -> None:
        made = [
            await api.create(
                MAPS, {"kind": "ConfigMap", "metadata": {"generateName": "g-", "labels": {"x": "y"}}}
            )
            for _ in range(2)
        ]
        names = [one["metadata"]["name"] for one in made]
        assert [record.object.name for record in of(journal, "configmaps")[-2:]] == names
        await api.ask("DELETE", f"{MAPS}?labelSelector=x%3Dy")
        gone = [r for r in of(journal, "configmaps") if r.detail["verb"] == "deletecollection"]
        assert sorted(record.object.name for record in gone) == sorted(names)
        assert len({record.detail["auditID"] for record in gone}) == 1

    play(tmp_path, scene)


def test_a_binding_is_the_pods(tmp_path: Path) -> None:
    async def scene(api: Api, journal: Journal) -> None:
        await api.create(PODS, POD)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "web"},
            "target": {"name": "n1"},
        }
        assert (await api.ask("POST", f"{PODS}/web/binding", binding)).code == 201
        record = of(journal, "pods", "web")[-1]
        assert (record.detail["verb"], record.detail["subresource"]) == ("bind", "binding")
        assert record.summary.startswith("admin bound pods/web: revision ")

    play(tmp_path, scene)


def test_nothing_of_a_secret_and_nothing_that_only_renews_itself(tmp_path: Path) -> None:
    async def scene(api: Api, journal: Journal) -> None:
        secret = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
        await api.create(SECRETS, secret)
        await api.ask(
            "PUT", f"{SECRETS}/s", {**secret, "type": "hunter2", "data": {"hunter2 ": "aHVudGVyMg=="}}
        )
        assert [record.detail["code"] for record in of(journal, "secrets")] == [201, 422]
        lease = {"kind": "Lease", "metadata": {"name": "l"}}
        await api.create("/apis/coordination.k8s.io/v1/namespaces/default/leases", lease)
        await api.whoami()
        await api.ask("GET", f"{SECRETS}/s")
        lines = journal.lines(Query())
        assert {msgspec.json.decode(line)["object"]["resource"] for line in lines} <= {
            "secrets",
            "serviceaccounts",
        }
        for line in lines:
            assert b"hunter2" not in line
            assert b"aHVudGVyMg" not in line

    play(tmp_path, scene)
