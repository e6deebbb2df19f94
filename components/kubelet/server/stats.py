"""Use of CPU and memory per container, pod and node, in the two forms that clients of a kubelet read.

`/stats/summary` (JSON, what `kubectl top` and metrics servers once used) and `/metrics/resource`
(Prometheus text, what metrics-server uses now). The figures come from the runtime and from /proc.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from apiserver.api.meta import format_time
from components.kubelet.node.machine import memory_info
from components.kubelet.runtime.interface import ContainerStats, ContainerStatus, Runtime

Object = dict[str, Any]


def _time(seconds: float) -> str:
    return format_time(datetime.fromtimestamp(seconds, UTC))


def node_usage() -> tuple[float, int]:
    """(CPU seconds since boot, memory in use in bytes) of the machine."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    memory = memory_info()
    busy = sum(ticks) - ticks[3] - ticks[4]
    return busy / 100, memory.get("MemTotal", 0) - memory.get("MemAvailable", 0)


def _usage(sample: ContainerStats) -> Object:
    when = _time(sample.timestamp)
    return {
        "cpu": {"time": when, "usageCoreNanoSeconds": int(sample.cpu_seconds * 1e9)},
        "memory": {
            "time": when,
            "usageBytes": sample.rss_bytes,
            "workingSetBytes": sample.working_set_bytes,
            "rssBytes": sample.rss_bytes,
        },
    }


def _total(samples: list[ContainerStats], now: float) -> ContainerStats:
    return ContainerStats(
        timestamp=now,
        cpu_seconds=sum(s.cpu_seconds for s in samples),
        rss_bytes=sum(s.rss_bytes for s in samples),
        working_set_bytes=sum(s.working_set_bytes for s in samples),
        processes=sum(s.processes for s in samples),
    )


def _by_sandbox(runtime: Runtime, usage: dict[str, ContainerStats]) -> dict[str, list[ContainerStatus]]:
    out: dict[str, list[ContainerStatus]] = {}
    for status in runtime.list_containers():
        if status.id in usage:
            out.setdefault(status.sandbox_id, []).append(status)
    return out


def summary(node_name: str, runtime: Runtime, usage: dict[str, ContainerStats]) -> Object:
    now = time.time()
    cpu, memory = node_usage()
    grouped, pods = _by_sandbox(runtime, usage), []
    for sandbox in runtime.list_pod_sandboxes():
        statuses = grouped.get(sandbox.id, [])
        containers = [
            {"name": s.name, "startTime": _time(s.started_at), **_usage(usage[s.id])} for s in statuses
        ]
        reference = {
            "name": sandbox.config.name,
            "namespace": sandbox.config.namespace,
            "uid": sandbox.config.uid,
        }
        total = _total([usage[s.id] for s in statuses], now)
        pods.append(
            {
                "podRef": reference,
                "startTime": _time(sandbox.created_at),
                "containers": containers,
                "process_stats": {"process_count": total.processes},
                **_usage(total),
            }
        )
    node = _usage(ContainerStats(now, cpu, memory, memory, 0))
    return {"node": {"nodeName": node_name, **node}, "pods": pods}


_HEADERS = {
    "container_cpu_usage_seconds_total": (
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
    ),
    "container_memory_working_set_bytes": ("gauge", "Current working set of the container in bytes"),
    "container_start_time_seconds": ("gauge", "Start time of the container since unix epoch in seconds"),
    "node_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed by the node in core-seconds"),
    "node_memory_working_set_bytes": ("gauge", "Current working set of the node in bytes"),
    "pod_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed by the pod in core-seconds"),
    "pod_memory_working_set_bytes": ("gauge", "Current working set of the pod in bytes"),
    "resource_scrape_error": (
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
    ),
}


def resource_metrics(runtime: Runtime, usage: dict[str, ContainerStats]) -> str:
    now = time.time()
    values: dict[str, list[tuple[str, float, float]]] = {name: [] for name in _HEADERS}
    grouped = _by_sandbox(runtime, usage)
    for sandbox in runtime.list_pod_sandboxes():
        config, statuses = sandbox.config, grouped.get(sandbox.id, [])
        where = f'namespace="{config.namespace}",pod="{config.name}"'
        for status in statuses:
            sample, labels = usage[status.id], f'container="{status.name}",{where}'
            _add(values, "container", labels, sample)
            values["container_start_time_seconds"].append((labels, status.started_at, sample.timestamp))
        if statuses:
            _add(values, "pod", where, _total([usage[s.id] for s in statuses], now))
    cpu, memory = node_usage()
    _add(values, "node", "", ContainerStats(now, cpu, memory, memory, 0))
    values["resource_scrape_error"].append(("", 0, 0))
    return "".join(_family(name, values[name]) for name in _HEADERS)


def _add(
    values: dict[str, list[tuple[str, float, float]]], what: str, labels: str, sample: ContainerStats
) -> None:
    values[f"{what}_cpu_usage_seconds_total"].append((labels, sample.cpu_seconds, sample.timestamp))
    working_set = float(sample.working_set_bytes)
    values[f"{what}_memory_working_set_bytes"].append((labels, working_set, sample.timestamp))


def _family(name: str, samples: list[tuple[str, float, float]]) -> str:
    kind, help_text = _HEADERS[name]
    lines = [f"# HELP {name} [STABLE] {help_text}", f"# TYPE {name} {kind}"]
    for labels, value, when in samples:
        stamp = f" {int(when * 1000)}" if when else ""
        lines.append(f"{name}{'{' + labels + '}' if labels else ''} {value:.10g}{stamp}")
    return "\n".join(lines) + "\n"
