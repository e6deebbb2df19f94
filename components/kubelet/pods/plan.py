"""What to do next for one running pod (P): from its spec and what runs to sandbox, starts, kills and waits.

Called by `pods.worker` on every wake-up; level-based, so a lost wake-up or a restarted kubelet changes
nothing. As kuberuntime's computePodActions: the sandbox first, init containers one after the other
(restartable ones, the sidecars, stay running and let the next one go on once they have started), then
all app containers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver.api.pods import containers, init_containers, is_sidecar
from components.kubelet.pods.backoff import Backoff, go_duration
from components.kubelet.runtime.interface import ContainerStatus

Pod = dict[str, Any]


@dataclass
class Plan:
    create_sandbox: bool = False
    start: list[tuple[dict[str, Any], int]] = field(default_factory=list)  # (container, restart count)
    kill: list[tuple[ContainerStatus, str]] = field(default_factory=list)  # (container, why)
    back_off: dict[str, str] = field(default_factory=dict)  # container name -> CrashLoopBackOff message
    wake_after: float | None = None  # seconds until the end of the shortest back-off
    initialized: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known about the pod now. `started(name)`: running, past its startup probe and hook."""

    pod: Pod
    sandbox_id: str | None  # of a sandbox that is ready
    latest: Mapping[str, ContainerStatus]  # newest container of each name
    failed_probes: Mapping[str, str]  # container id -> "liveness" or "startup"
    started: Callable[[str], bool]
    now: float


def pod_text(pod: Pod) -> str:
    meta = pod["metadata"]
    return f"{meta['name']}_{meta['namespace']}({meta['uid']})"


def backoff_key(pod: Pod, name: str) -> str:
    return f"{pod['metadata']['uid']}/{name}"


def container_hash(container: Mapping[str, Any]) -> str:
    """Changes when a running container must be replaced: as the original, of the name and the image only."""
    return hashlib.sha256(f"{container['name']}\0{container.get('image', '')}".encode()).hexdigest()[:8]


def latest_by_name(statuses: list[ContainerStatus]) -> dict[str, ContainerStatus]:
    newest: dict[str, ContainerStatus] = {}
    for status in statuses:
        known = newest.get(status.name)
        if known is None or (status.attempt, status.created_at) > (known.attempt, known.created_at):
            newest[status.name] = status
    return newest


def restarts(container: Mapping[str, Any], pod: Pod, status: ContainerStatus, *, init: bool) -> bool:
    """Whether a container that ended is to run again by its restart policy."""
    policy = "Always" if init and is_sidecar(container) else pod["spec"].get("restartPolicy", "Always")
    if init and not is_sidecar(container):
        return status.exit_code != 0 and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and status.exit_code != 0)


def compute(facts: Facts, backoff: Backoff) -> Plan:
    """Changes `backoff` when it lets a crashed container start again: that start is one more try."""
    plan = Plan()
    if facts.sandbox_id is None:
        plan.create_sandbox = not is_finished(facts.pod, facts.latest)
        return plan
    plan.initialized = _init_containers(facts, backoff, plan)
    if plan.initialized:
        for container in containers(facts.pod):
            _container(facts, backoff, plan, container, init=False)
    return plan


def _current(facts: Facts, name: str) -> ContainerStatus | None:
    status = facts.latest.get(name)
    return status if status is not None and status.sandbox_id == facts.sandbox_id else None


def _init_containers(facts: Facts, backoff: Backoff, plan: Plan) -> bool:
    """Plan the init containers; True when the app containers may run."""
    app_running = any(_current(facts, c["name"]) is not None for c in containers(facts.pod))
    for container in init_containers(facts.pod):
        status = _current(facts, container["name"])
        if is_sidecar(container):
            _container(facts, backoff, plan, container, init=True)
            if not app_running and not facts.started(container["name"]):
                return False
        elif not app_running and not (
            status is not None and status.state == "EXITED" and status.exit_code == 0
        ):
            _container(facts, backoff, plan, container, init=True)
            return False
    return True


def _container(facts: Facts, backoff: Backoff, plan: Plan, container: dict[str, Any], *, init: bool) -> None:
    name = container["name"]
    status = facts.latest.get(name)
    if status is None:
        plan.start.append((container, 0))
        return
    if status.state == "RUNNING":
        probe = facts.failed_probes.get(status.id)
        if probe:
            plan.kill.append((status, f"Container {name} failed {probe} probe, will be restarted"))
        elif status.annotations.get("hash", "") != container_hash(container):
            plan.kill.append((status, f"Container {name} definition changed, will be restarted"))
        return
    lost = status.sandbox_id != facts.sandbox_id and facts.pod["spec"].get("restartPolicy") != "Never"
    if not (lost and init) and not restarts(container, facts.pod, status, init=init):
        return
    _restart(facts, backoff, plan, container, status)


def _restart(
    facts: Facts, backoff: Backoff, plan: Plan, container: dict[str, Any], status: ContainerStatus
) -> None:
    key = backoff_key(facts.pod, status.name)
    ended = status.finished_at or status.created_at
    wait = backoff.remaining(key, ended, facts.now)
    if wait > 0:
        delay = go_duration(backoff.delay(key))
        plan.back_off[status.name] = (
            f"back-off {delay} restarting failed container={status.name} pod={pod_text(facts.pod)}"
        )
        plan.wake_after = min(wait, plan.wake_after or wait)
        return
    backoff.next(key, ended, facts.now)
    plan.start.append((container, status.attempt + 1))


def is_finished(pod: Pod, latest: Mapping[str, ContainerStatus]) -> bool:
    """Nothing will ever run again: an init container failed for good, or all app containers ended."""
    for container in init_containers(pod):
        status = latest.get(container["name"])
        if is_sidecar(container) or status is None or status.state != "EXITED":
            continue
        if status.exit_code != 0 and not restarts(container, pod, status, init=True):
            return True
    for container in containers(pod):
        status = latest.get(container["name"])
        if status is None or status.state != "EXITED" or restarts(container, pod, status, init=False):
            return False
    return True
