"""A whole kubelet with real processes against the in-memory API server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from components.client.errors import ApiError
from components.client.resources import CONFIG_MAPS, EVENTS, LEASES, NODES, PODS
from components.client.testing import FakeApi
from components.kubelet.config import KubeletConfig
from components.kubelet.images.catalogue import Catalogue
from components.kubelet.kubelet import Kubelet
from components.kubelet.runtime.process.runtime import ProcessRuntime
from tests.unit.components.kubelet.builders import eventually

Object = dict[str, Any]


@contextlib.asynccontextmanager
async def kubelet(root: Path, api: FakeApi, *, clean: bool = True) -> AsyncIterator[Kubelet]:
    config = KubeletConfig(
        node_name="n1",
        node_ip="127.92.250.1",
        root_dir=root,
        kubeconfig=root / "unused",
        pod_cidr="127.92.1.0/24",
        labels={"disk": "ssd"},
    )
    runtime = ProcessRuntime(
        root / "runtime",
        pod_cidr=config.pod_cidr,
        node_ip=config.node_ip,
        catalogue=Catalogue.default(),
    )
    await runtime.start()
    agent = Kubelet(config, api, runtime)  # type: ignore[arg-type]
    task = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if clean:
            for sandbox in runtime.list_pod_sandboxes():
                await runtime.remove_pod_sandbox(sandbox.id)
        await runtime.close()


def pod(name: str, *containers: Object, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": "n1",
            "terminationGracePeriodSeconds": 3,
            "containers": list(containers),
            **spec,
        },
    }


def script(name: str, text: str, **more: Any) -> Object:
    return {"name": name, "image": "host", "command": ["sh", "-c", text], **more}


async def until(api: FakeApi, name: str, condition: Callable[[Object], Any], seconds: float = 15) -> Object:
    found: Object | None = None
    async with asyncio.timeout(seconds):
        while True:
            found = api.peek(PODS, f"default/{name}")
            if found is not None and condition(found.get("status") or {}):
                return found
            await asyncio.sleep(0.01)


async def gone(api: FakeApi, name: str) -> None:
    await eventually(lambda: api.peek(PODS, f"default/{name}") is None)


def reasons(api: FakeApi, name: str) -> set[tuple[str, str]]:
    events = [e for e in api.all(EVENTS) if e["involvedObject"]["name"] == name]
    return {(e["reason"], e["message"]) for e in events}


def test_a_pod_runs_is_ready_and_ends_gracefully(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with kubelet(tmp_path, api):
            echo = {
                "name": "c",
                "image": "kuberaft/echo:v2",
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
            }
            await api.create(PODS, pod("p", echo), namespace="default")
            running = await until(api, "p", lambda s: s.get("containerStatuses", [{}])[0].get("ready"))
            assert running["status"]["podIP"] == "127.92.1.1"
            reader, writer = await asyncio.open_connection("127.92.1.1", 8080)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            assert b'"pod": "p"' in answer
            assert b'"version": "v2"' in answer
            await api.delete(PODS, "p", "default")
            await gone(api, "p")
            await eventually(lambda: not list((tmp_path / "pods").glob("*")))
        happened = reasons(api, "p")
        assert ("Started", "Container started") in happened
        assert ("Killing", "Stopping container c") in happened
        node = api.peek(NODES, "n1")
        assert node is not None
        assert node["metadata"]["labels"]["disk"] == "ssd"
        assert api.peek(LEASES, "kube-node-lease/n1") is not None

    asyncio.run(body())


def test_a_run_to_the_end_succeeds_with_its_message(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with kubelet(tmp_path, api):
            job = script("c", "echo -n done > /dev/termination-log")
            await api.create(PODS, pod("p", job, restartPolicy="Never"), namespace="default")
            ended = await until(api, "p", lambda s: s.get("phase") == "Succeeded")
            state = ended["status"]["containerStatuses"][0]["state"]["terminated"]
            assert (state["exitCode"], state["reason"]) == (0, "Completed")
            assert state["message"] == "done"

    asyncio.run(body())


def test_crash_loop_unknown_image_and_missing_configmap(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        key = {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}
        async with kubelet(tmp_path, api):
            for made in (
                pod("crash", script("c", "exit 2")),
                pod("image", {"name": "c", "image": "nginx"}),
                pod("config", script("c", "echo $K; sleep 100", env=[key])),
            ):
                await api.create(PODS, made, namespace="default")

            def waits(reason: str) -> Callable[[Object], bool]:
                return lambda s: (
                    s.get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {}).get("reason")
                    == reason
                )

            crash = await until(api, "crash", waits("CrashLoopBackOff"))
            uid = crash["metadata"]["uid"]
            message = crash["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
            assert message == f"back-off 10s restarting failed container=c pod=crash_default({uid})"
            image = await until(api, "image", waits("ErrImagePull"))
            assert "containerd" in image["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
            config = await until(api, "config", waits("CreateContainerConfigError"))
            waiting = config["status"]["containerStatuses"][0]["state"]["waiting"]
            assert waiting["message"] == 'configmap "cm" not found'
            cm = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "default"}}
            await api.create(CONFIG_MAPS, {**cm, "data": {"k": "v"}}, namespace="default")
            await until(api, "config", lambda s: s.get("phase") == "Running")

    asyncio.run(body())


def test_a_new_kubelet_keeps_containers_and_removes_orphans(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with kubelet(tmp_path, api, clean=False):
            for name in ("stays", "goes"):
                await api.create(PODS, pod(name, script("c", "sleep 100")), namespace="default")
                await until(api, name, lambda s: s.get("phase") == "Running")
        before = api.peek(PODS, "default/stays")
        await api.delete(PODS, "goes", "default", grace_period_seconds=0)
        async with kubelet(tmp_path, api) as second:
            await eventually(lambda: len(second.runtime.list_pod_sandboxes()) == 1)
            after = await until(api, "stays", lambda s: s.get("phase") == "Running")
            assert before is not None
            ids = [p["status"]["containerStatuses"][0]["containerID"] for p in (before, after)]
            assert ids[0] == ids[1]

    asyncio.run(body())


def test_a_failing_liveness_probe_restarts_the_container(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
        async with kubelet(tmp_path, api):
            live = script("c", "trap 'exit 0' TERM; while :; do sleep 0.05; done", livenessProbe=probe)
            await api.create(PODS, pod("p", live), namespace="default")
            await until(api, "p", lambda s: s.get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1)
        assert ("Killing", "Container c failed liveness probe, will be restarted") in reasons(api, "p")
        assert ("Unhealthy", "Liveness probe failed: ") in reasons(api, "p")

    asyncio.run(body())


def test_config_map_volumes_follow_the_object(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        cm = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": "default"}}
        await api.create(CONFIG_MAPS, {**cm, "data": {"k": "old"}}, namespace="default")
        mount = {"volumeMounts": [{"name": "v", "mountPath": "/etc/config"}], "restartPolicy": "Never"}
        waits = script("c", "until grep -q new /etc/config/k; do sleep 0.05; done", **mount)
        volumes = [{"name": "v", "configMap": {"name": "cm"}}]
        async with kubelet(tmp_path, api):
            await api.create(
                PODS, pod("p", waits, volumes=volumes, restartPolicy="Never"), namespace="default"
            )
            await until(api, "p", lambda s: s.get("phase") == "Running")
            with contextlib.suppress(ApiError):
                await api.patch(CONFIG_MAPS, "cm", {"data": {"k": "new"}}, "default")
            await until(api, "p", lambda s: s.get("phase") == "Succeeded")

    asyncio.run(body())


def test_a_quiet_pod_ends_at_its_deadline(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with kubelet(tmp_path, api):
            idle = {"name": "c", "image": "kuberaft/pause"}
            await api.create(PODS, pod("p", idle, activeDeadlineSeconds=1), namespace="default")
            ended = await until(api, "p", lambda s: s.get("phase") == "Failed")
            assert ended["status"]["reason"] == "DeadlineExceeded"

    asyncio.run(body())


def test_what_is_not_enforced_is_an_event(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApi()
        async with kubelet(tmp_path, api):
            limited = {"name": "c", "image": "kuberaft/pause", "resources": {"limits": {"cpu": "1"}}}
            await api.create(PODS, pod("p", limited), namespace="default")
            text = "the process runtime runs the pod without enforcing: resources.limits.cpu (c)"
            await eventually(lambda: ("NotEnforced", text) in reasons(api, "p"))

    asyncio.run(body())
