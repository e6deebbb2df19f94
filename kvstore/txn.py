"""Runs requests against the data: transactions with their comparisons, puts, deletions, ranges.

Called by `kvstore.statemachine` for each command and for reads. A request is checked whole before anything
is written, so an error means that nothing changed, on every member alike. (etcd itself lets a transaction
with an unreadable range through on members where nobody waits for the answer; here it is refused
everywhere.) Sources: etcd `server/etcdserver/txn/txn.go`, `server/etcdserver/api/v3rpc/key.go`.
"""

from __future__ import annotations

from typing import TypeVar, assert_never

from kvstore import telemetry
from kvstore.errors import (
    DuplicateKey,
    EmptyKey,
    KeyNotFound,
    LeaseNotFound,
    LeaseProvided,
    TooManyOps,
    ValueProvided,
)
from kvstore.lease import Lessor
from kvstore.mvcc.ranges import bounds, contains
from kvstore.mvcc.store import Mvcc
from kvstore.types import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    KeyValue,
    PutRequest,
    PutResponse,
    RangeRequest,
    RequestOp,
    ResponseHeader,
    ResponseOp,
    TxnRequest,
    TxnResponse,
)

MAX_OPS = 128
"""etcd's default of --max-txn-ops."""

Interval = tuple[bytes, bytes]
T = TypeVar("T", int, bytes)


class Executor:
    """Runs one request at a time; `mvcc` has no open write transaction when `run` is called."""

    def __init__(self, mvcc: Mvcc, lessor: Lessor, max_ops: int = MAX_OPS) -> None:
        self._mvcc = mvcc
        self._lessor = lessor
        self._max_ops = max_ops

    def run(self, request: RequestOp) -> ResponseOp:
        """Answer the request; a transaction's response has no header yet. The caller then calls `Mvcc.end`.

        Raises `StoreError`; then nothing was changed.
        """
        if isinstance(request, PutRequest):  # by far the most frequent
            _check_put(request)
            self._check_put(request)
            return self._put(request)
        check(request, self._max_ops)
        branches: list[bool] = []
        self._prepare(request, branches)
        branches.reverse()
        return self._execute(request, branches)

    def _prepare(self, request: RequestOp, branches: list[bool]) -> None:
        """Decide every comparison on the state before the transaction, and check all that will run."""
        match request:
            case RangeRequest():
                self._mvcc.check_revision(request.revision)
            case PutRequest():
                self._check_put(request)
            case TxnRequest():
                succeeded = all(self._compare(c) for c in request.compare)
                branches.append(succeeded)
                for op in request.success if succeeded else request.failure:
                    self._prepare(op, branches)
            case DeleteRangeRequest():
                pass
            case _:
                assert_never(request)

    def _check_put(self, put: PutRequest) -> None:
        if (put.ignore_value or put.ignore_lease) and self._mvcc.get(put.key) is None:
            raise KeyNotFound
        if put.lease and put.lease not in self._lessor:
            raise LeaseNotFound

    def _execute(self, request: RequestOp, branches: list[bool]) -> ResponseOp:
        match request:
            case RangeRequest():
                telemetry.RANGES.inc()
                return self._mvcc.range(request)
            case PutRequest():
                telemetry.PUTS.inc()
                return self._put(request)
            case DeleteRangeRequest():
                telemetry.DELETES.inc()
                return self._delete_range(request)
            case TxnRequest():
                telemetry.TXNS.inc()
                return self._txn(request, branches)

    def _put(self, put: PutRequest) -> PutResponse:
        value, lease = put.value, put.lease
        if put.ignore_value or put.ignore_lease:
            existing = self._mvcc.get(put.key) or KeyValue(put.key)
            value = existing.value if put.ignore_value else value
            lease = existing.lease if put.ignore_lease else lease
        old = self._mvcc.put(put.key, value, lease)
        self._lessor.move(put.key, old.lease if old else 0, lease)
        return PutResponse(self._header(), old if put.prev_kv else None)

    def _delete_range(self, request: DeleteRangeRequest) -> DeleteRangeResponse:
        deleted = self._mvcc.delete_range(request.key, request.range_end)
        for kv in deleted:
            self._lessor.move(kv.key, kv.lease, 0)
        return DeleteRangeResponse(self._header(), len(deleted), tuple(deleted) if request.prev_kv else ())

    def _txn(self, request: TxnRequest, branches: list[bool]) -> TxnResponse:
        succeeded = branches.pop()
        operations = request.success if succeeded else request.failure
        responses = tuple(self._execute(op, branches) for op in operations)
        return TxnResponse(succeeded=succeeded, responses=responses)

    def _header(self) -> ResponseHeader:
        return ResponseHeader(revision=self._mvcc.seen_revision)

    def _compare(self, compare: Compare) -> bool:
        kvs = self._mvcc.latest(compare.key, compare.range_end)
        if not kvs:
            # A value that is not there is unequal to everything; the numbers of a missing key are 0.
            return compare.target != CompareTarget.VALUE and holds(compare, KeyValue(compare.key))
        return all(holds(compare, kv) for kv in kvs)


