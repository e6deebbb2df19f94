"""DefaultTolerationSeconds: how long a pod stays on a node that is not ready or not reachable."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, UPDATE, Attributes, Plugin, Reader
from apiserver.api.meta import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


class DefaultTolerationSeconds(Plugin):
    """Adds the two NoExecute tolerations unless the pod has its own for them."""

    name = "DefaultTolerationSeconds"
    changes = {"pods": ("spec/tolerations",)}

    def __init__(self, not_ready_seconds: int, unreachable_seconds: int) -> None:
        self._seconds = {NOT_READY: not_ready_seconds, UNREACHABLE: unreachable_seconds}

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        if attributes.obj is None or not attributes.is_on("", "pods", CREATE, UPDATE):
            return
        spec = attributes.obj["spec"]
        tolerations = list(spec.get("tolerations") or ())
        missing = [key for key in self._seconds if not any(_covers(t, key) for t in tolerations)]
        if missing:
            spec["tolerations"] = tolerations + [self._toleration(key) for key in missing]

    def _toleration(self, key: str) -> Object:
        return {
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": self._seconds[key],
        }


def _covers(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")
