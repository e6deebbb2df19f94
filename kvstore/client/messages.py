"""(P) Between `kvstore.types` and the wire's messages, as a client needs it; `kvstore.rpc.convert` is the other side."""

from __future__ import annotations

from collections.abc import Iterable

from kvstore.rpc.proto import kv_pb2
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    Event,
    EventType,
    KeyValue,
    MemberInfo,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    RequestOp,
    ResponseHeader,
    ResponseOp,
    TxnRequest,
    TxnResponse,
    WatchCreateRequest,
    WatchResponse,
)

# Requests.


def range_request(r: RangeRequest) -> pb.RangeRequest:
    return pb.RangeRequest(
        key=r.key,
        range_end=r.range_end,
        limit=r.limit,
        revision=r.revision,
        sort_order=pb.RangeRequest.SortOrder.Name(r.sort_order),
        sort_target=pb.RangeRequest.SortTarget.Name(r.sort_target),
        serializable=r.serializable,
        keys_only=r.keys_only,
        count_only=r.count_only,
        min_mod_revision=r.min_mod_revision,
        max_mod_revision=r.max_mod_revision,
        min_create_revision=r.min_create_revision,
        max_create_revision=r.max_create_revision,
    )


def put_request(r: PutRequest) -> pb.PutRequest:
    return pb.PutRequest(
        key=r.key,
        value=r.value,
        lease=r.lease,
        prev_kv=r.prev_kv,
        ignore_value=r.ignore_value,
        ignore_lease=r.ignore_lease,
    )


def delete_request(r: DeleteRangeRequest) -> pb.DeleteRangeRequest:
    return pb.DeleteRangeRequest(key=r.key, range_end=r.range_end, prev_kv=r.prev_kv)


def txn_request(r: TxnRequest) -> pb.TxnRequest:
    return pb.TxnRequest(
        compare=map(compare, r.compare),
        success=map(_request_op, r.success),
        failure=map(_request_op, r.failure),
    )


def compare(c: Compare) -> pb.Compare:
    found = pb.Compare(
        key=c.key,
        result=pb.Compare.CompareResult.Name(c.result),
        target=pb.Compare.CompareTarget.Name(c.target),
        range_end=c.range_end,
    )
    match c.target:
        case CompareTarget.VERSION:
            found.version = c.version
        case CompareTarget.CREATE:
            found.create_revision = c.create_revision
        case CompareTarget.MOD:
            found.mod_revision = c.mod_revision
        case CompareTarget.LEASE:
            found.lease = c.lease
        case CompareTarget.VALUE if c.value is not None:
            found.value = c.value
    return found


def _request_op(r: RequestOp) -> pb.RequestOp:
    match r:
        case RangeRequest():
            return pb.RequestOp(request_range=range_request(r))
        case PutRequest():
            return pb.RequestOp(request_put=put_request(r))
        case DeleteRangeRequest():
            return pb.RequestOp(request_delete_range=delete_request(r))
        case TxnRequest():
            return pb.RequestOp(request_txn=txn_request(r))


def watch_request(r: WatchCreateRequest, start_revision: int) -> pb.WatchRequest:
    return pb.WatchRequest(
        create_request=pb.WatchCreateRequest(
            key=r.key,
            range_end=r.range_end,
            start_revision=start_revision,
            progress_notify=r.progress_notify,
            filters=map(pb.WatchCreateRequest.FilterType.Name, r.filters),
            prev_kv=r.prev_kv,
        )
    )


# Responses.


def header(h: pb.ResponseHeader) -> ResponseHeader:
    return ResponseHeader(h.cluster_id, h.member_id, h.revision, h.raft_term)


def key_value(kv: kv_pb2.KeyValue) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def key_values(kvs: Iterable[kv_pb2.KeyValue]) -> tuple[KeyValue, ...]:
    return tuple(map(key_value, kvs))


def range_response(m: pb.RangeResponse) -> RangeResponse:
    return RangeResponse(header(m.header), key_values(m.kvs), m.more, m.count)


def put_response(m: pb.PutResponse) -> PutResponse:
    return PutResponse(header(m.header), key_value(m.prev_kv) if m.HasField("prev_kv") else None)


def delete_response(m: pb.DeleteRangeResponse) -> DeleteRangeResponse:
    return DeleteRangeResponse(header(m.header), m.deleted, key_values(m.prev_kvs))


def txn_response(m: pb.TxnResponse) -> TxnResponse:
    return TxnResponse(header(m.header), m.succeeded, tuple(map(_response_op, m.responses)))


def _response_op(m: pb.ResponseOp) -> ResponseOp:
    match m.WhichOneof("response"):
        case "response_range":
            return range_response(m.response_range)
        case "response_put":
            return put_response(m.response_put)
        case "response_delete_range":
            return delete_response(m.response_delete_range)
        case _:
            return txn_response(m.response_txn)


def event(m: kv_pb2.Event) -> Event:
    return Event(EventType(m.type), key_value(m.kv), key_value(m.prev_kv) if m.HasField("prev_kv") else None)


def watch_response(m: pb.WatchResponse) -> WatchResponse:
    return WatchResponse(
        m.watch_id,
        m.header.revision,
        tuple(map(event, m.events)),
        m.created,
        m.canceled,
        m.cancel_reason,
        m.compact_revision,
        m.fragment,
    )


def member(m: pb.Member) -> MemberInfo:
    return MemberInfo(m.ID, m.name, tuple(m.peerURLs), tuple(m.clientURLs), m.isLearner)
