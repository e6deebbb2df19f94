"""Rules for volumes that lie elsewhere: NFS and CSI, in pods and in PersistentVolumes. Pure.

Source: ``validateNFSVolumeSource``, ``validateCSIVolumeSource``, ``validateCSIPersistentVolumeSource``.
"""

from __future__ import annotations

from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, invalid, required
from apiserver.validation.domains import driver, label, subdomain

Object = dict[str, Any]
_SECRETS: Final = (
    *("controllerPublishSecretRef", "controllerExpandSecretRef"),
    *("nodePublishSecretRef", "nodeExpandSecretRef"),
)


def nfs(source: Object, path: Path) -> list[FieldError]:
    found = [required(path.child(field)) for field in ("server", "path") if not source.get(field)]
    place = source.get("path") or ""
    if not place.startswith("/"):
        found.append(invalid(path.child("path"), place, "must be an absolute path"))
    return found


def pod_csi(source: Object, path: Path) -> list[FieldError]:
    found, secret = (
        driver(source.get("driver") or "", path.child("driver")),
        source.get("nodePublishSecretRef"),
    )
    if secret is None:
        return found
    name = secret.get("name") or ""
    if not name:
        return [*found, required(path.child("nodePublishSecretRef ", "name"))]  # the space is the original's
    return found + subdomain(name, path.child("name"))


def volume_csi(source: Object, path: Path) -> list[FieldError]:
    found = driver(source.get("driver") or "", path.child("driver"))
    if not source.get("volumeHandle"):
        found.append(required(path.child("volumeHandle")))
    for field in _SECRETS:
        if source.get(field) is not None:
            found += _secret(source[field], path.child(field))
    return found


def _secret(reference: Object, path: Path) -> list[FieldError]:
    name, namespace = reference.get("name") or "", reference.get("namespace") or ""
    return [
        *(subdomain(name, path.child("name")) if name else [required(path.child("name"))]),
        *(label(namespace, path.child("namespace")) if namespace else [required(path.child("namespace"))]),
    ]
