"""Streams of pods through kr8s and lightkube: `tests/e2e/test_connect.py` runs this on its cluster, and says which pods
there are. See `programs`.
"""

from __future__ import annotations

import asyncio
import urllib.request
from typing import Any

import kr8s
import pytest
from kr8s.asyncio import api as make_async_api
from kr8s.asyncio.objects import Pod as AsyncPod
from kr8s.objects import Pod, Service
from lightkube import ApiError, Client
from lightkube.config.kubeconfig import KubeConfig

from tests.clients import programs
from tests.support.kvstore_cluster import free_ports

LINES = ["begin", "line 1", "line 2", "line 3"]


def _pod(kubeconfig: str, name: str) -> Any:
    return Pod.get(name, namespace="default", api=kr8s.api(kubeconfig=kubeconfig))


def check_exec_with_kr8s(kubeconfig: str) -> None:
    pod = _pod(kubeconfig, "sh")
    done = pod.exec(["sh", "-c", "echo $COLOUR; echo no >&2; exit 3"], container="main", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"blue\n", b"no\n")


def check_port_forward_with_kr8s(kubeconfig: str) -> None:
    api = kr8s.api(kubeconfig=kubeconfig)
    for what, port in (
        (_pod(kubeconfig, "echo"), 8080),
        (Service.get("web", namespace="default", api=api), 9000),
    ):
        with (
            what.portforward(
                port, local_port=free_ports(1)[0]
            ) as local,  # "auto" may be taken when it is bound
            urllib.request.urlopen(f"http://127.0.0.1:{local}/x", timeout=10) as answer,
        ):
            assert b"/x" in answer.read()


def check_logs_with_kr8s(kubeconfig: str) -> None:
    pod = _pod(kubeconfig, "sh")
    assert list(pod.logs(container="main")) == LINES
    assert list(pod.logs(container="main", tail_lines=1)) == LINES[-1:]
    assert pod.ready()


def check_logs_that_are_followed_with_kr8s(kubeconfig: str) -> None:
    async def body() -> list[str]:
        api = await make_async_api(kubeconfig=kubeconfig)
        pod = await AsyncPod.get("sh", namespace="default", api=api)
        found = []
        async for line in pod.logs(container="main", follow=True):
            found.append(line)
            if len(found) == len(LINES):
                return found
        return found

    assert asyncio.run(asyncio.wait_for(body(), 20)) == LINES


def check_lightkube(kubeconfig: str) -> None:
    with Client(config=KubeConfig.from_file(kubeconfig)) as k:
        assert [line.strip() for line in k.log("sh", container="main")] == LINES
        assert [line.strip() for line in k.log("sh", container="main", tail_lines=2)] == LINES[-2:]
        followed = k.log("sh", container="main", follow=True)
        assert next(followed).strip() == "begin"
        done = k.exec("sh", container="main", command=["sh", "-c", "cat; exit 5"], stdin="in\n", stdout=True)
        assert (done.exit_code, done.stdout) == (5, "in\n")
        with pytest.raises(ApiError, match="container none is not valid"):
            list(k.log("sh", container="none"))


if __name__ == "__main__":
    programs.main(globals())
