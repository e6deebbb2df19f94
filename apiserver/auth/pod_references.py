"""(P) What pods and volumes name: secrets, config maps, claims, accounts (``VisitPodSecretNames`` and the like).

Used by the node authorizer's graph and by the NodeRestriction plugin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from apiserver.api import meta

Object = dict[str, Any]
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_MIRROR: Final = "kubernetes.io/config.mirror"
_SECRET_REFS: Final = {
    # volume source: field with the reference to its secret
    "cephfs": "secretRef",
    "cinder": "secretRef",
    "flexVolume": "secretRef",
    "iscsi": "secretRef",
    "rbd": "secretRef",
    "scaleIO": "secretRef",
    "storageos": "secretRef",
    "csi": "nodePublishSecretRef",
}
_CSI_OF_VOLUMES: Final = ("nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")


class Reference(NamedTuple):
    """An object by its plural resource."""

    resource: str
    namespace: str
    name: str


def is_mirror(pod: Object) -> bool:
    return _MIRROR in meta.annotations(pod)


def of(pod: Object) -> Iterator[Reference]:
    """Everything that the node of the pod must be able to read for it; nothing for a mirror pod."""
    if is_mirror(pod):
        return
    namespace, spec = meta.namespace(pod), pod.get("spec") or {}
    if spec.get("serviceAccountName"):
        yield Reference("serviceaccounts", namespace, spec["serviceAccountName"])
    named = {
        "secrets": secret_names(spec),
        "configmaps": config_map_names(spec),
        "persistentvolumeclaims": claim_names(pod),
        "resourceclaims": _resource_claim_names(pod),
    }
    for resource, names in named.items():
        for name in names:
            yield Reference(resource, namespace, name)


def secret_names(spec: Object) -> Iterator[str]:
    for reference in spec.get("imagePullSecrets") or ():
        yield from _name(reference)
    yield from _from_environment(spec, "secretRef", "secretKeyRef")
    for volume in spec.get("volumes") or ():
        yield from _of_source(volume)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _name(source.get("secret"))


def _of_source(volume: Object) -> Iterator[str]:
    yield from _name(volume.get("secret"), "secretName")
    yield from _name(volume.get("azureFile"), "secretName")
    for source, field in _SECRET_REFS.items():
        yield from _name((volume.get(source) or {}).get(field))


def config_map_names(spec: Object) -> Iterator[str]:
    yield from _from_environment(spec, "configMapRef", "configMapKeyRef")
    for volume in spec.get("volumes") or ():
        yield from _name(volume.get("configMap"))
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _name(source.get("configMap"))


def claim_names(pod: Object) -> Iterator[str]:
    """PersistentVolumeClaims, those of ephemeral volumes too."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        yield from _name(volume.get("persistentVolumeClaim"), "claimName")
        if volume.get("ephemeral") is not None:
            yield f"{meta.name(pod)}-{volume['name']}"


def _resource_claim_names(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    made = {item.get("name"): item for item in status.get("resourceClaimStatuses") or ()}
    for claim in (pod.get("spec") or {}).get("resourceClaims") or ():
        yield from _name(claim, "resourceClaimName") or _name(
            made.get(claim.get("name")), "resourceClaimName"
        )
    yield from _name(status.get("extendedResourceClaimStatus"), "resourceClaimName")


def _from_environment(spec: Object, whole: str, key: str) -> Iterator[str]:
    for field in _CONTAINERS:
        for container in spec.get(field) or ():
            for source in container.get("envFrom") or ():
                yield from _name(source.get(whole))
            for variable in container.get("env") or ():
                yield from _name((variable.get("valueFrom") or {}).get(key))


def _name(reference: Object | None, field: str = "name") -> list[str]:
    name = (reference or {}).get(field)
    return [name] if name else []


def of_volume(volume: Object) -> Iterator[Reference]:
    """Secrets that a PersistentVolume needs on the node; without a namespace they are in that of its claim."""
    spec = volume.get("spec") or {}
    default = (spec.get("claimRef") or {}).get("namespace") or ""
    azure = spec.get("azureFile") or {}
    if azure.get("secretName"):
        yield Reference("secrets", azure.get("secretNamespace") or default, azure["secretName"])
    for source, field in _SECRET_REFS.items():
        for name in _CSI_OF_VOLUMES if source == "csi" else (field,):
            reference = (spec.get(source) or {}).get(name) or {}
            if reference.get("name"):
                yield Reference("secrets", reference.get("namespace") or default, reference["name"])
