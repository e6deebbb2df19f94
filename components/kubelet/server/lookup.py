"""Which pod and container a request to the kubelet is about. Errors are plain text with the original's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from components.kubelet.runtime.interface import ContainerStatus, Runtime

Object = dict[str, Any]
_KINDS = ("initContainers", "containers", "ephemeralContainers")


class Lookup:
    """`pods`: those the API server has bound to this node."""

    def __init__(self, pods: Callable[[], Sequence[Object]], runtime: Runtime) -> None:
        self._pods, self._runtime = pods, runtime

    def pod(self, request: web.Request, missing: str = "pod does not exist") -> Object:
        """The pod of the path. Raises 404 with the text `missing`."""
        match = request.match_info
        for pod in self._pods():
            meta = pod["metadata"]
            if (meta["namespace"], meta["name"]) == (match["namespace"], match["pod"]) and match.get(
                "uid", meta["uid"]
            ) == meta["uid"]:
                return pod
        raise web.HTTPNotFound(text=missing + "\n")

    def has_container(self, pod: Object, name: str) -> bool:
        spec = pod["spec"]
        return any(c["name"] == name for kind in _KINDS for c in spec.get(kind) or ())

    def runs(self, pod: Object, name: str) -> list[ContainerStatus]:
        """What was ever started of this container and is still known, the newest first."""
        known = self._runtime.list_containers(pod["metadata"]["uid"])
        mine = [status for status in known if status.name == name and status.state != "CREATED"]
        return sorted(mine, key=lambda status: (status.attempt, status.created_at), reverse=True)

    def running(self, request: web.Request) -> ContainerStatus:
        """The running container of the path. Raises 404 for the pod, 500 for the container, as the original."""
        pod, name = self.pod(request), request.match_info["container"]
        for status in self.runs(pod, name)[:1]:
            if status.state == "RUNNING":
                return status
        raise web.HTTPInternalServerError(text=f'container not found ("{name}")\n')

    def sandbox(self, request: web.Request) -> str:
        """The id of the sandbox of the pod of the path."""
        uid = self.pod(request)["metadata"]["uid"]
        for sandbox in self._runtime.list_pod_sandboxes():
            if sandbox.config.uid == uid and sandbox.state == "READY":
                return sandbox.id
        raise web.HTTPInternalServerError(text=f"failed to find sandbox for pod {uid}\n")
