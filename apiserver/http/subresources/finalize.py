"""namespaces/finalize: only spec.finalizers changes; a terminating namespace without any is removed."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from apiserver.api.field_errors import FieldError, Path, invalid
from apiserver.api.names import check_qualified_name
from apiserver.http import body, options
from apiserver.http.handlers import answer
from apiserver.http.handlers.update import check_name, owner_of
from apiserver.http.rest.call import Call
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object

_STANDARD: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


class _Finalize:
    def prepare_for_update(self, new: Object, old: Object) -> None:
        finalizers = (new.get("spec") or {}).get("finalizers")
        new["spec"] = {"finalizers": finalizers} if finalizers else {}
        if "status" in old:
            new["status"] = old["status"]

    def validate_update(self, new: Object, old: Object) -> list[FieldError]:
        finalizers = (new.get("spec") or {}).get("finalizers") or ()
        path = Path("spec").child("finalizers")
        return [error for at, name in enumerate(finalizers) for error in _finalizer(name, path.index(at))]


def _finalizer(name: str, path: Path) -> list[FieldError]:
    found = [invalid(path, name, text) for text in check_qualified_name(name)]
    if "/" not in name and name not in _STANDARD:
        text = "name is neither a standard finalizer name nor is it fully qualified"
        found.append(invalid(path, name, text))
    return found


async def handle(exchange: Exchange) -> web.StreamResponse:
    resource, info = exchange.resource, exchange.info
    chosen = options.write_options(exchange.query, "UpdateOptions")
    obj = await body.read_object(exchange, resource.gvk, chosen.field_validation)
    check_name(obj, info.name)
    resource.strategy.default(obj)

    call = Call(
        exchange.services,
        resource,
        exchange.user,
        chosen.dry_run,
        "finalize",
        exchange.warn,
        exchange.annotate,
    )
    owner = owner_of(exchange, call, chosen.field_manager)

    async def transform(old: Object | None) -> Object:
        return owner.update(old, obj)

    stored, _ = await update(call, "", info.name, Update(transform, _Finalize(), put=True))
    return await answer.one(exchange, resource.gvk, stored)
