"""componentstatuses: how scheduler, controller manager and store are, as seen from here.

The original asks for /healthz on fixed ports of its own machine. Here components may be anywhere; each that leads
renews a Lease, and that is what counts. Nothing is stored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.api.fields import FieldSelectorError, parse_field_selector
from apiserver.api.labels import SelectorError, parse_selector
from apiserver.api.meta import parse_time
from apiserver.http import responders
from apiserver.http.handlers import answer
from apiserver.http.options import list_options
from apiserver.http.scope import Exchange, Object
from apiserver.http.table import build, columns_of
from apiserver.storage.interface import StorageError

_LEASES: Final = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}
_STORE: Final = "etcd-0"
_NAMES: Final = ("controller-manager", _STORE, "scheduler")


async def handle(exchange: Exchange) -> web.StreamResponse:
    name = exchange.info.name if exchange.info.verb == "get" else ""
    if name:
        if name not in _NAMES:
            raise errors.not_found(exchange.resource.gvr.group_resource, name)
        return await answer.one(exchange, exchange.resource.gvk, await _status(exchange, name))
    return await _list(exchange)


async def _list(exchange: Exchange) -> web.StreamResponse:
    options, resource = list_options(exchange.query), exchange.resource
    try:
        labels, fields = parse_selector(options.label_selector), parse_field_selector(options.field_selector)
    except (SelectorError, FieldSelectorError) as exc:
        raise errors.bad_request(str(exc)) from None
    for requirement in fields.requirements:
        resource.field_labels.check(requirement.field)
    chosen = [name for name in _NAMES if labels.matches({}) and fields.matches({"metadata.name": name})]
    items = [await _status(exchange, name) for name in chosen]
    accepted = exchange.accepted
    if accepted is not None and accepted.transform == "Table":
        include, columns = answer.include_object(exchange), columns_of(resource.gvk, resource.columns)
        table = build(columns, resource.gvk, items, accepted, include, {})
        return await responders.obj(exchange, table)
    document = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
    return await responders.obj(exchange, document)


async def _status(exchange: Exchange, name: str) -> Object:
    fault = await (_store(exchange) if name == _STORE else _leader(exchange, _LEASES[name]))
    condition: dict[str, Any] = {
        "type": "Healthy",
        "status": "False" if fault else "True",
        "message": fault or "ok",
    }
    return {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "conditions": [condition],
    }


async def _store(exchange: Exchange) -> str:
    """What is wrong, empty: nothing."""
    try:
        await exchange.services.storage.get("/registry/health")
    except StorageError as exc:
        return str(exc)
    return ""


async def _leader(exchange: Exchange, lease: str) -> str:
    leases = exchange.services.registry.lookup("coordination.k8s.io", "v1", "leases")
    assert leases is not None
    stored, _ = await exchange.services.storage.get(leases.key("kube-system", lease))
    if stored is None:
        return f"nobody holds the lease kube-system/{lease}"
    spec = codec.decode(stored.value).get("spec") or {}
    return _expired(spec, lease, exchange.services.now())


def _expired(spec: Object, lease: str, now: datetime) -> str:
    renewed = spec.get("renewTime")
    limit = timedelta(seconds=spec.get("leaseDurationSeconds") or 0)
    if renewed and now - parse_time(renewed) <= limit:
        return ""
    holder = spec.get("holderIdentity") or "nobody"
    return f"the lease kube-system/{lease} of {holder} was last renewed {renewed or 'never'}"
