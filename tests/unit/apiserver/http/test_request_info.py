"""Request info against the table of the original's requestinfo_test.go."""

from __future__ import annotations

import pytest

from apiserver.http.request_info import parse


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/namespaces", {}, ("list", "", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/other", {}, ("get", "", "other", "namespaces", "", "other")),
        ("GET", "/api/v1/namespaces/other/pods", {}, ("list", "", "other", "pods", "", "")),
        ("GET", "/api/v1/namespaces/other/pods/foo", {}, ("get", "", "other", "pods", "", "foo")),
        ("GET", "/api/v1/namespaces/other/pods/foo/log", {}, ("get", "", "other", "pods", "log", "foo")),
        ("HEAD", "/api/v1/namespaces/other/pods/foo", {}, ("get", "", "other", "pods", "", "foo")),
        ("GET", "/api/v1/pods", {}, ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"watch": "true"}, ("watch", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"watch": "false"}, ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"watch": "0"}, ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"watch": ""}, ("watch", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"fieldSelector": "metadata.name=foo"}, ("list", "", "", "pods", "", "foo")),
        ("GET", "/api/v1/pods", {"fieldSelector": "metadata.name!=foo"}, ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"fieldSelector": "metadata.name=a/b"}, ("list", "", "", "pods", "", "")),
        ("GET", "/api/v1/pods", {"fieldSelector": "odd"}, ("list", "", "", "pods", "", "")),
        ("DELETE", "/api/v1/namespaces/o/pods", {"fieldSelector": "metadata.name=foo"}, ("deletecollection", "", "o", "pods", "", "")),  # noqa: E501
        ("GET", "/api/v1/watch/namespaces/other/pods", {}, ("watch", "", "other", "pods", "", "")),
        ("GET", "/api/v1/watch/namespaces/o/pods/x", {}, ("watch", "", "o", "pods", "", "x")),
        ("PUT", "/api/v1/namespaces/other/finalize", {}, ("update", "", "other", "namespaces", "finalize", "other")),
        ("PUT", "/api/v1/namespaces/other/status", {}, ("update", "", "other", "namespaces", "status", "other")),
        ("DELETE", "/api/v1/namespaces/other/pods", {}, ("deletecollection", "", "other", "pods", "", "")),
        ("DELETE", "/api/v1/namespaces/other/pods/foo", {}, ("delete", "", "other", "pods", "", "foo")),
        ("POST", "/api/v1/namespaces/other/pods", {}, ("create", "", "other", "pods", "", "")),
        ("PATCH", "/apis/apps/v1/namespaces/o/deployments/d/scale", {}, ("patch", "apps", "o", "deployments", "scale", "d")),  # noqa: E501
        ("GET", "/apis/node.k8s.io/v1/things/a%20b", {}, ("get", "node.k8s.io", "", "things", "", "a b")),
    ],
)  # fmt: skip
def test_resource_requests(method: str, path: str, query: dict[str, str], expected: tuple[str, ...]) -> None:
    info = parse(method, path, query)
    assert info.is_resource
    got = (info.verb, info.group, info.namespace, info.resource, info.subresource, info.name)
    assert got == expected
    assert info.is_watch == (expected[0] == "watch")


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/x/y/z/w"]
)
def test_non_resource_requests(path: str) -> None:
    info = parse("GET", path, {})
    assert not info.is_resource
    assert info.verb == "get"
