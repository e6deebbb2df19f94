"""Users and roles: etcd's refusals, the rules about root, what is stored, what raises the revision."""

from __future__ import annotations

import pytest

from kvstore import errors as e
from kvstore.auth import types as a
from kvstore.auth.store import ROOT_PERMISSION, AuthStore
from kvstore.auth.types import Permission, PermissionType
from tests.unit.kvstore.fakes import MemoryTable

READ, WRITE, BOTH = PermissionType.READ, PermissionType.WRITE, PermissionType.READWRITE

BASE: tuple[a.AuthCommand, ...] = (
    a.AuthUserAddRequest("root", hashed_password=b"h"),
    a.AuthUserAddRequest("u", hashed_password=b"h"),
    a.AuthRoleAddRequest("root"),
    a.AuthRoleAddRequest("r"),
    a.AuthUserGrantRoleRequest("root", "root"),
    a.AuthRoleGrantPermissionRequest("r", Permission(READ, b"a", b"c")),
    a.AuthUserGrantRoleRequest("u", "r"),
)


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def store(table: MemoryTable) -> AuthStore:
    store = AuthStore(table)
    for request in BASE:
        store.run(request)
    return store


REFUSED: list[tuple[a.AuthCommand, type[e.StoreError]]] = [
    (a.AuthUserAddRequest(""), e.UserEmpty),
    (a.AuthUserAddRequest("u"), e.UserAlreadyExists),
    (a.AuthUserDeleteRequest("x"), e.UserNotFound),
    (a.AuthUserChangePasswordRequest("x"), e.UserNotFound),
    (a.AuthUserGrantRoleRequest("x", "r"), e.UserNotFound),
    (a.AuthUserGrantRoleRequest("u", "x"), e.RoleNotFound),
    (a.AuthUserRevokeRoleRequest("x", "r"), e.UserNotFound),
    (a.AuthUserRevokeRoleRequest("u", "x"), e.RoleNotGranted),
    (a.AuthRoleAddRequest(""), e.RoleEmpty),
    (a.AuthRoleAddRequest("r"), e.RoleAlreadyExists),
    (a.AuthRoleDeleteRequest("x"), e.RoleNotFound),
    (a.AuthRoleGrantPermissionRequest("r", None), e.PermissionNotGiven),
    (a.AuthRoleGrantPermissionRequest("x", Permission(READ, b"a")), e.RoleNotFound),
    (a.AuthRoleGrantPermissionRequest("r", Permission(READ, b"")), e.InvalidAuthManagement),
    (a.AuthRoleGrantPermissionRequest("r", Permission(READ, b"b", b"a")), e.InvalidAuthManagement),
    (a.AuthRoleRevokePermissionRequest("x", b"a"), e.RoleNotFound),
    (a.AuthRoleRevokePermissionRequest("r", b"a"), e.PermissionNotGranted),
]


@pytest.mark.parametrize(("request_", "error"), REFUSED)
def test_a_refusal_changes_nothing(
    store: AuthStore, table: MemoryTable, request_: a.AuthCommand, error: type[e.StoreError]
) -> None:
    before = dict(table.data)
    with pytest.raises(error):
        store.run(request_)
    assert table.data == before


@pytest.mark.parametrize(
    "request_",
    [
        a.AuthUserDeleteRequest("root"),
        a.AuthRoleDeleteRequest("root"),
        a.AuthUserRevokeRoleRequest("root", "root"),
    ],
)
def test_root_stays_while_users_count(store: AuthStore, request_: a.AuthCommand) -> None:
    store.run(a.AuthEnableRequest())
    with pytest.raises(e.InvalidAuthManagement):
        store.run(request_)
    store.run(a.AuthDisableRequest())
    store.run(request_)


def test_users_count_only_with_a_root(table: MemoryTable) -> None:
    store = AuthStore(table)
    with pytest.raises(e.RootUserNotExist):
        store.run(a.AuthEnableRequest())
    store.run(a.AuthUserAddRequest("root", no_password=True))
    with pytest.raises(e.RootRoleNotExist):
        store.run(a.AuthEnableRequest())
    store.run(a.AuthUserGrantRoleRequest("root", "root"))  # the role need not have been added
    store.run(a.AuthEnableRequest())
    assert store.enabled


def test_every_change_raises_the_revision_and_nothing_else_does(store: AuthStore) -> None:
    assert store.revision == 1 + len(BASE)
    for request in (a.AuthUserGrantRoleRequest("u", "r"), a.AuthEnableRequest(), a.AuthEnableRequest()):
        store.run(request)
    assert store.revision == 1 + len(BASE)
    store.run(a.AuthDisableRequest())
    store.run(a.AuthDisableRequest())
    assert store.revision == 2 + len(BASE)


def test_all_of_it_is_stored(store: AuthStore, table: MemoryTable) -> None:
    long = "x" * 5000
    store.run(a.AuthUserAddRequest(long, no_password=True))
    store.run(a.AuthUserDeleteRequest("u"))
    store.run(a.AuthEnableRequest())
    again = AuthStore(table)
    assert (again.enabled, again.revision) == (store.enabled, store.revision)
    for query in (a.AuthUserListRequest(), a.AuthRoleListRequest(), a.AuthRoleGetRequest("r")):
        assert again.answer(query) == store.answer(query)
    assert again.user(long) == store.user(long) is not None
    assert again.user("u") is None


def test_a_role_goes_with_its_grants(store: AuthStore) -> None:
    assert store.may("u", READ, b"b", b"")
    store.run(a.AuthRoleDeleteRequest("r"))
    assert store.answer(a.AuthUserGetRequest("u")) == a.AuthUserGetResponse(roles=())
    store.run(a.AuthRoleAddRequest("r"))
    assert not store.may("u", READ, b"b", b"")


def test_a_permission_for_the_same_range_is_replaced(store: AuthStore) -> None:
    store.run(a.AuthRoleGrantPermissionRequest("r", Permission(WRITE, b"a", b"c")))
    assert store.answer(a.AuthRoleGetRequest("r")) == a.AuthRoleGetResponse(
        perm=(Permission(WRITE, b"a", b"c"),)
    )
    assert store.may("u", WRITE, b"b", b"")
    assert not store.may("u", READ, b"b", b"")
    store.run(a.AuthRoleGrantPermissionRequest("r", Permission(BOTH, b"a", b"b")))
    assert store.may("u", READ, b"a", b"")
    assert not store.may("u", READ, b"a", b"c")


def test_root_may_everything_and_its_role_says_so(store: AuthStore) -> None:
    assert store.may("root", WRITE, b"\0", b"\0")
    assert store.answer(a.AuthRoleGetRequest("root")) == a.AuthRoleGetResponse(perm=(ROOT_PERMISSION,))


def test_a_changed_password_keeps_roles_and_a_user_without_one_stays_so(store: AuthStore) -> None:
    store.run(a.AuthUserChangePasswordRequest("u", hashed_password=b"new"))
    assert store.user("u") == a.User("u", b"new", ("r",))
    store.run(a.AuthUserAddRequest("cn", no_password=True))
    store.run(a.AuthUserChangePasswordRequest("cn", hashed_password=b"new"))
    assert store.user("cn") == a.User("cn", b"", (), True)
