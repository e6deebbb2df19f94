"""What clients may ask of a member: reads, writes, leases, users and rights.

The part of `kvstore.member.Member` that knows requests; how a member starts, stops and knows others is there. Writes
become commands, go through the log and come back as this member's own result; reads are linearizable unless
asked otherwise. `who` is the caller as `identify` or `identify_name` found it; None is a caller inside this process,
which may do everything.
"""

from __future__ import annotations

import asyncio
import random
from typing import Protocol, TypeVar

import msgspec

from kvstore import telemetry
from kvstore.auth import passwords
from kvstore.auth.tokens import index_of
from kvstore.auth.types import (
    ANONYMOUS,
    AuthAnswer,
    AuthenticateRequest,
    AuthenticateResponse,
    AuthQuery,
    AuthRequest,
    AuthResponse,
    AuthUserAddRequest,
    AuthUserChangePasswordRequest,
    Credentials,
)
from kvstore.command import Command, Request, encode
from kvstore.errors import (
    AuthFailed,
    AuthNotEnabled,
    AuthOldRevision,
    InvalidAuthToken,
    RequestTimeout,
    RequestTooLarge,
    StoreError,
)
from kvstore.statemachine import KVStateMachine
from kvstore.txn import is_read_only
from kvstore.types import (
    AlarmAction,
    AlarmRequest,
    AlarmResponse,
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseLeasesResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
)

Response = TypeVar("Response")
Who = Credentials | None


class Log(Protocol):
    """The part of `kvstore.raft.engine.Engine` that calls need."""

    async def propose(self, command: bytes, timeout: float) -> object: ...

    async def read_index(self, timeout: float) -> int: ...


class Limits(Protocol):
    """The part of `kvstore.member.MemberConfig` that calls need."""

    @property
    def max_request_bytes(self) -> int: ...

    @property
    def request_timeout(self) -> float: ...

    @property
    def bcrypt_cost(self) -> int: ...


