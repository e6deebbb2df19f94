"""The pod status as Kubernetes reports it (P): phase, conditions and container statuses.

Fed by `pods.worker` with what runs; its result is sent by `pods.reporter`. As kubelet_pods.go
generateAPIPodStatus and status/generate.go, with their reasons and messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apiserver.api.meta import format_time
from apiserver.api.pods import compute_pod_qos, containers, init_containers, is_sidecar
from components.kubelet.runtime.interface import ContainerStatus

Object = dict[str, Any]


@dataclass(frozen=True)
class View:
    """Everything a status is made from. `previous` is the status the API server has."""

    pod: Object
    history: Mapping[str, list[ContainerStatus]]  # container name -> newest first
    waiting: Mapping[str, tuple[str, str]]  # container name -> (reason, message), when it is not running
    ready: Mapping[str, bool]  # by container id: readiness probe passed (or none)
    started: Mapping[str, bool]  # by container id: startup probe passed (or none)
    messages: Mapping[str, str]  # by container id: termination message
    sandbox_ready: bool
    initialized: bool
    pod_ip: str
    host_ip: str
    now: str
    terminal: bool = False  # the worker has ended the pod: nothing will run again
    failed: tuple[str, str] | None = None  # (reason, message) of a pod that was ended or never admitted


def unix_time(seconds: float) -> str:
    return format_time(datetime.fromtimestamp(seconds, UTC))


def build(view: View) -> Object:
    pod, previous = view.pod, view.pod.get("status") or {}
    inits = [_container_status(view, c, init=True) for c in init_containers(pod)]
    apps = [_container_status(view, c, init=False) for c in containers(pod)]
    phase = _phase(view, inits, apps)
    status: Object = {
        "phase": phase,
        "conditions": _conditions(view, phase, inits, apps),
        "hostIP": view.host_ip,
        "hostIPs": [{"ip": view.host_ip}],
        "startTime": previous.get("startTime") or view.now,
        "qosClass": previous.get("qosClass") or compute_pod_qos(pod),
        "containerStatuses": apps,
    }
    if pod["metadata"].get("generation"):
        status["observedGeneration"] = pod["metadata"]["generation"]
    if inits:
        status["initContainerStatuses"] = inits
    ip = view.pod_ip or previous.get("podIP", "")
    if ip:
        status.update(podIP=ip, podIPs=[{"ip": ip}])
    reason, message = view.failed or (previous.get("reason", ""), previous.get("message", ""))
    if reason or message:
        status.update(reason=reason, message=message)
    return status


def rejected(pod: Object, reason: str, message: str, now: str) -> Object:
    """The status of a pod that this node does not admit: nothing of it ever runs."""
    qos = (pod.get("status") or {}).get("qosClass") or compute_pod_qos(pod)
    return {
        "phase": "Failed",
        "reason": reason,
        "message": f"Pod was rejected: {message}",
        "startTime": now,
        "qosClass": qos,
    }


def _container_status(view: View, container: Object, *, init: bool) -> Object:
    name = container["name"]
    history = view.history.get(name, [])
    newest = history[0] if history else None
    out: Object = {
        "name": name,
        "state": _state(view, name, newest),
        "lastState": {},
        "ready": False,
        "restartCount": newest.attempt if newest else 0,
        "image": container.get("image", ""),
        "imageID": newest.image_ref if newest else "",
        "started": False,
    }
    if newest is not None:
        out["containerID"] = f"kuberaft://{newest.id}"
        running = newest.state == "RUNNING"
        out["started"] = running and view.started.get(newest.id, False)
        if init and not is_sidecar(container):
            out["ready"] = newest.state == "EXITED" and newest.exit_code == 0
        else:
            out["ready"] = bool(out["started"] and view.ready.get(newest.id, False))
        shown_terminated = "terminated" in out["state"]
        ended = history[1:] if running or shown_terminated else history
        if ended and ended[0].state == "EXITED":
            out["lastState"] = _terminated(view, ended[0])
    if container.get("resources"):
        out["resources"] = container["resources"]
        requests = container["resources"].get("requests")
        if requests:
            out["allocatedResources"] = requests
    if container.get("volumeMounts"):
        out["volumeMounts"] = [_mount_status(mount) for mount in container["volumeMounts"]]
    return out


def _mount_status(mount: Object) -> Object:
    out = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        out.update(readOnly=True, recursiveReadOnly="Disabled")
    return out


def _state(view: View, name: str, newest: ContainerStatus | None) -> Object:
    if newest is not None and newest.state == "RUNNING":
        return {"running": {"startedAt": unix_time(newest.started_at)}}
    if name in view.waiting and not view.terminal:
        reason, message = view.waiting[name]
        return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    if newest is not None and newest.state == "EXITED":
        return _terminated(view, newest)
    if view.terminal and _had_begun(view, name):
        return {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was terminated",
                "startedAt": None,
                "finishedAt": None,
            }
        }
    has_init = bool(init_containers(view.pod)) and not view.initialized
    return {"waiting": {"reason": "PodInitializing" if has_init else "ContainerCreating"}}


def _had_begun(view: View, name: str) -> bool:
    """Whether the container's turn had come when the pod ended: app containers wait for all init containers,
    and those wait for the ones before them (status_manager.go TerminatePod)."""
    inits = [c["name"] for c in init_containers(view.pod)]
    if name not in inits:
        return not inits or view.initialized
    return any(other in view.history for other in inits[inits.index(name) :])


def _terminated(view: View, status: ContainerStatus) -> Object:
    out: Object = {"exitCode": status.exit_code, "reason": status.reason}
    message = view.messages.get(status.id) or status.message
    if message:
        out["message"] = message
    out["startedAt"] = unix_time(status.started_at) if status.started_at else "1970-01-01T00:00:00Z"
    out["finishedAt"] = unix_time(status.finished_at)
    out["containerID"] = f"kuberaft://{status.id}"
    return {"terminated": out}


def _phase(view: View, inits: list[Object], apps: list[Object]) -> str:
    if view.failed is not None:
        return "Failed"
    known = (view.pod.get("status") or {}).get("phase")
    if known in ("Succeeded", "Failed"):
        return str(known)
    policy = view.pod["spec"].get("restartPolicy", "Always")
    for spec, status in zip(init_containers(view.pod), inits, strict=True):
        ended = status["state"].get("terminated")
        if not is_sidecar(spec) and ended and ended["exitCode"] != 0:
            return "Failed" if policy == "Never" or view.terminal else "Pending"
        if not is_sidecar(spec) and not ended and not view.initialized:
            return "Failed" if view.terminal else "Pending"
    return _app_phase(view, apps, policy)


def _app_phase(view: View, apps: list[Object], policy: str) -> str:
    ended = [s["state"]["terminated"] for s in apps if "terminated" in s["state"]]
    if len(ended) == len(apps):
        good = all(state["exitCode"] == 0 for state in ended)
        if view.terminal or policy == "Never" or (policy == "OnFailure" and good):
            return "Succeeded" if good else "Failed"
        return "Running"
    never_ran = [s for s in apps if "waiting" in s["state"] and not s["lastState"]]
    return "Pending" if never_ran else "Running"


def _conditions(view: View, phase: str, inits: list[Object], apps: list[Object]) -> list[Object]:
    finished = phase == "Succeeded"
    unready = [s["name"] for s in apps if not s["ready"]]
    conditions = {
        "PodReadyToStartContainers": (view.sandbox_ready, "", ""),
        "Initialized": _initialized(view, finished, inits),
        "ContainersReady": _containers_ready(phase, unready),
        "Ready": _containers_ready(phase, unready),
        "PodScheduled": (True, "", ""),
    }
    gates = [gate["conditionType"] for gate in view.pod["spec"].get("readinessGates") or []]
    old = {c["type"]: c for c in (view.pod.get("status") or {}).get("conditions") or []}
    closed = [gate for gate in gates if old.get(gate, {}).get("status") != "True"]
    if conditions["Ready"][0] and closed:
        message = f'corresponding condition of pod readiness gate "{closed[0]}" does not exist.'
        conditions["Ready"] = (False, "ReadinessGatesNotReady", message)
    made = [_condition(kind, value, old.get(kind), view) for kind, value in conditions.items()]
    return made + [c for kind, c in old.items() if kind not in conditions]


def _initialized(view: View, finished: bool, inits: list[Object]) -> tuple[bool, str, str]:
    if finished:
        return (True, "PodCompleted", "")
    if view.initialized or not inits:
        return (True, "", "")
    names = " ".join(s["name"] for s in inits if not s["ready"])
    return (False, "ContainersNotInitialized", f"containers with incomplete status: [{names}]")


def _containers_ready(phase: str, unready: list[str]) -> tuple[bool, str, str]:
    if phase == "Succeeded":
        return (False, "PodCompleted", "")
    if phase == "Failed":
        return (False, "PodFailed", "")
    if unready:
        return (False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    return (True, "", "")


def _condition(kind: str, value: tuple[bool, str, str], old: Object | None, view: View) -> Object:
    status = "True" if value[0] else "False"
    changed = old is None or old.get("status") != status
    since = view.now if changed or old is None else old.get("lastTransitionTime", view.now)
    out: Object = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
    if view.pod["metadata"].get("generation"):
        out["observedGeneration"] = view.pod["metadata"]["generation"]
    if value[1]:
        out["reason"] = value[1]
    if value[2]:
        out["message"] = value[2]
    return out
