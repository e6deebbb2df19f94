"""Users and roles between the store's table and etcd's buckets `auth`, `authUsers` and `authRoles`.

Passwords are bcrypt's hashes on both sides. Used by `kvstore.bolt.export` and `load`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.message import DecodeError

from kvstore.auth.store import AuthStore, State
from kvstore.auth.types import Permission, PermissionType, Role, User
from kvstore.mvcc.backend import Table
from kvstore.rpc.proto import auth_pb2

Items = Iterable[tuple[bytes, bytes]]
Bucket = list[tuple[bytes, bytes]]

_ENABLED = b"authEnabled"
_REVISION = b"authRevision"


class _Rows:
    """A table that is only read."""

    def __init__(self, items: Items) -> None:
        self._items = dict(items)

    def get(self, key: bytes) -> bytes | None:
        return self._items.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key, self._items[key]) for key in sorted(self._items) if start <= key < end)


def buckets_of(items: Items) -> dict[bytes, Bucket]:
    """The three buckets from the rows of the table `auth`."""
    store = AuthStore(_Rows(items))  # type: ignore[arg-type]  # it only reads until it is changed
    users, roles = store.contents()
    state = [(_ENABLED, bytes([store.enabled])), (_REVISION, store.revision.to_bytes(8, "big"))]
    return {
        b"auth": state,
        b"authUsers": sorted((user.name.encode(), _user(user)) for user in users),
        b"authRoles": sorted((role.name.encode(), _role(role)) for role in roles),
    }


def fill(table: Table, buckets: Mapping[bytes, Items]) -> None:
    """The empty table from the buckets. Raises `ValueError` for what cannot be read."""
    state = dict(buckets.get(b"auth", ()))
    revision = int.from_bytes(state.get(_REVISION, b""), "big")
    if not revision:
        return  # an etcd whose users were never touched
    try:
        users = [_read_user(data) for _, data in buckets.get(b"authUsers", ())]
        roles = [_read_role(data) for _, data in buckets.get(b"authRoles", ())]
    except DecodeError as error:
        raise ValueError(str(error)) from error
    AuthStore(table).fill(State(state.get(_ENABLED) == b"\1", revision), users, roles)


def _user(user: User) -> bytes:
    message = auth_pb2.User(name=user.name.encode(), password=user.password, roles=sorted(user.roles))
    if user.no_password:
        message.options.no_password = True
    return message.SerializeToString()


def _role(role: Role) -> bytes:
    message = auth_pb2.Role(name=role.name.encode())
    for permission in role.permissions:
        message.keyPermission.add(
            permType=int(permission.type),
            key=permission.key,
            range_end=permission.range_end,
        )
    return message.SerializeToString()


def _read_user(data: bytes) -> User:
    user = auth_pb2.User.FromString(data)
    return User(user.name.decode(), user.password, tuple(sorted(user.roles)), user.options.no_password)


def _read_role(data: bytes) -> Role:
    role = auth_pb2.Role.FromString(data)
    permissions = [
        Permission(PermissionType(each.permType), each.key, each.range_end) for each in role.keyPermission
    ]
    return Role(role.name.decode(), tuple(sorted(permissions, key=lambda each: each.key)))
