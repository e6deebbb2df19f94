"""The chapters of the tour, in order. Each says what it does, does it with the Python client, shows the kubectl way."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from typing import Any

from components.client.errors import ApiError
from components.client.resources import CONFIG_MAPS, DEPLOYMENTS, EVENTS, NAMESPACES, NODES, PODS, SERVICES
from components.cluster.tour import manifests
from components.cluster.tour.guide import Guide, where
from components.cluster.tour.manifests import NAMESPACE
from components.cluster.tour.recovery import back_up_and_restore
from components.cluster.tour.traffic import Traffic, ask

WRITES = 200


async def nodes(guide: Guide) -> None:
    guide.chapter(
        "A cluster",
        """Several masters, each with a member of the replicated store, an API server, a scheduler and a controller
        manager; workers with a kubelet and a proxy. The kubeconfig names one address that leads to any live master.""",
    )
    guide.command(f"export KUBECONFIG={guide.layout.kubeconfig}")
    guide.command("kubectl get nodes")
    found = await guide.client.list(NODES)
    status = await guide.supervisor("status")
    guide.result(
        f"nodes {', '.join(n['metadata']['name'] for n in found['items'])}; the store's leader is {status['leader']}"
    )


async def application(guide: Guide) -> None:
    guide.chapter(
        "An application",
        """A Deployment with two replicas and a Service. The controllers make a ReplicaSet and pods, the scheduler
        places them by what they request, the kubelets run them, the proxies lead the service's address to them.""",
    )
    guide.command("kubectl create deployment web --image=kuberaft/echo:v1 --replicas=2 --port=8080")
    guide.command("kubectl expose deployment web --port=8080")
    await guide.client.create(NAMESPACES, manifests.namespace())
    began = time.monotonic()
    await guide.client.create(DEPLOYMENTS, manifests.deployment("kuberaft/echo:v1", 2))
    await guide.client.create(SERVICES, manifests.service())
    pods = await guide.ready_pods(2)
    guide.result(f"ready after {time.monotonic() - began:.1f} s: {where(pods)}")


async def requests(guide: Guide) -> None:
    host, port = await guide.service_address()
    guide.chapter("One address, many pods", "Twenty requests to the service's cluster IP.")
    guide.command(f"curl http://{host}:{port}/")

    async def both() -> Counter[str] | None:
        try:
            found = Counter([(await ask(host, port))["pod"] for _ in range(20)])
        except (OSError, TimeoutError, ValueError):
            return None
        return found if len(found) == 2 else None

    answered = await guide.until("both pods answer", both)
    guide.result(", ".join(f"{pod}: {count}" for pod, count in sorted(answered.items())))


async def too_big(guide: Guide) -> None:
    guide.chapter(
        "A pod that fits nowhere", "It asks for 1000 CPUs: it stays Pending, and an event says why."
    )
    guide.command("kubectl describe pod hungry")
    await guide.client.create(PODS, manifests.hungry_pod())

    async def reason() -> str | None:
        selector = "involvedObject.name=hungry,reason=FailedScheduling"
        found = await guide.client.list(EVENTS, NAMESPACE, field_selector=selector)
        return next((event["message"] for event in found["items"]), None)

    guide.result(await guide.until("an event that says why", reason))
    await guide.client.delete(PODS, "hungry", NAMESPACE, grace_period_seconds=0)


async def lost_pod(guide: Guide) -> None:
    victim = (await guide.pods())[0]["metadata"]["name"]
    guide.chapter("A pod is lost", "Deleted by hand: the ReplicaSet sees one too few and makes another.")
    guide.command(f"kubectl delete pod {victim}")
    began = time.monotonic()
    await guide.client.delete(PODS, victim, NAMESPACE)
    pods = await guide.ready_pods(2)
    guide.result(f"two again after {time.monotonic() - began:.1f} s: {where(pods)}")


