"""The default ServiceAccount of a namespace (P)."""

from __future__ import annotations

from apiserver.api.meta import Object

NAME = "default"


def desired(namespace: str, current: Object | None) -> Object | None:
    if current is not None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": namespace},
    }
