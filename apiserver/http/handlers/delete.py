"""DELETE of one object, and the DeleteOptions that both delete verbs read from body or query."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from apiserver.api import codec, errors, go_json
from apiserver.api.field_errors import FieldError, Path, invalid, not_supported
from apiserver.api.gvk import GroupKind, GroupVersionKind
from apiserver.http import body, negotiation, options, responders
from apiserver.http.handlers import answer
from apiserver.http.handlers.update import namespace_of
from apiserver.http.protobuf import envelope
from apiserver.http.rest.call import Call
from apiserver.http.rest.delete import Deleted, DeleteOptions, delete
from apiserver.http.scope import Exchange, Object
from apiserver.registry.deletion import RETURNS_OBJECT

_KIND: Final = GroupVersionKind("", "v1", "DeleteOptions")
_POLICIES: Final = ("Foreground", "Background", "Orphan")
_JOB_WARNING: Final = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
    "or set propagationPolicy=Orphan to suppress this warning"
)


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    chosen, dry_run = await read_options(exchange)
    warn_about_jobs(exchange, chosen)
    call = Call(
        exchange.services,
        resource,
        exchange.user,
        dry_run,
        warn=exchange.warn,
        annotate=exchange.annotate,
        options=shown(chosen, dry_run=dry_run),
    )
    done = await delete(call, namespace_of(resource, info.namespace), info.name, chosen)
    code = 202 if not done.gone and chosen.orphan_dependents is False else 200
    return await answer.one(exchange, resource.gvk, _result(exchange, done), code)


def _result(exchange: Exchange, done: Deleted) -> Object:
    resource = exchange.resource
    if not done.gone or tuple(resource.gvr.group_resource) in RETURNS_OBJECT:
        return done.obj
    metadata = done.obj["metadata"]
    details = {
        "name": metadata["name"],
        "group": resource.gvr.group,
        "kind": resource.gvr.resource,
        "uid": metadata.get("uid", ""),
    }
    return responders.success({key: value for key, value in details.items() if value})


def warn_about_jobs(exchange: Exchange, chosen: DeleteOptions) -> None:
    policy_given = chosen.propagation_policy is not None or chosen.orphan_dependents is not None
    if exchange.resource.gvr.group_resource == ("batch", "jobs") and not policy_given:
        exchange.warn(_JOB_WARNING)


async def read_options(exchange: Exchange) -> tuple[DeleteOptions, bool]:
    """(options, dry run). Raises 400, 415, 422."""
    data = await body.read(exchange)
    document = await _decode(exchange, data) if data else _from_query(exchange)
    found: list[FieldError] = []
    dry_run = options.check_dry_run(document.get("dryRun") or exchange.query.getall("dryRun", []), found)
    preconditions = document.get("preconditions") or {}
    chosen = DeleteOptions(
        document.get("gracePeriodSeconds"),
        document.get("orphanDependents"),
        document.get("propagationPolicy"),
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
    )
    _check(chosen, found)
    if found:
        raise errors.invalid(GroupKind("meta.k8s.io", "DeleteOptions"), "", found)
    return chosen, dry_run


def shown(chosen: DeleteOptions, *, dry_run: bool) -> Object:
    """The fields of the DeleteOptions as admission sees them."""
    wanted = {"uid": chosen.uid, "resourceVersion": chosen.resource_version}
    fields = {
        "gracePeriodSeconds": chosen.grace_period_seconds,
        "preconditions": {name: value for name, value in wanted.items() if value is not None} or None,
        "orphanDependents": chosen.orphan_dependents,
        "propagationPolicy": chosen.propagation_policy,
        "dryRun": ["All"] if dry_run else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _check(chosen: DeleteOptions, found: list[FieldError]) -> None:
    policy = chosen.propagation_policy
    path = Path("propagationPolicy")
    if policy is None:
        return
    if chosen.orphan_dependents is not None:
        found.append(invalid(path, policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy not in _POLICIES:
        found.append(not_supported(path, policy, [*_POLICIES, "nil"], ordered=True))


def _from_query(exchange: Exchange) -> dict[str, Any]:
    query = exchange.query
    orphan = query.get("orphanDependents")
    return {
        "gracePeriodSeconds": options.integer(query.get("gracePeriodSeconds")),
        "orphanDependents": None if orphan is None else orphan.lower() not in ("false", "0"),
        "propagationPolicy": query.get("propagationPolicy"),
    }


def _from_protobuf(data: bytes) -> Object:
    try:
        return envelope.parse(data, _KIND)
    except envelope.BodyError as exc:
        raise errors.bad_request(str(exc)) from exc


async def _decode(exchange: Exchange, data: bytes) -> dict[str, Any]:
    media_type = negotiation.content_type(
        exchange.request.headers.get("Content-Type"), exchange.services.media_types
    )
    if media_type == negotiation.PROTOBUF:
        document: Any = _from_protobuf(data)
    elif media_type != negotiation.JSON:
        document = await body.decode(data, media_type, _KIND)
    else:
        try:
            document = body.decode_json(data)
        except codec.DecodeError:
            reason = go_json.complaint(data.decode("utf-8", "replace"))
            raise errors.bad_request(f"couldn't get version/kind; json parse error: {reason}") from None
    body.require_few_values(document)
    if not isinstance(document, dict):
        raise errors.bad_request("couldn't get version/kind; json parse error: not an object")
    kind, version = document.get("kind") or "DeleteOptions", document.get("apiVersion") or "v1"
    if kind != "DeleteOptions":
        raise errors.bad_request(
            f'no kind "{kind}" is registered for version "{version}" in scheme "kubernetes"'
        )
    exchange.services.schemas.check(_KIND, document)
    return document
