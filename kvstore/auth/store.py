"""Users, roles and whether they count: the part of the applied state that says who may do what.

Fed by `kvstore.applier` with replicated requests, asked by `kvstore.auth.access`. Pure over one table, which
is committed with the rest of the state and travels in snapshots; all of it is also in memory. Every change
raises `revision`, so a decision made on older rights is recognised at apply. What etcd calls simple tokens is
not here but in `kvstore.auth.tokens`. Source: etcd `server/auth/store.go`.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar, assert_never

import cbor2
import msgspec

from kvstore.auth.ranges import KeyRanges, interval, is_grantable
from kvstore.auth.types import (
    AuthAnswer,
    AuthCommand,
    AuthDisableRequest,
    AuthEnableRequest,
    AuthQuery,
    AuthRoleAddRequest,
    AuthRoleDeleteRequest,
    AuthRoleGetRequest,
    AuthRoleGetResponse,
    AuthRoleGrantPermissionRequest,
    AuthRoleListRequest,
    AuthRoleListResponse,
    AuthRoleRevokePermissionRequest,
    AuthStatusRequest,
    AuthStatusResponse,
    AuthUserAddRequest,
    AuthUserChangePasswordRequest,
    AuthUserDeleteRequest,
    AuthUserGetRequest,
    AuthUserGetResponse,
    AuthUserGrantRoleRequest,
    AuthUserListRequest,
    AuthUserListResponse,
    AuthUserRevokeRoleRequest,
    Permission,
    PermissionType,
    Role,
    User,
)
from kvstore.errors import (
    InvalidAuthManagement,
    PermissionNotGiven,
    PermissionNotGranted,
    RoleAlreadyExists,
    RoleEmpty,
    RoleNotFound,
    RoleNotGranted,
    RootRoleNotExist,
    RootUserNotExist,
    UserAlreadyExists,
    UserEmpty,
    UserNotFound,
)
from kvstore.mvcc.backend import Table

ROOT = "root"
"""The user and the role that authentication cannot do without."""
ROOT_PERMISSION = Permission(PermissionType.READWRITE, b"", b"\0")

_STATE = b"state"
T = TypeVar("T", User, Role)


class State(msgspec.Struct, frozen=True, array_like=True):
    enabled: bool = False
    revision: int = 1


class AuthStore:
    """Invariant: what is in memory is what the table holds; while enabled, root is a user with role root."""

    def __init__(self, table: Table) -> None:
        self._table = table
        data = table.get(_STATE)
        state = State() if data is None else msgspec.convert(cbor2.loads(data), State)
        self.enabled, self.revision = state.enabled, state.revision
        self._users = {user.name: user for user in _load(table, b"u", User)}
        self._roles = {role.name: role for role in _load(table, b"r", Role)}
        self._rights: dict[tuple[str, PermissionType], KeyRanges] = {}

    # Whole, for snapshots of etcd's (kvstore.bolt).

    def contents(self) -> tuple[list[User], list[Role]]:
        return list(self._users.values()), list(self._roles.values())

    def fill(self, state: State, users: list[User], roles: list[Role]) -> None:
        """Make an empty table hold what another store held."""
        for user in users:
            self._put_user(user)
        for role in roles:
            self._put_role(role)
        self.enabled, self.revision = state.enabled, state.revision
        self._save()

    # Asked.

    def user(self, name: str) -> User | None:
        return self._users.get(name)

    def is_root(self, name: str) -> bool:
        user = self._users.get(name)
        return user is not None and ROOT in user.roles

    def may(self, name: str, type_: PermissionType, key: bytes, range_end: bytes) -> bool:
        """Whether the user's roles cover the key or range; root may everything."""
        if self.is_root(name):
            return True
        rights = self._rights.get((name, type_))
        if rights is None:
            rights = self._rights[name, type_] = self._collect(name, type_)
        return rights.covers(*interval(key, range_end))

    def _collect(self, name: str, type_: PermissionType) -> KeyRanges:
        user = self._users.get(name)
        roles = (self._roles.get(role) for role in user.roles) if user else ()
        permissions = (permission for role in roles if role for permission in role.permissions)
        wanted = (type_, PermissionType.READWRITE)
        return KeyRanges(interval(p.key, p.range_end) for p in permissions if p.type in wanted)

    def answer(self, request: AuthQuery) -> AuthAnswer:
        """Without a header. Raises `UserNotFound`, `RoleNotFound`."""
        match request:
            case AuthStatusRequest():
                return AuthStatusResponse(enabled=self.enabled, auth_revision=self.revision)
            case AuthUserGetRequest():
                return AuthUserGetResponse(roles=self._user(request.name).roles)
            case AuthUserListRequest():
                return AuthUserListResponse(users=tuple(sorted(self._users)))
            case AuthRoleGetRequest():
                role = self._role(request.role)
                return AuthRoleGetResponse(perm=(ROOT_PERMISSION,) if role.name == ROOT else role.permissions)
            case AuthRoleListRequest():
                return AuthRoleListResponse(roles=tuple(sorted(self._roles)))
            case _:
                assert_never(request)

    # Changed. Each raises a `StoreError` before anything is written.

    def run(self, request: AuthCommand) -> None:
        """Raises `StoreError`; then nothing was changed."""
        match request:
            case AuthEnableRequest():
                self._enable()
            case AuthDisableRequest():
                self._disable()
            case AuthUserAddRequest():
                self._user_add(request)
            case AuthUserDeleteRequest():
                self._user_delete(request)
            case AuthUserChangePasswordRequest():
                self._change_password(request)
            case AuthUserGrantRoleRequest():
                self._grant_role(request)
            case AuthUserRevokeRoleRequest():
                self._revoke_role(request)
            case AuthRoleAddRequest():
                self._role_add(request)
            case AuthRoleDeleteRequest():
                self._role_delete(request)
            case AuthRoleGrantPermissionRequest():
                self._grant_permission(request)
            case AuthRoleRevokePermissionRequest():
                self._revoke_permission(request)
            case _:
                assert_never(request)

    def _enable(self) -> None:
        if self.enabled:
            return
        if ROOT not in self._users:
            raise RootUserNotExist
        if not self.is_root(ROOT):
            raise RootRoleNotExist
        self.enabled = True
        self._save()

    def _disable(self) -> None:
        if self.enabled:
            self.enabled = False
            self._changed()

    def _user_add(self, request: AuthUserAddRequest) -> None:
        if not request.name:
            raise UserEmpty
        if request.name in self._users:
            raise UserAlreadyExists
        password = b"" if request.no_password else request.hashed_password
        self._put_user(User(request.name, password, (), request.no_password))
        self._changed()

    def _user_delete(self, request: AuthUserDeleteRequest) -> None:
        if self.enabled and request.name == ROOT:
            raise InvalidAuthManagement
        user = self._user(request.name)
        del self._users[user.name]
        self._table.delete(_name(b"u", user.name))
        self._changed()

    def _change_password(self, request: AuthUserChangePasswordRequest) -> None:
        user = self._user(request.name)
        password = b"" if user.no_password else request.hashed_password
        self._put_user(User(user.name, password, user.roles, user.no_password))
        self._changed()

    def _grant_role(self, request: AuthUserGrantRoleRequest) -> None:
        user = self._user(request.user)
        if request.role != ROOT:
            self._role(request.role)
        if request.role not in user.roles:
            self._put_roles(user, {*user.roles, request.role})
            self._changed()

    def _revoke_role(self, request: AuthUserRevokeRoleRequest) -> None:
        if self.enabled and request.name == ROOT and request.role == ROOT:
            raise InvalidAuthManagement
        user = self._user(request.name)
        if request.role not in user.roles:
            raise RoleNotGranted
        self._put_roles(user, {*user.roles} - {request.role})
        self._changed()

    def _role_add(self, request: AuthRoleAddRequest) -> None:
        if not request.name:
            raise RoleEmpty
        if request.name in self._roles:
            raise RoleAlreadyExists
        self._put_role(Role(request.name))
        self._changed()

    def _role_delete(self, request: AuthRoleDeleteRequest) -> None:
        if self.enabled and request.role == ROOT:
            raise InvalidAuthManagement
        role = self._role(request.role)
        del self._roles[role.name]
        self._table.delete(_name(b"r", role.name))
        for user in list(self._users.values()):
            if role.name in user.roles:
                self._put_roles(user, {*user.roles} - {role.name})
        self._changed()

    def _grant_permission(self, request: AuthRoleGrantPermissionRequest) -> None:
        new = request.perm
        if new is None:
            raise PermissionNotGiven
        if not is_grantable(new.key, new.range_end):
            raise InvalidAuthManagement
        role = self._role(request.name)
        kept = [p for p in role.permissions if (p.key, p.range_end) != (new.key, new.range_end)]
        permissions = sorted((*kept, new), key=lambda p: (p.key, p.range_end))
        self._put_role(Role(role.name, tuple(permissions)))
        self._changed()

    def _revoke_permission(self, request: AuthRoleRevokePermissionRequest) -> None:
        role = self._role(request.role)
        named = (request.key, request.range_end)
        kept = tuple(p for p in role.permissions if (p.key, p.range_end) != named)
        if len(kept) == len(role.permissions):
            raise PermissionNotGranted
        self._put_role(Role(role.name, kept))
        self._changed()

    # Stored.

    def _user(self, name: str) -> User:
        user = self._users.get(name)
        if user is None:
            raise UserNotFound
        return user

    def _role(self, name: str) -> Role:
        role = self._roles.get(name)
        if role is None:
            raise RoleNotFound
        return role

    def _put_user(self, user: User) -> None:
        self._users[user.name] = user
        self._table.put(_name(b"u", user.name), _encode(user))

    def _put_roles(self, user: User, roles: set[str]) -> None:
        self._put_user(User(user.name, user.password, tuple(sorted(roles)), user.no_password))

    def _put_role(self, role: Role) -> None:
        self._roles[role.name] = role
        self._table.put(_name(b"r", role.name), _encode(role))

    def _changed(self) -> None:
        self.revision += 1
        self._rights.clear()
        self._save()

    def _save(self) -> None:
        self._table.put(_STATE, _encode(State(self.enabled, self.revision)))


def _name(kind: bytes, name: str) -> bytes:
    """A digest stands for the name, which may be longer than a table's keys may be."""
    return kind + hashlib.blake2b(name.encode(), digest_size=16).digest()


def _encode(value: msgspec.Struct) -> bytes:
    return cbor2.dumps(msgspec.to_builtins(value, builtin_types=(bytes,)))


def _load(table: Table, kind: bytes, type_: type[T]) -> list[T]:
    found: list[Any] = [cbor2.loads(data) for _, data in table.scan(kind, bytes([kind[0] + 1]))]
    return [msgspec.convert(value, type_) for value in found]
