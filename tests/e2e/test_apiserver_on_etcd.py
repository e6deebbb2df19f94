"""An API server whose store is elsewhere: three members of ours, or the real etcd, one of which dies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.kvstore_cluster import KVSTORE, Cluster
from tests.support.local_cluster import eventually
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@contextmanager
def api_server(directory: Path, endpoints: list[str]) -> Iterator[str]:
    """Its URL; the token is "secret"."""
    log, tokens = directory / "apiserver.log", directory / "tokens.csv"
    tokens.write_text("secret,admin,admin,system:masters\n")
    command = [sys.executable, "-m", "apiserver", "--bind-address=127.0.0.1", "--secure-port=0"]
    servers = ",".join(f"http://{endpoint}" for endpoint in endpoints)
    flags = [f"--cert-dir={directory}", f"--etcd-servers={servers}", f"--token-auth-file={tokens}"]
    with log.open("w") as output:
        process = subprocess.Popen([*command, *flags], stdout=output, stderr=output)
    try:
        eventually(lambda: "serving on" in log.read_text(), "the API server serves", 60)
        yield re.findall(r"serving on (\S+)", log.read_text())[0]
    finally:
        process.terminate()
        process.wait(15)


class Kubectl:
    def __init__(self, server: str, cache: Path) -> None:
        flags = ["--insecure-skip-tls-verify", "--server", server, f"--cache-dir={cache}", "--token=secret"]
        self.command = [require_tool("kubectl"), *flags]

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module", params=["kvstore", "etcd"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    command = KVSTORE if request.param == "kvstore" else (require_tool("etcd"),)
    with Cluster(command, tmp_path_factory.mktemp(request.param)) as cluster:
        yield cluster


def test_objects_watches_and_the_death_of_an_endpoint(store: Cluster, tmp_path: Path) -> None:
    with api_server(tmp_path, store.endpoints) as url:
        kubectl = Kubectl(url, tmp_path / "cache")
        kubectl("create", "configmap", "before", "--from-literal=a=1")
        following = ["get", "configmaps", "--watch", "--no-headers", "-o", "name"]
        log = tmp_path / "watch.log"
        with log.open("w") as output:
            watching = subprocess.Popen([*kubectl.command, *following], stdout=output, stderr=output)
        try:
            eventually(lambda: "configmap/before" in log.read_text(), "the watch has begun", 20)
            store.kill(0)  # the endpoint in use
            eventually(
                lambda: (
                    subprocess.run(
                        [*kubectl.command, "create", "configmap", "after", "--from-literal=a=2"],
                        capture_output=True,
                        timeout=30,
                    ).returncode
                    == 0
                ),
                "writes go on at another endpoint",
                30,
            )
            eventually(lambda: "configmap/after" in log.read_text(), "the watch goes on", 20)
        finally:
            watching.kill()
            watching.wait()
        found = json.loads(kubectl("get", "configmaps", "-o", "json"))
        names = {item["metadata"]["name"] for item in found["items"]}
        assert {"before", "after"} <= names
        kubectl("delete", "configmap", "before")
        assert "before" not in kubectl("get", "configmaps")


def test_an_etcd_that_is_not_there_is_named(tmp_path: Path) -> None:
    flags = ["--secure-port=0", f"--cert-dir={tmp_path}", "--etcd-servers=127.0.0.1:1"]
    done = subprocess.run(
        [sys.executable, "-m", "apiserver", *flags], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "--etcd-servers 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
