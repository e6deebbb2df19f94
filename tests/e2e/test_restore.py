"""A whole cluster from one file: everything else is deleted first; each test continues from the one before."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.client.resources import CONFIG_MAPS
from tests.e2e.manifests import WEB
from tests.support.follower import Follower
from tests.support.local_cluster import LocalCluster, eventually
from tests.support.traffic import ask

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

KEPT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\ndata: {state: %s}\n"
LATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late}\n"


class Saved(NamedTuple):
    """What was so when the backup was taken."""

    cluster: LocalCluster
    backup: Path
    port: int
    table: list[list[str]]
    objects: dict[str, Any]
    config_maps: dict[str, str]
    follower: Follower


class Seen(NamedTuple):
    """The highest resourceVersion that anybody has seen before the restore."""

    version: int


@pytest.fixture(scope="module")
def saved(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    """A cluster with an application, its backup, and a client that follows its ConfigMaps."""
    cluster.apply(WEB + "---\n" + KEPT % "saved")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    eventually(lambda: endpoints(cluster) == 2, "both pods are endpoints")
    file = tmp_path_factory.mktemp("backup") / "cluster.backup"
    follower = Follower(cluster.kubeconfig, CONFIG_MAPS)
    try:
        eventually(follower.content, "the informer has listed")
        cluster.kuberaft("backup", str(file))
        assert "good" in cluster.run_kuberaft("backup", "verify", str(file)).stdout
        port = int(cluster.status()["server"].rpartition(":")[2])
        yield Saved(cluster, file, port, table(cluster), objects(cluster), versions(cluster), follower)
    finally:
        follower.close()


def endpoints(cluster: LocalCluster) -> int:
    slices = cluster.get("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
    return sum(bool(e["conditions"].get("ready")) for s in slices for e in s.get("endpoints") or ())


def table(cluster: LocalCluster) -> list[list[str]]:
    """`kubectl get all -A` without ages and restarts."""
    rows: list[list[str]] = []
    drop: set[int] = set()
    for line in cluster.kubectl("get", "all", "-A").splitlines():
        cells = re.split(r" {2,}", line.strip())
        if cells[0] == "NAMESPACE":
            drop = {at for at, name in enumerate(cells) if name in ("AGE", "RESTARTS")}
        rows.append([cell for at, cell in enumerate(cells) if at not in drop])
    return rows


def objects(cluster: LocalCluster) -> dict[str, Any]:
    """Identity and desired state of everything that `get all -A` shows."""
    return {
        f"{o['kind']}/{o['metadata']['name']}": (o["metadata"]["uid"], o["spec"])
        for o in cluster.get("all", "-A")["items"]
    }


def versions(cluster: LocalCluster) -> dict[str, str]:
    items = cluster.get("configmaps")["items"]
    return {o["metadata"]["name"]: o["metadata"]["resourceVersion"] for o in items}


def list_version(cluster: LocalCluster) -> int:
    answer = json.loads(cluster.kubectl("get", "--raw", "/api/v1/namespaces/default/configmaps"))
    return int(answer["metadata"]["resourceVersion"])


def serves(cluster: LocalCluster) -> bool:
    url = f"http://{cluster.get('service', 'web')['spec']['clusterIP']}:8080/"
    try:
        return {ask(url)["pod"] for _ in range(8)} == {
            p["metadata"]["name"] for p in cluster.get("pods", "-l", "app=web")["items"]
        }
    except OSError:
        return False


@pytest.fixture(scope="module")
def seen(saved: Saved) -> Seen:
    """After the backup: the application goes, an object comes, another changes. Then all files go."""
    cluster = saved.cluster
    cluster.apply(LATE + "---\n" + KEPT % "changed")
    cluster.kubectl("delete", "deployment,service", "web")
    now = versions(cluster)
    assert now.keys() == saved.config_maps.keys() | {"late"}
    assert now["kept"] != saved.config_maps["kept"]
    eventually(lambda: saved.follower.content() == now, "the informer has seen the changes")
    told = json.loads(cluster.kuberaft("restore", str(saved.backup), "--preview", "-o", "json"))
    changes = {(change["kind"], change["resource"], change["name"]) for change in told["changes"]}
    assert ("return", "deployments", "default/web") in changes
    assert ("vanish", "configmaps", "default/late") in changes
    assert ("change", "configmaps", "default/kept") in changes
    highest = list_version(cluster)
    cluster.close()
    shutil.rmtree(cluster.dir)
    return Seen(max(highest, saved.follower.last_version))


def test_01_the_state_is_as_it_was(saved: Saved, seen: Seen) -> None:
    cluster = saved.cluster
    cluster.kuberaft("restore", str(saved.backup), "--api-port", str(saved.port))
    cluster.kuberaft("up", "--detach")
    assert objects(cluster) == saved.objects
    eventually(lambda: table(cluster) == saved.table, "kubectl get all -A is as it was")
    eventually(lambda: serves(cluster), "both pods run and answer")


def test_02_nobody_mistakes_the_past_for_the_present(saved: Saved, seen: Seen) -> None:
    cluster = saved.cluster
    assert list_version(cluster) > seen.version
    assert versions(cluster) == saved.config_maps
    cluster.apply(LATE)
    assert int(versions(cluster)["late"]) > seen.version
    for version in (1, int(saved.config_maps["kept"]), seen.version):
        path = f"/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1&resourceVersion={version}"
        event = json.loads(cluster.kubectl("get", "--raw", path))
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410), event


def test_03_an_informer_that_had_seen_more_lists_again(saved: Saved, seen: Seen) -> None:
    assert saved.follower.running
    eventually(
        lambda: saved.follower.content() == versions(saved.cluster), "the informer holds the restored state"
    )
    assert saved.follower.last_version > seen.version
    saved.cluster.kubectl("delete", "configmap", "late")
    eventually(lambda: "late" not in saved.follower.content(), "the informer goes on from there")


def test_04_a_slot_in_use_is_refused_and_nothing_is_made(saved: Saved, seen: Seen, tmp_path: Path) -> None:
    other = LocalCluster(tmp_path / "other")
    result = other.run_kuberaft("restore", str(saved.backup))
    assert result.returncode == 1
    assert "taken by another cluster" in result.stderr
    assert "kuberaft down" in result.stderr
    assert not other.dir.exists()


def test_05_elsewhere_and_on_another_port(saved: Saved, seen: Seen, tmp_path: Path) -> None:
    saved.cluster.kuberaft("down", "--purge")
    assert not saved.cluster.dir.exists()
    other = LocalCluster(tmp_path / "other")
    try:
        other.kuberaft("restore", str(saved.backup), "--api-port", "0")
        other.kuberaft("up", "--detach", "--backup-dir", str(tmp_path / "backups"))
        assert int(other.status()["server"].rpartition(":")[2]) != saved.port
        assert objects(other) == saved.objects
        eventually(lambda: table(other) == saved.table, "kubectl get all -A is as it was")
        eventually(lambda: serves(other), "both pods run and answer")
        done = eventually(lambda: other.status()["backups"]["last"], "the first scheduled backup")
        assert re.search(rf"{done} .* yes ", other.kuberaft("backup", "list"))
        eventually(
            lambda: "kuberaft_backup_successes_total 1.0" in other.kubectl("get", "--raw", "/metrics"),
            "a master shows how the backups go",
        )
    finally:
        other.close()
