"""The Node object (P): capacity, allocatable, addresses, nodeInfo, conditions, labels.

Used by `node.agent`. As pkg/kubelet/nodestatus/setters.go, with its reasons and messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from apiserver.api.quantity import parse_quantity
from components.kubelet.config import VERSION, KubeletConfig
from components.kubelet.runtime.interface import ImageInfo

Object = dict[str, Any]


class Machine(NamedTuple):
    """What was read from the machine."""

    cpus: int
    memory: int
    disk: int
    arch: str
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str
    memory_available: int = 0
    disk_available: int = 0


def capacity(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    return {
        "cpu": config.cpu or str(machine.cpus),
        "memory": config.memory or f"{machine.memory // 1024}Ki",
        "ephemeral-storage": f"{machine.disk // 1024}Ki",
        "pods": str(config.max_pods),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    }


def allocatable(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    out = capacity(config, machine)
    for name, amount in config.system_reserved.items():
        if name in out:
            left = parse_quantity(out[name]) - parse_quantity(amount)
            out[name] = str(left) if left.value() > 0 else "0"
    return out


def labels(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": machine.arch,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.arch,
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": config.node_name,
        **config.labels,
    }


def new_node(config: KubeletConfig, machine: Machine, status: Object) -> Object:
    spec: Object = {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]}
    if config.taints:
        spec["taints"] = [dict(taint) for taint in config.taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": config.node_name,
            "labels": labels(config, machine),
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": spec,
        "status": status,
    }


def node_status(
    config: KubeletConfig,
    machine: Machine,
    *,
    runtime: str,
    runtime_problem: str,
    images: Iterable[ImageInfo],
    old_conditions: Iterable[Object],
    now: str,
) -> Object:
    old = {c["type"]: c for c in old_conditions}
    return {
        "capacity": capacity(config, machine),
        "allocatable": allocatable(config, machine),
        "conditions": _conditions(machine, runtime_problem, old, now),
        "addresses": [
            {"type": "InternalIP", "address": config.node_ip},
            {"type": "Hostname", "address": config.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": config.port}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.machine_id,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": runtime,
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.arch,
        },
        # WebSockets of exec, attach and port-forward may come here untranslated.
        "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        "images": [{"names": [image.tag], "sizeBytes": image.size} for image in images],
    }


def _conditions(machine: Machine, problem: str, old: Mapping[str, Object], now: str) -> list[Object]:
    memory = 0 < machine.memory_available < 100 << 20
    disk = 0 < machine.disk_available < machine.disk // 50
    made = [
        ("MemoryPressure", memory, "KubeletHasInsufficientMemory" if memory else "KubeletHasSufficientMemory",
         f"kubelet has {'insufficient' if memory else 'sufficient'} memory available"),
        ("DiskPressure", disk, "KubeletHasDiskPressure" if disk else "KubeletHasNoDiskPressure",
         f"kubelet has {'disk pressure' if disk else 'no disk pressure'}"),
        ("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", not problem, "KubeletNotReady" if problem else "KubeletReady",
         problem or "kubelet is posting ready status"),
    ]  # fmt: skip
    return [_condition(old.get(kind), kind, on, reason, text, now) for kind, on, reason, text in made]


def _condition(old: Object | None, kind: str, on: bool, reason: str, message: str, now: str) -> Object:
    status = "True" if on else "False"
    since = old["lastTransitionTime"] if old is not None and old["status"] == status else now
    return {
        "type": kind,
        "status": status,
        "lastHeartbeatTime": now,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
