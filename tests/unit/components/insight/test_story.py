"""The order of a story, what changed between revisions, and who is told of in a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.api.journal import ObjectRef, Record
from components.insight import terminal
from components.insight.diff import differences, fields
from components.insight.lastchange import by_owners, last_change
from components.insight.revisions import Version
from components.insight.story import entries, exact_time

Object = dict[str, Any]


def record(seconds: float, source: str, summary: str = "", **detail: Any) -> Record:
    revision = detail.pop("revision", None)
    ref = ObjectRef("pods", "", "default", "web", "u1")
    verb = "request"
    return Record(
        f"2026-01-01T00:00:{seconds:09.6f}Z", source, verb, ref, summary, detail, "m1", "", revision
    )


def event(name: str, second: str, **more: Any) -> Object:
    return {"metadata": {"name": name}, "lastTimestamp": second, "reason": "R", "message": "m", **more}


def test_a_request_becomes_its_entry_its_revision_and_the_telling_of_the_watchers() -> None:
    write = record(1.0, "apiserver", revision=7, index=40, term=2, proposed="m2", storedMs=2.5, auditID="a")
    told = entries([write], [])
    assert [entry["step"] for entry in told] == ["request", "entry", "revision", "watch"]
    assert [entry["time"][17:26] for entry in told] == ["01.000000", *["01.002500"] * 3]
    assert told[1]["summary"] == "entry 40 of term 2, proposed by m2"
    assert told[1]["detail"] == {"index": 40, "term": 2, "proposed": "m2", "auditID": "a"}
    assert [e["step"] for e in entries([record(1.0, "apiserver", code=403)], [])] == ["request"]
    elsewhere = record(1.0, "apiserver", revision=7, storedMs=1.0)
    assert [e["step"] for e in entries([elsewhere], [])] == ["request", "revision", "watch"]


def test_causes_go_before_effects_of_the_same_moment() -> None:
    started = record(2.0, "kubelet", step="start", pid=12, container="c")
    told = entries([started, record(2.0, "scheduler", result="bound"), record(2.0, "controller")], [])
    assert [entry["step"] for entry in told] == ["decision", "schedule", "kubelet", "process"]
    assert told[-1]["summary"] == "process 12 of container c runs"
    assert told[-1]["detail"] == {"container": "c", "pid": 12}


def test_a_write_is_told_before_what_another_master_s_watcher_did_about_it() -> None:
    write = record(1.0, "apiserver", revision=7, index=40, term=2, proposed="m2", storedMs=9.0, auditID="a")
    earlier, quick, later = (record(at, "controller") for at in (0.5, 1.004, 1.006))
    told = entries([later, quick, write, earlier], [])
    steps = ["decision", "request", "entry", "revision", "watch", "decision", "decision"]
    assert [entry["step"] for entry in told] == steps
    assert [entry["time"][17:26] for entry in told[2:5]] == ["01.004000"] * 3


def test_what_was_done_about_another_object_does_not_move_a_write() -> None:
    write = record(1.0, "apiserver", revision=7, storedMs=9.0)
    other = record(1.004, "controller")
    other.object = ObjectRef("pods", "", "default", "other", "u2")
    assert [entry["step"] for entry in entries([write, other], [])] == [
        *("request", "decision", "revision", "watch")
    ]


@pytest.mark.parametrize(
    ("name", "second", "expected"),
    [
        ("web.1886a1b2c5d3e6c8", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.999999Z"),
        (f"web.{1767225600250000000:x}", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.250000Z"),
        (f"web.{1767225600250000000:x}", "2026-01-01T00:00:09Z", "2026-01-01T00:00:09.999999Z"),
        (f"web.{1767225600250000000:x}", "2026-01-01T00:00:09.5Z", "2026-01-01T00:00:09.500000Z"),
        ("web", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_the_name_of_an_event_tells_its_exact_time(name: str, second: str, expected: str) -> None:
    assert exact_time(event(name, second)) == expected


def test_differences_leave_the_books_out() -> None:
    old = {
        "metadata": {"resourceVersion": "1", "managedFields": [1]},
        "spec": {"a": 1, "b": 2},
        "status": {"x": 1},
    }
    new = {
        "metadata": {"resourceVersion": "2", "managedFields": [2]},
        "spec": {"a": 3, "c": 4},
        "status": {"x": 2},
    }
    assert differences(old, new) == [
        {"path": "/spec/a", "from": 1, "to": 3},
        {"path": "/spec/b", "from": 2},
        {"path": "/spec/c", "to": 4},
        {"path": "/status/x", "from": 1, "to": 2},
    ]
    assert fields(old, new) == ["/spec/a", "/spec/b", "/spec/c"]
    assert differences(None, {"a": 1}) == [{"path": "/a", "to": 1}]


def version(revision: int, replicas: int, ready: int = 0) -> Version:
    return Version(revision, {"metadata": {}, "spec": {"replicas": replicas}, "status": {"ready": ready}})


def test_the_last_change_is_a_users_and_not_what_was_reported() -> None:
    versions = [version(1, 1), version(2, 2), version(3, 3), version(4, 3, 3)]
    records = [
        record(1, "apiserver", revision=1, user="alice", verb="create"),
        record(2, "apiserver", revision=2, user="bob", verb="patch"),
        record(3, "apiserver", revision=3, user="system:kube-controller-manager", verb="update"),
        record(4, "apiserver", revision=4, user="system:node:w1", verb="patch"),
        record(4, "scheduler", revision=2),
    ]
    found = last_change(versions, records)
    assert found is not None
    assert (found["user"], found["verb"], found["fields"]) == ("bob", "patch", ["/spec/replicas"])
    only_components = last_change(versions[2:], records)
    assert only_components is not None
    assert only_components["user"] == "system:kube-controller-manager"
    assert last_change([], []) is None


def test_without_a_journal_the_owners_of_fields_tell() -> None:
    managed = [
        {"manager": "kubectl", "operation": "Apply", "time": "2026-01-01T00:00:00Z",
         "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}}},
        {"manager": "kubelet", "operation": "Update", "time": "2026-01-02T00:00:00Z", "subresource": "status"},
    ]  # fmt: skip
    obj = {"metadata": {"managedFields": managed}}
    expected = {"user": "kubectl", "verb": "apply", "time": "2026-01-01T00:00:00Z"}
    assert by_owners(obj) == {**expected, "fields": ["/spec/replicas", "/spec/template"]}
    found = last_change([Version(3, obj)], [])
    assert found is not None
    assert found["user"] == "kubectl"
    assert by_owners({"metadata": {}}) is None


def test_an_explanation_is_one_screen() -> None:
    facts = [
        {"text": f"fact {number}", "evidence": "e", "since": "2026-01-01T00:00:00Z"} for number in range(40)
    ]
    answer = {
        "headline": "It is so. " * 20,
        "facts": [{**facts[0], "remedy": "do that"}, *facts[1:]],
        "lastChange": {"user": "alice", "verb": "apply", "time": "2026-01-01T00:00:00Z", "fields": ["/spec"]},
        "missing": [{"instance": "m2", "error": "refused"}],
    }
    shown = terminal.explanation(answer, 100)
    assert len(shown.splitlines()) <= 24
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert "and 26 more" in shown
    assert "  -> do that" in shown
    assert "Last change: alice, apply, 2026-01-01 00:00:00 UTC: /spec" in shown
    assert "did not answer: m2 (refused)" in shown


def test_a_story_is_one_line_an_entry() -> None:
    write = record(
        1.0, "apiserver", "alice created pods/web: revision 7", revision=7, index=40, term=2, storedMs=1.0
    )
    step = record(2.0, "kubelet", "w1 took the pod up", step="admitted")
    by_kubelet = event("web", "2026-01-01T00:00:03Z", source={"component": "kubelet"})
    answer = {
        "object": {"kind": "Pod", "namespace": "default", "name": "web"},
        "family": [{"kind": "Pod", "name": "web"}, {"kind": "ReplicaSet", "name": "rs"}],
        "entries": entries([write, step], [by_kubelet]),
        "missing": [],
    }
    assert terminal.story(answer, 120).splitlines() == [
        "Pod default/web, with ReplicaSet rs",
        "00:00:01.000 m1   request  alice created pods/web: revision 7 (log entry 40, term 2)",
        "00:00:02.000 m1   kubelet  w1 took the pod up",
    ]
    assert "No records" in terminal.story({**answer, "entries": []}, 120)
