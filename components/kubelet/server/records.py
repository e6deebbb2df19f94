"""The kubelet's steps, for the masters: those that it keeps, or new ones as they come.

Asked as ``/kuberaft/v1/records`` by ``components.insight`` with the API server's certificate for kubelets, which may
do that as it may read logs (``nodes/proxy``).
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from apiserver.api.journal import Journal
from components.client.recordstream import query_of, render, stream

PATH: Final = "/kuberaft/v1/records"


class Records:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            query = query_of(request.query)
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        if request.query.get("watch") in ("true", "1"):
            return await stream(request, self._journal.subscribe)
        return web.Response(body=render(self._journal.lines(query)), content_type="application/json")
