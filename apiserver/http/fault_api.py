"""``/kuberaft/v1/faults``: lists, adds and removes the faults that ``filters.faults`` injects.

Not a resource: it is authorized by its path, so only ``system:masters`` may look unless a role names the path; and only
they may write, whatever roles say. Where fault injection is off it says how to switch it on.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.api.field_errors import quote
from apiserver.auth.denial import forbidden
from apiserver.auth.user import MASTERS
from apiserver.faults import rule
from apiserver.faults.rule import Compact, Fault, InvalidFault, Stale
from apiserver.faults.store import FaultStore
from apiserver.http import body, options, responders
from apiserver.http.filters.authorization import attributes
from apiserver.http.scope import Exchange

PATH: Final = "/kuberaft/v1/faults"
OFF: Final = (
    "fault injection is off: start the API server with --enable-fault-injection (a cluster: "
    "kuberaft up --enable-fault-injection, or masters.faultInjection: true in its topology)"
)


def serves(path: str) -> bool:
    return path == PATH or path.startswith(PATH + "/")


async def handle(exchange: Exchange) -> web.StreamResponse:
    faults = exchange.services.faults
    if faults is None:
        raise StatusError(501, "", OFF)
    name, method = exchange.info.path.rstrip("/")[len(PATH) + 1 :], exchange.request.method
    if method == "GET":
        return await (_get(exchange, faults, name) if name else _list(exchange, faults))
    _require_master(exchange)
    if method == "POST" and not name:
        return await _add(exchange, faults)
    if method == "DELETE":
        return await (_remove(exchange, faults, name) if name else _clear(exchange, faults))
    raise errors.generic(405)


def _require_master(exchange: Exchange) -> None:
    """A right to a path such as ``/kuberaft/*`` is not meant for this. Raises 403."""
    open_to_all = "AlwaysAllow" in exchange.services.config.authorization_mode
    if not open_to_all and MASTERS not in exchange.user.groups:
        raise forbidden(attributes(exchange), f"faults are set by {MASTERS} alone")


async def _list(exchange: Exchange, faults: FaultStore) -> web.Response:
    not_older = options.revision(exchange.query.get("resourceVersion") or "")
    return await responders.obj(exchange, _list_of(*await faults.listed(not_older)))


async def _get(exchange: Exchange, faults: FaultStore, name: str) -> web.Response:
    found, _ = await faults.listed()
    for fault in found:
        if fault["metadata"]["name"] == name:
            return await responders.obj(exchange, fault)
    raise StatusError(404, "NotFound", f"faults.kuberaft.io {quote(name)} not found")


async def _add(exchange: Exchange, faults: FaultStore) -> web.Response:
    """A fault without a name gets one."""
    try:
        fault = rule.read(body.parse(await body.read(exchange), "application/json", rule.KIND))
    except InvalidFault as exc:
        raise StatusError(422, "Invalid", f"Fault is invalid: {exc}") from None
    fault = await _decided(faults, fault)
    name = fault.name or f"f-{exchange.services.random_suffix()}"
    added = await faults.add(msgspec.structs.replace(fault, name=name, taken=0))
    return await responders.obj(exchange, added, 201)


async def _decided(faults: FaultStore, fault: Fault) -> Fault:
    """With the revision that some actions take from the moment they are added."""
    action = fault.spec.action
    if isinstance(action, Compact):
        action = Compact(await faults.compact())
    elif isinstance(action, Stale) and not (action.revision or action.revisions):
        action = Stale(revision=await faults.newest())
    spec = msgspec.structs.replace(fault.spec, action=action)
    return msgspec.structs.replace(fault, spec=spec)


async def _remove(exchange: Exchange, faults: FaultStore, name: str) -> web.Response:
    return await responders.obj(exchange, await faults.remove(name))


async def _clear(exchange: Exchange, faults: FaultStore) -> web.Response:
    return await responders.obj(exchange, _list_of(*await faults.clear()))


def _list_of(items: list[dict[str, Any]], revision: int) -> dict[str, Any]:
    metadata = {"resourceVersion": str(revision)}
    return {"kind": f"{rule.KIND}List", "apiVersion": rule.API_VERSION, "metadata": metadata, "items": items}
