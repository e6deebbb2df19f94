"""GET of a collection: resourceVersion semantics, paging, Table and metadata-only forms.

""            at least as new as every write acknowledged before the request
"0"           whatever the cache holds
N             not older than N (NotOlderThan, or no match and no limit), else exactly N
continue      exactly the revision of the first page
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.http import continue_token, render, responders, table
from apiserver.http.handlers.answer import include_object
from apiserver.http.negotiation import PLAIN
from apiserver.http.options import EXACT, ListOptions, list_options, revision
from apiserver.http.rest.call import served
from apiserver.http.scope import Exchange
from apiserver.http.selection import Selection, select
from apiserver.storage.cacher import NotYet
from apiserver.storage.entry import Entry
from apiserver.storage.interface import Compacted, FutureRevision

_LIST_TOO_OLD = "The resourceVersion for the provided list is too old."


@dataclass(slots=True)
class Page:
    entries: list[Entry]
    revision: int
    continue_: str = ""
    remaining: int = 0


async def handle(exchange: Exchange) -> web.StreamResponse:
    options = list_options(exchange.query)
    page = await find(exchange, options)
    return await respond(exchange, page)


async def find(exchange: Exchange, options: ListOptions) -> Page:
    resource = exchange.resource
    selection = select(resource, exchange.info.namespace, options, exchange.info.name)
    wanted = revision(options.resource_version, errors.bad_request, "invalid resource version: ")
    if options.continue_:
        if wanted:
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        start, at = continue_token.decode(options.continue_, resource.storage_prefix + "/")
        return await _at_revision(exchange, selection, options, start, at)
    exact = options.match == EXACT or (not options.match and options.limit > 0)
    if wanted and exact:
        return await _at_revision(exchange, selection, options, "", wanted)
    return await _current(exchange, selection, options, wanted)


async def _current(exchange: Exchange, selection: Selection, options: ListOptions, wanted: int) -> Page:
    cache = exchange.services.cache(exchange.resource)
    try:
        if options.resource_version:
            await cache.wait_until(wanted)
        else:
            await cache.wait_current()
    except NotYet as exc:
        raise errors.too_large_resource_version(exc.current, exc.asked) from None
    return _page(exchange, selection, options, selection.entries(cache), cache.revision)


async def _at_revision(
    exchange: Exchange, selection: Selection, options: ListOptions, start: str, at: int
) -> Page:
    storage = exchange.services.storage
    try:
        listed = await storage.list(selection.prefix, start=start, revision=max(at, 0))
    except Compacted:
        if not options.continue_:
            raise errors.expired(_LIST_TOO_OLD) from None
        again = continue_token.encode(start, exchange.resource.storage_prefix + "/", -1)
        raise continue_token.ContinueExpired(again) from None
    except FutureRevision as exc:
        raise errors.too_large_resource_version(exc.current, exc.asked) from None
    entries = [Entry(item.key, item.value, item.revision) for item in listed.items]
    if selection.key:
        entries = [entry for entry in entries if entry.key == selection.key]
    if selection.matches is not None:
        entries = list(filter(selection.matches, entries))
    return _page(exchange, selection, options, entries, listed.revision)


def _page(
    exchange: Exchange, selection: Selection, options: ListOptions, entries: list[Entry], at: int
) -> Page:
    if not 0 < options.limit < len(entries):
        return Page(entries, at)
    shown, rest = entries[: options.limit], len(entries) - options.limit
    next_key = shown[-1].key + "\0"
    token = continue_token.encode(next_key, exchange.resource.storage_prefix + "/", at)
    return Page(shown, at, token, rest if selection.matches is None else 0)


async def respond(exchange: Exchange, page: Page) -> web.Response:
    resource, accepted = exchange.resource, exchange.accepted or PLAIN
    if not accepted.transform:
        data = render.list_bytes(resource, page.entries, page.revision, page.continue_, page.remaining)
        return await responders.json_bytes(exchange, data)
    metadata: dict[str, object] = {"resourceVersion": str(page.revision)}
    if page.continue_:
        metadata["continue"] = page.continue_
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    objects = [served(resource, entry.object()) for entry in page.entries]
    if accepted.transform == "Table":
        include, stored = include_object(exchange), [entry.object() for entry in page.entries]
        document = table.build(
            resource.gvk, objects, accepted, include, metadata, stored=stored, columns=resource.columns
        )
    elif accepted.transform == "PartialObjectMetadata":
        group = resource.gvk.group.partition(".")[0] or "core"
        raise errors.not_acceptable(
            "you requested PartialObjectMetadata, but the requested object is a list "
            f"(*{group}.{resource.gvk.kind}List)"
        )
    else:
        document = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{accepted.version}",
            "metadata": metadata,
            "items": [table.partial(obj, accepted.version) for obj in objects] or None,
        }
    return await responders.json_bytes(exchange, codec.dumps(document))
