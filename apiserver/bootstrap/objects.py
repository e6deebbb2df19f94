"""The objects of an empty cluster, stored as they are in `data/objects.json` (recorded from the original).

Two steps: `ensure_essential` before the server reports ready, since nothing works without the namespaces;
`ensure_rest` after. Both are idempotent and safe beside other API servers.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from apiserver.api import codec, meta
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupVersion
from apiserver.bootstrap.store import create_missing, find_resource
from apiserver.http.rest.call import Call
from apiserver.http.rest.create import create
from apiserver.http.scope import Services

log = logging.getLogger(__name__)

Object = dict[str, Any]

_DATA = Path(__file__).parent / "data" / "objects.json"
_ESSENTIAL = ("v1/namespaces", "scheduling.k8s.io/v1/priorityclasses")
_CIDR_READY = "Kubernetes default Service CIDR is ready"
"""Message of the Ready condition of the default ServiceCIDR."""


@lru_cache(maxsize=1)
def _recorded() -> dict[str, list[Object]]:
    recorded: dict[str, list[Object]] = json.loads(_DATA.read_bytes())
    return recorded


async def ensure_essential(services: Services, port: int) -> None:
    """Namespaces, the system priority classes, the default ServiceCIDR and the `kubernetes` Service."""
    await _ensure(services, _ESSENTIAL)
    await create_missing(services, "networking.k8s.io/v1/servicecidrs", [_service_cidr(services)])
    await _ensure_kubernetes_service(services, port)


async def ensure_rest(services: Services) -> None:
    """What the original stores too, but nothing waits for."""
    await _ensure(services, tuple(key for key in _recorded() if key not in _ESSENTIAL))


async def _ensure(services: Services, keys: tuple[str, ...]) -> None:
    now = meta.format_time(services.now())
    steps = (create_missing(services, key, list(_dated(_recorded()[key], now))) for key in keys)
    await asyncio.gather(*steps)


def _dated(objects: list[Object], now: str) -> Iterator[Object]:
    for obj in objects:
        yield codec.decode(codec.encode(obj).replace(b'"<time>"', b'"' + now.encode() + b'"'))


def _service_cidr(services: Services) -> Object:
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": meta.format_time(services.now()),
        "reason": "",
        "message": _CIDR_READY,
    }
    return {
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [str(services.config.service_network)]},
        "status": {"conditions": [condition]},
    }


async def _ensure_kubernetes_service(services: Services, port: int) -> None:
    """Through the ordinary create, which reserves the cluster IP."""
    resource = find_resource(services, "v1/services")
    stored, _ = await services.storage.get(resource.key("default", "kubernetes"))
    if stored is not None:
        return
    service = deepcopy(_kubernetes_service(services.config.kubernetes_service_ip, port))
    resource.strategy.default(service)
    try:
        await create(Call(services, resource), "default", service)
    except StatusError as error:  # another API server was first
        if error.reason not in ("AlreadyExists", "Invalid"):
            raise
        log.debug("the kubernetes service is being created elsewhere: %s", error)


def _kubernetes_service(cluster_ip: str, port: int) -> Object:
    return {
        "apiVersion": str(GroupVersion("", "v1")),
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    }
