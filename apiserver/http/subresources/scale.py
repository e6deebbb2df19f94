"""The scale subresource of workloads and custom resources, as autoscaling/v1 Scale."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from apiserver.api import errors, meta
from apiserver.api.field_errors import Path, invalid
from apiserver.api.gvk import GroupKind, GroupVersionKind
from apiserver.api.labels import SelectorError, selector_from_label_selector, selector_from_set
from apiserver.http import body, options
from apiserver.http.handlers import answer, patch
from apiserver.http.handlers.apply import Applier
from apiserver.http.handlers.update import check_name
from apiserver.http.rest.call import Call
from apiserver.http.rest.ownership import Ownership, manager_name
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object
from apiserver.http.subresources import custom_scale
from apiserver.patch.apply import scale as apply_scale
from apiserver.patch.apply.managed import BadManagedFields

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
    try:
        chosen = (
            selector_from_label_selector(selector)
            if isinstance(selector, dict) and ("matchLabels" in selector or "matchExpressions" in selector)
            else selector_from_set(selector)
        )
    except SelectorError as exc:
        raise errors.bad_request(str(exc)) from exc
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
    call = Call(
        exchange.services,
        resource,
        exchange.user,
        warn=exchange.warn,
        annotate=exchange.annotate,
        subresource="scale",
    )
    if info.verb == "get":
        obj = call.decode(await call.read(info.namespace, info.name))
        return await answer.one(exchange, SCALE, scale_of(obj, _paths(resource)))
    change = await _change(exchange, call)
    stored, _ = await update(call, info.namespace, info.name, change)
    return await answer.one(exchange, SCALE, scale_of(stored, _paths(resource)))


async def _change(exchange: Exchange, call: Call) -> Update:
    patcher = given = None
    if exchange.info.verb == "patch":
        patcher, chosen = await patch.read(exchange, SCALE)
    else:
        chosen = options.write_options(exchange.query, "UpdateOptions")
        given = await body.read_object(exchange, SCALE, chosen.field_validation)
    call.dry_run = chosen.dry_run
    asked = manager_name(chosen.field_manager, exchange.request.headers.get("User-Agent"))
    owner, paths = Ownership.of_scale(call.services, SCALE, asked), _paths(call.resource)

    async def transform(old: Object | None) -> Object:
        assert old is not None
        before = _with_owners(scale_of(old, paths), _owners_in_scale(call, old))
        wanted = patcher.apply(owner, before) if patcher is not None else given
        assert wanted is not None
        check_name(wanted, exchange.info.name)
        if not isinstance(patcher, Applier):
            wanted = owner.update(before, wanted)
        wanted = await _admitted(call, exchange.info.namespace, wanted, before)
        new = _scaled(old, wanted, paths)
        return _with_owners(new, _owners_in_parent(call, old, wanted))

    def shown(obj: Object) -> tuple[GroupVersionKind, Object]:
        return SCALE, scale_of(obj, paths)

    return Update(transform, exchange.resource.strategy, put=True, shown=shown)


async def _admitted(call: Call, namespace: str, wanted: Object, before: Object) -> Object:
    """The Scale as the mutating plugins leave it."""
    write = call.attributes("UPDATE", namespace, meta.name(before), wanted, before)
    write.gvk = SCALE
    return await call.admit(write)


def _replicas(call: Call) -> dict[str, apply_scale.Path | None]:
    """Where the replicas are in each version that the workload is served in; None: it has no scale there."""
    wanted = call.resource.gvr.group_resource
    versions = [one for one in call.services.registry.resources if one.gvr.group_resource == wanted]
    return {one.gvk.group_version: _replicas_path(one) for one in versions}


def _replicas_path(resource: Resource) -> apply_scale.Path | None:
    """Custom resources say it in their definitions."""
    if "scale" not in resource.subresources:
        return None
    paths = getattr(resource.strategy, "scale", None)
    if paths is None:
        return apply_scale.IN_SCALE
    return custom_scale.place(paths)


def _owners_in_scale(call: Call, obj: Object) -> Any:
    try:
        return apply_scale.to_scale(obj["metadata"].get("managedFields"), _replicas(call))
    except BadManagedFields as exc:
        raise errors.unknown(str(exc)) from None


def _owners_in_parent(call: Call, old: Object, scale: Object) -> Any:
    entries, claims = (obj["metadata"].get("managedFields") for obj in (old, scale))
    return apply_scale.to_parent(entries, claims, call.resource.gvk.group_version, _replicas(call))


def _with_owners(obj: Object, entries: Any) -> Object:
    obj["metadata"].pop("managedFields", None)
    if entries:
        obj["metadata"]["managedFields"] = entries
    return obj


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
        elif (
            key == "resourceVersion" and paths is None
        ):  # a custom resource keeps its own, as in the original
            new["metadata"].pop(key, None)
    return new
