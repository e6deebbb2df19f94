"""DELETE of a collection: every selected object, as if deleted one by one. Answers with what was selected."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from apiserver.api.errors import StatusError
from apiserver.http.handlers import list as listing
from apiserver.http.handlers.delete import read_options, shown, warn_about_jobs
from apiserver.http.handlers.update import namespace_of
from apiserver.http.options import list_options
from apiserver.http.rest.call import Call
from apiserver.http.rest.delete import DeleteOptions, delete
from apiserver.http.scope import Exchange
from apiserver.storage.entry import Entry

_WORKERS: Final = 8


async def handle(exchange: Exchange) -> web.StreamResponse:
    chosen, dry_run = await read_options(exchange)
    warn_about_jobs(exchange, chosen)
    page = await listing.find(exchange, list_options(exchange.query))
    call = Call(
        exchange.services,
        exchange.resource,
        exchange.user,
        dry_run,
        warn=exchange.warn,
        annotate=exchange.annotate,
        options=shown(chosen, dry_run=dry_run),
    )
    slots = asyncio.Semaphore(_WORKERS)

    async def remove(entry: Entry) -> None:
        metadata = entry.object()["metadata"]
        namespace = namespace_of(exchange.resource, metadata.get("namespace") or "")
        async with slots:
            await _delete_unless_gone(call, namespace, metadata["name"], chosen)

    await _all([asyncio.create_task(remove(entry)) for entry in page.entries])
    return await listing.respond(exchange, page)


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    """Until all are done. After the first failure, which is raised, none goes on behind the answer."""
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _delete_unless_gone(call: Call, namespace: str, name: str, chosen: DeleteOptions) -> None:
    try:
        await delete(call, namespace, name, chosen)
    except StatusError as exc:
        if exc.code != 404:
            raise
