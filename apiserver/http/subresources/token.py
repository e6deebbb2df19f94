"""serviceaccounts/token: issue a bound token (``registry/core/serviceaccount/storage/token.go``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiohttp import web

from apiserver.api import errors, meta
from apiserver.api.field_errors import Path, invalid
from apiserver.api.gvk import GroupKind, GroupResource, GroupVersionKind
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange, Object

_GVK: Final = GroupVersionKind("authentication.k8s.io", "v1", "TokenRequest")
_HOUR: Final = 3600
_MIN: Final = 600
_MAX: Final = 1 << 32
_BOUND: Final = {("v1", "Pod"): "pods", ("v1", "Secret"): "secrets", ("v1", "Node"): "nodes"}


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info, services = exchange.resource, exchange.info, exchange.services
    chosen = options.write_options(exchange.query, "CreateOptions")
    request = await body.read_object(exchange, _GVK, chosen.field_validation)
    call = Call(services, resource, exchange.user)
    account = call.decode(await call.read(info.namespace, info.name))
    spec = request.get("spec") or {}
    seconds = spec.get("expirationSeconds") or _HOUR
    _validate(seconds)
    await _admit(call, info.namespace, info.name, request)
    if services.accounts.keys.signing is None:
        raise errors.service_unavailable(
            "token requests need --service-account-signing-key-file, which this server was started without"
        )
    bound, reference = await _bound(exchange, spec.get("boundObjectRef"))
    audiences = spec.get("audiences") or services.accounts.audiences
    token, expires = services.accounts.issue(account, audiences, seconds, bound, services.new_uid())
    document: Object = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": _metadata(account),
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference},
        "status": {"token": token, "expirationTimestamp": meta.format_time(expires)},
    }
    document["metadata"]["creationTimestamp"] = meta.format_time(services.now())
    return await answer.one(exchange, _GVK, document, 201)


async def _admit(call: Call, namespace: str, name: str, request: Object) -> None:
    """Raises what plugins raise: NodeRestriction asks for which pod a kubelet wants the token."""
    write = replace(call, subresource="token").attributes("CREATE", namespace, name, request, None)
    await call.services.admission.admit(write)
    await call.services.admission.validate(write)


def _metadata(account: Object) -> Object:
    return {
        key: account["metadata"][key] for key in ("name", "namespace", "uid") if key in account["metadata"]
    }


def _validate(seconds: int) -> None:
    path = Path("spec").child("expirationSeconds")
    if seconds < _MIN:
        found = [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    elif seconds > _MAX:
        found = [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    else:
        return
    raise errors.invalid(GroupKind(_GVK.group, _GVK.kind), "", found)


async def _bound(exchange: Exchange, asked: Object | None) -> tuple[dict[str, dict[str, str]], Object | None]:
    if not asked:
        return {}, None
    version, kind = asked.get("apiVersion") or "v1", asked.get("kind") or ""
    plural = _BOUND.get((version, kind))
    if plural is None:
        raise errors.bad_request(f"cannot bind token to object of type /{version}, Kind={kind}")
    target = exchange.services.registry.lookup("", "v1", plural)
    assert target is not None
    name = asked.get("name") or ""
    obj = (call := Call(exchange.services, target)).decode(await call.read(exchange.info.namespace, name))
    if asked.get("uid") and asked["uid"] != meta.uid(obj):
        text = (
            f"the UID in the bound object reference ({asked['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(GroupResource("", plural), name, text)
    claims = {kind.lower(): {"name": name, "uid": meta.uid(obj)}}
    if kind == "Pod":
        _check_account(exchange.info.name, obj)
        claims |= await _node_claim(exchange, obj)
    reference = {"kind": kind, "apiVersion": version, "name": name, "uid": meta.uid(obj)}
    return claims, reference


def _check_account(account: str, pod: Object) -> None:
    if (pod.get("spec") or {}).get("serviceAccountName") != account:
        raise errors.bad_request(
            f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
        )


async def _node_claim(exchange: Exchange, pod: Object) -> dict[str, dict[str, str]]:
    """The pod's node; without its uid while there is no such node."""
    name = (pod.get("spec") or {}).get("nodeName") or ""
    nodes = exchange.services.registry.lookup("", "v1", "nodes")
    if not name or nodes is None:
        return {}
    stored, _ = await exchange.services.storage.get(nodes.key("", name))
    uid = meta.uid(Call(exchange.services, nodes).decode(stored)) if stored is not None else ""
    return {"node": {"name": name, **({"uid": uid} if uid else {})}}
