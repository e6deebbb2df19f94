"""Reviews: who am I, is this token good, may this user do that. Nothing is stored."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from apiserver.api import errors, meta
from apiserver.api.field_errors import FieldError
from apiserver.api.gvk import GroupKind
from apiserver.auth.authenticator import BadToken
from apiserver.auth.rbac import Attributes
from apiserver.auth.user import User
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.request_info import selected_fields
from apiserver.http.rest.create import check_namespace
from apiserver.http.scope import Exchange, Object
from apiserver.validation.access_reviews import validate_local, validate_self, validate_subject

_ANY: Final = GroupKind("authorization.k8s.io", "")


async def _read(exchange: Exchange) -> Object:
    chosen = options.write_options(exchange.query, "CreateOptions")
    obj = await body.read_object(exchange, exchange.resource.gvk, chosen.field_validation)
    obj.pop("status", None)
    return obj


async def _answer(exchange: Exchange, obj: Object, status: Object) -> web.StreamResponse:
    spec = {"spec": obj["spec"]} if "spec" in obj else {}
    document = {
        "kind": obj["kind"],
        "apiVersion": obj["apiVersion"],
        "metadata": obj["metadata"],
        **spec,
        "status": status,
    }
    return await answer.one(exchange, exchange.resource.gvk, document, 201)


async def self_subject(exchange: Exchange) -> web.StreamResponse:
    obj = await _read(exchange)
    obj["metadata"] = {"creationTimestamp": meta.format_time(exchange.services.now())}
    return await _answer(exchange, obj, {"userInfo": exchange.user.info()})


async def token(exchange: Exchange) -> web.StreamResponse:
    obj = await _read(exchange)
    value = (obj.get("spec") or {}).get("token") or ""
    if not value:
        raise errors.bad_request("token is required for TokenReview in authentication")
    authenticator = exchange.services.authenticator
    asked = (obj.get("spec") or {}).get("audiences") or authenticator.audiences
    try:
        found = await authenticator.review(value, asked)
    except BadToken as fault:
        return await _answer(exchange, obj, {"user": {}, "error": str(fault)})
    status = {"authenticated": True, "user": found.user.info(), "audiences": found.audiences}
    return await _answer(exchange, obj, status)


async def self_subject_access(exchange: Exchange) -> web.StreamResponse:
    obj = await _read(exchange)
    _refuse(validate_self(obj.get("spec") or {}))
    return await _decide(exchange, obj, exchange.user)


async def subject_access(exchange: Exchange) -> web.StreamResponse:
    obj = await _read(exchange)
    spec = obj.get("spec") or {}
    _refuse(validate_subject(spec))
    return await _decide(exchange, obj, _subject(spec))


async def local_subject_access(exchange: Exchange) -> web.StreamResponse:
    obj = await _read(exchange)
    spec, namespace = obj.get("spec") or {}, exchange.info.namespace
    check_namespace(obj, namespace)
    _refuse(validate_local(spec, namespace))
    return await _decide(exchange, obj, _subject(spec))


def _refuse(found: list[FieldError]) -> None:
    """Raises 422; the original leaves the kind out."""
    if found:
        raise errors.invalid(_ANY, "", found)


def _subject(spec: Object) -> User:
    extra = {key.lower(): list(values) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", extra)


async def _decide(exchange: Exchange, obj: Object, user: User) -> web.StreamResponse:
    spec: dict[str, Any] = obj.get("spec") or {}
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    asked: Attributes
    if path is not None:
        asked = Attributes(user, path.get("verb") or "", path=path.get("path") or "")
    else:
        assert resource is not None
        asked = _of_resource(user, resource)
    found = await exchange.services.authorizer.authorize(asked)
    status: Object = {"allowed": found.allowed}
    if found.denied:
        status["denied"] = True
    if found.reason:
        status["reason"] = found.reason
    if found.error:
        status["evaluationError"] = found.error
    return await _answer(exchange, obj, status)


def _of_resource(user: User, asked: Object) -> Attributes:
    names = ("verb", "group", "resource", "subresource", "namespace", "name")
    verb, group, resource, subresource, namespace, name = (asked.get(key) or "" for key in names)
    fields = _selected(asked.get("fieldSelector") or {})
    version = asked.get("version") or ""
    return Attributes(
        user, verb, group, resource, subresource, namespace, name, fields=fields, version=version
    )


def _selected(selector: Object) -> tuple[tuple[str, str], ...]:
    """What the selector of a review demands by equality."""
    if selector.get("rawSelector"):
        return selected_fields(selector["rawSelector"])
    return tuple(
        (item.get("key") or "", item["values"][0])
        for item in selector.get("requirements") or ()
        if item.get("operator") == "In" and len(item.get("values") or ()) == 1
    )


async def self_subject_rules(exchange: Exchange) -> web.StreamResponse:
    obj = await _read(exchange)
    namespace = (obj.get("spec") or {}).get("namespace") or ""
    if not namespace:
        raise errors.bad_request("no namespace on request")
    resource_rules, path_rules = [], []
    found = await exchange.services.authorizer.rules(exchange.user, namespace)
    for rule in found.rules:
        if rule.get("resources"):
            keys = ("verbs", "apiGroups", "resources", "resourceNames")
            resource_rules.append({key: rule[key] for key in keys if rule.get(key)})
        if rule.get("nonResourceURLs"):
            path_rules.append({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]})
    status = {
        "resourceRules": resource_rules,
        "nonResourceRules": path_rules,
        "incomplete": bool(found.error),
    }
    if found.error:
        status["evaluationError"] = found.error
    return await _answer(exchange, obj, status)
