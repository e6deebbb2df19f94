"""grpc.health.v1.Health: whether this member takes calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from grpc_health.v1 import health_pb2 as pb

from kvstore.errors import NotFound
from kvstore.rpc.call import Call

SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """All services are up and down together; the service "" is the server."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = ("", *services)
        self._serving = True
        self._changed = asyncio.Event()

    def stop(self) -> None:
        """From now on nothing is served."""
        self._serving = False
        self._changed.set()

    async def Check(self, request: pb.HealthCheckRequest, call: Call) -> pb.HealthCheckResponse:
        if request.service not in self._services:
            raise NotFound("unknown service")
        return self._status(request.service)

    async def List(self, request: Any, call: Call) -> Any:
        messages: Any = pb  # whose type information is older than this method
        return messages.HealthListResponse(statuses={name: self._status(name) for name in self._services})

    async def Watch(
        self, request: pb.HealthCheckRequest, call: Call
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """The status now and once more when it changes."""
        yield self._status(request.service)
        if self._serving:
            await self._changed.wait()
            yield self._status(request.service)

    def _status(self, service: str) -> pb.HealthCheckResponse:
        if service not in self._services:
            return pb.HealthCheckResponse(status=UNKNOWN)
        return pb.HealthCheckResponse(status=SERVING if self._serving else NOT_SERVING)
