"""The gRPC server: the services' methods as handlers of grpc.aio, beside health and reflection.

Handlers are made from the descriptors of the .proto files. What a service raises as `StoreError` is sent with
its code and message; anything else is a bug, logged by grpc and told as INTERNAL or UNKNOWN.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection, reflection_pb2

from kvstore.errors import StoreError
from kvstore.member import Member
from kvstore.rpc.auth import Auth
from kvstore.rpc.call import GrpcCall
from kvstore.rpc.cluster import Cluster
from kvstore.rpc.codes import status
from kvstore.rpc.election import Election
from kvstore.rpc.health import Health
from kvstore.rpc.http2.methods import Methods
from kvstore.rpc.http2.server import Http2Server
from kvstore.rpc.kv import KV
from kvstore.rpc.lease import Lease
from kvstore.rpc.lock import Lock
from kvstore.rpc.maintenance import Maintenance
from kvstore.rpc.proto import rpc_pb2, v3election_pb2, v3lock_pb2
from kvstore.rpc.reflection import Reflection
from kvstore.rpc.watch import Watch

Context = grpc.aio.ServicerContext[Any, Any]
Reader = Callable[[bytes], Any]
Call = Callable[[Any, GrpcCall], Any]

MESSAGE_SLACK = 512 << 10
MAX_STREAMS = 1 << 20
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
FILES: tuple[FileDescriptor, ...] = (
    rpc_pb2.DESCRIPTOR,
    v3lock_pb2.DESCRIPTOR,
    v3election_pb2.DESCRIPTOR,
)


class Unreadable(StoreError):
    code = "INTERNAL"


class RpcServer:
    """One member's API. `services()` are the objects behind it, for callers in this process."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._services: dict[str, object] = {
            "etcdserverpb.KV": KV(member),
            "etcdserverpb.Watch": Watch(member),
            "etcdserverpb.Lease": Lease(member),
            "etcdserverpb.Cluster": Cluster(member),
            "etcdserverpb.Maintenance": Maintenance(member),
            "etcdserverpb.Auth": Auth(member),
            "v3lockpb.Lock": Lock(member),
            "v3electionpb.Election": Election(member),
        }
        self._health = HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._up = Health((*self._services, HEALTH))
        names = (*self._services, HEALTH, REFLECTION)
        known = {**self._services, HEALTH: self._up, REFLECTION: Reflection(names)}
        files: tuple[FileDescriptor, ...] = (*FILES, _file(health_pb2), _file(reflection_pb2))
        max_message = member.config.max_request_bytes + MESSAGE_SLACK
        self._http2 = Http2Server(Methods(files, known), max_message)

    def services(self) -> Mapping[str, object]:
        """Full name of a service -> object with its methods."""
        return self._services

    def protocol(self) -> asyncio.Protocol:
        """For a connection that was accepted elsewhere, its TLS done (ALPN `h2`); `stop` ends it, too."""
        return self._http2.make_connection()

    async def start(self, address: str, tls: ssl.SSLContext | grpc.ServerCredentials | None = None) -> int:
        """Listen on `host:port` or `unix:PATH`; the port. Raises OSError if it cannot be bound."""
        if not isinstance(tls, grpc.ServerCredentials):
            return await self._http2.start(address, tls)
        server = grpc.aio.server(options=self._options())
        server.add_generic_rpc_handlers(tuple(self._handlers()))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [*self._services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name]
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        server.add_generic_rpc_handlers((_Unknown({*names, reflection.SERVICE_NAME}),))
        try:
            port = (
                server.add_secure_port(address, tls) if tls is not None else server.add_insecure_port(address)
            )
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from error
        await server.start()
        for name in ("", *self._services):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server = server
        return port

    async def stop(self, grace: float) -> None:
        """New calls are refused at once; open ones get `grace` seconds."""
        self._up.stop()
        await self._http2.stop(grace)
        server, self._server = self._server, None
        if server is not None:
            await self._health.enter_graceful_shutdown()
            await server.stop(grace)

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._member.config.max_request_bytes + MESSAGE_SLACK),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", MAX_STREAMS),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 5000),
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.keepalive_permit_without_calls", 1),
        ]

    def _handlers(self) -> Iterable[grpc.GenericRpcHandler]:
        for file in FILES:
            for descriptor in file.services_by_name.values():
                yield _service_handler(descriptor, self._services[descriptor.full_name])


def _file(module: Any) -> FileDescriptor:
    descriptor: FileDescriptor = module.DESCRIPTOR
    return descriptor


def _service_handler(descriptor: ServiceDescriptor, service: object) -> grpc.GenericRpcHandler:
    methods = {method.name: _method_handler(method, service) for method in descriptor.methods}
    return grpc.method_handlers_generic_handler(descriptor.full_name, methods)


def _method_handler(method: MethodDescriptor, service: object) -> grpc.RpcMethodHandler[Any, Any]:
    read = _reader(GetMessageClass(method.input_type))
    write: Callable[[Any], bytes] | None = GetMessageClass(method.output_type).SerializeToString
    call = getattr(service, method.name)
    if method.client_streaming:
        if hasattr(service, "frames"):
            call, write = getattr(service, "frames"), None  # noqa: B009
        return grpc.stream_stream_rpc_method_handler(_bidirectional(call, read), None, write)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_streaming(call, read), None, write)
    return grpc.unary_unary_rpc_method_handler(_unary(call, read), None, write)


def _reader(message: type[Message]) -> Reader:
    """grpc would answer a message that cannot be read with UNKNOWN, where others say INTERNAL."""
    parse = message.FromString

    def read(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError as error:
            raise Unreadable(f"grpc: error unmarshalling request: {error}") from error

    return read


def _unary(call: Call, read: Reader) -> Callable[[bytes, Context], Awaitable[Any]]:
    async def handle(request: bytes, context: Context) -> Any:
        try:
            return await call(read(request), GrpcCall(context))
        except StoreError as error:
            return await context.abort(*status(error))

    return handle


def _streaming(call: Call, read: Reader) -> Callable[[bytes, Context], AsyncIterator[Any]]:
    async def handle(request: bytes, context: Context) -> AsyncIterator[Any]:
        try:
            async for response in call(read(request), GrpcCall(context)):
                yield response
        except StoreError as error:
            await context.abort(*status(error))

    return handle


def _bidirectional(call: Call, read: Reader) -> Callable[[AsyncIterator[bytes], Context], AsyncIterator[Any]]:
    async def handle(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        try:
            async for response in call((read(data) async for data in requests), GrpcCall(context)):
                yield response
        except StoreError as error:
            await context.abort(*status(error))

    return handle


class _Unknown(grpc.GenericRpcHandler):
    """Asked last: says what is unknown, in the words of etcd's server."""

    def __init__(self, services: set[str]) -> None:
        self._services = services

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        if service in self._services:
            text = f"unknown method {method} for service {service}"
        else:
            text = f"unknown service {service}"

        async def refuse(requests: AsyncIterator[bytes], context: Context) -> None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

        return grpc.stream_stream_rpc_method_handler(refuse)
