"""One server over a store in memory, asked over real connections: forms of answers, pages, documents, subresources."""

from __future__ import annotations

import gzip
import json
import unittest.mock
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.api.gvk import GroupVersionKind
from apiserver.http import cbor, table
from apiserver.http.protobuf import envelope
from apiserver.http.render import PIECE
from apiserver.storage.memory import MemoryStorage
from tests.support.served import CONFIG_MAPS, TABLE, Server, config_map, running

PROTOBUF = "application/vnd.kubernetes.protobuf"
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("certs")) as found:
        for number in range(3):
            found.json("POST", CONFIG_MAPS, config_map(f"page-{number}", labels={"paged": "yes"}))
        yield found


def test_a_client_that_prefers_protobuf_gets_json_and_one_that_insists_gets_protobuf(server: Server) -> None:
    path = f"{CONFIG_MAPS}/page-0"
    _, headers, data = server.ask("GET", path, Accept=f"{PROTOBUF},application/json")
    assert headers["Content-Type"] == "application/json"
    plain = json.loads(data)
    _, headers, data = server.ask("GET", path, Accept=PROTOBUF)
    assert headers["Content-Type"] == PROTOBUF
    assert envelope.decode(data, CONFIG_MAP) == plain
    status, headers, data = server.ask("GET", f"{CONFIG_MAPS}/none", Accept=PROTOBUF)
    assert (status, headers["Content-Type"]) == (404, PROTOBUF)
    assert b'configmaps "none" not found' in data


def test_errors_take_the_accepted_form_and_are_never_tables(server: Server) -> None:
    status, headers, data = server.ask("GET", f"{CONFIG_MAPS}/none", Accept="application/yaml")
    assert (status, headers["Content-Type"]) == (404, "application/yaml")
    assert b'message: configmaps "none" not found\n' in data
    status, headers, data = server.ask("GET", f"{CONFIG_MAPS}/none", Accept=TABLE)
    assert (status, headers["Content-Type"]) == (404, "application/json")
    assert json.loads(data)["kind"] == "Status"


def test_people_get_line_breaks(server: Server) -> None:
    _, _, data = server.ask("GET", f"{CONFIG_MAPS}/page-0", User_Agent="curl/8")
    assert data.startswith(b'{\n  "kind": "ConfigMap",\n')
    _, _, data = server.ask("GET", f"{CONFIG_MAPS}/page-0?pretty=false", User_Agent="curl/8")
    assert data.startswith(b'{"kind":"ConfigMap",')
    assert data.endswith(b"}\n")


def test_cbor_is_off_unless_asked_for(server: Server) -> None:
    assert server.ask("GET", CONFIG_MAPS, Accept="application/cbor")[0] == 406


def test_cbor_for_requests_answers_and_watches(tmp_path: Path) -> None:
    with running(tmp_path, feature_gates=frozenset({"CBORServingAndStorage"})) as server:
        form = {"Accept": "application/cbor", "Content_Type": "application/cbor"}
        status, headers, data = server.ask("POST", CONFIG_MAPS, cbor.dump(config_map("c")), **form)
        assert (status, headers["Content-Type"]) == (201, "application/cbor")
        assert data.startswith(b"\xd9\xd9\xf7")
        assert cbor.load(data)["data"] == {"a": "1"}
        status, _, data = server.ask("POST", CONFIG_MAPS, b"\xff", **form)
        assert (status, cbor.load(data)["reason"]) == (400, "BadRequest")
        watch = f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1"
        _, headers, data = server.ask("GET", watch, Accept="application/cbor")
        assert headers["Content-Type"] == "application/cbor-seq"
        assert cbor.load(data)["type"] == "ADDED"


def test_pages_go_on_where_they_were_and_say_so_when_they_cannot(server: Server) -> None:
    listing = f"{CONFIG_MAPS}?labelSelector=paged&limit=1"
    first = server.json("GET", listing)
    token = first["metadata"]["continue"]
    second = server.json("GET", f"{listing}&continue={token}")
    assert [page["items"][0]["metadata"]["name"] for page in (first, second)] == ["page-0", "page-1"]
    status, _, data = server.ask("GET", f"{listing}&continue={token}&resourceVersion=5")
    assert (status, json.loads(data)["message"]) == (
        400,
        "specifying resource version is not allowed when using continue",
    )


