"""Somebody with a little power in one namespace tries to get more: by roles, identities, pods and tokens.

Cluster-wide roles and bindings are in `tests/unit/apiserver/http/test_attacks.py`, stolen certificates of components in
`tests/e2e/test_stolen_credentials.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.stage import ALICE, NS, RBAC, Stage

WHERE = "growth"
ROLES, BINDINGS = f"{RBAC}/namespaces/{WHERE}/roles", f"{RBAC}/namespaces/{WHERE}/rolebindings"
EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
VERBS = ["get", "list", "create", "update", "patch", "delete"]
RULES = [
    {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": VERBS},
    {"apiGroups": [""], "resources": ["pods", "configmaps", "serviceaccounts/token"], "verbs": VERBS},
    {"apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"], "verbs": ["impersonate"]},
]
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def her(stage: Stage) -> Stage:
    stage.create(NS, {"metadata": {"name": WHERE}})
    stage.allow("little", WHERE, RULES)
    for namespace in (WHERE, "kube-system"):
        stage.create(f"{NS}/{namespace}/serviceaccounts", {"metadata": {"name": "worker"}})
    return stage


def role_ref(kind: str, name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


def binding(name: str, kind: str, role: str) -> dict[str, Any]:
    subject = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
    return {"metadata": {"name": name}, "subjects": [subject], "roleRef": role_ref(kind, role)}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", ROLES, {"metadata": {"name": "copy"}, "rules": RULES}, 201),
        ("POST", ROLES, {"metadata": {"name": "more"}, "rules": EVERYTHING}, 403),
        ("POST", ROLES, {"metadata": {"name": "wild"}, "rules": [{**RULES[1], "resources": ["*"]}]}, 403),
        (
            "POST",
            ROLES,
            {"metadata": {"name": "sub"}, "rules": [{**RULES[1], "resources": ["pods/exec"]}]},
            403,
        ),
        ("POST", ROLES, {"metadata": {"name": "any"}, "rules": [{**RULES[2], "resourceNames": []}]}, 403),
        ("PUT", f"{ROLES}/little", {"metadata": {"name": "little"}, "rules": EVERYTHING}, 403),
        ("PATCH", f"{ROLES}/little", {"rules": EVERYTHING}, 403),
        ("POST", BINDINGS, binding("b1", "Role", "little"), 201),
        ("POST", BINDINGS, binding("b2", "ClusterRole", "cluster-admin"), 403),
        ("POST", BINDINGS, binding("b3", "ClusterRole", "system:node"), 403),
        ("POST", BINDINGS, binding("b4", "ClusterRole", "not-there"), 404),
        ("PATCH", f"{BINDINGS}/little", {"roleRef": role_ref("ClusterRole", "cluster-admin")}, 403),
        ("PATCH", f"{BINDINGS}/little", {"roleRef": role_ref("Role", "copy")}, 422),
        ("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "x"}, "rules": []}, 403),
        ("POST", f"{RBAC}/namespaces/kube-system/roles", {"metadata": {"name": "x"}, "rules": []}, 403),
        ("DELETE", f"{RBAC}/clusterroles/cluster-admin", None, 403),
    ],
)
def test_roles(her: Stage, method: str, path: str, body: Any, code: int) -> None:
    headers = {"Content_Type": MERGE} if method == "PATCH" else {}
    answer = her.ask(method, path, body, ALICE, **headers)
    assert answer.code == code, answer


@pytest.mark.parametrize(
    "headers",
    [
        {"Impersonate-User": "admin"},
        {"Impersonate-User": "system:admin"},
        {"Impersonate-User": "system:serviceaccount:kube-system:worker"},
        {"Impersonate-User": "system:node:n1"},
        {"Impersonate-User": "system:anonymous"},
        {"Impersonate-User": "bob", "Impersonate-Group": "system:masters"},
        {"Impersonate-User": "bob", "Impersonate-Uid": "1"},
        {"Impersonate-User": "bob", "Impersonate-Extra-scopes": "all"},
        {"Impersonate-User": "BOB"},
        {"Impersonate-User": "bob "[:-1] + "\t2"},
    ],
)
def test_other_identities(her: Stage, headers: dict[str, str]) -> None:
    assert her.ask("GET", f"{NS}/{WHERE}/configmaps", token=ALICE, **headers).code == 403


@pytest.mark.parametrize("headers", [{"Impersonate-Group": "system:masters"}, {"Impersonate-Uid": "1"}])
def test_an_identity_without_a_name(her: Stage, headers: dict[str, str]) -> None:
    """It is refused, never passed over: the request would be answered as somebody it was not meant for."""
    assert her.ask("GET", f"{NS}/{WHERE}/configmaps", token=ALICE, **headers).code == 400


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"generateName": "p-"},
        "spec": {"containers": [{"name": "c", "image": "x"}], **spec},
    }


@pytest.mark.parametrize(
    ("account", "code"),
    [("worker", 201), ("missing", 403), ("kube-system/worker", 422), ("../kube-system/worker", 422),
     ("system:serviceaccount:kube-system:worker", 422)],
)  # fmt: skip
def test_pods_run_as_accounts_of_their_namespace(her: Stage, account: str, code: int) -> None:
    answer = her.ask("POST", f"{NS}/{WHERE}/pods", pod(serviceAccountName=account), ALICE)
    assert answer.code in ({code} if code != 422 else {403, 422}), answer


def test_pods_are_not_given_to_another_account_later(her: Stage) -> None:
    made = her.create(f"{NS}/{WHERE}/pods", pod(serviceAccountName="worker"))
    path = f"{NS}/{WHERE}/pods/{made['metadata']['name']}"
    changed = her.ask("PATCH", path, {"spec": {"serviceAccountName": "other"}}, ALICE, Content_Type=MERGE)
    assert changed.code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{NS}/kube-system/serviceaccounts/worker/token", {"spec": {}}),
        ("POST", f"{NS}/kube-system/pods", pod(serviceAccountName="worker")),
        ("POST", f"{NS}/{WHERE}/pods/x/exec?command=sh", None),
        ("GET", f"{NS}/{WHERE}/pods/x/log", None),
        ("POST", f"{NS}/{WHERE}/pods/x/binding", {"target": {"name": "n1"}}),
        ("PUT", f"{NS}/{WHERE}/pods/x/ephemeralcontainers", pod()),
        ("PUT", f"{NS}/{WHERE}/pods/x/status", pod()),
        ("POST", f"{NS}/{WHERE}/serviceaccounts", {"metadata": {"name": "x"}}),
        ("GET", f"{NS}/{WHERE}/secrets", None),
        ("GET", "/api/v1/configmaps", None),
        ("POST", NS, {"metadata": {"name": "x"}}),
        ("POST", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", {"metadata": {"name": "x"}}),
        ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"metadata": {"name": "x"}}),
        ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", {"metadata": {"name": "x"}}),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}}),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {"user": "admin"}}),
        ("GET", "/metrics", None),
        ("GET", "/debug/pprof/profile", None),
        ("GET", "/logs/", None),
    ],
)  # fmt: skip
def test_what_she_was_not_given(her: Stage, method: str, path: str, body: Any) -> None:
    assert her.ask(method, path, body, ALICE).code == 403


def test_headers_of_front_proxies_mean_nothing(her: Stage) -> None:
    spoof = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters", "X-Forwarded-For": "127.0.0.1"}
    for token in (ALICE, None):
        answer = her.ask("GET", f"{NS}/default/secrets", token=token, **spoof)
        assert answer.code == 403
        assert '"alice"' in answer.message if token else '"system:anonymous"' in answer.message
