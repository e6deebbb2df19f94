"""The ConfigMap with the cluster's CA certificate (P), which pods mount beside their token."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.meta import Object

NAME = "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such "
    "as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions "
    "of Kubernetes clusters."
)
_ANNOTATIONS = {"kubernetes.io/description": _DESCRIPTION}


def desired(root_ca: str, namespace: str, current: Object | None) -> Object | None:
    data = {"ca.crt": root_ca}
    if current is None:
        metadata = {"name": NAME, "namespace": namespace, "annotations": dict(_ANNOTATIONS)}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    annotations = {**meta.annotations(current), **_ANNOTATIONS}
    if current.get("data") == data and annotations == meta.annotations(current):
        return None
    metadata = {**meta.metadata(current), "annotations": annotations}
    return {**current, "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