class Calls:
    """Mixed into `Member`, which says how to reach the log and the state. All raise the store's errors."""

    _rng: random.Random

    def _limits(self) -> Limits:
        raise NotImplementedError

    def _running(self) -> Log:
        """Raises `Stopped`."""
        raise NotImplementedError

    def _state(self) -> KVStateMachine:
        """Raises `Stopped`."""
        raise NotImplementedError

    # Reads.

    async def range(self, request: RangeRequest, who: Who = None) -> RangeResponse:
        if not request.serializable:
            await self.read_index()
        telemetry.RANGES.inc()
        return self._state().range(request, who)

    async def read_index(self) -> int:
        """The store revision that a linearizable read must see; applied here on return."""
        await self._running().read_index(self._limits().request_timeout)
        return self._state().revision()

    def revision(self) -> int:
        """Of what is applied here."""
        return self._state().revision()

    def compact_revision(self) -> int:
        return self._state().compact_revision()

    async def lease_time_to_live(
        self, request: LeaseTimeToLiveRequest, who: Who = None
    ) -> LeaseTimeToLiveResponse:
        await self.read_index()
        return self._state().lease_time_to_live(request, who)

    async def leases(self, who: Who = None) -> LeaseLeasesResponse:
        await self.read_index()
        self.require_user(who)
        return self._state().leases()

    # Writes. `LeaderChanged` and `RequestTimeout`: outcome unknown.

    async def put(self, request: PutRequest, who: Who = None) -> PutResponse:
        return await self._write(request, PutResponse, who)

    async def delete_range(self, request: DeleteRangeRequest, who: Who = None) -> DeleteRangeResponse:
        return await self._write(request, DeleteRangeResponse, who)

    async def txn(self, request: TxnRequest, who: Who = None) -> TxnResponse:
        if is_read_only(request):
            await self.read_index()
            return self._state().read_txn(request, who)
        return await self._write(request, TxnResponse, who)

    async def compact(self, request: CompactionRequest, who: Who = None) -> CompactionResponse:
        """With `physical`, waits until the space is free on this member."""
        response = await self._write(request, CompactionResponse, who)
        # `flush` reclaims space a slice at a time until all of it is free.
        while request.physical and self._state().is_compacting():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return response

    async def lease_grant(self, request: LeaseGrantRequest, who: Who = None) -> LeaseGrantResponse:
        if request.id == 0:
            request = LeaseGrantRequest(request.ttl, self._rng.getrandbits(63) or 1)
        return await self._write(request, LeaseGrantResponse, who)

    async def lease_revoke(self, request: LeaseRevokeRequest, who: Who = None) -> LeaseRevokeResponse:
        return await self._write(request, LeaseRevokeResponse, who)

    async def lease_keep_alive(
        self, request: LeaseKeepAliveRequest, who: Who = None
    ) -> LeaseKeepAliveResponse:
        return await self._write(request, LeaseKeepAliveResponse, who)

    async def alarm(self, request: AlarmRequest, who: Who = None) -> AlarmResponse:
        """`GET` lists; the others go through the log."""
        if request.action == AlarmAction.GET:
            await self.read_index()
            self._state().access.check(request, who)
            return self._state().alarms(request.alarm)
        return await self._write(request, AlarmResponse, who)

    def alarms(self) -> AlarmResponse:
        """As applied here; answered without the others."""
        return self._state().alarms()

    # Users and rights.

    async def auth(self, request: AuthRequest, who: Who = None) -> AuthAnswer:
        """Change users and roles, or ask about them."""
        if isinstance(request, AuthQuery):
            await self.read_index()
            return self._state().auth_query(request, who)
        if isinstance(request, AuthUserAddRequest) and request.no_password:
            request = msgspec.structs.replace(request, password="", hashed_password=b"")
        elif isinstance(request, AuthUserAddRequest | AuthUserChangePasswordRequest):
            await self.read_index()
            self._state().access.check(request, who)  # before the expensive part
            hash_ = await passwords.hashed(request.password, self._limits().bcrypt_cost)
            request = msgspec.structs.replace(request, password="", hashed_password=hash_)
        return await self._write(request, AuthResponse, who)

    async def authenticate(self, name: str, password: str) -> str:
        """A token that every member knows. Raises `AuthNotEnabled`, `AuthFailed`."""
        await self.read_index()
        while True:
            revision = await self._check_password(name, password)
            request = AuthenticateRequest(name, passwords.new_secret(), revision)
            try:
                return (await self._write(request, AuthenticateResponse, None)).token
            except AuthOldRevision:
                continue  # the password may be another one by now

    async def _check_password(self, name: str, password: str) -> int:
        """The revision of the users at which the password was right."""
        auth = self._state().auth
        if not auth.enabled:
            raise AuthNotEnabled
        revision, user = auth.revision, auth.user(name)
        if user is None or user.no_password or not await passwords.matches(password, user.password):
            raise AuthFailed
        return revision

    async def identify(self, token: str) -> Credentials:
        """Whose token it is; `ANONYMOUS` for no token. Raises `InvalidAuthToken`."""
        state = self._state()
        if not token or not state.auth.enabled:
            return ANONYMOUS
        user = state.token_user(token)
        if user is None and (index_of(token) or 0) > state.applied()[0]:
            await self._catch_up()
            user = self._state().token_user(token)
        if user is None:
            raise InvalidAuthToken
        return Credentials(user, self._state().auth.revision)

    async def _catch_up(self) -> None:
        """The entry that made a token may not have been applied here yet."""
        try:
            await self.read_index()
        except RequestTimeout as error:
            raise InvalidAuthToken from error

    def identify_name(self, common_name: str) -> Credentials:
        """Who shows a client certificate with that common name; `ANONYMOUS` if it has none."""
        auth = self._state().auth
        return Credentials(common_name, auth.revision) if common_name and auth.enabled else ANONYMOUS

    def require_root(self, who: Who) -> None:
        """Raise unless the caller has the role root (or users do not count)."""
        self._state().access.require_root(who)

    def require_user(self, who: Who) -> None:
        """Raise unless the caller is a user (or users do not count)."""
        self._state().access.require_user(who)

    # Inside.

    async def _write(self, request: Request, response: type[Response], who: Who) -> Response:
        state, limits = self._state(), self._limits()
        state.check(request)
        command = encode(Command(request, who=who))
        if len(command) > limits.max_request_bytes:
            raise RequestTooLarge
        result = await self._running().propose(command, limits.request_timeout)
        if isinstance(result, StoreError):
            raise result
        assert isinstance(result, response), result
        return result
