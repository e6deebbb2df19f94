"""The gRPC server of one member: the services, health and reflection, on our own HTTP/2 (`kvstore.rpc.grpc`).

`kvstore.server` takes connections and hands those that speak gRPC to `protocol`; tests and embedders may `start` a port
of its own. What a service raises as `StoreError` is sent with its code and message; anything else is a bug, logged
and told as UNKNOWN.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2

from kvstore.http2.limits import Limits
from kvstore.member import Member
from kvstore.rpc.auth import Auth
from kvstore.rpc.cluster import Cluster
from kvstore.rpc.election import Election
from kvstore.rpc.grpc.connection import limits as default_limits
from kvstore.rpc.grpc.methods import Methods
from kvstore.rpc.grpc.server import GrpcServer
from kvstore.rpc.health import Health
from kvstore.rpc.kv import KV
from kvstore.rpc.lease import Lease
from kvstore.rpc.lock import Lock
from kvstore.rpc.maintenance import Maintenance
from kvstore.rpc.proto import rpc_pb2, v3election_pb2, v3lock_pb2
from kvstore.rpc.reflection import Reflection
from kvstore.rpc.reflection import descriptor as reflection_file
from kvstore.rpc.watch import Watch

MESSAGE_SLACK = 512 << 10
"""Bytes that a message may have above the largest request: for the fields around it."""
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"


class RpcServer:
    """One member's API. `services()` are the objects behind it, for callers in this process."""

    def __init__(self, member: Member, limits: Limits | None = None) -> None:
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
        names = (*self._services, HEALTH, REFLECTION)
        self._health = Health(names)
        offered = {**self._services, HEALTH: self._health, REFLECTION: Reflection(names)}
        longest = member.config.max_request_bytes + MESSAGE_SLACK
        self._grpc = GrpcServer(Methods(_files(), offered), limits or default_limits(), longest)

    def services(self) -> Mapping[str, object]:
        """Full name of a service -> object with its methods."""
        return self._services

    def protocol(self) -> asyncio.Protocol:
        """For a connection that was accepted elsewhere, its TLS done (ALPN `h2`); `stop` ends it, too."""
        return self._grpc.make_connection()

    async def start(self, address: str, tls: ssl.SSLContext | None = None) -> int:
        """Listen on `host:port` or `unix:PATH`; the port. Raises OSError if it cannot be bound."""
        return await self._grpc.start(address, tls)

    async def stop(self, grace: float) -> None:
        """New calls are refused at once; open ones get `grace` seconds."""
        self._health.stop()
        await self._grpc.stop(grace)


def _files() -> tuple[FileDescriptor, ...]:
    modules: tuple[Any, ...] = (rpc_pb2, v3lock_pb2, v3election_pb2, health_pb2)
    return (*(module.DESCRIPTOR for module in modules), reflection_file())