def test_a_large_list_is_the_same_in_pieces_compressed_and_page_by_page(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for number in range(12):
            large = config_map(f"large-{number:02}") | {"data": {"x": str(number) * 70_000}}
            server.json("POST", CONFIG_MAPS, large)
        _, headers, data = server.ask("GET", CONFIG_MAPS)
        assert int(headers["Content-Length"]) == len(data) > 3 * PIECE
        assert data.endswith(b"]}\n")
        _, headers, packed = server.ask("GET", CONFIG_MAPS, Accept_Encoding="gzip")
        assert headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed) == data
        whole = json.loads(data)
        items, query = [], "?limit=5"
        for rest in (7, 2, None):
            page = server.json("GET", CONFIG_MAPS + query)
            items += page["items"]
            assert page["metadata"].get("remainingItemCount") == rest
            query = f"?limit=5&continue={page['metadata'].get('continue')}"
        assert items == whole["items"]
        assert [item["metadata"]["name"] for item in items] == [f"large-{n:02}" for n in range(12)]


def test_a_table_is_made_some_rows_at_a_time(tmp_path: Path) -> None:
    made: list[int] = []
    rows = table.rows

    def counted(columns: Any, gvk: Any, objects: Any, *rest: Any) -> Any:
        made.append(len(objects))
        return rows(columns, gvk, objects, *rest)

    with running(tmp_path) as server, unittest.mock.patch.object(table, "rows", counted):
        for number in range(120):
            server.json("POST", CONFIG_MAPS, config_map(f"c{number:03}"))
        found = server.json("GET", CONFIG_MAPS, Accept=TABLE)
        assert [row["cells"][0] for row in found["rows"]] == [f"c{number:03}" for number in range(120)]
        assert max(made) <= 50
        assert server.json("GET", f"{CONFIG_MAPS}?labelSelector=none", Accept=TABLE)["rows"] == []
        metadata_only = TABLE.replace("Table", "PartialObjectMetadataList")
        assert len(server.json("GET", CONFIG_MAPS, Accept=metadata_only)["items"]) == 120
        empty = server.json("GET", f"{CONFIG_MAPS}?labelSelector=none", Accept=metadata_only)
        assert empty["items"] is None


def test_pages_of_a_snapshot_do_not_see_what_changed_since(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for number in range(5):
            server.json("POST", CONFIG_MAPS, config_map(f"c{number}"))
        first = server.json("GET", f"{CONFIG_MAPS}?limit=2")
        server.json("DELETE", f"{CONFIG_MAPS}/c3")
        server.json("POST", CONFIG_MAPS, config_map("c2-later"))
        second = server.json("GET", f"{CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}")
        assert second["metadata"]["remainingItemCount"] == 1
        third = server.json("GET", f"{CONFIG_MAPS}?limit=2&continue={second['metadata']['continue']}")
        pages = (first, second, third)
        assert {page["metadata"]["resourceVersion"] for page in pages} == {
            first["metadata"]["resourceVersion"]
        }
        names = [item["metadata"]["name"] for page in pages for item in page["items"]]
        assert names == ["c0", "c1", "c2", "c3", "c4"]


def test_a_page_whose_past_is_gone_offers_to_go_on_without_it(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for number in range(3):
            server.json("POST", CONFIG_MAPS, config_map(f"page-{number}"))
        first = server.json("GET", f"{CONFIG_MAPS}?limit=1")
        token = first["metadata"]["continue"]
        server.json("DELETE", f"{CONFIG_MAPS}/page-1")
        kept = server.json("GET", f"{CONFIG_MAPS}?limit=1&continue={token}")
        assert kept["items"][0]["metadata"]["name"] == "page-1"
        revision = int(server.json("POST", CONFIG_MAPS, config_map("late"))["metadata"]["resourceVersion"])
        server.compact(revision)
        status, _, data = server.ask("GET", f"{CONFIG_MAPS}?limit=1&continue={token}")
        expired = json.loads(data)
        assert (status, expired["reason"]) == (410, "Expired")
        rest = server.json("GET", f"{CONFIG_MAPS}?continue={expired['metadata']['continue']}")
        assert [item["metadata"]["name"] for item in rest["items"]] == ["page-2"]
        old = server.ask("GET", f"{CONFIG_MAPS}?resourceVersion=2&resourceVersionMatch=Exact")
        assert (old[0], json.loads(old[2])["message"]) == (
            410,
            "The resourceVersion for the provided list is too old.",
        )


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("abc%25", "illegal base64 data at input byte 3"),
        ("abcde", "illegal base64 data at input byte 4"),
        ("abc", "invalid character 'i' looking for beginning of value"),
    ],
)
def test_tokens_that_are_none(server: Server, token: str, reason: str) -> None:
    status, _, data = server.ask("GET", f"{CONFIG_MAPS}?continue={token}")
    expected = f"invalid continue token: continue key is not valid: {reason}"
    assert (status, json.loads(data)["message"]) == (400, expected)


