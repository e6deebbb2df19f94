"""What a deletion answers with, kind by kind. Pure data, for the handler and for the OpenAPI documents."""

from __future__ import annotations

from typing import Final

# Kinds whose deletion answers with the object (ReturnDeletedObject in their registries).
RETURNS_OBJECT: Final = frozenset(
    {
        ("", "pods"), ("", "services"), ("", "serviceaccounts"), ("", "podtemplates"), ("", "resourcequotas"),
        ("", "persistentvolumes"), ("", "persistentvolumeclaims"), ("storage.k8s.io", "storageclasses"),
        ("storage.k8s.io", "csidrivers"), ("storage.k8s.io", "csinodes"), ("storage.k8s.io", "volumeattachments"),
        ("storage.k8s.io", "csistoragecapacities"), ("storage.k8s.io", "volumeattributesclasses"),
        ("resource.k8s.io", "deviceclasses"), ("resource.k8s.io", "resourceclaims"),
        ("resource.k8s.io", "resourceclaimtemplates"), ("resource.k8s.io", "resourceslices"),
    }
)  # fmt: skip
