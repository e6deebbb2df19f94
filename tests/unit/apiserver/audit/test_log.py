"""The lines of the audit log, and its files."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apiserver.audit.event import Body, Entry, Record, agent, encode, source_ips
from apiserver.audit.log import QUEUE, AuditLog, Files, expired
from apiserver.auth.user import User


def record(level: str = "Metadata", **fields: Any) -> Record:
    return Record(level, "id-1", "/api/v1/pods?limit=1", "list", User("ann", ("dev",)), ["127.0.0.1"], "curl",
                  "2026-01-01T00:00:00.000000Z", **fields)  # fmt: skip


def event(entry: Entry) -> dict[str, Any]:
    line = encode(entry)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    decoded: dict[str, Any] = json.loads(line)
    return decoded


def test_an_event_has_the_original_fields_in_their_order() -> None:
    reference = {"resource": "pods", "apiVersion": "v1"}
    one = record(
        reference=reference, impersonated=User("bob"), annotations={"authorization.k8s.io/decision": "allow"}
    )
    found = event(Entry(one, "ResponseComplete", "2026-01-01T00:00:01.000000Z", 200))
    assert list(found) == [
        "kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user", "impersonatedUser",
        "sourceIPs", "userAgent", "objectRef", "responseStatus", "requestReceivedTimestamp", "stageTimestamp",
        "annotations",
    ]  # fmt: skip
    assert found["responseStatus"] == {"metadata": {}, "code": 200}
    assert (found["user"], found["impersonatedUser"]) == (
        {"username": "ann", "groups": ["dev"]},
        {"username": "bob"},
    )


def test_the_first_stage_knows_nothing_of_the_answer() -> None:
    one = record("RequestResponse", request=Body(b"{}"), annotations={"a": "b"}, impersonated=User("bob"))
    found = event(Entry(one, "RequestReceived", one.received))
    assert not found.keys() & {
        "responseStatus",
        "requestObject",
        "responseObject",
        "annotations",
        "impersonatedUser",
    }
    assert found["stageTimestamp"] == found["requestReceivedTimestamp"]


def test_levels_show_more_and_more() -> None:
    status = b'{"kind":"Status","status":"Failure","reason":"NotFound","message":"no","code":404}'
    shown = {}
    for level in ("Metadata", "Request", "RequestResponse"):
        one = record(level, request=Body(b'{"a":1}'))
        shown[level] = event(Entry(one, "ResponseComplete", "t", 404, "", Body(status)))
        assert shown[level]["responseStatus"] == {
            "metadata": {}, "status": "Failure", "message": "no", "reason": "NotFound", "code": 404,
        }  # fmt: skip
    assert {level: sorted(found.keys() & {"requestObject", "responseObject"}) for level, found in shown.items()} == {
        "Metadata": [], "Request": ["requestObject"], "RequestResponse": ["requestObject", "responseObject"],
    }  # fmt: skip


def test_managed_fields_are_left_out_when_asked_for_and_packed_bodies_unpacked() -> None:
    inner = {"metadata": {"name": "a", "managedFields": [1]}}
    body = gzip.compress(json.dumps({"kind": "List", "items": [inner]}).encode())
    one = record("RequestResponse", omit_managed_fields=True)
    found = event(Entry(one, "ResponseComplete", "t", 200, "", Body(body, "application/json", "gzip")))
    assert found["responseObject"]["items"] == [{"metadata": {"name": "a"}}]


def test_what_is_no_json_is_not_shown() -> None:
    for body in (Body(b"kind: X", "application/yaml"), Body(b"{"), Body(b"x", "application/json", "gzip")):
        found = event(Entry(record("RequestResponse", request=body), "ResponseComplete", "t", 200, "", body))
        assert not found.keys() & {"requestObject", "responseObject"}


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":' + b"9" * 5000 + b"}", b"\xff", b"NaN"],
)
def test_no_body_keeps_an_event_out_of_the_log(body: bytes) -> None:
    one = record("RequestResponse", request=Body(body))
    assert event(Entry(one, "ResponseComplete", "t", 400, "", Body(body)))["auditID"] == "id-1"


@pytest.mark.parametrize(
    "body", [b'{"items":5}', b'{"kind":"Table","rows":[5]}', b'{"kind":"Table","rows":"x"}']
)
def test_a_body_need_not_be_what_it_says_it_is(body: bytes) -> None:
    one = record("Request", request=Body(body), omit_managed_fields=True)
    assert event(Entry(one, "ResponseComplete", "t", 400))["requestObject"] == json.loads(body)


def test_headers_that_are_no_utf_8_are_written_as_go_does() -> None:
    one = record(impersonated=User("b\udcffb", ("\udcfe",)))
    one.agent, one.source_ips = "curl\udcff", ["\udc80"]
    found = event(Entry(one, "ResponseComplete", "t", 200))
    assert (found["userAgent"], found["sourceIPs"]) == ("curl\ufffd", ["\ufffd"])
    assert found["impersonatedUser"] == {"username": "b\ufffdb", "groups": ["\ufffd"]}


def test_where_a_request_came_from() -> None:
    assert source_ips({}, "10.0.0.1") == ["10.0.0.1"]
    assert source_ips({"X-Forwarded-For": "1.1.1.1, 2.2.2.2"}, "10.0.0.1") == [
        "1.1.1.1",
        "2.2.2.2",
        "10.0.0.1",
    ]
    assert source_ips({"X-Real-Ip": "3.3.3.3"}, "3.3.3.3") == ["3.3.3.3"]
    assert agent("x" * 2000) == "x" * 1024 + "...TRUNCATED"


def test_files_are_rotated_and_old_ones_go(tmp_path: Path) -> None:
    path, counts = tmp_path / "deep" / "audit.log", {"written": 0, "lost": 0}

    def count(name: str) -> Any:
        return lambda number: counts.update({name: counts[name] + number})

    log = AuditLog(Files(path, max_bytes=1000, backups=2), count("written"), count("lost"))
    for _ in range(20):
        log.put(Entry(record(), "RequestReceived", "t"))
    log.start()
    log.close()
    files = sorted(path.parent.iterdir())
    assert files[-1] == path
    assert 1 < len(files) <= 3
    assert all(file.stat().st_size <= 1000 for file in files)
    assert counts == {"written": 20, "lost": 0}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_rotated_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    opened, opening = list[Path](), Path.open
    failed, entry = threading.Event(), Entry(record(), "RequestReceived", "t")

    def refuse_the_second(path: Path, mode: str) -> Any:
        opened.append(path)
        if len(opened) == 2:
            raise PermissionError
        return opening(path, mode)

    def lost(_: int) -> None:
        log.put(entry)
        failed.set()

    log = AuditLog(Files(tmp_path / "audit.log", max_bytes=500), written.append, lost)
    monkeypatch.setattr(Path, "open", refuse_the_second)
    for _ in range(3):
        log.put(entry)
    log.start()
    assert failed.wait(5)
    log.close()
    assert written == [1]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_queue_loses_and_counts(tmp_path: Path) -> None:
    lost: list[int] = []
    log = AuditLog(Files(tmp_path / "audit.log"), lambda _: None, lost.append)
    for _ in range(QUEUE + 3):
        log.put(Entry(record(), "RequestReceived", "t"))
    assert sum(lost) == 3


def test_which_backups_go(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    old = [tmp_path / f"audit-2026-01-0{day}T00-00-00.000.log" for day in range(1, 6)]
    other = tmp_path / "audit-mine.log"
    now = datetime(2026, 1, 6, tzinfo=UTC)
    assert expired([*old, other], Files(path), now) == []
    assert sorted(expired([*old, other], Files(path, backups=2), now)) == old[:3]
    assert sorted(expired([*old, other], Files(path, days=2), now)) == old[:3]
