"""What the kubelet did for its pods, step by step, as records in the journal of this node.

Fed by `kubelet` (with every event that it reports) and `worker` (sandboxes, processes); given out by
``server.records``. Texts are the kubelet's own: nothing of what containers print or are given is in them, but for the
output of a probe that failed, which is in the pod's events too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from apiserver.api.journal import Journal, ObjectRef
from components.kubelet.runtime.interface import ContainerStatus

Object = dict[str, Any]
_STEPS: Final = {
    "Pulling": "pull",
    "Pulled": "pull",
    "Created": "create",
    "Started": "start",
    "Killing": "kill",
    "Unhealthy": "probe",
    "BackOff": "backoff",
    "FailedMount": "mount",
    "FailedCreatePodSandBox": "sandbox",
}
_OWN: Final = frozenset({"Started"})
"""Told with more than the event says."""


class Steps:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def note(self, pod: Object, step: str, summary: str, container: str = "", **detail: Any) -> None:
        meta = pod["metadata"]
        ref = ObjectRef("pods", "", meta.get("namespace") or "", meta["name"], meta.get("uid") or "")
        version = meta.get("resourceVersion") or ""
        told = {"step": step, "container": container, **detail}
        revision = int(version) if version.isdigit() else None
        self.journal.note("kubelet", "step", ref, summary, told, revision=revision)

    def event(self, pod: Object, container: str, reason: str, message: str) -> None:
        if reason in _OWN:
            return
        what = f"container {container}: {message}" if container else message
        self.note(pod, _STEPS.get(reason, reason.lower()), what, container, reason=reason)

    def started(
        self,
        pod: Object,
        container: str,
        attempt: int,
        status: ContainerStatus | None,
        previous: Sequence[ContainerStatus],
    ) -> None:
        """``previous``: the container in whose place this one is, if there was one."""
        detail: dict[str, Any] = {"reason": "Started", "pid": status.pid if status is not None else None}
        if not attempt:
            self.note(pod, "start", f"started container {container}{_process(status)}", container, **detail)
            return
        ended = f" after exit code {previous[0].exit_code}" if previous else ""
        detail["exitCode"] = previous[0].exit_code if previous else None
        text = f"restarted container {container}{_process(status)}, time {attempt}{ended}"
        self.note(pod, "restart", text, container, **detail)

    def status_sent(self, pod: Object, status: Object) -> None:
        ready = next((c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"), "Unknown")
        phase = status.get("phase") or "Unknown"
        self.note(pod, "status", f"reported phase {phase}, Ready {ready}", phase=phase, ready=ready)


def _process(status: ContainerStatus | None) -> str:
    return f" as process {status.pid}" if status is not None and status.pid else ""