async def lost_container(guide: Guide) -> None:
    pod = (await guide.ready_pods(2))[0]
    name, address = pod["metadata"]["name"], pod["status"]["podIP"]
    guide.chapter(
        "A container ends",
        "Its process is told to exit with an error: the kubelet starts it again in its pod.",
    )
    guide.command(f"curl '{address}:{manifests.PORT}/?exit=1'")
    began = time.monotonic()
    await ask(address, manifests.PORT, "/?exit=1")

    async def restarted() -> bool:
        found = await guide.client.get(PODS, name, NAMESPACE)
        status = found["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and bool(status["ready"])

    await guide.until("the container runs again", restarted)
    guide.result(f"ready again after {time.monotonic() - began:.1f} s, restarted once")


async def rolling_update(guide: Guide) -> None:
    guide.chapter("A new version", "A rolling update, with requests coming in all the while: none may fail.")
    guide.command(
        "kubectl set image deployment/web echo=kuberaft/echo:v2 && kubectl rollout status deployment/web"
    )
    async with Traffic(*await guide.service_address()) as traffic:
        change = {"spec": {"template": manifests.deployment("kuberaft/echo:v2", 2)["spec"]["template"]}}
        await guide.client.patch(DEPLOYMENTS, "web", change, NAMESPACE)

        async def rolled_out() -> bool:
            found = await guide.client.get(DEPLOYMENTS, "web", NAMESPACE)
            return _rolled_out(found) and len(await guide.pods()) == 2

        await guide.until("the new version runs", rolled_out)
        await asyncio.sleep(0.5)  # the last requests to the old pods
    guide.result(traffic.summary())


def _rolled_out(deployment: dict[str, Any]) -> bool:
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return seen and all(
        status.get(count) == wanted for count in ("replicas", "updatedReplicas", "availableReplicas")
    )


async def leader_dies(guide: Guide) -> None:
    guide.chapter(
        "The leader dies",
        f"""{WRITES} writes, and in the middle of them the leading master is killed with SIGKILL. The others
        elect another leader; the kubeconfig's address leads to a live one; every acknowledged write is there.""",
    )
    guide.command("kuberaft kill leader")
    async with Traffic(*await guide.service_address()) as traffic:
        killed, gap, written = await _write_through_a_kill(guide)
    found = await guide.client.list(CONFIG_MAPS, NAMESPACE)
    there = {item["metadata"]["name"] for item in found["items"]}
    guide.result(f"{killed} killed; longest pause between two writes {gap:.2f} s")
    guide.result(f"{len(written)} writes acknowledged, {len(set(written) - there)} of them missing")
    guide.result(f"the application meanwhile: {traffic.summary()}")
    guide.command(f"kuberaft start {killed}")
    await guide.supervisor("start", name=killed)
    for name in written:
        await guide.client.delete(CONFIG_MAPS, name, NAMESPACE)


async def _write_through_a_kill(guide: Guide) -> tuple[str, float, list[str]]:
    """The killed master, the longest time between two acknowledged writes, the names acknowledged."""
    killed, gap, written, last = "", 0.0, list[str](), time.monotonic()
    for n in range(WRITES):
        if n == WRITES // 3:
            killed = await guide.supervisor("kill", name="leader", signal=signal.SIGKILL)
        name = f"write-{n}"

        async def write(name: str = name) -> bool:
            try:
                await guide.client.create(CONFIG_MAPS, manifests.config_map(name, name))
            except ApiError as error:
                return bool(error.is_already_exists)  # the answer was lost, not the write
            return True

        await guide.until(f"a write of {name}", write, 30.0)
        written.append(name)
        now = time.monotonic()
        gap, last = max(gap, now - last), now
    return killed, gap, written


async def worker_dies(guide: Guide) -> None:
    victim = (await guide.pods())[0]["spec"]["nodeName"]
    guide.chapter(
        "A worker dies",
        f"""{victim} is killed with SIGKILL. Its node stops reporting and goes NotReady; a little later its pods are
        taken from it, and the Deployment makes others elsewhere.""",
    )
    guide.command(f"kuberaft kill {victim}; kubectl get nodes --watch")
    began = time.monotonic()
    await guide.supervisor("kill", name=victim, signal=signal.SIGKILL)

    async def not_ready() -> bool:
        node = await guide.client.get(NODES, victim)
        return any(c["type"] == "Ready" and c["status"] != "True" for c in node["status"]["conditions"])

    await guide.until(f"{victim} is NotReady", not_ready)
    guide.result(f"{victim} NotReady after {time.monotonic() - began:.1f} s")
    pods = await guide.ready_pods(2, 90.0, but_not_on=victim)
    guide.result(f"moved after {time.monotonic() - began:.1f} s: {where(pods)}")
    guide.command(f"kuberaft start {victim}")
    await guide.supervisor("start", name=victim)


async def clean_up(guide: Guide) -> None:
    guide.chapter("The end", "The namespace is deleted, and with it all that the tour made.")
    guide.command(f"kubectl delete namespace {NAMESPACE}")
    await guide.client.delete(NAMESPACES, NAMESPACE)

    async def gone() -> bool:
        try:
            await guide.client.get(NAMESPACES, NAMESPACE)
        except ApiError as error:
            return error.is_not_found
        return False

    await guide.until("the namespace is gone", gone, 90.0)
    guide.result("gone")


CHAPTERS = (
    nodes,
    application,
    requests,
    too_big,
    lost_pod,
    lost_container,
    rolling_update,
    leader_dies,
    worker_dies,
    back_up_and_restore,
    clean_up,
)
