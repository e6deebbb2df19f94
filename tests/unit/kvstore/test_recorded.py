"""Behaviour recorded from etcd 3.6 (`etcd/*.jsonl`), replayed on the state machine and its watch streams.

Every scenario runs on a fresh store. A step is a unary call, or something about a stream; strings stand for
bytes, `$P` is a key prefix and `$Q` its end, `$L1` a lease id, "+3" the revision at the start plus 3. What
the gRPC front-end does (fragments, end of call) is not replayed here.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kvstore import types as t
from kvstore.command import Command, encode
from kvstore.errors import StoreError
from kvstore.statemachine import KVStateMachine
from kvstore.watch.stream import WatchStream
from tests.support.virtual_time import run_virtual

SCENARIOS = [
    json.loads(line)
    for file in sorted((Path(__file__).parent / "etcd").glob("*.jsonl"))
    for line in file.read_text().splitlines()
]
NOT_OURS = {"watch/fragment"}  # responses are cut where they are put on the wire

PREFIX = b"recorded/"
VARIABLES: dict[str, Any] = {"$NONE": 999, **{f"$L{n}": 100 + n for n in range(1, 8)}}
BYTES = {"key", "range_end", "value", "keys"}
NAMES = {"ID": "id", "TTL": "ttl", "grantedTTL": "granted_ttl"}
ENUMS = {
    "sort_order": t.SortOrder,
    "sort_target": t.SortTarget,
    "result": t.CompareResult,
    "target": t.CompareTarget,
    "filters": t.FilterType,
}
REQUESTS = {
    "KV/Range": t.RangeRequest,
    "KV/Put": t.PutRequest,
    "KV/DeleteRange": t.DeleteRangeRequest,
    "KV/Txn": t.TxnRequest,
    "KV/Compact": t.CompactionRequest,
    "Lease/LeaseGrant": t.LeaseGrantRequest,
    "Lease/LeaseRevoke": t.LeaseRevokeRequest,
    "Lease/LeaseKeepAlive": t.LeaseKeepAliveRequest,
    "Lease/LeaseTimeToLive": t.LeaseTimeToLiveRequest,
}
OPS = {
    "request_range": "KV/Range",
    "request_put": "KV/Put",
    "request_delete_range": "KV/DeleteRange",
    "request_txn": "KV/Txn",
}


class Store:
    """A state machine driven as a member of one would drive it, with a clock that only moves when told."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.index = 0
        self.saved: dict[str, Any] = {}
        self.machine = KVStateMachine(path, cluster_id=7, member_id=8, clock=lambda: self.now)
        self.base = self.machine.revision()

    def propose(self, command: bytes) -> Any:
        self.index += 1
        (result,) = self.machine.apply(self.index, 1, [command])
        self.machine.flush()
        return result

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for command in self.machine.housekeeping(is_leader=True):
            self.propose(command)

    def call(self, op: str, req: dict[str, Any]) -> Any:
        if op == "Lease/LeaseLeases":
            return self.machine.leases()
        request = self.build(REQUESTS[op], req)
        match request:
            case t.RangeRequest():
                return self.machine.range(request)
            case t.LeaseTimeToLiveRequest():
                return self.machine.lease_time_to_live(request)
            case t.LeaseGrantRequest(id=0):
                request = t.LeaseGrantRequest(request.ttl, 5000 + self.index)
        return self.propose(encode(Command(request)))

    def build(self, kind: type, req: dict[str, Any]) -> Any:
        fields: dict[str, Any] = {}
        for name, value in req.items():
            if name == "compare":
                fields[name] = tuple(self.build(t.Compare, c) for c in value)
            elif name in ("success", "failure"):
                fields[name] = tuple(self.operation(op) for op in value)
            elif name == "filters":
                fields[name] = tuple(t.FilterType[f] for f in value)
            elif name in ENUMS:
                fields[name] = ENUMS[name][value]
            else:
                fields[NAMES.get(name, name)] = self.value(name, value)
        if "key" in kind.__struct_fields__:
            fields.setdefault("key", b"")
        return kind(**fields)

    def operation(self, op: dict[str, Any]) -> Any:
        ((name, request),) = op.items()
        return self.build(REQUESTS[OPS[name]], request)

    def value(self, name: str, value: Any) -> Any:
        """What a value of a recorded request or response stands for."""
        if isinstance(value, dict):
            if "rep" in value:
                return value["rep"].encode() * value["n"]
            return {k: self.value(k, v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.value(name, item) for item in value]
        if not isinstance(value, str):
            return value
        if name in BYTES:
            return text_to_bytes(value)
        if re.fullmatch(r"\+\d+", value):
            return self.base + int(value)
        return {**VARIABLES, **self.saved}.get(value, value)


def text_to_bytes(text: str) -> bytes:
    data = re.sub(r"\\x(..)", lambda m: chr(int(m[1], 16)), text).encode("latin-1")
    for name, value in ((b"$P", PREFIX), (b"$Q", PREFIX[:-1] + b"0"), (b"$Z", b"\xf0z/")):
        data = data.replace(name, value)
    return data


RESPONSE_NAMES = {value: key for key, value in NAMES.items()}
RESPONSE_OPS = {
    t.RangeResponse: "response_range",
    t.PutResponse: "response_put",
    t.DeleteRangeResponse: "response_delete_range",
    t.TxnResponse: "response_txn",
}


def plain(value: Any, name: str = "") -> Any:
    """A response as the recordings write it: fields that are not default, enums by name."""
    if isinstance(value, t.ResponseHeader):
        return {"revision": value.revision} if value.revision else {}
    if isinstance(value, msgspec.Struct):
        fields = {f: plain(getattr(value, f), f) for f in value.__struct_fields__}
        if isinstance(value, t.WatchResponse):
            fields["header"] = {"revision": fields.pop("revision")} if value.revision else {}
        shown = {RESPONSE_NAMES.get(f, f): v for f, v in fields.items() if v or f == "header"}
        return {RESPONSE_OPS[type(value)]: shown} if name == "responses" else shown
    if isinstance(value, tuple):
        if name == "leases":
            return [{"ID": lease} for lease in value]
        return [plain(item, name) for item in value]
    return value.name if isinstance(value, enum.IntEnum) and value else value


class Watch:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.stream = WatchStream(store.machine.hub)

    def send(self, request: dict[str, Any]) -> None:
        ((kind, req),) = request.items()
        if kind == "create_request":
            self.stream.create(self.store.build(t.WatchCreateRequest, req))
        elif kind == "cancel_request":
            self.stream.cancel(req["watch_id"])
        else:
            self.stream.request_progress()

    async def receive(self) -> Any:
        """The next response; while there is none, time passes and leases end."""
        for _ in range(20):
            try:
                async with asyncio.timeout(0.1):
                    return await anext(self.stream)
            except TimeoutError:
                self.store.sleep(0.5)
        return None


class KeepAlive:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.answers: list[Any] = []

    def send(self, request: dict[str, Any]) -> None:
        self.answers.append(self.store.call("Lease/LeaseKeepAlive", request))

    async def receive(self) -> Any:
        return self.answers.pop(0)


STREAMS = {"Watch/Watch": Watch, "Lease/LeaseKeepAlive": KeepAlive}


def check_unary(store: Store, step: dict[str, Any]) -> None:
    try:
        got = store.call(step["op"], step["req"])
    except StoreError as error:
        got = error
    expected = step["expect"]
    if "err" in expected or isinstance(got, StoreError):
        assert {"err": getattr(got, "code", got), "msg": str(got)} == expected
        return
    answer = plain(got)
    for name, path in step.get("save", {}).items():
        store.saved[f"${name}"] = answer[path]
    for field, kind in step.get("mask", {}).items():
        if field in answer:
            answer[field] = f"<{len(answer[field])} items>" if kind == "len" else "<any>"
    assert answer == store.value("", expected["ok"])


async def check_events(store: Store, watch: Watch, step: dict[str, Any]) -> None:
    """Collect events whatever the batching; no revision may come in two responses."""
    collected: dict[str, list[Any]] = {}
    last: dict[int, int] = {}
    count = 0
    while count < step["n"]:
        response = await watch.receive()
        assert response is not None, f"only {count} events"
        assert response.events[0].kv.mod_revision > last.get(response.watch_id, 0)
        last[response.watch_id] = response.events[-1].kv.mod_revision
        collected.setdefault(str(response.watch_id), []).extend(plain(e) for e in response.events)
        count += len(response.events)
    expected = step["expect"]["events"]
    assert collected.keys() == expected.keys()
    for watch_id, events in collected.items():
        check_same_events(store, events, expected[watch_id], counted="count" in step)


def check_same_events(store: Store, events: list[Any], expected: list[Any], *, counted: bool) -> None:
    if counted:
        number, first, last = expected
        assert len(events) == number
        events, expected = [events[0], events[-1]], [first, last]
    for event, wanted in zip(events, expected, strict=True):
        if isinstance(wanted["kv"].get("value"), dict):
            event["kv"]["value"] = size_and_hash(event["kv"]["value"])
        assert event == store.value("", wanted)


def size_and_hash(value: bytes) -> dict[str, Any]:
    return {"len": len(value), "sha256": hashlib.sha256(value).hexdigest()[:16]}


async def replay(store: Store, steps: list[dict[str, Any]]) -> None:
    streams: dict[str, Any] = {}
    for step in steps:
        if {} in step.get("req", {}).get("success", []):
            continue  # an operation that is none cannot even be expressed here
        match step["op"]:
            case "open":
                streams[step["as"]] = STREAMS[step["method"]](store)
            case "send":
                streams[step["on"]].send(step["req"])
            case "recv":
                for expected in step["expect"]["recv"]:
                    assert plain(await streams[step["on"]].receive()) == store.value("", expected)
            case "collect":
                await check_events(store, streams[step["on"]], step)
            case "none":
                assert await streams[step["on"]].receive() is None
            case "each":
                for i in range(step["n"]):
                    store.call(step["call"], json.loads(json.dumps(step["req"]).replace("$i", f"{i:03}")))
            case "sleep":
                store.sleep(step["s"])
            case "finish" | "compare":
                pass
            case _:
                check_unary(store, step)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s["name"])
def test_behaves_as_recorded(scenario: dict[str, Any], tmp_path: Path) -> None:
    if scenario["name"] in NOT_OURS:
        pytest.skip("the gRPC front-end's part")
    store = Store(tmp_path / "db")
    try:
        run_virtual(replay(store, scenario["steps"]))
    finally:
        store.machine.close()
