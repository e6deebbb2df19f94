"""A pod from a pod template (P), as the original's `GetPodFromTemplate`."""

from __future__ import annotations

import copy
from typing import Any

from apiserver.api import meta
from apiserver.api.meta import Object


def pod_from_template(template: Object, owner: Object, api_version: str, kind: str) -> Object:
    source = template.get("metadata") or {}
    metadata: dict[str, Any] = {
        "generateName": f"{meta.name(owner)}-",
        "namespace": meta.namespace(owner),
        "labels": dict(source.get("labels") or {}),
        "annotations": dict(source.get("annotations") or {}),
        "ownerReferences": [meta.new_controller_ref(owner, api_version, kind)],
    }
    if source.get("finalizers"):
        metadata["finalizers"] = list(source["finalizers"])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {k: v for k, v in metadata.items() if v},
        "spec": copy.deepcopy(template.get("spec") or {}),
    }
