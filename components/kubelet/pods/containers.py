"""From a container in a pod's spec to the CRI request: image, environment, mounts, identity.

Called by `pods.worker` for each container it starts. Everything a container asks for that this node
cannot give raises a RuntimeFault whose reason becomes the waiting reason; nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apiserver.api.quantity import parse_quantity
from components.client.resources import CONFIG_MAPS, SECRETS
from components.kubelet.env import expand, field_value, resource_value, service_variables, visible_services
from components.kubelet.objects import ObjectCache, ObjectMissing
from components.kubelet.pods.hosts import hosts_file
from components.kubelet.pods.plan import container_hash, pod_text
from components.kubelet.runtime.interface import ConfigFault, ContainerConfig, Mount
from components.kubelet.volumes.manager import VolumeManager
from components.kubelet.volumes.payload import data_of

Object = dict[str, Any]
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


class ContainerBuilder:
    def __init__(
        self,
        objects: ObjectCache,
        volumes: VolumeManager,
        services: Callable[[], Sequence[Object]],
        *,
        node_name: str,
        log_dir: Path,
        allocatable: Mapping[str, str],
        can_mount: Callable[[], bool],
    ) -> None:
        self._objects, self._volumes, self._services = objects, volumes, services
        self._node_name, self._log_dir, self._allocatable = node_name, log_dir, allocatable
        self._can_mount = can_mount

    def log_path(self, pod: Object, name: str, attempt: int) -> Path:
        meta = pod["metadata"]
        return self._log_dir / f"{meta['namespace']}_{meta['name']}_{meta['uid']}" / name / f"{attempt}.log"

    async def build(
        self, pod: Object, container: Object, attempt: int, facts: Mapping[str, str]
    ) -> ContainerConfig:
        try:
            env = await self._environment(pod, container, facts)
        except ObjectMissing as error:
            raise ConfigFault(str(error)) from error
        name = container["name"]
        user, group = _identity(pod, container)
        context = container.get("securityContext") or {}
        memory = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        return ContainerConfig(
            name=name,
            attempt=attempt,
            image=container.get("image", ""),
            command=[expand(word, env) for word in container.get("command") or []],
            args=[expand(word, env) for word in container.get("args") or []],
            working_dir=container.get("workingDir") or "",
            env=env,
            mounts=self._mounts(pod, container, env, facts, attempt),
            annotations={
                "hash": container_hash(container),
                "terminationMessagePath": str(self._message_file(pod, name, attempt)),
                "terminationMessagePolicy": container.get("terminationMessagePolicy") or "File",
            },
            log_path=str(self.log_path(pod, name, attempt)),
            memory_limit=parse_quantity(memory).value() if memory else 0,
            run_as_user=user,
            run_as_group=group,
            readonly_rootfs=bool(context.get("readOnlyRootFilesystem")),
            stdin=bool(container.get("stdin")),
            stdin_once=bool(container.get("stdinOnce")),
            tty=bool(container.get("tty")),
        )

    # --- environment

    async def _environment(self, pod: Object, container: Object, facts: Mapping[str, str]) -> dict[str, str]:
        meta = pod["metadata"]
        links = pod["spec"].get("enableServiceLinks", True) is not False
        out = service_variables(visible_services(self._services(), meta["namespace"], links))
        # What a plain process cannot learn from its network namespace: its own address and names.
        out.update(
            HOSTNAME=facts["hostname"],
            POD_IP=facts["status.podIP"],
            POD_NAME=meta["name"],
            POD_NAMESPACE=meta["namespace"],
            NODE_NAME=self._node_name,
        )
        if not self._can_mount():
            out["KUBERAFT_SERVICEACCOUNT"] = facts.get("tokenDirectory", "")
        for source in container.get("envFrom") or []:
            out.update(await self._env_from(pod, source))
        declared: dict[str, str] = {}
        for variable in container.get("env") or []:
            value = await self._value(pod, container, variable, facts, {**out, **declared})
            if value is not None:
                declared[variable["name"]] = value
        return {**out, **declared}

    async def _env_from(self, pod: Object, source: Object) -> dict[str, str]:
        gvr, ref = (CONFIG_MAPS, source.get("configMapRef")), source.get("secretRef")
        kind, reference = gvr if gvr[1] else (SECRETS, ref)
        meta = pod["metadata"]
        if reference is None:
            return {}
        try:
            obj = await self._objects.get(kind, meta["namespace"], reference["name"], meta["uid"])
        except ObjectMissing:
            if reference.get("optional"):
                return {}
            raise
        prefix = source.get("prefix") or ""
        return {prefix + key: value.decode("utf-8", "replace") for key, value in data_of(obj).items()}

    async def _value(
        self,
        pod: Object,
        container: Object,
        variable: Object,
        facts: Mapping[str, str],
        so_far: dict[str, str],
    ) -> str | None:
        source = variable.get("valueFrom")
        if not source:
            return expand(variable.get("value") or "", so_far)
        if source.get("fieldRef"):
            return field_value(pod, source["fieldRef"]["fieldPath"], facts)
        if source.get("resourceFieldRef"):
            return resource_value(pod, source["resourceFieldRef"], container, self._allocatable)
        return await self._key(pod, source)

    async def _key(self, pod: Object, source: Object) -> str | None:
        config_map = source.get("configMapKeyRef")
        reference = config_map or source["secretKeyRef"]
        gvr, kind = (CONFIG_MAPS, "ConfigMap") if config_map else (SECRETS, "Secret")
        meta, optional = pod["metadata"], bool(reference.get("optional"))
        try:
            obj = await self._objects.get(gvr, meta["namespace"], reference["name"], meta["uid"])
        except ObjectMissing:
            if optional:
                return None
            raise
        value = data_of(obj).get(reference["key"])
        if value is None:
            if optional:
                return None
            where = f"{meta['namespace']}/{reference['name']}"
            raise ConfigFault(f"couldn't find key {reference['key']} in {kind} {where}")
        return value.decode("utf-8", "replace")

    # --- mounts

    def _message_file(self, pod: Object, name: str, attempt: int) -> Path:
        return self._volumes.pod_dir(pod["metadata"]["uid"]) / "containers" / name / f"{attempt}.termination"

    def _mounts(
        self, pod: Object, container: Object, env: Mapping[str, str], facts: Mapping[str, str], attempt: int
    ) -> list[Mount]:
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
        wanted = list(container.get("volumeMounts") or [])
        if not self._can_mount():
            # Told by an event of the worker: the token is found through KUBERAFT_SERVICEACCOUNT instead.
            wanted = [mount for mount in wanted if mount["mountPath"] != TOKEN_PATH]
        mounts = [self._volume_mount(pod, volumes, mount, env) for mount in wanted]
        if self._can_mount():
            mounts += self._own_mounts(pod, container, facts, attempt, {m.container_path for m in mounts})
        return mounts

    def _volume_mount(
        self, pod: Object, volumes: Mapping[str, Object], mount: Object, env: Mapping[str, str]
    ) -> Mount:
        volume = volumes.get(mount["name"])
        if volume is None:
            raise ConfigFault(f'cannot find volume "{mount["name"]}" to mount into container')
        path = self._volumes.path(pod["metadata"]["uid"], volume)
        sub = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
        if sub:
            if ".." in sub.split("/") or sub.startswith("/"):
                raise ConfigFault(f"unable to use subPath {sub!r}: must not leave the volume")
            path = path / sub
            if not path.exists():
                path.mkdir(parents=True)
            path = path.resolve()
        return Mount(str(path), mount["mountPath"], bool(mount.get("readOnly")))

    def _own_mounts(
        self, pod: Object, container: Object, facts: Mapping[str, str], attempt: int, taken: set[str]
    ) -> list[Mount]:
        """The files that the kubelet itself gives each container: /etc/hosts and the termination log."""
        out = []
        if "/etc/hosts" not in taken and not pod["spec"].get("hostNetwork"):
            hosts = self._volumes.pod_dir(pod["metadata"]["uid"]) / "etc-hosts"
            hosts.parent.mkdir(parents=True, exist_ok=True)
            hosts.write_text(hosts_file(pod, facts), encoding="utf-8")
            out.append(Mount(str(hosts), "/etc/hosts"))
        path = container.get("terminationMessagePath") or "/dev/termination-log"
        file = self._message_file(pod, container["name"], attempt)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o666)
        file.chmod(0o666)
        out.append(Mount(str(file), path))
        return out


def _identity(pod: Object, container: Object) -> tuple[int | None, int | None]:
    """(user, group) asked for. Raises ConfigFault for what a process of this node cannot be."""
    merged = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    user, group = merged.get("runAsUser"), merged.get("runAsGroup")
    if merged.get("runAsNonRoot"):
        if user is None:
            raise ConfigFault(
                "container has runAsNonRoot and image will run as root "
                f'(pod: "{pod_text(pod)}", container: {container["name"]})'
            )
        if user == 0:
            raise ConfigFault("container's runAsUser breaks non-root policy")
    if merged.get("privileged"):
        raise ConfigFault("privileged containers are not possible with the process runtime")
    return user, group
