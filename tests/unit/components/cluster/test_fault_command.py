"""`kuberaft fault`: how words become a fault, and the three commands against an API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.cluster.cli import app
from components.cluster.errors import ClusterError
from tests.clients.here import Here, here

SPECS = [
    (
        ["429", "--retry-after", "2", "--verb", "create", "--resource", "pods", "--first", "3"],
        {
            "action": {"type": "error", "code": 429, "retryAfter": 2, "afterEffect": False},
            "match": {"verbs": ["create"], "resources": ["pods"]},
            "share": {"first": 3},
        },
    ),
    (
        ["drop", "--after-effect", "--resource", "deployments.apps/status", "--user", "a", "--user", "b"],
        {
            "action": {"type": "drop", "afterEffect": True},
            "match": {"users": ["a", "b"], "resources": ["deployments/status"], "apiGroups": ["apps"]},
        },
    ),
    (
        ["watch-rewind", "--events", "3", "--after-events", "5", "--namespace", "n", "--name", "x"],
        {
            "action": {"type": "watchRewind", "events": 3, "afterEvents": 5},
            "match": {"namespaces": ["n"], "names": ["x"]},
        },
    ),
    (
        ["watch-stop", "--abrupt", "--probability", "0.5", "--seed", "7"],
        {
            "action": {"type": "watchStop", "afterEvents": 0, "abrupt": True},
            "share": {"probability": 0.5, "seed": 7},
        },
    ),
    (
        ["delay", "--seconds", "0.5", "--every", "2"],
        {"action": {"type": "delay", "seconds": 0.5}, "share": {"every": 2}},
    ),
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with here(tmp_path_factory.mktemp("api"), enable_fault_injection=True) as found:
        yield found


def run(api: Here, *words: str) -> str:
    """What is printed. Raises ClusterError."""
    command = ["fault", *words, "--kubeconfig", str(api.kubeconfig)]
    done = CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize(("words", "spec"), SPECS, ids=[words[0] for words, _ in SPECS])
def test_a_fault_as_it_is_asked_for(api: Here, words: list[str], spec: object) -> None:
    assert run(api, "add", *words, "--as", "mine") == "mine\n"
    (found,) = json.loads(run(api, "list", "-o", "json"))
    assert found["spec"] == spec
    assert run(api, "clear", "mine") == "mine cleared\n"


def test_the_table_and_clearing_all(api: Here) -> None:
    run(api, "add", "drop", "--as", "one", "--verb", "get", "--verb", "list", "--resource", "pods")
    run(api, "add", "410", "--as", "two", "--first", "2")
    head, *rows = run(api, "list").splitlines()
    assert head.split() == ["NAME", "ACTION", "MATCH", "SHARE", "MATCHED", "INJECTED"]
    assert [row.split() for row in rows] == [
        ["one", "drop", "verbs=get,list", "resources=pods", "all", "0", "0"],
        ["two", "error", "code=410", "*", "first=2", "0", "0"],
    ]
    assert run(api, "clear").splitlines() == ["one cleared", "two cleared"]
    assert len(run(api, "list").splitlines()) == 1


def test_mistakes_are_told(api: Here, tmp_path: Path) -> None:
    for words, text in (
        (["add", "explode"], "there is no fault 'explode'"),
        (["add", "delay"], "Object missing required field 'seconds'"),
        (["add", "429", "--verb", "post"], "spec.match.verbs[0]: Invalid enum value 'post'"),
        (["clear", "none"], 'faults.kuberaft.io "none" not found'),
    ):
        with pytest.raises(ClusterError) as refused:
            run(api, *words)
        assert text in str(refused.value)
    command = ["fault", "list", "--dir", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, ClusterError)
    assert "start the cluster first: kuberaft up" in str(done.exception)
