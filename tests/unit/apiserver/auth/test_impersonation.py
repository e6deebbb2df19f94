"""Who may act as whom: the ways that apply, their questions in order, and the identity that results."""

from __future__ import annotations

import pytest

from apiserver.auth.impersonation import NoUser, Way, asks, wanted, ways
from apiserver.auth.rbac import Attributes
from apiserver.auth.user import AUTHENTICATED, UNAUTHENTICATED, User, service_account_user

ALICE = User("alice", ("dev", AUTHENTICATED))


def questions(requestor: User, wish: User) -> list[list[str]]:
    """Each way as ``verb group/resource namespace/name`` of its last questions."""
    return [
        [_shown(check.any_of[-1]) + check.refusal for check in way.checks] for way in found(requestor, wish)
    ]


def found(requestor: User, wish: User) -> list[Way]:
    return list(ways(requestor, wish, Attributes(requestor, "list", "", "pods", namespace="ns")))


def _shown(asked: Attributes) -> str:
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    return f"{asked.verb} {asked.group}/{resource} {asked.namespace}/{asked.name}"


def test_a_user_with_all_parts() -> None:
    wish = User("dave", ("g1",), "u-1", {"acme.io/scopes": ["view"]})
    assert questions(ALICE, wish) == [
        [
            "impersonate-on:user-info:list /pods ns/",
            "impersonate:user-info authentication.k8s.io/users /dave",
            "impersonate:user-info authentication.k8s.io/uids /u-1",
            "impersonate:user-info authentication.k8s.io/groups /g1",
            "impersonate:user-info authentication.k8s.io/userextras/acme.io/scopes /view",
        ],
        [
            "impersonate /users /dave",
            "impersonate authentication.k8s.io/uids /u-1",
            "impersonate /groups /g1",
            "impersonate authentication.k8s.io/userextras/acme.io/scopes /view",
        ],
    ]


def test_service_accounts_and_nodes_have_ways_of_their_own() -> None:
    account = questions(ALICE, User("system:serviceaccount:ns:robot"))
    assert account[0][0] == "impersonate-on:serviceaccount:list /pods ns/"
    assert account[0][1] == "impersonate:serviceaccount authentication.k8s.io/serviceaccounts ns/robot"
    assert account[1] == ["impersonate /serviceaccounts ns/robot"]
    node = questions(ALICE, User("system:node:n1"))
    assert node[0][1] == "impersonate:arbitrary-node authentication.k8s.io/nodes /n1"
    assert node[1] == ["impersonate /users /system:node:n1"]
    agent = service_account_user("ns", "agent", "", {"authentication.kubernetes.io/node-name": ["n1"]})
    assert questions(agent, User("system:node:n1"))[0] == [
        "impersonate-on:associated-node:list /pods ns/",
        "impersonate:associated-node authentication.k8s.io/nodes /*",
    ]
    assert len(questions(agent, User("system:node:n2"))) == 2


def test_nodes_and_accounts_with_groups_are_only_taken_the_old_way() -> None:
    for name in ("system:node:n1", "system:serviceaccount:ns:robot"):
        assert [way[0].split()[0] for way in questions(ALICE, User(name, ("x",)))] == ["impersonate"]


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (User("dave", ("system:masters",)), "impersonating the system:masters group is not allowed"),
        (User("dave", ("",)), "impersonating the empty string group is not allowed"),
        (User("dave", (), "", {"scopes": ["x"]}), "must be a domain-prefixed path"),
        (
            User("dave", (), "", {"a.b/c": [""]}),
            "impersonating the empty string value in extra is not allowed",
        ),
    ],
)
def test_what_constrained_impersonation_never_takes(wish: User, refusal: str) -> None:
    constrained, legacy = found(ALICE, wish)
    assert any(refusal in check.refusal for check in constrained.checks)
    assert not any(check.refusal for check in legacy.checks)


def test_of_many_groups_all_may_be_allowed_at_once() -> None:
    constrained, legacy = found(ALICE, User("dave", ("a", "b", "c", "d")))
    assert [asked.name for asked in constrained.checks[2].any_of] == ["*", "a"]
    assert [asked.name for asked in legacy.checks[1].any_of] == ["a"]


@pytest.mark.parametrize(
    ("wish", "groups"),
    [
        (User("dave"), (AUTHENTICATED,)),
        (User("dave", ("x",)), ("x", AUTHENTICATED)),
        (User("dave", (UNAUTHENTICATED,)), (UNAUTHENTICATED,)),
        (User("system:anonymous"), (UNAUTHENTICATED,)),
        (
            User("system:serviceaccount:ns:a"),
            ("system:serviceaccounts", "system:serviceaccounts:ns", AUTHENTICATED),
        ),
    ],
)
def test_groups_that_follow_from_the_name(wish: User, groups: tuple[str, ...]) -> None:
    assert {way.user.groups for way in found(ALICE, wish)} == {groups}


def test_a_node_gets_its_group_only_in_the_new_way() -> None:
    constrained, legacy = found(ALICE, User("system:node:n1"))
    assert constrained.user.groups == ("system:nodes", AUTHENTICATED)
    assert legacy.user.groups == (AUTHENTICATED,)


def test_headers() -> None:
    headers = [
        ("Impersonate-User", "dave"),
        ("impersonate-group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-Acme.io%2fScopes", "x"),
        ("Impersonate-Uid", "u"),
        ("Accept", "*/*"),
    ]
    assert asks(name for name, _ in headers)
    assert not asks(["Accept", "Authorization"])
    assert wanted(headers) == User("dave", ("a", "b"), "u", {"acme.io/scopes": ["x"]})
    assert wanted([("Accept", "*/*")]) is None


def test_parts_without_a_name_are_refused_in_the_words_of_the_original() -> None:
    with pytest.raises(NoUser) as info:
        wanted([("Impersonate-Group", "g1"), ("Impersonate-Extra-k", "v")])
    assert str(info.value) == (
        'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g1"}, '
        'Extra:map[string][]string{"k":[]string{"v"}}} without impersonating a user name'
    )