def test_finalizers_of_a_namespace_have_names(server: Server) -> None:
    server.json("POST", "/api/v1/namespaces", {"metadata": {"name": "final"}})
    path, json_body = "/api/v1/namespaces/final/finalize", {"Content_Type": "application/json"}
    good = {"metadata": {"name": "final"}, "spec": {"finalizers": ["kubernetes", "a.com/b"]}}
    assert server.json("PUT", path, good)["spec"] == good["spec"]
    bad = {**good, "spec": {"finalizers": ["bad"]}}
    status, _, data = server.ask("PUT", path, bad, **json_body)
    assert status == 422
    assert (
        "name is neither a standard finalizer name nor is it fully qualified" in json.loads(data)["message"]
    )


def test_the_root_names_what_is_served(server: Server) -> None:
    paths = server.json("GET", "/")["paths"]
    assert {"/api/v1", "/apis/apps/v1", "/healthz/ping", "/readyz/etcd", "/openapi/v3", "/version"} <= set(
        paths
    )
    assert paths == sorted(paths)


def test_documents_can_be_kept(server: Server) -> None:
    link = server.json("GET", "/openapi/v3")["paths"]["apis/apps/v1"]["serverRelativeURL"]
    status, headers, data = server.ask("GET", link)
    assert (status, headers["Cache-Control"]) == (200, "public, immutable")
    assert json.loads(data)["openapi"] == "3.0.0"
    assert headers["Expires"].endswith("GMT")
    again = server.ask("GET", link, If_None_Match=headers["ETag"])
    assert (again[0], again[2]) == (304, b"")
    status, headers, _ = server.ask("GET", "/openapi/v3/apis/apps/v1?hash=OLD")
    assert (status, headers["Location"]) == (301, link)
    assert server.ask("GET", "/openapi/v3/apis/nope/v1")[0::2] == (404, b"")
    assert server.ask("GET", "/openapi/v2", Accept="text/html")[0] == 406


def test_discovery_has_a_tag(server: Server) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    _, headers, data = server.ask("GET", "/apis", Accept=accept)
    assert json.loads(data)["kind"] == "APIGroupDiscoveryList"
    assert server.ask("GET", "/apis", Accept=accept, If_None_Match=headers["ETag"])[0] == 304
    _, headers, data = server.ask("GET", "/apis", Accept="application/yaml")
    assert (headers["Content-Type"], data[:11]) == ("application/yaml", b"apiVersion:")


def test_a_bookmark_is_an_object_in_the_asked_form(server: Server) -> None:
    query = "watch=1&allowWatchBookmarks=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    path = f"/api/v1/namespaces/empty/pods?{query}"
    plain = json.loads(server.ask("GET", path)[2].splitlines()[0])
    assert plain["type"] == "BOOKMARK"
    assert plain["object"]["spec"] == {}
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    partial = json.loads(server.ask("GET", path, Accept=accept)[2].splitlines()[0])
    assert partial["object"]["kind"] == "PartialObjectMetadata"
    assert partial["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_yaml_cannot_be_watched(server: Server) -> None:
    status, _, data = server.ask("GET", f"{CONFIG_MAPS}?watch=1", Accept="application/yaml")
    assert status == 406
    assert b"application/json;stream=watch" in data


def test_components_are_as_their_leases(server: Server) -> None:
    now = server.server.services.now().strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    spec = {"holderIdentity": "m1", "leaseDurationSeconds": 60, "renewTime": now}
    lease = {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": "kube-scheduler"},
        "spec": spec,
    }
    server.json("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", lease)
    items = server.json("GET", "/api/v1/componentstatuses")["items"]
    found = {item["metadata"]["name"]: item["conditions"][0]["status"] for item in items}
    assert found == {"controller-manager": "False", "etcd-0": "True", "scheduler": "True"}
    selected = server.json("GET", "/api/v1/componentstatuses?fieldSelector=metadata.name%3Detcd-0")
    assert len(selected["items"]) == 1
    assert server.ask("GET", "/api/v1/componentstatuses/nope")[0] == 404


POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p", "labels": {"app": "a"}},
    "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "x"}]},
}


