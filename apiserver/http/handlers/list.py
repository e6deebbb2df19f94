"""GET of a collection: resourceVersion semantics, paging, Table and metadata-only forms.

""            at least as new as every write acknowledged before the request
"0"           whatever the cache holds
N             not older than N (NotOlderThan, or no match and no limit), else exactly N
continue      exactly the revision of the first page
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from apiserver.api import codec, errors
from apiserver.http import continue_token, render, responders, table
from apiserver.http.handlers.answer import include_object
from apiserver.http.negotiation import PLAIN, Accepted
from apiserver.http.options import EXACT, ListOptions, list_options, revision
from apiserver.http.rest.call import served
from apiserver.http.scope import Exchange, Object
from apiserver.http.selection import Selection, select
from apiserver.storage.cacher import NotYet
from apiserver.storage.entry import Entry
from apiserver.storage.interface import Compacted, FutureRevision

_AT_ONCE: Final = 50
_LIST_TOO_OLD: Final = "The resourceVersion for the provided list is too old."


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
    if exchange.read_at:
        if wanted > exchange.read_at:
            raise errors.too_large_resource_version(exchange.read_at, wanted)
        return await _at_revision(exchange, selection, options, "", exchange.read_at)
    try:
        if options.resource_version:
            await cache.wait_until(wanted)
        else:
            await cache.wait_current()
    except NotYet as exc:
        raise errors.too_large_resource_version(exc.current, exc.asked) from None
    return await _cached_page(exchange, selection, options, "", cache.revision)


async def _cached_page(
    exchange: Exchange, selection: Selection, options: ListOptions, start: str, at: int
) -> Page:
    """``at``: the revision that the cache stands at."""
    entries, rest = selection.page(exchange.services.cache(exchange.resource), start, options.limit)
    return _page(exchange, selection, options, await selection.filtered(entries), rest, at)


async def _at_revision(
    exchange: Exchange, selection: Selection, options: ListOptions, start: str, at: int
) -> Page:
    """From the cache if nothing has changed since, else from the store's history."""
    if exchange.services.cache(exchange.resource).stands_at(at):
        return await _cached_page(exchange, selection, options, start, at)
    try:
        return await _stored_page(exchange, selection, options, start, at)
    except Compacted:
        if not options.continue_:
            raise errors.expired(_LIST_TOO_OLD) from None
        again = continue_token.encode(start, exchange.resource.storage_prefix + "/", -1)
        raise continue_token.ContinueExpired(again) from None
    except FutureRevision as exc:
        raise errors.too_large_resource_version(exc.current, exc.asked) from None


async def _stored_page(
    exchange: Exchange, selection: Selection, options: ListOptions, start: str, at: int
) -> Page:
    """A page of the limit's size if nothing is filtered; else everything is read."""
    unfiltered = selection.matches is None and not selection.key
    limit = options.limit if unfiltered else 0
    listed = await exchange.services.storage.list(
        selection.prefix, start=start, limit=limit, revision=max(at, 0)
    )
    entries = [
        Entry(item.key, item.value, item.revision) for item in listed.items if selection.covers(item.key)
    ]
    return _page(
        exchange, selection, options, await selection.filtered(entries), listed.remaining, listed.revision
    )


def _page(
    exchange: Exchange, selection: Selection, options: ListOptions, entries: list[Entry], rest: int, at: int
) -> Page:
    """``rest``: how many follow the entries."""
    limit = options.limit
    if not 0 < limit < len(entries) + rest:
        return Page(entries, at)
    shown, rest = entries[:limit], rest + max(0, len(entries) - limit)
    next_key = shown[-1].key + "\0"
    token = continue_token.encode(next_key, exchange.resource.storage_prefix + "/", at)
    return Page(shown, at, token, rest if selection.matches is None else 0)


async def respond(exchange: Exchange, page: Page) -> web.StreamResponse:
    resource, accepted = exchange.resource, exchange.accepted or PLAIN
    if not accepted.transform:
        pieces = render.list_pieces(resource, page.entries, page.revision, page.continue_, page.remaining)
        return await responders.json_pieces(exchange, pieces)
    if accepted.transform == "PartialObjectMetadata":
        group = resource.gvk.group.partition(".")[0] or "core"
        raise errors.not_acceptable(
            "you requested PartialObjectMetadata, but the requested object is a list "
            f"(*{group}.{resource.gvk.kind}List)"
        )
    return await responders.json_pieces(exchange, await _transformed(exchange, page, accepted))


async def _transformed(exchange: Exchange, page: Page, accepted: Accepted) -> render.Pieces:
    """A Table or a list of metadata, some objects in each turn of the event loop."""
    gvk, is_table = exchange.resource.gvk, accepted.transform == "Table"
    include, now = include_object(exchange) if is_table else "", datetime.now(UTC)
    columns = table.columns_of(gvk, exchange.resource.columns)
    items: list[bytes] = []
    for first in range(0, len(page.entries), _AT_ONCE):
        await asyncio.sleep(0)
        stored = [entry.object() for entry in page.entries[first : first + _AT_ONCE]]
        objects = [served(exchange.resource, obj) for obj in stored]
        if is_table:
            found = table.rows(columns, gvk, objects, stored, accepted, include, now)
        else:
            found = [table.partial(obj, accepted.version) for obj in objects]
        items += map(codec.dumps, found)
    return _frame(exchange, page, accepted, items)


def _frame(exchange: Exchange, page: Page, accepted: Accepted, items: list[bytes]) -> render.Pieces:
    metadata: Object = {"resourceVersion": str(page.revision)}
    if page.continue_:
        metadata["continue"] = page.continue_
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    if accepted.transform == "Table":
        columns = table.columns_of(exchange.resource.gvk, exchange.resource.columns)
        head = table.frame(columns, accepted, metadata)
        return render.Pieces(codec.dumps(head)[:-1] + b',"rows":[', items, b"]}")
    head = {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"meta.k8s.io/{accepted.version}",
        "metadata": metadata,
    }
    opening, closing = (b"[", b"]}") if items else (b"null", b"}")
    return render.Pieces(codec.dumps(head)[:-1] + b',"items":' + opening, items, closing)
