"""namespaces/finalize: only spec.finalizers changes; a terminating namespace without any is removed."""

from __future__ import annotations

from aiohttp import web

from apiserver.api.field_errors import FieldError
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.handlers.update import check_name
from apiserver.http.rest.call import Call
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object


class _Finalize:
    def prepare_for_update(self, new: Object, old: Object) -> None:
        finalizers = (new.get("spec") or {}).get("finalizers")
        new["spec"] = {"finalizers": finalizers} if finalizers else {}
        if "status" in old:
            new["status"] = old["status"]

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        return []


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    chosen = options.write_options(exchange.query, "UpdateOptions")
    obj = await body.read_object(exchange, resource.gvk, chosen.field_validation)
    check_name(obj, info.name)
    resource.strategy.default(obj)

    async def transform(_: Object | None) -> Object:
        return obj

    call = Call(exchange.services, resource, exchange.user, chosen.dry_run, "finalize", exchange.warn)
    stored, _ = await update(call, "", info.name, Update(transform, _Finalize(), put=True))
    return await answer.one(exchange, resource.gvk, stored)
