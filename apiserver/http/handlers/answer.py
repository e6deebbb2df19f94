"""Objects as answers: plain, Table or PartialObjectMetadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.http import responders, table
from apiserver.http.negotiation import PLAIN
from apiserver.http.rest.call import to_stored
from apiserver.http.scope import Exchange, Object

if TYPE_CHECKING:
    from apiserver.api.gvk import GroupVersionKind

_INCLUDES: Final = ("", "None", "Metadata", "Object")


def include_object(exchange: Exchange) -> str:
    """Raises 400."""
    value = exchange.query.get("includeObject") or ""
    if value not in _INCLUDES:
        raise errors.bad_request(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{value}": '
            "must be 'Metadata', 'Object', 'None', or empty"
        )
    return value or "Metadata"


async def one(exchange: Exchange, gvk: GroupVersionKind, obj: Object, code: int = 200) -> web.Response:
    """An object that a verb produced. A Status is never transformed."""
    accepted = exchange.accepted or PLAIN
    if accepted.transform == "Table" and obj.get("kind") != "Status":
        version = str((obj.get("metadata") or {}).get("resourceVersion", ""))
        metadata = {"resourceVersion": version} if version else {}
        stored = [to_stored(exchange.resource, obj)] if gvk == exchange.resource.gvk else None
        columns = table.columns_of(gvk, exchange.resource.columns if stored is not None else None)
        include = include_object(exchange)
        obj = table.build(columns, gvk, [obj], accepted, include, metadata, stored=stored)
    elif accepted.transform and obj.get("kind") != "Status":
        if accepted.transform == "PartialObjectMetadataList":
            text = f"you requested PartialObjectMetadataList, but the requested object is not a list ({gvk.kind})"
            raise errors.not_acceptable(text)
        obj = table.partial(obj, accepted.version)
    return await responders.json_bytes(exchange, codec.dumps(ordered(obj)), code)


def ordered(obj: Object) -> Object:
    """kind, apiVersion, metadata first, as people expect to read them."""
    first: Object = {key: obj[key] for key in ("kind", "apiVersion", "metadata") if key in obj}
    return {**first, **obj}