def test_an_eviction_uses_up_the_budget(server: Server) -> None:
    base = "/api/v1/namespaces/default"
    server.json("POST", f"{base}/serviceaccounts", {"metadata": {"name": "default"}})
    server.json("POST", f"{base}/pods", POD)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    merge = {"Content_Type": "application/merge-patch+json"}
    server.json("PATCH", f"{base}/pods/p/status", {"status": ready}, **merge)
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
    server.json("POST", budgets, {"metadata": {"name": "b"}, "spec": spec})
    eviction = {"kind": "Eviction", "apiVersion": "policy/v1beta1", "metadata": {"name": "p"}}
    refused = server.ask("POST", f"{base}/pods/p/eviction", eviction, Content_Type="application/json")
    assert (refused[0], refused[1]["Retry-After"]) == (429, "10")
    allowed = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}
    server.json("PATCH", f"{budgets}/b/status", {"status": {**allowed, "expectedPods": 2}}, **merge)
    assert server.json("POST", f"{base}/pods/p/eviction", eviction)["status"] == "Success"
    status = server.json("GET", f"{budgets}/b")["status"]
    assert (status["disruptionsAllowed"], list(status["disruptedPods"])) == (0, ["p"])
    assert status["conditions"][0]["reason"] == "InsufficientPods"
    pod = server.json("GET", f"{base}/pods/p")
    assert [c["type"] for c in pod["status"]["conditions"]] == ["Ready", "DisruptionTarget"]
    assert pod["metadata"]["deletionTimestamp"]


def test_a_pod_of_two_budgets_is_not_evicted(server: Server) -> None:
    base, budgets = "/api/v1/namespaces/two", "/apis/policy/v1/namespaces/two/poddisruptionbudgets"
    server.json("POST", "/api/v1/namespaces", {"metadata": {"name": "two"}})
    server.json("POST", f"{base}/serviceaccounts", {"metadata": {"name": "default"}})
    server.json("POST", f"{base}/pods", POD)
    merge = {"Content_Type": "application/merge-patch+json"}
    server.json("PATCH", f"{base}/pods/p/status", {"status": {"phase": "Running"}}, **merge)
    for name in ("b1", "b2"):
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}
        server.json("POST", budgets, {"metadata": {"name": name}, "spec": spec})
    answer = server.json("POST", f"{base}/pods/p/eviction", {"metadata": {"name": "p"}})
    assert (answer["status"], answer["code"]) == ("Failure", 500)
    assert "more than one PodDisruptionBudget" in answer["message"]


def test_a_watch_in_protobuf_is_frames_of_known_length(server: Server) -> None:
    path = f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dpage-0"
    _, headers, data = server.ask("GET", path, Accept=PROTOBUF)
    assert headers["Content-Type"] == f"{PROTOBUF};stream=watch"
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert b"ADDED" in data
    assert b"k8s\x00" in data


def test_a_watch_from_before_the_cache_began_gets_what_the_cache_holds_too(server: Server) -> None:
    """The first event comes from the store, the second from the ring; none waits for a third."""
    path = "/api/v1/namespaces/default/limitranges"
    made = server.json("POST", path, {"metadata": {"name": "l"}, "spec": {"limits": []}})
    server.json(
        "PATCH",
        f"{path}/l",
        {"metadata": {"labels": {"a": "b"}}},
        Content_Type="application/merge-patch+json",
    )
    server.json("GET", path)
    server.json("DELETE", f"{path}/l")
    since = made["metadata"]["resourceVersion"]
    _, _, data = server.ask("GET", f"{path}?watch=1&resourceVersion={since}&timeoutSeconds=1")
    assert [json.loads(line)["type"] for line in data.splitlines()] == ["MODIFIED", "DELETED"]


def test_who_loses_the_race_to_create_updates_what_the_other_made(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the object as it was sent: an address that was reserved for the first attempt is not asked for."""
    path, creating = "/api/v1/namespaces/default/services/raced", MemoryStorage.create

    async def race(storage: MemoryStorage, key: str, value: bytes, *, ttl: int = 0) -> int:
        if key.endswith("/raced"):
            monkeypatch.undo()
            other = json.loads(value)
            other["spec"] |= {"clusterIP": "10.0.0.77", "clusterIPs": ["10.0.0.77"]}
            await creating(storage, key, json.dumps(other, separators=(",", ":")).encode())
        return await creating(storage, key, value, ttl=ttl)

    monkeypatch.setattr(MemoryStorage, "create", race)
    service = {"metadata": {"name": "raced"}, "spec": {"ports": [{"port": 80}]}}
    assert server.json("PUT", path, service)["spec"]["clusterIP"] == "10.0.0.77"
