"""The vocabulary of users and rights, shaped and named as etcd's `auth.proto` and `rpc.proto`.

Beside `kvstore.types`, under the same rules; tags here are 20 to 39. A password given in a request never
reaches the log: the member that proposes it puts a bcrypt hash in its place (`kvstore.auth.passwords`).
"""

from __future__ import annotations

import enum

import msgspec

from kvstore.types import NO_HEADER, ResponseHeader, Value


class Credentials(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Who asks, as of a revision of the users and rights. Where None may stand instead, that is this process."""

    user: str
    auth_revision: int


ANONYMOUS = Credentials("", 0)
"""A caller from outside that has said nothing: it may do everything until authentication is enabled."""


class PermissionType(enum.IntEnum):
    READ = 0
    WRITE = 1
    READWRITE = 2


class Permission(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`range_end` as in a `RangeRequest`."""

    type: PermissionType
    key: bytes
    range_end: bytes = b""


class User(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`password`: bcrypt's hash; b"" for one that cannot log in with a password. `roles` are sorted."""

    name: str
    password: bytes = b""
    roles: tuple[str, ...] = ()
    no_password: bool = False


class Role(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """`permissions` are sorted by key."""

    name: str
    permissions: tuple[Permission, ...] = ()


# Replicated.


class AuthEnableRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=20):
    pass


class AuthDisableRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=21):
    pass


class AuthenticateRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=22):
    """The password was right at `auth_revision`; `secret` is the random part of the token to be."""

    name: str
    secret: str
    auth_revision: int


class AuthUserAddRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=23):
    name: str
    password: str = ""
    no_password: bool = False
    hashed_password: bytes = b""


class AuthUserDeleteRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=24):
    name: str


class AuthUserChangePasswordRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=25):
    name: str
    password: str = ""
    hashed_password: bytes = b""


class AuthUserGrantRoleRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=26):
    user: str
    role: str


class AuthUserRevokeRoleRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=27):
    name: str
    role: str


class AuthRoleAddRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=28):
    name: str


class AuthRoleDeleteRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=29):
    role: str


class AuthRoleGrantPermissionRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=30):
    name: str
    perm: Permission | None = None


class AuthRoleRevokePermissionRequest(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=31):
    role: str
    key: bytes = b""
    range_end: bytes = b""


AuthCommand = (
    AuthEnableRequest
    | AuthDisableRequest
    | AuthUserAddRequest
    | AuthUserDeleteRequest
    | AuthUserChangePasswordRequest
    | AuthUserGrantRoleRequest
    | AuthUserRevokeRoleRequest
    | AuthRoleAddRequest
    | AuthRoleDeleteRequest
    | AuthRoleGrantPermissionRequest
    | AuthRoleRevokePermissionRequest
)


# Only asked.


class AuthStatusRequest(Value, frozen=True, gc=False):
    pass


class AuthUserGetRequest(Value, frozen=True, gc=False):
    name: str = ""


class AuthUserListRequest(Value, frozen=True, gc=False):
    pass


class AuthRoleGetRequest(Value, frozen=True, gc=False):
    role: str = ""


class AuthRoleListRequest(Value, frozen=True, gc=False):
    pass


AuthQuery = (
    AuthStatusRequest | AuthUserGetRequest | AuthUserListRequest | AuthRoleGetRequest | AuthRoleListRequest
)
AuthRequest = AuthCommand | AuthQuery


class AuthResponse(Value, frozen=True, gc=False):
    """Of every `AuthCommand`."""

    header: ResponseHeader = NO_HEADER


class AuthenticateResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    token: str = ""


class AuthStatusResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    enabled: bool = False
    auth_revision: int = 0


class AuthUserGetResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    roles: tuple[str, ...] = ()


class AuthUserListResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    users: tuple[str, ...] = ()


class AuthRoleGetResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    perm: tuple[Permission, ...] = ()


class AuthRoleListResponse(Value, frozen=True, gc=False):
    header: ResponseHeader = NO_HEADER
    roles: tuple[str, ...] = ()


AuthAnswer = (
    AuthResponse
    | AuthStatusResponse
    | AuthUserGetResponse
    | AuthUserListResponse
    | AuthRoleGetResponse
    | AuthRoleListResponse
)