def holds(compare: Compare, kv: KeyValue) -> bool:
    """Whether one key satisfies the comparison."""
    match compare.target:
        case CompareTarget.VERSION:
            return _holds(compare.result, kv.version, compare.version)
        case CompareTarget.CREATE:
            return _holds(compare.result, kv.create_revision, compare.create_revision)
        case CompareTarget.MOD:
            return _holds(compare.result, kv.mod_revision, compare.mod_revision)
        case CompareTarget.LEASE:
            return _holds(compare.result, kv.lease, compare.lease)
        case CompareTarget.VALUE:
            return _holds(compare.result, kv.value, kv.value if compare.value is None else compare.value)


def _holds(result: CompareResult, actual: T, given: T) -> bool:
    match result:
        case CompareResult.EQUAL:
            return actual == given
        case CompareResult.NOT_EQUAL:
            return actual != given
        case CompareResult.GREATER:
            return actual > given
        case CompareResult.LESS:
            return actual < given


def is_read_only(request: RequestOp) -> bool:
    """Whether no branch writes: then it can be answered without the log."""
    if isinstance(request, TxnRequest):
        return all(is_read_only(op) for op in (*request.success, *request.failure))
    return isinstance(request, RangeRequest)


def needs_space(request: object) -> bool:
    """Whether the request could make the store grow, so that it is refused while the quota is exceeded."""
    if isinstance(request, TxnRequest):
        return any(needs_space(op) for op in (*request.success, *request.failure))
    return isinstance(request, PutRequest)


def check(request: RequestOp, max_ops: int = MAX_OPS) -> None:
    """Raise what is wrong with a request in itself, whatever the state."""
    match request:
        case RangeRequest() | DeleteRangeRequest():
            _require_key(request.key)
        case PutRequest():
            _check_put(request)
        case TxnRequest():
            _check_txn(request, max_ops)
            _intervals(request.success)
            _intervals(request.failure)


def _check_put(put: PutRequest) -> None:
    _require_key(put.key)
    if put.ignore_value and put.value:
        raise ValueProvided
    if put.ignore_lease and put.lease:
        raise LeaseProvided


def _check_txn(request: TxnRequest, max_ops: int) -> None:
    """Each level counts by its longest list, and all levels together may have `max_ops`."""
    count = max(len(request.compare), len(request.success), len(request.failure))
    if count > max_ops:
        raise TooManyOps
    for compare in request.compare:
        _require_key(compare.key)
    for op in (*request.success, *request.failure):
        if isinstance(op, TxnRequest):
            _check_txn(op, max_ops - count)
        else:
            check(op)


def _require_key(key: bytes) -> None:
    if not key:
        raise EmptyKey


def _intervals(ops: tuple[RequestOp, ...]) -> tuple[set[bytes], list[Interval]]:
    """The keys put and the ranges deleted by a branch; no key may be put twice, or put and deleted.

    The two branches of a nested transaction may put the same key: only one of them runs.
    """
    deletions = [bounds(op.key, op.range_end) for op in ops if isinstance(op, DeleteRangeRequest)]
    puts: set[bytes] = set()
    for op in ops:
        if isinstance(op, TxnRequest):
            then_puts, then_deletions = _intervals(op.success)
            else_puts, else_deletions = _intervals(op.failure)
            _add_puts(puts, then_puts | else_puts, deletions)
            deletions += then_deletions + else_deletions
    for op in ops:
        if isinstance(op, PutRequest):
            _add_puts(puts, {op.key}, deletions)
    return puts, deletions


def _add_puts(puts: set[bytes], new: set[bytes], deletions: list[Interval]) -> None:
    if puts & new or any(contains(*interval, key) for interval in deletions for key in new):
        raise DuplicateKey
    puts |= new
