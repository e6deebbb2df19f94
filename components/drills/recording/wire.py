"""etcd's messages as a history holds them, and back. Keys and values: one character a byte."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kvstore.check.history import (
    AnyRequest,
    Compact,
    Compare,
    Delete,
    Event,
    Grant,
    KeepAlive,
    KeyValue,
    Put,
    Range,
    Result,
    Revoke,
    Txn,
    Watch,
    Watched,
)
from kvstore.rpc.proto import kv_pb2, rpc_pb2

METHODS = {
    Put: ("/etcdserverpb.KV/Put", rpc_pb2.PutResponse),
    Range: ("/etcdserverpb.KV/Range", rpc_pb2.RangeResponse),
    Delete: ("/etcdserverpb.KV/DeleteRange", rpc_pb2.DeleteRangeResponse),
    Txn: ("/etcdserverpb.KV/Txn", rpc_pb2.TxnResponse),
    Compact: ("/etcdserverpb.KV/Compact", rpc_pb2.CompactionResponse),
    Grant: ("/etcdserverpb.Lease/LeaseGrant", rpc_pb2.LeaseGrantResponse),
    Revoke: ("/etcdserverpb.Lease/LeaseRevoke", rpc_pb2.LeaseRevokeResponse),
    KeepAlive: ("/etcdserverpb.Lease/LeaseKeepAlive", rpc_pb2.LeaseKeepAliveResponse),
}
_TARGETS = {"version": 0, "create": 1, "mod": 2, "value": 3, "lease": 4}
_FIELDS = {"create": "create_revision", "mod": "mod_revision"}
_RESULTS = {"equal": 0, "greater": 1, "less": 2, "not_equal": 3}


def to_bytes(text: str) -> bytes:
    return text.encode("latin-1")


def message(request: AnyRequest) -> Any:
    """The request as etcd's message. Previous values are always asked for."""
    match request:
        case Put():
            return rpc_pb2.PutRequest(
                key=to_bytes(request.key), value=to_bytes(request.value), lease=request.lease, prev_kv=True
            )
        case Range():
            return rpc_pb2.RangeRequest(
                key=to_bytes(request.key),
                range_end=to_bytes(request.range_end),
                revision=request.revision,
                limit=request.limit,
                count_only=request.count_only,
                serializable=request.serializable,
            )
        case Delete():
            return rpc_pb2.DeleteRangeRequest(
                key=to_bytes(request.key), range_end=to_bytes(request.range_end), prev_kv=True
            )
        case Txn():
            return rpc_pb2.TxnRequest(
                compare=map(_compare, request.compare),
                success=map(_step, request.success),
                failure=map(_step, request.failure),
            )
        case Compact():
            return rpc_pb2.CompactionRequest(revision=request.revision)
        case Grant():
            return rpc_pb2.LeaseGrantRequest(ID=request.lease, TTL=request.ttl)
        case Revoke():
            return rpc_pb2.LeaseRevokeRequest(ID=request.lease)
        case KeepAlive():
            return rpc_pb2.LeaseKeepAliveRequest(ID=request.lease)


def _compare(compare: Compare) -> Any:
    to = to_bytes(compare.to) if isinstance(compare.to, str) else compare.to
    field = {_FIELDS.get(compare.target, compare.target): to}
    return rpc_pb2.Compare(
        key=to_bytes(compare.key),
        target=_TARGETS[compare.target],  # type: ignore[arg-type]
        result=_RESULTS[compare.result],  # type: ignore[arg-type]
        **field,  # type: ignore[arg-type]
    )


def _step(step: Put | Range | Delete) -> Any:
    name = {Put: "request_put", Range: "request_range", Delete: "request_delete_range"}[type(step)]
    return rpc_pb2.RequestOp(**{name: message(step)})


def result(request: AnyRequest, response: Any) -> Result:
    """Revisions of compactions and of leases are not recorded: they are those of the answer, not of the change."""
    if isinstance(request, Compact | Grant | Revoke):
        return Result()
    if isinstance(request, KeepAlive):
        return Result(ttl=max(0, response.TTL))
    if isinstance(request, Txn):
        steps = request.success if response.succeeded else request.failure
        answers = (getattr(op, op.WhichOneof("response")) for op in response.responses)
        return Result(
            revision=response.header.revision,
            succeeded=response.succeeded,
            responses=tuple(_plain(step, answer) for step, answer in zip(steps, answers, strict=True)),
        )
    plain = _plain(request, response)
    return Result(response.header.revision, plain.kvs, plain.count, plain.more, plain.deleted, plain.prev_kvs)


def _plain(request: Put | Range | Delete, response: Any) -> Result:
    if isinstance(request, Put):
        return Result(prev_kvs=_kvs([response.prev_kv] if response.HasField("prev_kv") else []))
    if isinstance(request, Range):
        return Result(kvs=_kvs(response.kvs), count=response.count, more=response.more)
    return Result(deleted=response.deleted, prev_kvs=_kvs(response.prev_kvs))


def _kvs(kvs: Iterable[Any]) -> tuple[KeyValue, ...]:
    return tuple(map(key_value, kvs))


def key_value(kv: Any) -> KeyValue:
    return KeyValue(
        key=kv.key.decode("latin-1"),
        value=kv.value.decode("latin-1"),
        create=kv.create_revision,
        mod=kv.mod_revision,
        version=kv.version,
        lease=kv.lease,
    )


def watch_message(watch: Watch) -> Any:
    filters = {"NOPUT": 0, "NODELETE": 1}
    create = rpc_pb2.WatchCreateRequest(
        key=to_bytes(watch.key),
        range_end=to_bytes(watch.range_end),
        start_revision=watch.start_revision,
        prev_kv=watch.prev_kv,
        progress_notify=watch.progress_notify,
        filters=[filters[name] for name in watch.filters],  # type: ignore[misc]
        fragment=True,
    )
    return rpc_pb2.WatchRequest(create_request=create)


def watched(number: int, time: int, response: Any) -> Watched:
    return Watched(
        watch=number,
        time=time,
        revision=response.header.revision,
        created=response.created,
        canceled=response.canceled,
        compact_revision=response.compact_revision,
        fragment=response.fragment,
        events=tuple(map(_event, response.events)),
    )


def _event(event: Any) -> Event:
    previous = key_value(event.prev_kv) if event.HasField("prev_kv") else None
    if event.type == kv_pb2.Event.DELETE:
        gone = KeyValue(key=event.kv.key.decode("latin-1"), mod=event.kv.mod_revision)
        return Event("DELETE", gone, previous)
    return Event("PUT", key_value(event.kv), previous)
