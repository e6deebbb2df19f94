"""The vocabulary of the store: requests and responses shaped and named as etcd's `rpc.proto` and `kv.proto`.

Requests are what travels in replicated commands (`kvstore.command`) and what the `Member` facade takes;
responses are what `kvstore.statemachine` answers and what the gRPC front-end and the API server's storage
pass on. Keys and values are bytes; revisions, versions, leases and TTLs (seconds) are ints; 0 and b"" mean
"not given", as in proto3. Everything is immutable, so one object may be shared by any number of watchers.

Structs are array-like and tagged for the sake of `kvstore.command`: a new field goes to the end and has a
default, a tag is never given twice. `gc=False` is safe because no struct can be part of a reference cycle.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""As in etcd's messages. Checked where a command is decoded: a log entry may come from anybody who is a peer."""


class EventType(enum.IntEnum):
    PUT = 0
    DELETE = 1


class SortOrder(enum.IntEnum):
    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(enum.IntEnum):
    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class CompareResult(enum.IntEnum):
    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(enum.IntEnum):
    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class FilterType(enum.IntEnum):
    NOPUT = 0
    NODELETE = 1


class AlarmType(enum.IntEnum):
    NONE = 0
    NOSPACE = 1
    CORRUPT = 2


class AlarmAction(enum.IntEnum):
    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


class Value(msgspec.Struct, frozen=True, gc=False):
    """Base of everything that is only answered, never replicated."""


class KeyValue(Value, frozen=True, gc=False):
    """One revision of a key. A DELETE event's `kv` has only `key` and `mod_revision`."""

    key: bytes
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class Event(Value, frozen=True, gc=False):
    """A change. `prev_kv`: the key before it; None if there was none, or it is compacted or not asked for."""

    type: EventType
    kv: KeyValue
    prev_kv: KeyValue | None = None


class ResponseHeader(Value, frozen=True, gc=False):
    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


NO_HEADER = ResponseHeader()


class RangeRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """`range_end` b"" is the one key, b"\\0" all keys from `key` on; else the half-open [key, range_end)."""

    key: bytes
    range_end: bytes = b""
    limit: Int64 = 0
    revision: Int64 = 0
    sort_order: SortOrder = SortOrder.NONE
    sort_target: SortTarget = SortTarget.KEY
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: Int64 = 0
    max_mod_revision: Int64 = 0
    min_create_revision: Int64 = 0
    max_create_revision: Int64 = 0


class RangeResponse(Value, frozen=True, gc=False):
    """`count` is of all keys in the range, whatever the limit; `more` says that the limit cut some off."""

    header: ResponseHeader = NO_HEADER
    kvs: tuple[KeyValue, ...] = ()
    more: bool = False
    count: int = 0


class PutRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    key: bytes
    value: bytes = b""
    lease: Int64 = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class PutResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    prev_kv: KeyValue | None = None


class DeleteRangeRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    key: bytes
    range_end: bytes = b""
    prev_kv: bool = False


class DeleteRangeResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    deleted: int = 0
    prev_kvs: tuple[KeyValue, ...] = ()


