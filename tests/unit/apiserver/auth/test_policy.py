"""The indexed policy against a naive twin that looks at every binding, role and rule."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.auth.policy import Policy
from apiserver.auth.rbac import Attributes, Rule
from apiserver.auth.user import User, service_account_user, split_service_account

Object = dict[str, Any]
NAMES, SCOPES = ("a", "b"), ("", "ns", "other")


def naive(roles: list[Object], bindings: list[Object], asked: Attributes) -> bool:
    """As RBAC is told: is there any binding of any subject to any role with any rule that allows it?"""
    for binding in bindings:
        scope = binding["metadata"].get("namespace") or ""
        if scope not in ("", asked.namespace) or not any(
            is_subject(subject, scope, asked.user) for subject in binding["subjects"]
        ):
            continue
        ref = binding["roleRef"]
        home = "" if ref["kind"] == "ClusterRole" else scope
        for role in roles:
            if place(role) == (home, ref["name"]) and any(naive_rule(rule, asked) for rule in role["rules"]):
                return True
    return False


def is_subject(subject: Object, scope: str, user: User) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == user.name)
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    home = subject.get("namespace") or scope
    return bool(home) and split_service_account(user.name) == (home, subject["name"])


def naive_rule(rule: Rule, asked: Attributes) -> bool:
    if not {"*", asked.verb} & set(rule["verbs"]):
        return False
    if asked.path:
        urls = rule.get("nonResourceURLs", ())
        return any(u == asked.path or (u.endswith("*") and asked.path.startswith(u[:-1])) for u in urls)
    full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    kinds = {"*", full} | ({f"*/{asked.subresource}"} if asked.subresource else set())
    names = rule.get("resourceNames") or [asked.name]
    return bool(
        {"*", asked.group} & set(rule.get("apiGroups", ()))
        and kinds & set(rule.get("resources", ()))
        and asked.name in names
    )


def some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


RULES = st.one_of(
    st.fixed_dictionaries(
        {"verbs": some("get", "list", "*"), "apiGroups": some("", "apps", "*"),
         "resources": some("pods", "pods/log", "*/log", "*", "secrets")},
        optional={"resourceNames": some("x", "y")},
    ),
    st.fixed_dictionaries({"verbs": some("get", "*"), "nonResourceURLs": some("/a", "/a/*", "*", "/b*")}),
)  # fmt: skip
METADATA = st.builds(
    lambda name, scope: {"name": name, **({"namespace": scope} if scope else {})},
    st.sampled_from(NAMES),
    st.sampled_from(SCOPES),
)
ROLES = st.fixed_dictionaries({"metadata": METADATA, "rules": st.lists(RULES, max_size=3)})
SUBJECTS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("User"), "name": st.sampled_from(("alice", "system:serviceaccount:ns:a"))}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("Group"), "name": st.sampled_from(("dev", "system:serviceaccounts"))}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("ServiceAccount"), "name": st.sampled_from(NAMES)},
        optional={"namespace": st.sampled_from(("ns", "other"))},
    ),
)
BINDINGS = st.fixed_dictionaries(
    {
        "metadata": METADATA,
        "subjects": st.lists(SUBJECTS, max_size=3),
        "roleRef": st.fixed_dictionaries(
            {"kind": st.sampled_from(("Role", "ClusterRole")), "name": st.sampled_from(NAMES)}
        ),
    }
)
USERS = st.sampled_from(
    (User("alice", ("dev",)), User("bob", ("qa", "dev")), service_account_user("ns", "a", ""), User("x"))
)
QUESTIONS = st.one_of(
    st.builds(
        Attributes,
        USERS,
        st.sampled_from(("get", "list", "delete")),
        st.sampled_from(("", "apps")),
        st.sampled_from(("pods", "secrets")),
        st.sampled_from(("", "log")),
        st.sampled_from(SCOPES),
        st.sampled_from(("", "x", "z")),
    ),
    st.builds(
        lambda user, path: Attributes(user, "get", path=path), USERS, st.sampled_from(("/a", "/a/b", "/bc"))
    ),
)
CHANGES = st.lists(
    st.one_of(ROLES.map(lambda o: ("role", o)), BINDINGS.map(lambda o: ("binding", o))), max_size=12
)


def place(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


@settings(max_examples=80, deadline=None)
@given(CHANGES, st.sets(st.integers(0, 11)), st.lists(QUESTIONS, min_size=1, max_size=6))
def test_after_any_changes_the_index_decides_as_the_naive_twin(
    changes: list[tuple[str, Object]], removed: set[int], questions: list[Attributes]
) -> None:
    policy = Policy()
    kept: dict[tuple[str, tuple[str, str]], Object] = {}
    for number, (kind, obj) in enumerate(changes):
        (policy.put_role if kind == "role" else policy.put_binding)(obj)
        kept[kind, place(obj)] = obj
        policy.decide(questions[0])  # whatever is remembered must not outlive the next change
        if number in removed:
            (policy.remove_role if kind == "role" else policy.remove_binding)(*place(obj))
            del kept[kind, place(obj)]
    roles = [obj for (kind, _), obj in kept.items() if kind == "role"]
    bindings = [obj for (kind, _), obj in kept.items() if kind == "binding"]
    for asked in questions:
        assert policy.decide(asked)[0] == naive(roles, bindings, asked)


def test_the_first_binding_and_subject_that_allow_it_are_named() -> None:
    policy = Policy()
    policy.put_role(
        {"metadata": {"name": "r"}, "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}
    )
    ref = {"kind": "ClusterRole", "name": "r"}
    everyone, alice = {"kind": "Group", "name": "dev"}, {"kind": "User", "name": "alice"}
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "ns"}
    policy.put_binding({"metadata": {"name": "b"}, "subjects": [robot, everyone, alice], "roleRef": ref})
    policy.put_binding({"metadata": {"name": "a", "namespace": "ns"}, "subjects": [alice], "roleRef": ref})
    asked = Attributes(User("alice", ("dev",)), "get", "", "pods", namespace="ns")
    assert (
        policy.decide(asked)[1] == 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to Group "dev"'
    )
    asked = Attributes(service_account_user("ns", "robot", ""), "get", "", "pods")
    reason = 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to ServiceAccount "robot/ns"'
    assert policy.decide(asked)[1] == reason


def test_a_decision_looks_at_the_bindings_of_the_user_alone() -> None:
    """Whatever a thousand bindings of others are, one user's rules are the few that name them."""
    policy = Policy()
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    for number in range(1000):
        scope = {"name": f"r{number}", "namespace": f"ns{number % 10}"}
        policy.put_role({"metadata": scope, "rules": [rule]})
        subject = {"kind": "User", "name": f"user{number}"}
        policy.put_binding(
            {"metadata": scope, "subjects": [subject], "roleRef": {"kind": "Role", "name": f"r{number}"}}
        )
    assert len(policy.rule_set(User("user7"), "ns7").rules) == 1
    assert policy.decide(Attributes(User("user7"), "get", "", "pods", namespace="ns7"))[0]
    assert not policy.decide(Attributes(User("user7"), "get", "", "pods", namespace="ns8"))[0]
