"""What an AuthorizationConfiguration may say, in the original's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apiserver.auth.structured import authorizer_setup
from apiserver.auth.structured.authorizer_rules import validate, with_defaults
from apiserver.auth.structured.durations import seconds, shown
from apiserver.config_files.reading import ConfigFileError

Object = dict[str, Any]
GOOD: Object = {
    "timeout": "3s",
    "subjectAccessReviewVersion": "v1",
    "failurePolicy": "Deny",
    "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": "/good"},
}
AT = "authorizers[0]"


def webhook(**changes: Any) -> Object:
    return {"type": "Webhook", "name": "w", "webhook": {**GOOD, **changes}}


def conditions(*texts: str) -> Object:
    return {
        "matchConditionSubjectAccessReviewVersion": "v1",
        "matchConditions": [{"expression": text} for text in texts],
    }


FAULTS: list[tuple[list[Object], list[str]]] = [
    ([], ["authorizers: Required value: at least one authorization mode must be defined"]),
    ([{"name": "a"}], [f"{AT}.type: Required value"]),
    (
        [{"type": "ABAC", "name": "a"}],
        [
            f'{AT}.type: Unsupported value: "ABAC": supported values: "AlwaysAllow", "AlwaysDeny", '
            f'"Node", "RBAC", "Webhook"'
        ],
    ),
    (
        [{"type": "RBAC", "name": "rbac"}, {"type": "RBAC", "name": "b"}],
        ['authorizers[1].type: Duplicate value: "RBAC"'],
    ),
    ([{"type": "RBAC"}], [f"{AT}.name: Required value"]),
    (
        [{"type": "RBAC", "name": "a"}, {"type": "Node", "name": "a"}],
        ['authorizers[1].name: Duplicate value: "a"'],
    ),
    (
        [{"type": "RBAC", "name": "A"}],
        [
            f'{AT}.name: Invalid value: "A": authorizer name is invalid: a lowercase RFC 1123 subdomain '
            f"must consist of lower "
            "case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
            "'example.com', regex used for validation is "
            r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ],
    ),
    ([{"type": "Webhook", "name": "w"}], [f"{AT}.webhook: Required value: required when type=Webhook"]),
    (
        [{"type": "RBAC", "name": "rbac", "webhook": {}}],
        [f'{AT}.webhook: Invalid value: "non-null": may only be specified when type=Webhook'],
    ),
    ([webhook(timeout="0s")], [f"{AT}.timeout: Required value"]),
    ([webhook(timeout="61s")], [f'{AT}.timeout: Invalid value: "1m1s": must be > 0s and <= 30s']),
    ([webhook(authorizedTTL="-1s")], [f'{AT}.authorizedTTL: Invalid value: "-1s": must be > 0s']),
    ([webhook(unauthorizedTTL="-90m")], [f'{AT}.unauthorizedTTL: Invalid value: "-1h30m0s": must be > 0s']),
    ([webhook(subjectAccessReviewVersion="")], [f"{AT}.subjectAccessReviewVersion: Required value"]),
    (
        [webhook(subjectAccessReviewVersion="v2")],
        [f'{AT}.subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"'],
    ),
    (
        [webhook(matchConditions=[{"expression": "true"}])],
        [
            f"{AT}.matchConditionSubjectAccessReviewVersion: Required value: required if match conditions "
            f"are specified"
        ],
    ),
    (
        [webhook(matchConditionSubjectAccessReviewVersion="v1beta1")],
        [
            f'{AT}.matchConditionSubjectAccessReviewVersion: Unsupported value: "v1beta1": supported values: "v1"'
        ],
    ),
    ([webhook(failurePolicy="")], [f"{AT}.failurePolicy: Required value"]),
    (
        [webhook(failurePolicy="Allow")],
        [f'{AT}.failurePolicy: Unsupported value: "Allow": supported values: "Deny", "NoOpinion"'],
    ),
    ([webhook(connectionInfo={})], [f"{AT}.connectionInfo.type: Required value"]),
    (
        [webhook(connectionInfo={"type": "InClusterConfig", "kubeConfigFile": "/a"})],
        [
            f'{AT}.connectionInfo.kubeConfigFile: Invalid value: "/a": can only be set when type=KubeConfigFile'
        ],
    ),
    (
        [webhook(connectionInfo={"type": "KubeConfigFile"})],
        [f"{AT}.connectionInfo.kubeConfigFile: Required value"],
    ),
    (
        [webhook(connectionInfo={"type": "KubeConfigFile", "kubeConfigFile": "a"})],
        [f'{AT}.connectionInfo.kubeConfigFile: Invalid value: "a": must be an absolute path'],
    ),
    (
        [webhook(connectionInfo={"type": "KubeConfigFile", "kubeConfigFile": "/bad"})],
        [f'{AT}.connectionInfo.kubeConfigFile: Invalid value: "/bad": must be a regular file'],
    ),
    (
        [webhook(**conditions(" ", "true", "true", "request.user"))],
        [
            f"{AT}.matchConditions[0].expression: Required value",
            f'{AT}.matchConditions[2].expression: Duplicate value: "true"',
            f'{AT}.matchConditions[3].expression: Invalid value: "request.user": must evaluate to bool '
            f"but got string",
        ],
    ),
    (
        [webhook(**conditions("request.nosuch == 'a'"))],
        [
            f"{AT}.matchConditions[0].expression: Invalid value: \"request.nosuch == 'a'\": compilation "
            f"failed: ERROR: "
            "<input>:1:8: undefined field 'nosuch'\n | request.nosuch == 'a'\n | .......^"
        ],
    ),
    (
        [webhook(**conditions(*(f"{number} > 0" for number in range(65))))],
        [f"{AT}.matchConditions: Too many: 65: must have at most 64 items"],
    ),
]


@pytest.mark.parametrize(("authorizers", "texts"), FAULTS)
def test_faults(authorizers: list[Object], texts: list[str]) -> None:
    config = with_defaults({"authorizers": authorizers})
    found = validate(config, lambda path: "" if path == "/good" else "must be a regular file")
    assert [error.message() for error in found] == texts


def test_defaults() -> None:
    (item,) = with_defaults({"authorizers": [webhook(unauthorizedTTL="1s")]})["authorizers"]
    assert (item["webhook"]["authorizedTTL"], item["webhook"]["unauthorizedTTL"]) == ("5m", "1s")


@pytest.mark.parametrize(
    ("text", "span", "back"),
    [
        ("90s", 90, "1m30s"),
        ("1h", 3600, "1h0m0s"),
        ("0.5s", 0.5, "500ms"),
        ("-3s", -3, "-3s"),
        ("1.5s", 1.5, "1.5s"),
    ],
)
def test_durations(text: str, span: float, back: str) -> None:
    assert seconds(text) == span
    assert shown(span) == back


def document(*authorizers: Object) -> bytes:
    header = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    return json.dumps({**header, "authorizers": list(authorizers)}).encode()


@pytest.mark.parametrize(
    ("authorizers", "text"),
    [
        ([{"type": "RBAC", "name": "other"}], "expected name rbac for authorizer RBAC instead of other"),
        ([webhook(timeout="soon")], 'time: invalid duration "soon"'),
        ([webhook(retries=1)], 'strict decoding error: unknown field "authorizers[0].webhook.retries"'),
        ([webhook()], "error loading file: stat /good: no such file or directory"),
    ],
)
def test_contents_that_are_refused(authorizers: list[Object], text: str) -> None:
    with pytest.raises(ConfigFileError) as refused:
        authorizer_setup.load(document(*authorizers))
    assert text in str(refused.value)


def test_a_content_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").touch()
    info = {"type": "KubeConfigFile", "kubeConfigFile": str(tmp_path / "kubeconfig")}
    items = authorizer_setup.load(
        document(
            {"type": "Node", "name": "node"}, webhook(connectionInfo=info), {"type": "RBAC", "name": "rbac"}
        )
    )
    assert [item["name"] for item in items] == ["node", "w", "rbac"]
