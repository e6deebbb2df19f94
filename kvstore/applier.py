"""Runs one command against the applied state: data, leases, users, alarms.

Called by `kvstore.statemachine` for every command of the log, in its order. Every member must come to the same
result and the same state, so nothing here depends on anything but the commands before; `now` only sets deadlines
of leases and tokens, which are a member's own. Who may do it is asked first (`kvstore.auth.access`), then whether
an alarm forbids it.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from kvstore import telemetry
from kvstore.auth.access import Access
from kvstore.auth.store import AuthStore
from kvstore.auth.tokens import Tokens, token_of
from kvstore.auth.types import (
    AuthCommand,
    AuthDisableRequest,
    AuthenticateRequest,
    AuthenticateResponse,
    AuthResponse,
    AuthUserChangePasswordRequest,
    AuthUserDeleteRequest,
)
from kvstore.command import Command, Request
from kvstore.corruption import Comparison, Point
from kvstore.errors import (
    AuthFailed,
    AuthNotEnabled,
    AuthOldRevision,
    Compacted,
    Corrupt,
    FutureRevision,
    LeaseNotFound,
    NoSpace,
)
from kvstore.lease import Lessor
from kvstore.membership import Members
from kvstore.mvcc.store import Mvcc
from kvstore.txn import Executor, needs_space
from kvstore.types import (
    AlarmAction,
    AlarmMember,
    AlarmRequest,
    AlarmResponse,
    AlarmType,
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    HashCheckRequest,
    HashCheckResponse,
    HashReportRequest,
    LeaseExpireRequest,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    MemberChange,
    MemberChangeRequest,
    PutRequest,
    TxnRequest,
)

_REFUSED_IF_CORRUPT = (
    PutRequest
    | DeleteRangeRequest
    | TxnRequest
    | CompactionRequest
    | LeaseGrantRequest
    | LeaseRevokeRequest
    | LeaseExpireRequest
)


class Applier:
    """`alarms` are those that are active, of any member; `own_alarms` those of them that end by themselves."""

    def __init__(
        self,
        mvcc: Mvcc,
        lessor: Lessor,
        auth: AuthStore,
        tokens: Tokens,
        members: Members,
        alarms: set[AlarmMember],
        own_alarms: set[AlarmMember],
        max_txn_ops: int,
    ) -> None:
        self.executor = Executor(mvcc, lessor, max_txn_ops)
        self.access = Access(auth, lessor.keys)
        self.comparison = Comparison()
        self.alarms = alarms
        self.own_alarms = own_alarms
        self._mvcc = mvcc
        self._lessor = lessor
        self._auth = auth
        self._tokens = tokens
        self._members = members

    def run(self, command: Command, index: int, now: float) -> msgspec.Struct:
        """The response, without a header unless the request has a revision of its own. Raises `StoreError`;
        then nothing was changed. The caller then calls `Mvcc.end`."""
        request = command.request
        if command.who is not None:
            self.access.check(request, command.who)
        if self.alarms:
            self.check_alarms(request)
        match request:
            case PutRequest() | DeleteRangeRequest() | TxnRequest():
                return self.executor.run(request)
            case CompactionRequest():
                return self._compact(request)
            case LeaseGrantRequest():
                lease = self._lessor.grant(request.id, request.ttl, index, now)
                telemetry.LEASES_GRANTED.inc()
                return LeaseGrantResponse(id=lease.id, ttl=lease.ttl)
            case LeaseKeepAliveRequest():
                renewed = self._lessor.renew(request.id, index, now)
                telemetry.LEASES_RENEWED.inc()
                return LeaseKeepAliveResponse(id=request.id, ttl=renewed.ttl if renewed else 0)
            case LeaseRevokeRequest():
                return self._lease_revoke(request.id)
            case LeaseExpireRequest():
                return self._lease_expire(request)
            case AlarmRequest():
                return self._alarm(request)
            case HashCheckRequest():
                self.comparison.begin(Point(index, self._mvcc.revision, self._mvcc.compact_revision))
                return HashCheckResponse()
            case HashReportRequest():
                self.comparison.report(request)
                return HashCheckResponse()
            case AuthenticateRequest():
                return self._authenticate(request, index, now)
            case _ if isinstance(request, MemberChangeRequest):
                member = self._members.apply(request)
                return MemberChange(member=member, members=self._members.all())
            case _ if isinstance(request, AuthCommand):
                return self._change_auth(request)
            case _:
                assert_never(request)

    def check_alarms(self, request: Request) -> None:
        """Raise if an active alarm forbids the request."""
        active = {alarm.alarm for alarm in self.alarms}
        if AlarmType.CORRUPT in active and isinstance(request, _REFUSED_IF_CORRUPT):
            raise Corrupt
        if AlarmType.NOSPACE in active:
            self.check_space(request)

    def check_space(self, request: Request) -> None:
        """Raise if the request could make the store grow."""
        if isinstance(request, LeaseGrantRequest) or needs_space(request):
            raise NoSpace

    def _compact(self, request: CompactionRequest) -> CompactionResponse:
        if request.revision <= self._mvcc.compact_revision:
            raise Compacted(self._mvcc.compact_revision)
        if request.revision > self._mvcc.revision:
            raise FutureRevision
        self._mvcc.compact_revision = request.revision
        return CompactionResponse()

    def _lease_revoke(self, lease_id: int) -> LeaseRevokeResponse:
        if lease_id not in self._lessor:
            raise LeaseNotFound
        for key in self._lessor.keys(lease_id):
            self._mvcc.delete_range(key, b"")
        self._lessor.remove(lease_id)
        telemetry.LEASES_REVOKED.inc()
        return LeaseRevokeResponse()

    def _lease_expire(self, request: LeaseExpireRequest) -> LeaseRevokeResponse:
        lease = self._lessor.get(request.id)
        if lease is None or lease.renewed_at != request.renewed_at:
            return LeaseRevokeResponse()
        telemetry.LEASES_EXPIRED.inc()
        return self._lease_revoke(request.id)

    def _alarm(self, request: AlarmRequest) -> AlarmResponse:
        alarm = AlarmMember(request.member_id, request.alarm)
        if request.action == AlarmAction.ACTIVATE and alarm.alarm != AlarmType.NONE:
            if request.own and alarm not in self.alarms:
                self.own_alarms.add(alarm)
            self.alarms.add(alarm)
            if alarm.alarm == AlarmType.CORRUPT:
                self.comparison.end()  # so that a later leader does not raise it again
            return AlarmResponse(alarms=(alarm,))
        if request.action == AlarmAction.DEACTIVATE and alarm in self.alarms:
            self.alarms.remove(alarm)
            self.own_alarms.discard(alarm)
            return AlarmResponse(alarms=(alarm,))
        return AlarmResponse()

    def _authenticate(self, request: AuthenticateRequest, index: int, now: float) -> AuthenticateResponse:
        if not self._auth.enabled:
            raise AuthNotEnabled
        user = self._auth.user(request.name)
        if user is None or user.no_password:
            raise AuthFailed
        if request.auth_revision < self._auth.revision:
            raise AuthOldRevision
        token = token_of(request.secret, index)
        self._tokens.assign(token, user.name, now)
        return AuthenticateResponse(token=token)

    def _change_auth(self, request: AuthCommand) -> AuthResponse:
        self._auth.run(request)
        if isinstance(request, AuthUserDeleteRequest | AuthUserChangePasswordRequest):
            self._tokens.drop_user(request.name)
        elif isinstance(request, AuthDisableRequest):
            self._tokens.clear()
        return AuthResponse()
