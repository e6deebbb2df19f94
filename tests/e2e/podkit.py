"""Pods as end-to-end tests write them: one container of a few lines, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.local_cluster import LocalCluster, eventually

Object = dict[str, Any]

FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def shell(name: str, script: str, **more: Any) -> Object:
    """A container that runs a shell script of the host."""
    return {"name": name, "image": "host", "command": ["sh", "-c", script], **more}


def echo(name: str = "main", **more: Any) -> Object:
    return {"name": name, "image": "kuberaft/echo", **more}


def python(name: str, script: str, **more: Any) -> Object:
    return {"name": name, "image": "python", "command": ["python", "-c", script], **more}


def pod(name: str, *containers: Object, labels: Any = None, grace: int = 1, **spec: Any) -> Object:
    """`spec` has the other fields of the pod's spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"terminationGracePeriodSeconds": grace, "containers": list(containers), **spec},
    }


class Bench:
    """Applies objects and asks what became of them."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster

    def apply(self, *objects: Object) -> None:
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        # The server checks all of it; fetching the schemas to check it twice takes a second.
        self.cluster.kubectl("apply", "--validate=false", "-f", "-", stdin=manifest)

    def pod(self, name: str) -> Object:
        return self.cluster.get("pod", name)

    def container(self, name: str, container: str = "main") -> Object:
        """The status of one container, init containers included; {} while there is none."""
        status = self.pod(name).get("status", {})
        everyone = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        return next((c for c in everyone if c["name"] == container), {})

    def phase(self, name: str, phase: str, seconds: float = 20.0) -> Object:
        """The pod once it is in that phase."""

        def look() -> Object | None:
            found = self.pod(name)
            return found if found["status"].get("phase") == phase else None

        return eventually(look, f"{name} is {phase}", seconds)

    def ready(self, *names: str) -> None:
        pods = [f"pod/{name}" for name in names]
        self.cluster.kubectl("wait", "--for=condition=Ready", *pods, "--timeout=20s")

    def logs(self, name: str, *flags: str) -> str:
        return self.cluster.kubectl("logs", name, *flags)

    def logged(self, name: str, text: str, *flags: str, seconds: float = 20.0) -> str:
        """The log once it contains the text."""

        def look() -> str | None:
            result = self.cluster.run_kubectl("logs", name, *flags)
            return result.stdout if text in result.stdout else None

        return eventually(look, f"{text!r} in the log of {name}", seconds)

    def events(self, name: str) -> list[Object]:
        found: list[Object] = self.cluster.get("events", "--field-selector", f"involvedObject.name={name}")[
            "items"
        ]
        return found

    def event(self, name: str, reason: str, text: str = "", seconds: float = 20.0) -> Object:
        """The event of the object with that reason and text, once there is one."""

        def look() -> Object | None:
            hits = [e for e in self.events(name) if e["reason"] == reason and text in e["message"]]
            return hits[0] if hits else None

        return eventually(look, f"event {reason} {text!r} on {name}", seconds)

    def restarted(self, name: str) -> None:
        self.until(lambda: self.container(name)["restartCount"] >= 1, f"{name} restarts")

    def until(self, probe: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
        return eventually(probe, what, seconds)

    def delete(self, *names: str, kind: str = "pod", flags: tuple[str, ...] = ()) -> None:
        self.cluster.kubectl("delete", kind, *names, *flags)
