"""The scale subresource of workloads and custom resources, as autoscaling/v1 Scale."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Final

from aiohttp import web

from apiserver.api import errors, meta
from apiserver.api.field_errors import Path, invalid
from apiserver.api.gvk import GroupKind, GroupVersionKind
from apiserver.api.labels import selector_from_label_selector, selector_from_set
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.handlers.patch import Patcher
from apiserver.http.handlers.update import check_name
from apiserver.http.rest.call import Call
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object
from apiserver.http.subresources import custom_scale

if TYPE_CHECKING:
    from apiserver.registry.table import Resource

SCALE: Final = GroupVersionKind("autoscaling", "v1", "Scale")
_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Object, paths: Mapping[str, str] | None = None) -> Object:
    """``paths``: where a definition says that its objects have replicas and selector. Raises 500."""
    if paths is not None:
        return _scale(obj, *custom_scale.values(obj, paths))
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector")
    chosen = (
        selector_from_label_selector(selector)
        if isinstance(selector, dict) and ("matchLabels" in selector or "matchExpressions" in selector)
        else selector_from_set(selector)
    )
    return _scale(obj, spec.get("replicas") or 0, status.get("replicas", 0), str(chosen))


def _scale(obj: Object, wanted: int, actual: int, selector: str) -> Object:
    result: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: obj["metadata"][key] for key in _METADATA if key in obj["metadata"]},
        "spec": {"replicas": wanted} if wanted else {},
        "status": {"replicas": actual},
    }
    if selector:
        result["status"]["selector"] = selector
    return result


def _paths(resource: Resource) -> Mapping[str, str] | None:
    return getattr(resource.strategy, "scale", None) if resource.custom is not None else None


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    call = Call(exchange.services, resource, exchange.user, warn=exchange.warn, subresource="scale")
    if info.verb == "get":
        obj = call.decode(await call.read(info.namespace, info.name))
        return await answer.one(exchange, SCALE, scale_of(obj, _paths(resource)))
    kind = "UpdateOptions" if info.verb == "update" else "PatchOptions"
    chosen = options.write_options(exchange.query, kind)
    call.dry_run = chosen.dry_run
    change = await _change(exchange, chosen.field_validation)
    stored, _ = await update(call, info.namespace, info.name, change)
    return await answer.one(exchange, SCALE, scale_of(stored, _paths(resource)))


async def _change(exchange: Exchange, validation: str) -> Update:
    patching = exchange.info.verb == "patch"
    paths = _paths(exchange.resource)
    given = None if patching else await body.read_object(exchange, SCALE, validation)
    patcher = await Patcher.read(exchange, SCALE, validation) if patching else None

    async def transform(old: Object | None) -> Object:
        assert old is not None
        wanted = patcher.apply(scale_of(old, paths)) if patcher is not None else given
        assert wanted is not None
        check_name(wanted, exchange.info.name)
        return _scaled(old, wanted, paths)

    return Update(transform, exchange.resource.strategy, put=True)


def _scaled(old: Object, wanted: Object, paths: Mapping[str, str] | None) -> Object:
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        found = [invalid(Path("spec").child("replicas"), replicas, "must be greater than or equal to 0")]
        raise errors.invalid(GroupKind(SCALE.group, SCALE.kind), meta.name(wanted), found)
    new = deepcopy(old)
    if paths is not None:
        custom_scale.set_replicas(new, paths, replicas)
    else:
        new["spec"]["replicas"] = replicas
    for key in ("uid", "resourceVersion"):
        if wanted["metadata"].get(key):
            new["metadata"][key] = wanted["metadata"][key]
    return new
