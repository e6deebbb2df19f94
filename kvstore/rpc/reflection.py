"""grpc.reflection.v1alpha.ServerReflection: what services there are and what their messages look like."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection_pb2

from kvstore.rpc.call import Call


class Reflection:
    """The library's own servicer, which a member loads only when somebody asks."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = tuple(services)

    async def ServerReflectionInfo(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        from grpc_reflection.v1alpha._async import ReflectionServicer

        servicer: Any = ReflectionServicer(self._services)
        async for response in servicer.ServerReflectionInfo(requests, call):
            yield response


def descriptor() -> FileDescriptor:

    module: Any = reflection_pb2
    file: FileDescriptor = module.DESCRIPTOR
    return file
