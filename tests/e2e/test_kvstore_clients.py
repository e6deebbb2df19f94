"""Clients made for etcd, unmodified: etcdctl (plain, with TLS, with users), etcd3gw over JSON, aetcd over gRPC."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.kvstore_cluster import KVSTORE, Cluster
from tests.support.local_cluster import LocalCluster, eventually
from tests.support.pki import Pki
from tests.support.tools import require_tool

pytestmark = pytest.mark.e2e
SECONDS = 30.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(KVSTORE, tmp_path_factory.mktemp("store"), flags=("--unsafe-no-fsync",)) as cluster:
        yield cluster


def run(command: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ETCDCTL_API": "3"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


@pytest.mark.parametrize("client", ["gw", "aio"])
def test_a_python_client_with_its_helpers(store: Cluster, client: str) -> None:
    """Against a member that is not the first, so probably not the leader."""
    host, port = store.endpoints[-1].split(":")
    done = run([sys.executable, "-m", f"tests.support.clients.{client}", host, port], check=False)
    assert done.stdout == "ok\n", done.stderr


class Etcdctl:
    def __init__(self, endpoints: str, *flags: str) -> None:
        self.command = [require_tool("etcdctl"), "--endpoints", endpoints, *flags]

    def __call__(self, *arguments: str) -> str:
        return run([*self.command, *arguments]).stdout

    def refused(self, *arguments: str) -> str:
        done = run([*self.command, "--command-timeout=1s", "--dial-timeout=1s", *arguments], check=False)
        assert done.returncode != 0
        return done.stderr

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "ETCDCTL_API": "3"}
        return subprocess.Popen(
            [*self.command, *arguments], stdout=subprocess.PIPE, text=True, env=environment
        )


def test_etcdctl(store: Cluster) -> None:
    etcdctl = Etcdctl(",".join(store.endpoints))
    assert etcdctl("put", "ctl/a", "1") == "OK\n"
    assert etcdctl("get", "ctl/a", "--print-value-only") == "1\n"
    assert etcdctl("del", "ctl/a") == "1\n"
    assert len(etcdctl("member", "list").splitlines()) == 3
    assert etcdctl("lease", "grant", "60").endswith("granted with TTL(60s)\n")
    watch = etcdctl.start("watch", "ctl/w")
    holder = etcdctl.start("lock", "ctl/lock")
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("ctl/lock/")
        waiting = etcdctl.start("lock", "ctl/lock", "echo", "mine")
        assert watch.stdout is not None
        time.sleep(0.3)
        etcdctl("put", "ctl/w", "2")
        assert [watch.stdout.readline() for _ in range(3)] == ["PUT\n", "ctl/w\n", "2\n"]
        assert waiting.poll() is None
        holder.send_signal(signal.SIGINT)
        assert waiting.communicate(timeout=10)[0] == "mine\n"
    finally:
        for process in (watch, holder):
            process.kill()
            process.communicate()


def test_one_member_goes_on_alone_when_the_others_are_lost(tmp_path: Path) -> None:
    cluster = Cluster(KVSTORE, tmp_path, flags=("--unsafe-no-fsync",))
    with cluster:
        Etcdctl(",".join(cluster.endpoints))("put", "kept", "yes")
    cluster.flags += ("--force-new-cluster",)
    etcdctl = Etcdctl(cluster.endpoints[0])
    try:
        cluster.start(0)
        cluster.wait_ready()
        assert etcdctl("get", "kept", "--print-value-only") == "yes\n"
        assert etcdctl("put", "more", "too") == "OK\n"
        assert len(etcdctl("member", "list").splitlines()) == 1
    finally:
        cluster.stop()


TOPOLOGY = """\
name: open-store
masters: {count: 1, apiPort: 0}
workers: {count: 0}
store: {clientPort: true}
"""


def test_etcdctl_on_a_cluster_that_opens_its_store(tmp_path: Path) -> None:
    local = LocalCluster(tmp_path / "cluster")
    try:
        local.up(TOPOLOGY)
        pki = local.dir / "pki" / "store"
        address = yaml.safe_load((local.dir / "config" / "m1.yaml").read_text())["store"]["clientAddress"]
        flags = (
            f"--cacert={pki / 'ca.crt'}",
            f"--cert={pki / 'etcdctl.crt'}",
            f"--key={pki / 'etcdctl.key'}",
        )
        etcdctl = Etcdctl(f"https://{address}", *flags)
        keys = etcdctl("get", "/registry/namespaces/", "--prefix", "--keys-only")
        assert "/registry/namespaces/kube-system" in keys
        assert f"https://{address}" in etcdctl("member", "list")
        assert Etcdctl(f"https://{address}", flags[0]).refused("get", "a")
    finally:
        local.close()


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "pki")


@pytest.fixture
def secure(tmp_path: Path, pki: Pki) -> Iterator[tuple[Cluster, Etcdctl]]:
    """One member that asks its clients for certificates, and etcdctl with root's."""
    cluster = Cluster(KVSTORE, tmp_path, size=1)
    url = f"https://{cluster.endpoints[0]}"
    server = pki.issue("server")
    cluster.flags = (
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--cert-file={server.cert}",
        f"--key-file={server.key}",
        f"--trusted-ca-file={pki.ca}",
        "--client-cert-auth",
        "--unsafe-no-fsync",
    )
    try:
        cluster.start(0)
        etcdctl = Etcdctl(url, *pki.flags("root"))
        eventually(lambda: run([*etcdctl.command, "put", "tls", "yes"], check=False).stdout, "a put over TLS")
        yield cluster, etcdctl
    finally:
        cluster.stop()


