"""One stage of one request as an ``audit.k8s.io/v1`` Event (P).

Fields and their order are the original's. Bodies stay bytes until the log's thread looks at them: ``encode``.
Nothing that a client sends can keep an event out of the log.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from apiserver.audit.redaction import redacted
from apiserver.auth.user import User

SHOWN: Final = ("Request", "RequestResponse")
"""Levels at which what was sent is kept."""
_LONGEST_AGENT: Final = 1024
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OBJECTS: Final = ("requestObject", "responseObject")
_STATUS_FIELDS: Final = ("status", "message", "reason", "details")


@dataclass(frozen=True, slots=True)
class Body:
    """An object as it was sent: JSON, or something that is not shown."""

    data: bytes
    content_type: str = "application/json"
    encoding: str = ""


@dataclass(slots=True)
class Record:
    """What is known of a request; grows until its last stage. Times are RFC 3339 with microseconds."""

    level: str
    audit_id: str
    uri: str
    verb: str
    user: User
    source_ips: list[str]
    agent: str
    received: str
    reference: dict[str, str] | None = None
    impersonated: User | None = None
    request: Body | None = None
    response: Body | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    omit_managed_fields: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A stage on its way to the log."""

    record: Record
    stage: str
    at: str
    code: int = 0
    message: str = ""
    response: Body | None = None


def source_ips(headers: Mapping[str, str], peer: str) -> list[str]:
    """Of the client, then of what stands between, as far as they say so; the peer last."""
    forwarded = [part.strip() for part in headers.get("X-Forwarded-For", "").split(",")]
    found = [address for address in forwarded if address]
    real = headers.get("X-Real-Ip", "").strip()
    if real and real not in found:
        found.append(real)
    if peer and (not found or found[-1] != peer):
        found.append(peer)
    return found


def agent(header: str) -> str:
    return header if len(header) <= _LONGEST_AGENT else header[:_LONGEST_AGENT] + "...TRUNCATED"


def encode(entry: Entry) -> bytes:
    """The line of the log, with its end."""
    record, event = entry.record, _head(entry)
    answered = _object(entry.response, record) if entry.response is not None else None
    if entry.code:
        event["responseStatus"] = _status(entry.code, entry.message, answered)
    if record.level in SHOWN and record.request is not None and entry.stage != "RequestReceived":
        _put(event, "requestObject", _object(record.request, record))
    if record.level == "RequestResponse":
        _put(event, "responseObject", answered)
    event["requestReceivedTimestamp"] = record.received
    event["stageTimestamp"] = entry.at
    if record.annotations and entry.stage != "RequestReceived":
        event["annotations"] = dict(record.annotations)
    return _line(event)


def _line(event: dict[str, Any]) -> bytes:
    """Objects that are too deep are left out. Headers may be no UTF-8; as Go does it, U+FFFD stands for such bytes."""
    try:
        return msgspec.json.encode(event) + b"\n"
    except UnicodeEncodeError:
        return _line({name: value if name in _OBJECTS else _readable(value) for name, value in event.items()})
    except RecursionError:
        return _line({name: value for name, value in event.items() if name not in _OBJECTS})


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list | tuple) else value


def _head(entry: Entry) -> dict[str, Any]:
    record = entry.record
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": record.level,
        "auditID": record.audit_id,
        "stage": entry.stage,
        "requestURI": record.uri,
        "verb": record.verb,
        "user": record.user.info(),
    }
    if record.impersonated is not None and entry.stage != "RequestReceived":
        event["impersonatedUser"] = record.impersonated.info()
    if record.source_ips:
        event["sourceIPs"] = record.source_ips
    if record.agent:
        event["userAgent"] = record.agent
    if record.reference is not None:
        event["objectRef"] = record.reference
    return event


def _status(code: int, message: str, answered: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"metadata": {}}
    if isinstance(answered, dict) and answered.get("kind") == "Status":
        status.update({name: answered[name] for name in _STATUS_FIELDS if answered.get(name)})
    elif message:
        status.update(status="Failure" if code >= 400 else "Success", message=message)
    return {**status, "code": code}


def _put(event: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        event[name] = value


def _object(body: Body, record: Record) -> Any:
    """None for what is no JSON."""
    if not body.content_type.startswith(("application/json", "application/merge-patch+json")) and not (
        body.content_type.partition(";")[0].endswith("+json")
    ):
        return None
    try:
        data = gzip.decompress(body.data) if body.encoding == "gzip" else body.data
        value = msgspec.json.decode(data) if data else None
    except (ValueError, OSError, EOFError, RecursionError):
        return None
    if record.omit_managed_fields and isinstance(value, dict):
        _drop_managed_fields(value)
    return redacted(value, record.reference)


def _drop_managed_fields(obj: dict[str, Any]) -> None:
    rows = _objects(obj.get("rows")) if obj.get("kind") == "Table" else []
    inner = _objects([row.get("object") for row in rows])
    for one in (obj, *_objects(obj.get("items")), *inner):
        if isinstance(one.get("metadata"), dict):
            one["metadata"].pop("managedFields", None)


def _objects(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
