"""What each kind of request needs. `u` may read r*, write w* and both b*; lease 1 holds key w1, lease 2 key x."""

from __future__ import annotations

import msgspec
import pytest

from kvstore import errors as e
from kvstore import types as t
from kvstore.auth import types as a
from kvstore.auth.access import Access
from kvstore.auth.store import AuthStore
from kvstore.auth.types import ANONYMOUS, Credentials, Permission, PermissionType
from tests.unit.kvstore.fakes import MemoryTable

LEASES = {1: [b"w1"], 2: [b"x"], 3: []}
GRANTS = [
    Permission(PermissionType.READ, b"r", b"s"),
    Permission(PermissionType.WRITE, b"w", b"x"),
    Permission(PermissionType.READWRITE, b"b", b"c"),
]


@pytest.fixture
def store() -> AuthStore:
    store = AuthStore(MemoryTable())
    for request in (
        a.AuthUserAddRequest("root"),
        a.AuthUserGrantRoleRequest("root", "root"),
        a.AuthUserAddRequest("u"),
        a.AuthRoleAddRequest("r"),
        *(a.AuthRoleGrantPermissionRequest("r", grant) for grant in GRANTS),
        a.AuthUserGrantRoleRequest("u", "r"),
        a.AuthEnableRequest(),
    ):
        store.run(request)  # type: ignore[arg-type]  # a tuple of different kinds
    return store


@pytest.fixture
def access(store: AuthStore) -> Access:
    return Access(store, lambda lease: LEASES.get(lease, []))


def nested(op: t.RequestOp) -> t.TxnRequest:
    return t.TxnRequest(failure=(t.TxnRequest(success=(op,)),))


PERMITTED = [
    t.RangeRequest(b"r1"),
    t.RangeRequest(b"r", b"s"),
    t.PutRequest(b"w1"),
    t.PutRequest(b"b1", prev_kv=True),
    t.PutRequest(b"w1", lease=1),
    t.PutRequest(b"w1", lease=3),
    t.DeleteRangeRequest(b"w", b"x"),
    t.DeleteRangeRequest(b"b", b"c", prev_kv=True),
    t.TxnRequest((t.Compare(b"r1"),), (t.PutRequest(b"w1"),), (t.RangeRequest(b"r1"),)),
    t.WatchCreateRequest(b"r", b"s"),
    t.LeaseGrantRequest(10, 9),
    t.LeaseKeepAliveRequest(2),
    t.LeaseRevokeRequest(1),
    t.LeaseTimeToLiveRequest(2),
    t.AlarmRequest(t.AlarmAction.GET),
    t.CompactionRequest(3),
    a.AuthUserGetRequest("u"),
    a.AuthRoleGetRequest("r"),
]
DENIED = [
    t.RangeRequest(b"w1"),
    t.RangeRequest(b"r", b"\0"),
    t.RangeRequest(b"q", b"s"),
    t.PutRequest(b"r1"),
    t.PutRequest(b"w1", prev_kv=True),
    t.PutRequest(b"w1", lease=2),
    t.DeleteRangeRequest(b"w", b"y"),
    t.DeleteRangeRequest(b"w", b"x", prev_kv=True),
    t.TxnRequest((t.Compare(b"w1"),)),
    t.TxnRequest((t.Compare(b"r1", range_end=b"\0"),)),
    t.TxnRequest((), (t.PutRequest(b"w1"),), (t.PutRequest(b"r1"),)),
    nested(t.RangeRequest(b"w1")),
    nested(t.PutRequest(b"w1", prev_kv=True)),
    nested(t.PutRequest(b"w1", lease=2)),
    nested(t.DeleteRangeRequest(b"w", prev_kv=True)),
    t.WatchCreateRequest(b"r1", b"\0"),
    t.WatchCreateRequest(b"", b"\0"),
    t.LeaseRevokeRequest(2),
    t.LeaseTimeToLiveRequest(2, keys=True),
    t.AlarmRequest(t.AlarmAction.ACTIVATE, 1, t.AlarmType.NOSPACE),
    a.AuthUserGetRequest("root"),
    a.AuthRoleGetRequest("root"),
    a.AuthUserListRequest(),
    a.AuthStatusRequest(),
    a.AuthDisableRequest(),
    a.AuthUserAddRequest("v"),
    a.AuthUserChangePasswordRequest("u"),
]


@pytest.mark.parametrize("request_", PERMITTED)
def test_permitted(access: Access, store: AuthStore, request_: msgspec.Struct) -> None:
    access.check(request_, Credentials("u", store.revision))


@pytest.mark.parametrize("request_", DENIED)
def test_denied(access: Access, store: AuthStore, request_: msgspec.Struct) -> None:
    with pytest.raises(e.PermissionDenied):
        access.check(request_, Credentials("u", store.revision))


@pytest.mark.parametrize("request_", [*PERMITTED, *DENIED])
def test_root_and_this_process_may_everything_the_nameless_nothing(
    access: Access, store: AuthStore, request_: msgspec.Struct
) -> None:
    access.check(request_, None)
    access.check(request_, Credentials("root", store.revision))
    with pytest.raises(e.UserEmpty):
        access.check(request_, ANONYMOUS)
    store.run(a.AuthDisableRequest())
    access.check(request_, ANONYMOUS)


def test_rights_of_an_older_revision_do_not_count(access: Access, store: AuthStore) -> None:
    who = Credentials("root", store.revision)
    store.run(a.AuthUserAddRequest("other"))
    with pytest.raises(e.AuthOldRevision):
        access.check(t.RangeRequest(b"a"), who)


def test_a_user_that_is_gone_may_nothing(access: Access, store: AuthStore) -> None:
    store.run(a.AuthUserDeleteRequest("u"))
    who = Credentials("u", store.revision)
    for request in (t.RangeRequest(b"r1"), t.LeaseGrantRequest(10, 9)):
        with pytest.raises(e.PermissionDenied):
            access.check(request, who)
    with pytest.raises(e.UserNotFound):
        access.require_root(who)


def test_who_may_log_in_is_not_asked(access: Access) -> None:
    access.check(a.AuthenticateRequest("u", "secret", 1), ANONYMOUS)