def test_etcdctl_with_tls_and_certificates_that_change(secure: tuple[Cluster, Etcdctl], pki: Pki) -> None:
    cluster, etcdctl = secure
    url = f"https://{cluster.endpoints[0]}"
    assert etcdctl("get", "tls", "--print-value-only") == "yes\n"
    assert Etcdctl(url, f"--cacert={pki.ca}").refused("get", "tls")
    assert Etcdctl(f"http://{cluster.endpoints[0]}").refused("get", "tls")
    other = Pki(pki.directory / "other")
    assert Etcdctl(url, f"--cacert={pki.ca}", *other.flags("root")[1:]).refused("get", "tls")

    before = Etcdctl(url, *pki.flags("before"))
    assert before("get", "tls", "--print-value-only") == "yes\n"
    watch = etcdctl.start("watch", "tls")
    try:
        time.sleep(0.3)
        pki.replace_authority()
        pki.issue("server")
        renewed = Etcdctl(url, *pki.flags("root"))
        eventually(
            lambda: run([*renewed.command, "get", "tls"], check=False).stdout, "new certificates in use"
        )
        assert before.refused("get", "tls")
        renewed("put", "tls", "again")
        assert watch.stdout is not None
        assert [watch.stdout.readline() for _ in range(3)] == ["PUT\n", "tls\n", "again\n"]
    finally:
        watch.kill()
        watch.communicate()


def test_etcdctl_with_users_by_password_and_by_certificate(secure: tuple[Cluster, Etcdctl], pki: Pki) -> None:
    cluster, root = secure
    url = f"https://{cluster.endpoints[0]}"
    root("user", "add", "root:secret")
    root("user", "add", "alice:wonder")
    root("role", "add", "reader")
    root("role", "grant-permission", "reader", "read", "tls")
    root("user", "grant-role", "alice", "reader")
    root("user", "grant-role", "root", "root")
    root("auth", "enable")
    assert root("get", "tls", "--print-value-only") == "yes\n"  # by the name in its certificate

    alice = Etcdctl(url, *pki.flags("alice"))
    assert alice("get", "tls", "--print-value-only") == "yes\n"
    assert "permission denied" in alice.refused("put", "tls", "no")
    nobody = Etcdctl(url, *pki.flags("nobody"))
    assert "permission denied" in nobody.refused("get", "tls") or "user name is empty" in nobody.refused(
        "get", "tls"
    )
    by_password = Etcdctl(url, *pki.flags("nobody"), "--user=alice:wonder")
    assert by_password("get", "tls", "--print-value-only") == "yes\n"
    assert "authentication failed" in Etcdctl(url, *pki.flags("nobody"), "--user=alice:x").refused(
        "get", "tls"
    )
    assert root("auth", "disable") == "Authentication Disabled\n"
