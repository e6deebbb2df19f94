"""The walkthrough of the README on one real cluster; each test continues from the one before."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.manifests import WEB, pod
from tests.support.local_cluster import LocalCluster, eventually, is_running
from tests.support.traffic import Traffic, ask

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

Object = dict[str, Any]


def web_pods(cluster: LocalCluster) -> list[Object]:
    """The living pods of the application."""
    pods: list[Object] = cluster.get("pods", "-l", "app=web")["items"]
    return [p for p in pods if "deletionTimestamp" not in p["metadata"]]


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def two_ready(cluster: LocalCluster, but_not: str = "") -> list[Object] | None:
    pods = web_pods(cluster)
    names = [p["metadata"]["name"] for p in pods]
    return pods if len(pods) == 2 and all(map(is_ready, pods)) and but_not not in names else None


def service_url(cluster: LocalCluster) -> str:
    return f"http://{cluster.get('service', 'web')['spec']['clusterIP']}:8080/"


def test_01_nodes_are_ready(cluster: LocalCluster) -> None:
    status = cluster.status()
    assert len(status["members"]) == 3
    assert sum(member["leader"] for member in status["members"]) == 1
    lines = cluster.kubectl("get", "nodes", "--no-headers").splitlines()
    assert len(lines) == 2
    assert all(line.split()[1] == "Ready" for line in lines)


def test_02_deployment_runs_and_service_reaches_both_pods(cluster: LocalCluster) -> None:
    cluster.apply(WEB)
    assert "successfully rolled out" in cluster.kubectl(
        "rollout", "status", "deployment/web", "--timeout=30s"
    )
    names = {p["metadata"]["name"] for p in web_pods(cluster)}
    assert len(names) == 2
    url = service_url(cluster)

    def reached() -> set[str]:
        try:
            return {ask(url)["pod"] for _ in range(10)}
        except OSError:
            return set()

    eventually(lambda: reached() == names, "requests to the cluster IP reach both pods")


def test_03_big_pods_go_where_there_is_room_or_wait_and_say_why(cluster: LocalCluster) -> None:
    cluster.apply(pod("fits", cpu="500m", memory="64Mi"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/fits", "--timeout=20s")
    cluster.apply(pod("too-big", cpu="1000", memory="2Gi"))
    eventually(
        lambda: (
            "0/2 nodes are available: 2 Insufficient cpu." in cluster.kubectl("describe", "pod", "too-big")
        ),
        "the reason why the pod is Pending",
    )
    assert cluster.get("pod", "too-big")["status"]["phase"] == "Pending"
    cluster.kubectl("delete", "pod", "fits", "too-big", "--grace-period=1")


def test_04_a_deleted_pod_is_replaced(cluster: LocalCluster) -> None:
    victim = web_pods(cluster)[0]["metadata"]["name"]
    cluster.kubectl("delete", "pod", victim, "--wait=false")
    eventually(lambda: two_ready(cluster, but_not=victim), "two ready pods again")


def test_05_a_killed_container_is_restarted_in_its_pod(cluster: LocalCluster) -> None:
    victim = web_pods(cluster)[0]["metadata"]["name"]
    process = container_process(victim)
    os.kill(process, signal.SIGKILL)

    def restarted() -> bool:
        status = cluster.get("pod", victim)["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    eventually(restarted, "the container runs again")


def container_process(pod_name: str) -> int:
    """The pid of the echo server whose HOSTNAME is the pod's."""
    marker = f"HOSTNAME={pod_name}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if marker in environment and b"echo" in command:
            return int(folder.name)
    raise AssertionError(f"no process of pod {pod_name}")


def test_06_rolling_update_without_a_failed_request(cluster: LocalCluster) -> None:
    eventually(lambda: two_ready(cluster), "two ready pods")
    with Traffic(service_url(cluster)) as traffic:
        cluster.kubectl("set", "image", "deployment/web", "echo=kuberaft/echo:v2")
        cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s", seconds=70)
        eventually(lambda: ask(service_url(cluster))["version"] == "v2", "the new version answers")
        eventually(lambda: len(cluster.get("pods", "-l", "app=web")["items"]) == 2, "old pods are gone")
    assert traffic.errors == []
    assert len(set(traffic.pods)) >= 3  # old and new ones answered
    history = cluster.kubectl("rollout", "history", "deployment/web")
    assert history.split()[-4:] == ["1", "<none>", "2", "<none>"]


def test_07_the_leader_dies_and_work_goes_on(cluster: LocalCluster) -> None:
    leader = next(m["name"] for m in cluster.status()["members"] if m["leader"])
    with Traffic(service_url(cluster)) as traffic:
        cluster.kuberaft("kill", "leader")
        eventually(
            lambda: cluster.run_kubectl("scale", "deployment/web", "--replicas=3").returncode == 0,
            "writes are accepted again",
            seconds=10,
        )
        eventually(
            lambda: cluster.get("deployment", "web")["status"].get("readyReplicas") == 3,
            "controllers and scheduler work again",
        )
    assert traffic.errors == []
    eventually(lambda: new_leader(cluster) not in (None, leader), "another member leads")
    cluster.kuberaft("start", leader)
    cluster.kubectl("scale", "deployment/web", "--replicas=2")
    eventually(lambda: two_ready(cluster), "two ready pods")


def new_leader(cluster: LocalCluster) -> str | None:
    return next((m["name"] for m in cluster.status()["members"] if m["leader"]), None)


def test_08_a_worker_dies_and_its_pods_move(cluster: LocalCluster) -> None:
    victim = web_pods(cluster)[0]["spec"]["nodeName"]
    cluster.kuberaft("kill", victim)
    eventually(
        lambda: cluster.kubectl("get", "node", victim, "--no-headers").split()[1] == "NotReady",
        "the node is NotReady",
        seconds=40,
    )

    def moved() -> bool:
        pods = two_ready(cluster)
        return pods is not None and all(p["spec"]["nodeName"] != victim for p in pods)

    eventually(moved, "both pods run on the other node", seconds=60)
    cluster.kuberaft("start", victim)
    cluster.kubectl("wait", "--for=condition=Ready", f"node/{victim}", "--timeout=30s")


def test_09_backup_deletion_restore(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.kubectl("create", "configmap", "precious", "--from-literal=a=1")
    backup = tmp_path / "cluster.backup"
    cluster.kuberaft("backup", str(backup))
    assert "revision" in cluster.run_kuberaft("backup", "verify", str(backup)).stdout
    cluster.kubectl("delete", "configmap/precious", "deployment/web")
    cluster.kubectl("create", "configmap", "later", "--from-literal=b=2")
    cluster.kuberaft("down")
    cluster.kuberaft("restore", str(backup))
    cluster.up()
    assert cluster.get("configmap", "precious")["data"] == {"a": "1"}
    assert cluster.run_kubectl("get", "configmap", "later").returncode == 1
    eventually(lambda: two_ready(cluster), "the application runs again", seconds=60)


def test_10_down_leaves_nothing(cluster: LocalCluster) -> None:
    status = cluster.status()
    pids = [status["supervisor"]["pid"], *cluster.process_ids().values()]
    containers = [container_process(p["metadata"]["name"]) for p in web_pods(cluster)]
    cluster.kuberaft("down")
    logs = "".join(log.read_text() for log in (cluster.dir / "logs").iterdir())
    assert "SIGKILL" not in logs.rpartition("supervisor: stopping")[2], "all ended by themselves"
    cluster.kuberaft("down", "--purge")
    assert [pid for pid in (*pids, *containers) if is_running(pid)] == []
    assert not cluster.dir.exists() or not any(cluster.dir.iterdir())
