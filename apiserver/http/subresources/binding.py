"""pods/binding and bindings: assign a pod to a node (``registry/core/pod/storage.BindingREST``)."""

from __future__ import annotations

from aiohttp import web

from apiserver.admission.interface import Attributes
from apiserver.api import errors, meta
from apiserver.api.field_errors import Path, aggregate, not_supported, required
from apiserver.api.gvk import GroupResource, GroupVersionKind
from apiserver.http import body, options, responders
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange, Object
from apiserver.storage.interface import RevisionMismatch

_GVK = GroupVersionKind("", "v1", "Binding")
_RESOURCE = GroupResource("", "pods/binding")
_ATTEMPTS = 10


async def handle(exchange: Exchange) -> web.StreamResponse:
    info = exchange.info
    chosen = options.write_options(exchange.query, "CreateOptions")
    wanted = await body.read_object(exchange, _GVK, chosen.field_validation)
    name = info.name or meta.name(wanted)
    asked = _attributes(exchange, name, wanted, chosen)
    await exchange.services.admission.admit(asked)
    wanted = asked.obj or wanted
    if info.name and meta.name(wanted) != info.name:
        raise errors.bad_request("name in URL does not match name in Binding object")
    if not name:
        raise errors.bad_request("Name parameter required.")
    _validate(wanted)
    await exchange.services.admission.validate(asked)
    pods = exchange.services.registry.lookup("", "v1", "pods")
    assert pods is not None
    call = Call(exchange.services, pods, exchange.user, chosen.dry_run, "binding")
    await _bind(call, info.namespace, name, wanted)
    return await responders.obj(exchange, responders.success(code=201), 201)


def _attributes(exchange: Exchange, name: str, wanted: Object, chosen: options.WriteOptions) -> Attributes:
    """What admission sees: a Binding is made."""
    info = exchange.info
    call = Call(
        exchange.services,
        exchange.resource,
        exchange.user,
        chosen.dry_run,
        info.subresource,
        warn=exchange.warn,
        annotate=exchange.annotate,
        options=options.shown(exchange.query),
    )
    asked = call.attributes("CREATE", info.namespace, name, wanted, None)
    asked.gvk = _GVK
    return asked


def _validate(wanted: Object) -> None:
    target = wanted.get("target") or {}
    found = []
    path = Path("target")
    if target.get("kind") not in (None, "", "Node"):
        found.append(not_supported(path.child("kind"), target["kind"], ["Node", "<empty>"], ordered=True))
    if not target.get("name"):
        found.append(required(path.child("name")))
    if found:  # not an error of the API to the original: its text alone, and 500
        raise errors.unknown(aggregate(found))


async def _bind(call: Call, namespace: str, name: str, wanted: Object) -> None:
    stored = await call.read(namespace, name)
    for _ in range(_ATTEMPTS):
        pod = call.decode(stored)
        _assign(call, pod, name, wanted)
        if call.dry_run:
            return
        try:
            await call.services.storage.update(stored.key, call.encode(pod), stored.revision)
            return
        except RevisionMismatch as exc:
            if exc.current is None:
                raise errors.not_found(call.resource.gvr.group_resource, name) from None
            stored = exc.current
    raise errors.conflict(_RESOURCE, name, errors.MODIFIED)


def _assign(call: Call, pod: Object, name: str, wanted: Object) -> None:
    node, metadata = wanted["target"]["name"], wanted["metadata"]
    for field, text in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        given, present = metadata.get(field), pod["metadata"].get(field)
        if given and given != present:
            reason = f"Precondition failed: {text} in precondition: {given}, {text} in object meta: {present}"
            raise errors.conflict(_RESOURCE, name, reason)
    if meta.is_deleting(pod):
        raise errors.conflict(_RESOURCE, name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod["spec"]
    if spec.get("nodeName"):
        raise errors.conflict(_RESOURCE, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise errors.conflict(_RESOURCE, name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    if metadata.get("annotations"):
        pod["metadata"].setdefault("annotations", {}).update(metadata["annotations"])
    _scheduled(call, pod)


def _scheduled(call: Call, pod: Object) -> None:
    status = pod.setdefault("status", {})
    conditions = status.setdefault("conditions", [])
    fresh = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": meta.format_time(call.services.now()),
    }
    kept = [c for c in conditions if c.get("type") != "PodScheduled"]
    status["conditions"] = [*kept, fresh]
