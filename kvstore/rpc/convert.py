"""Between the wire's messages and `kvstore.types`. Pure.

Enums of the wire are open: a number that this version does not know raises `InvalidArgument`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TypeVar

from kvstore.errors import InvalidArgument, InvalidSortOption
from kvstore.rpc.proto import kv_pb2
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.types import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    Event,
    FilterType,
    KeyValue,
    MemberInfo,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    RequestOp,
    ResponseHeader,
    ResponseOp,
    SortOrder,
    SortTarget,
    TxnRequest,
    TxnResponse,
    WatchCreateRequest,
)

E = TypeVar("E", bound=enum.IntEnum)


def known(kind: type[E], number: int) -> E:
    try:
        return kind(number)
    except ValueError:
        raise InvalidArgument(f"etcdserver: unknown {kind.__name__} {number}") from None


# Requests.


def put_request(m: pb.PutRequest) -> PutRequest:
    return PutRequest(m.key, m.value, m.lease, m.prev_kv, m.ignore_value, m.ignore_lease)


def range_request(m: pb.RangeRequest) -> RangeRequest:
    try:
        order, target = SortOrder(m.sort_order), SortTarget(m.sort_target)
    except ValueError:
        raise InvalidSortOption from None
    return RangeRequest(
        m.key,
        m.range_end,
        m.limit,
        m.revision,
        order,
        target,
        m.serializable,
        m.keys_only,
        m.count_only,
        m.min_mod_revision,
        m.max_mod_revision,
        m.min_create_revision,
        m.max_create_revision,
    )


def delete_request(m: pb.DeleteRangeRequest) -> DeleteRangeRequest:
    return DeleteRangeRequest(m.key, m.range_end, m.prev_kv)


def txn_request(m: pb.TxnRequest) -> TxnRequest:
    return TxnRequest(tuple(map(compare, m.compare)), request_ops(m.success), request_ops(m.failure))


def compare(m: pb.Compare) -> Compare:
    """A value that is not given is None: etcd never compares it equal."""
    return Compare(
        m.key,
        known(CompareTarget, m.target),
        known(CompareResult, m.result),
        m.version,
        m.create_revision,
        m.mod_revision,
        m.value if m.WhichOneof("target_union") == "value" else None,
        m.lease,
        m.range_end,
    )


def request_ops(ops: Iterable[pb.RequestOp]) -> tuple[RequestOp, ...]:
    return tuple(map(_request_op, ops))


def _request_op(m: pb.RequestOp) -> RequestOp:
    match m.WhichOneof("request"):
        case "request_range":
            return range_request(m.request_range)
        case "request_put":
            return put_request(m.request_put)
        case "request_delete_range":
            return delete_request(m.request_delete_range)
        case "request_txn":
            return txn_request(m.request_txn)
        case _:
            raise InvalidArgument("etcdserver: key not found")  # what etcd answers to an empty operation


def watch_request(m: pb.WatchCreateRequest) -> WatchCreateRequest:
    return WatchCreateRequest(
        m.key,
        m.range_end,
        m.start_revision,
        m.progress_notify,
        tuple(known(FilterType, number) for number in m.filters),
        m.prev_kv,
        m.watch_id,
        m.fragment,
    )


# Responses.


def header(h: ResponseHeader) -> pb.ResponseHeader:
    return pb.ResponseHeader(
        cluster_id=h.cluster_id, member_id=h.member_id, revision=h.revision, raft_term=h.raft_term
    )


def key_value(kv: KeyValue) -> kv_pb2.KeyValue:
    return kv_pb2.KeyValue(
        key=kv.key,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        value=kv.value,
        lease=kv.lease,
    )


def _optional(kv: KeyValue | None) -> kv_pb2.KeyValue | None:
    return None if kv is None else key_value(kv)


def range_response(r: RangeResponse) -> pb.RangeResponse:
    return pb.RangeResponse(header=header(r.header), kvs=map(key_value, r.kvs), more=r.more, count=r.count)


def put_response(r: PutResponse) -> pb.PutResponse:
    return pb.PutResponse(header=header(r.header), prev_kv=_optional(r.prev_kv))


def delete_response(r: DeleteRangeResponse) -> pb.DeleteRangeResponse:
    return pb.DeleteRangeResponse(
        header=header(r.header), deleted=r.deleted, prev_kvs=map(key_value, r.prev_kvs)
    )


def txn_response(r: TxnResponse) -> pb.TxnResponse:
    return pb.TxnResponse(
        header=header(r.header), succeeded=r.succeeded, responses=map(_response_op, r.responses)
    )


def _response_op(r: ResponseOp) -> pb.ResponseOp:
    """The headers of inner responses carry the revision alone."""
    match r:
        case RangeResponse():
            return pb.ResponseOp(response_range=range_response(r))
        case PutResponse():
            return pb.ResponseOp(response_put=put_response(r))
        case DeleteRangeResponse():
            return pb.ResponseOp(response_delete_range=delete_response(r))
        case TxnResponse():
            return pb.ResponseOp(response_txn=txn_response(r))


def event(e: Event) -> kv_pb2.Event:
    return kv_pb2.Event(
        type=kv_pb2.Event.EventType.Name(e.type), kv=key_value(e.kv), prev_kv=_optional(e.prev_kv)
    )


def member(m: MemberInfo) -> pb.Member:
    return pb.Member(
        ID=m.id, name=m.name, peerURLs=m.peer_urls, clientURLs=m.client_urls, isLearner=m.is_learner
    )