class Compare(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`<target of key> <result> <the field named by target>`; with `range_end`, for each key of the range."""

    key: bytes
    target: CompareTarget = CompareTarget.VERSION
    result: CompareResult = CompareResult.EQUAL
    version: Int64 = 0
    create_revision: Int64 = 0
    mod_revision: Int64 = 0
    value: bytes | None = None
    lease: Int64 = 0
    range_end: bytes = b""


class TxnRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    compare: tuple[Compare, ...] = ()
    success: tuple[RequestOp, ...] = ()
    failure: tuple[RequestOp, ...] = ()


class TxnResponse(Value, frozen=True, gc=False):
    """One response for each operation of the branch that ran, in order."""

    header: ResponseHeader = NO_HEADER
    succeeded: bool = False
    responses: tuple[ResponseOp, ...] = ()


RequestOp = RangeRequest | PutRequest | DeleteRangeRequest | TxnRequest
ResponseOp = RangeResponse | PutResponse | DeleteRangeResponse | TxnResponse


class CompactionRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    revision: Int64
    physical: bool = False


class CompactionResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER


class LeaseGrantRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    """`ttl` in seconds. In a command `id` is never 0: the member that proposes it picks a free one."""

    ttl: Int64
    id: Int64 = 0


class LeaseGrantResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    id: int = 0
    ttl: int = 0


class LeaseRevokeRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=7):
    id: Int64


class LeaseRevokeResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER


class LeaseKeepAliveRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=8):
    """Replicated, so that every member knows when the lease was last renewed."""

    id: Int64


class LeaseKeepAliveResponse(Value, frozen=True, gc=False):
    """`ttl` 0: there is no such lease."""

    header: ResponseHeader = NO_HEADER
    id: int = 0
    ttl: int = 0


class LeaseExpireRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=9):
    """The leader's verdict that a lease's time is up; void if renewed after Raft index `renewed_at`."""

    id: Int64
    renewed_at: Int64


class LeaseTimeToLiveRequest(Value, frozen=True, gc=False):
    id: int
    keys: bool = False


class LeaseTimeToLiveResponse(Value, frozen=True, gc=False):
    """Seconds left in `ttl`; -1: there is no such lease."""

    header: ResponseHeader = NO_HEADER
    id: int = 0
    ttl: int = 0
    granted_ttl: int = 0
    keys: tuple[bytes, ...] = ()


class LeaseLeasesResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    leases: tuple[int, ...] = ()


class AlarmRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=10):
    """`own`: the member found it out itself, and will take it back itself."""

    action: AlarmAction
    member_id: int = 0
    alarm: AlarmType = AlarmType.NONE
    own: bool = False


class AlarmMember(Value, frozen=True, gc=False):
    member_id: int
    alarm: AlarmType


class AlarmResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    alarms: tuple[AlarmMember, ...] = ()


class WatchCreateRequest(Value, frozen=True, gc=False):
    """`start_revision` 0 is "from now on"; `watch_id` 0 is "any id"."""

    key: bytes
    range_end: bytes = b""
    start_revision: int = 0
    progress_notify: bool = False
    filters: tuple[FilterType, ...] = ()
    prev_kv: bool = False
    watch_id: int = 0
    fragment: bool = False


class WatchResponse(Value, frozen=True, gc=False):
    """What one watch is told: that it was created, events of whole revisions, progress (no events), its end.

    `revision` is the store's when the response was made. A progress response promises more: every event of
    the watch up to `revision` has been sent before it; one for the whole stream has `watch_id` -1. A
    cancellation because of compaction carries `compact_revision`.
    """

    watch_id: int
    revision: int = 0
    events: tuple[Event, ...] = ()
    created: bool = False
    canceled: bool = False
    cancel_reason: str = ""
    compact_revision: int = 0
    fragment: bool = False


class MemberAddRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=50):
    id: int
    peer_urls: tuple[str, ...]
    is_learner: bool = False


class MemberRemoveRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=51):
    id: int


class MemberUpdateRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=52):
    id: int
    peer_urls: tuple[str, ...]


class MemberPromoteRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=53):
    id: int


class MemberPublishRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=54):
    """What a member says of itself when it has started."""

    id: int
    name: str
    client_urls: tuple[str, ...] = ()


MemberChangeRequest = (
    MemberAddRequest | MemberRemoveRequest | MemberUpdateRequest | MemberPromoteRequest | MemberPublishRequest
)


class MemberInfo(Value, frozen=True, gc=False):
    id: int
    name: str
    peer_urls: tuple[str, ...] = ()
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False


class MemberChange(Value, frozen=True, gc=False):
    """The member that was added, changed or removed, and all members afterwards."""

    header: ResponseHeader = NO_HEADER
    member: MemberInfo | None = None
    members: tuple[MemberInfo, ...] = ()


class StatusResponse(Value, frozen=True, gc=False):
    """Sizes in bytes. `leader` is a member id, 0 if there is none."""

    header: ResponseHeader = NO_HEADER
    version: str = ""
    db_size: int = 0
    leader: int = 0
    raft_index: int = 0
    raft_term: int = 0
    raft_applied_index: int = 0
    errors: tuple[str, ...] = ()
    db_size_in_use: int = 0
    is_learner: bool = False
    storage_version: str = ""
    db_size_quota: int = 0


class HashCheckRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=40):
    """Every member is to report a hash of its data as of this entry."""


class HashReportRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=41):
    """A member's hash at the `HashCheckRequest` that is at Raft index `index`."""

    member_id: int
    index: int
    hash: int


class HashCheckResponse(Value, frozen=True, gc=False):
    """Of both."""

    header: ResponseHeader = NO_HEADER


class HashKVResponse(Value, frozen=True, gc=False):
    """`hash` is of all that can be read at `hash_revision` and before, back to `compact_revision`."""

    header: ResponseHeader = NO_HEADER
    hash: int = 0
    compact_revision: int = 0
    hash_revision: int = 0
