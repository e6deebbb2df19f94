"""A pod's volumes on this node: makes their directories, fills them, keeps them current, removes them.

Called by `pods.worker` before containers start (`mount_all`) and again whenever an object a pod refers
to changes. Feeds the runtime's bind mounts. Volume types that need storage drivers are refused as
FailedMount with the type.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from components.client.resources import CONFIG_MAPS, SECRETS
from components.kubelet.env import field_value, resource_value
from components.kubelet.objects import ObjectCache, ObjectMissing
from components.kubelet.runtime.interface import ConfigFault
from components.kubelet.volumes.payload import DEFAULT_MODE, Payload, PayloadError, data_of, pick
from components.kubelet.volumes.writer import write

Object = dict[str, Any]
TokenSource = Callable[[Object, Object], Awaitable[str]]  # (pod, serviceAccountToken source) -> token
_SUPPORTED = ("configMap", "secret", "downwardAPI", "projected", "emptyDir", "hostPath")


class MountFailed(Exception):
    """One volume cannot be set up; `volume` is its name, the text says why."""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(message)
        self.volume = volume


class VolumeManager:
    def __init__(
        self, root: Path, objects: ObjectCache, tokens: TokenSource, allocatable: Mapping[str, str]
    ) -> None:
        self._root, self._objects, self._tokens = root, objects, tokens
        self._allocatable = allocatable

    def pod_dir(self, uid: str) -> Path:
        return self._root / "pods" / uid

    def path(self, uid: str, volume: Object) -> Path:
        if "hostPath" in volume:
            return Path(volume["hostPath"]["path"])
        return self.pod_dir(uid) / "volumes" / str(volume["name"])

    async def mount_all(self, pod: Object, facts: Mapping[str, str]) -> None:
        """Set up every volume, or bring it up to date. Raises MountFailed for the first that cannot be."""
        for volume in pod["spec"].get("volumes") or []:
            try:
                await self._mount(pod, volume, facts)
            except (ObjectMissing, PayloadError, ConfigFault, OSError) as error:
                raise MountFailed(volume["name"], str(error)) from error

    async def _mount(self, pod: Object, volume: Object, facts: Mapping[str, str]) -> None:
        kind = next((name for name in _SUPPORTED if volume.get(name) is not None), None)
        if kind is None:
            types = ", ".join(sorted(set(volume) - {"name"})) or "emptyDir"
            raise PayloadError(f"volume type {types} is not supported by this kubelet")
        if kind == "hostPath":
            _check_host_path(volume["hostPath"])
            return
        directory = self.path(pod["metadata"]["uid"], volume)
        directory.mkdir(parents=True, exist_ok=True)
        if kind == "emptyDir":
            directory.chmod(0o777)
            return
        write(directory, await self._payload(pod, kind, volume[kind], facts))

    async def _payload(self, pod: Object, kind: str, source: Object, facts: Mapping[str, str]) -> Payload:
        mode = source.get("defaultMode") or DEFAULT_MODE
        if kind != "projected":
            return await self._source(pod, kind, source, mode, facts)
        out: Payload = {}
        for part in source.get("sources") or []:
            for name, inner in part.items():
                out.update(await self._source(pod, name, inner, mode, facts))
        return out

    async def _source(
        self, pod: Object, kind: str, source: Object, mode: int, facts: Mapping[str, str]
    ) -> Payload:
        if kind == "downwardAPI":
            return {
                item["path"]: (self._downward(pod, item, facts), mode) for item in source.get("items") or []
            }
        if kind == "serviceAccountToken":
            return {source["path"]: ((await self._tokens(pod, source)).encode(), mode)}
        if kind not in ("configMap", "secret"):
            raise PayloadError(f"projected source {kind} is not supported by this kubelet")
        gvr = CONFIG_MAPS if kind == "configMap" else SECRETS
        name = source.get("name") or source.get("secretName") or ""
        meta, optional = pod["metadata"], bool(source.get("optional"))
        try:
            obj = await self._objects.get(gvr, meta["namespace"], name, meta["uid"])
        except ObjectMissing:
            if optional:
                return {}
            raise
        return pick(data_of(obj), source.get("items") or [], mode, optional)

    def _downward(self, pod: Object, item: Object, facts: Mapping[str, str]) -> bytes:
        if "fieldRef" in item:
            return field_value(pod, item["fieldRef"]["fieldPath"], facts).encode()
        return resource_value(pod, item["resourceFieldRef"], {"name": ""}, self._allocatable).encode()

    async def remove(self, uid: str) -> None:
        """Delete everything of the pod but its logs; host paths are the host's."""
        self._objects.release(uid)
        await asyncio.to_thread(shutil.rmtree, self.pod_dir(uid), ignore_errors=True)

    def known_pods(self) -> list[str]:
        directory = self._root / "pods"
        return os.listdir(directory) if directory.is_dir() else []


def _check_host_path(source: Object) -> None:
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch(exist_ok=True)
    checks = {"Directory": path.is_dir, "File": path.is_file, "Socket": path.is_socket, "": path.exists}
    check = checks.get(kind)
    if check is not None and not check():
        problem = (
            f"hostPath type check failed: {path} is not a {kind.lower()}"
            if kind
            else f"{path} does not exist"
        )
        raise PayloadError(problem)
