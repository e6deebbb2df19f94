"""ServiceAccount: every pod runs as one, and finds its token, the cluster's CA and its namespace mounted."""

from __future__ import annotations

import random

from apiserver.admission.interface import CREATE, Attributes, Plugin, Reader
from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object

SERVICE_ACCOUNTS = GroupVersionResource("", "v1", "serviceaccounts")
MIRROR = "kubernetes.io/config.mirror"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607  # over an hour by a little, so that the kubelet renews it before an hour is over
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's util/rand


class ServiceAccount(Plugin):
    """As `plugin/pkg/admission/serviceaccount`."""

    name = "ServiceAccount"
    changes = {
        "pods": (
            *("spec/serviceAccountName", "spec/serviceAccount", "spec/imagePullSecrets", "spec/volumes"),
            *("spec/containers/", "spec/initContainers/"),
        )
    }

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        pod = attributes.obj
        if pod is None or not attributes.is_on("", "pods", CREATE):
            return
        if MIRROR in meta.annotations(pod):
            _check_mirror(attributes, pod["spec"])
            return
        spec = pod["spec"]
        spec["serviceAccountName"] = spec.get("serviceAccountName") or "default"
        spec["serviceAccount"] = spec["serviceAccountName"]
        account = await self._find(attributes, spec["serviceAccountName"], reader)
        if _should_mount(spec, account):
            self._mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    async def _find(self, attributes: Attributes, name: str, reader: Reader) -> Object:
        account = await reader.get(SERVICE_ACCOUNTS, attributes.namespace, name)
        if account is None:  # the cache may be behind an account that a controller has just stored
            account = await reader.get(SERVICE_ACCOUNTS, attributes.namespace, name, fresh=True)
        if account is None:
            scope = attributes.namespace
            raise attributes.forbidden(
                f'error looking up service account {scope}/{name}: serviceaccount "{name}" not found'
            )
        return account

    def _mount_token(self, spec: Object) -> None:
        volumes = spec.get("volumes") or []
        existing = next((v["name"] for v in volumes if v["name"].startswith(VOLUME_PREFIX)), None)
        name = existing or self._volume_name({v["name"] for v in volumes})
        mounted = [_mount(container, name) for container in _containers(spec)]
        if any(mounted) and existing is None:
            spec["volumes"] = [*volumes, _volume(name)]

    def _volume_name(self, taken: set[str]) -> str:
        while True:
            name = VOLUME_PREFIX + "".join(self._rng.choices(ALPHABET, k=5))
            if name not in taken:
                return name


def _containers(spec: Object) -> list[Object]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _mount(container: Object, volume: str) -> bool:
    """Mount the volume unless the container has something at that path; True when it was mounted."""
    mounts = container.get("volumeMounts") or []
    if any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
        return False
    container["volumeMounts"] = [*mounts, {"name": volume, "readOnly": True, "mountPath": MOUNT_PATH}]
    return True


def _should_mount(spec: Object, account: Object) -> bool:
    for wish in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
        if wish is not None:
            return bool(wish)
    return True


def _volume(name: str) -> Object:
    token = {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}}
    authority = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    namespace = {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}}
    return {"name": name, "projected": {"sources": [token, authority, namespace], "defaultMode": 420}}


def _check_mirror(attributes: Attributes, spec: Object) -> None:
    """A mirror pod runs on the kubelet's word alone, so it may not use what the API would hand out."""
    if spec.get("serviceAccountName"):
        raise attributes.forbidden("a mirror pod may not reference service accounts")
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                raise attributes.forbidden("a mirror pod may not use ServiceAccountToken volume projections")
        if "secret" in volume:
            raise attributes.forbidden("a mirror pod may not reference secrets")
