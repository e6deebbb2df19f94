"""Whether a caller may do what a request asks: one rule for each kind of request.

Asked by `kvstore.applier` when a command is applied, where every member decides alike, and by
`kvstore.statemachine` for reads and watches. Follows etcd `server/etcdserver/apply/apply_auth.go`, with the holes
closed that etcd has closed since (transactions' previous values and leases, leases and alarms of callers without
a name).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kvstore.auth.store import AuthStore
from kvstore.auth.types import (
    AuthCommand,
    AuthenticateRequest,
    AuthQuery,
    AuthRoleGetRequest,
    AuthUserGetRequest,
    Credentials,
    PermissionType,
)
from kvstore.errors import AuthOldRevision, PermissionDenied, StoreError, UserEmpty, UserNotFound
from kvstore.types import (
    AlarmAction,
    AlarmRequest,
    DeleteRangeRequest,
    HashCheckRequest,
    HashReportRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
    WatchCreateRequest,
)

READ, WRITE = PermissionType.READ, PermissionType.WRITE


class Access:
    """Every method raises the `StoreError` that the caller is to get. `who` None is this process: trusted."""

    def __init__(self, store: AuthStore, lease_keys: Callable[[int], list[bytes]]) -> None:
        self._store = store
        self._lease_keys = lease_keys

    def check(self, request: msgspec.Struct, who: Credentials | None) -> None:
        """Raise unless the caller may do what the request says."""
        if who is None or not self._store.enabled:
            return
        match request:
            case RangeRequest() | PutRequest() | DeleteRangeRequest() | TxnRequest():
                self._check_op(request, who)
            case WatchCreateRequest():
                self._require(who, READ, request.key or b"\0", request.range_end)
            case LeaseRevokeRequest():
                self.require_user(who)
                self._check_lease(request.id, who)
            case LeaseTimeToLiveRequest():
                self.require_user(who)
                for key in self._lease_keys(request.id) if request.keys else ():
                    self._require(who, READ, key, b"")
            case AuthenticateRequest():
                pass  # whoever can log in may
            case AlarmRequest() if request.action != AlarmAction.GET:
                self.require_root(who)
            case HashCheckRequest() | HashReportRequest():
                self.require_root(who)
            case _ if isinstance(request, AuthCommand | AuthQuery):
                self._check_auth(request, who)
            case _:
                self.require_user(who)

    def require_root(self, who: Credentials | None) -> None:
        if who is None or not self._store.enabled:
            return
        if not who.user:
            raise UserEmpty
        if self._store.user(who.user) is None:
            raise UserNotFound
        if not self._store.is_root(who.user):
            raise PermissionDenied

    def require_user(self, who: Credentials | None) -> None:
        """Any user will do, but it must be one."""
        if who is None or not self._store.enabled:
            return
        if not who.user:
            raise UserEmpty
        if self._store.user(who.user) is None:
            raise PermissionDenied

    def _check_op(self, request: RequestOp, who: Credentials) -> None:
        match request:
            case RangeRequest():
                self._require(who, READ, request.key, request.range_end)
            case PutRequest():
                self._require(who, WRITE, request.key, b"")
                self._check_lease(request.lease, who)
                if request.prev_kv:
                    self._require(who, READ, request.key, b"")
            case DeleteRangeRequest():
                self._require(who, WRITE, request.key, request.range_end)
                if request.prev_kv:
                    self._require(who, READ, request.key, request.range_end)
            case TxnRequest():
                for compare in request.compare:
                    self._require(who, READ, compare.key, compare.range_end)
                for op in (*request.success, *request.failure):
                    self._check_op(op, who)

    def _check_lease(self, lease: int, who: Credentials) -> None:
        """Who may not write a lease's keys may neither end it nor hang keys of its own on it."""
        if lease and not self._is_root(who):
            for key in self._lease_keys(lease):
                self._require(who, WRITE, key, b"")

    def _check_auth(self, request: AuthCommand | AuthQuery, who: Credentials) -> None:
        """Users may look at themselves and at their roles; all else is root's."""
        try:
            self.require_root(who)
        except StoreError:
            if not self._is_own(request, who):
                raise

    def _is_own(self, request: AuthCommand | AuthQuery, who: Credentials) -> bool:
        user = self._store.user(who.user)
        match request:
            case AuthUserGetRequest():
                return user is not None and request.name == user.name
            case AuthRoleGetRequest():
                return user is not None and request.role in user.roles
            case _:
                return False

    def _is_root(self, who: Credentials) -> bool:
        return self._store.is_root(who.user)

    def _require(self, who: Credentials, type_: PermissionType, key: bytes, range_end: bytes) -> None:
        if who.auth_revision == 0:
            raise UserEmpty
        if who.auth_revision < self._store.revision:
            raise AuthOldRevision
        if not self._store.may(who.user, type_, key, range_end):
            raise PermissionDenied
