"""The scale subresource of workloads, as autoscaling/v1 Scale."""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from aiohttp import web

from apiserver.api import errors, meta
from apiserver.api.field_errors import Path, invalid
from apiserver.api.gvk import GroupKind, GroupVersionKind
from apiserver.api.labels import SelectorError, selector_from_label_selector, selector_from_set
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.handlers.patch import Patcher
from apiserver.http.handlers.update import check_name
from apiserver.http.rest.call import Call
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object

SCALE: Final = GroupVersionKind("autoscaling", "v1", "Scale")
_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Object) -> Object:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector")
    try:
        chosen = (
            selector_from_label_selector(selector)
            if isinstance(selector, dict) and ("matchLabels" in selector or "matchExpressions" in selector)
            else selector_from_set(selector)
        )
    except SelectorError as exc:
        raise errors.bad_request(str(exc)) from exc
    result: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: obj["metadata"][key] for key in _METADATA if key in obj["metadata"]},
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
        "status": {"replicas": status.get("replicas", 0)},
    }
    if str(chosen):
        result["status"]["selector"] = str(chosen)
    return result


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    call = Call(exchange.services, resource, exchange.user, warn=exchange.warn, subresource="scale")
    if info.verb == "get":
        obj = call.decode(await call.read(info.namespace, info.name))
        return await answer.one(exchange, SCALE, scale_of(obj))
    kind = "UpdateOptions" if info.verb == "update" else "PatchOptions"
    chosen = options.write_options(exchange.query, kind)
    call.dry_run = chosen.dry_run
    change = await _change(exchange, chosen.field_validation)
    stored, _ = await update(call, info.namespace, info.name, change)
    return await answer.one(exchange, SCALE, scale_of(stored))


async def _change(exchange: Exchange, validation: str) -> Update:
    patching = exchange.info.verb == "patch"
    given = None if patching else await body.read_object(exchange, SCALE, validation)
    patcher = await Patcher.read(exchange, SCALE, validation) if patching else None

    async def transform(old: Object | None) -> Object:
        assert old is not None
        wanted = patcher.apply(scale_of(old)) if patcher is not None else given
        assert wanted is not None
        check_name(wanted, exchange.info.name)
        return _scaled(old, wanted)

    return Update(transform, exchange.resource.strategy, put=True)


def _scaled(old: Object, wanted: Object) -> Object:
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        found = [invalid(Path("spec").child("replicas"), replicas, "must be greater than or equal to 0")]
        raise errors.invalid(GroupKind(SCALE.group, SCALE.kind), meta.name(wanted), found)
    new = deepcopy(old)
    new["spec"]["replicas"] = replicas
    for key in ("uid", "resourceVersion"):
        if wanted["metadata"].get(key):
            new["metadata"][key] = wanted["metadata"][key]
        elif key == "resourceVersion":
            new["metadata"].pop(key, None)
    return new
