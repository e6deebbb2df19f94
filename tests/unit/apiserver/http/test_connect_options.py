"""What pods/exec, attach, portforward and log take from a request and a pod."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from apiserver.api.errors import StatusError
from apiserver.http.subresources import connect_options, log_options


def pod(*names: str, init: tuple[str, ...] = (), node: str = "n1") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": n} for n in names], "nodeName": node}
    spec["initContainers"] = [{"name": n} for n in init]
    return {"metadata": {"name": "p"}, "spec": spec}


def query(text: str) -> MultiDict[str]:
    return MultiDict(part.partition("=")[::2] for part in text.split("&") if part)


def test_the_container_that_is_meant() -> None:
    assert connect_options.container(pod("a"), "") == "a"
    assert connect_options.container(pod("a", "b", init=("i",)), "i") == "i"
    for found, asked, text in (
        (
            pod("a", "b", init=("i",)),
            "",
            "a container name must be specified for pod p, choose one of: [i a b]",
        ),
        (pod(), "", "a container name must be specified for pod p"),
        (pod("a"), "x", "container x is not valid for pod p"),
    ):
        with pytest.raises(StatusError) as caught:
            connect_options.container(found, asked)
        assert (caught.value.code, caught.value.message) == (400, text)


def test_a_pod_without_a_node() -> None:
    assert connect_options.node(pod("a")) == "n1"
    with pytest.raises(StatusError, match="pod p does not have a host assigned"):
        connect_options.node(pod("a", node=""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("command=ls&command=-l&stdout=true", "command=ls&command=-l&output=1"),
        ("stdin=TRUE&stdout=1&stderr=&tty=yes", "error=1&input=1&output=1&tty=1"),
        ("stdin=false&stdout=0&stderr=False&tty=FALSE", ""),
    ],
)
def test_what_the_kubelet_is_asked(text: str, expected: str) -> None:
    assert connect_options.exec_query(query(text)) == expected


def test_ports() -> None:
    assert connect_options.port_forward_query(query("ports=80,443&ports=9")) == "port=80%2C443%2C9"
    assert connect_options.port_forward_query(query("")) == ""
    for text, why in (("x", "invalid syntax"), ("70000", "value out of range"), ("", "invalid syntax")):
        with pytest.raises(StatusError) as caught:
            connect_options.port_forward_query(query(f"ports={text}"))
        expected = f'cannot convert to []int32: strconv.ParseUint: parsing "{text}": {why}'
        assert (caught.value.code, caught.value.message) == (400, expected)


def test_log_parameters() -> None:
    found = log_options.kubelet_query(
        query("follow=true&previous=false&tailLines=5&sinceTime=2026-01-02T03:04:05Z&container=c"), "p"
    )
    assert found == {"follow": "true", "tailLines": "5", "sinceTime": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            "sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z",
            422,
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ("sinceTime=x", 400, 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
    ],
)
def test_log_parameters_that_make_no_sense(text: str, code: int, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        log_options.kubelet_query(query(text), "p")
    assert caught.value.code == code
    assert message in caught.value.message
