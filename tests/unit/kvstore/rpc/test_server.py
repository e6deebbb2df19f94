"""All services of one real member, asked by grpc's own client over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from kvstore.config import MemberConfig
from kvstore.member import Member
from kvstore.rpc.proto import rpc_pb2 as pb
from kvstore.rpc.proto import v3election_pb2 as el
from kvstore.rpc.proto import v3lock_pb2 as lk
from kvstore.rpc.server import RpcServer
from tests.support.kvstore_cluster import free_ports
from tests.support.pki import Pki

SECONDS = 30.0
_health: Any = health_pb2
_reflection: Any = reflection_pb2


class Client:
    """`await client("KV/Put", request)`; streams by `client.stream`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def __call__(self, method: str, request: Message, **options: Any) -> Any:
        path, response = _resolve(method)
        call = self._channel.unary_unary(path, type(request).SerializeToString, response)
        return await call(request, timeout=SECONDS, **options)

    def stream(self, method: str, request: type[Message]) -> Any:
        path, response = _resolve(method)
        return self._channel.stream_stream(path, request.SerializeToString, response)(timeout=SECONDS)


def _resolve(method: str) -> tuple[str, Callable[[bytes], Any]]:
    service, name = method.split("/")
    modules: tuple[Any, ...] = (pb, lk, el, health_pb2, reflection_pb2)
    for module in modules:
        found = module.DESCRIPTOR.services_by_name.get(service)
        if found is not None:
            parse: Any = GetMessageClass(found.methods_by_name[name].output_type).FromString
            return f"/{found.full_name}/{name}", parse
    raise LookupError(method)


@asynccontextmanager
async def serving(directory: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, RpcServer]]:
    peer = ("127.0.0.1", free_ports(1)[0])
    member = Member(MemberConfig("alone", directory, {"alone": peer}, listen=peer, unsafe_no_fsync=True))
    await member.start()
    try:
        await member.wait_leader(SECONDS)
        server = RpcServer(member)
        yield await server.start("127.0.0.1:0", tls), server
        await server.stop(0.0)
    finally:
        await member.stop()


def ask(directory: Path, talk: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with (
            serving(directory) as (port, _),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            await asyncio.wait_for(talk(Client(channel)), SECONDS)

    asyncio.run(main())


def test_keys_leases_and_watches(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        lease = await client("Lease/LeaseGrant", pb.LeaseGrantRequest(TTL=60))
        put = await client("KV/Put", pb.PutRequest(key=b"a", value=b"1", lease=lease.ID))
        watch = client.stream("Watch/Watch", pb.WatchRequest)
        create = pb.WatchCreateRequest(key=b"a", start_revision=put.header.revision, prev_kv=True)
        await watch.write(pb.WatchRequest(create_request=create))
        assert (await watch.read()).created
        (event,) = (await watch.read()).events
        assert (event.kv.key, event.kv.value, event.kv.lease) == (b"a", b"1", lease.ID)
        alive = client.stream("Lease/LeaseKeepAlive", pb.LeaseKeepAliveRequest)
        for _ in range(2):
            await alive.write(pb.LeaseKeepAliveRequest(ID=lease.ID))
            assert (await alive.read()).TTL == 60
        await client("Lease/LeaseRevoke", pb.LeaseRevokeRequest(ID=lease.ID))
        response = await watch.read()
        assert response.events[0].type == 1
        assert response.events[0].prev_kv.value == b"1"
        found = await client("KV/Range", pb.RangeRequest(key=b"a"))
        assert (found.count, found.header.revision) == (0, response.header.revision)

    ask(tmp_path, talk)


def test_large_values_come_whole_and_watches_get_them_in_fragments(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        value = bytes(range(256)) * 4000
        for key in (b"a", b"b", b"c"):
            last = await client("KV/Put", pb.PutRequest(key=key, value=value))
        found = await client("KV/Range", pb.RangeRequest(key=b"a", range_end=b"c"))
        assert [kv.value for kv in found.kvs] == [value, value]
        watch = client.stream("Watch/Watch", pb.WatchRequest)
        first = last.header.revision - 2
        create = pb.WatchCreateRequest(key=b"a", range_end=b"z", start_revision=first, fragment=True)
        await watch.write(pb.WatchRequest(create_request=create))
        assert (await watch.read()).created
        parts = [await watch.read(), await watch.read()]
        assert [part.fragment for part in parts] == [True, False]
        assert [event.kv.key for part in parts for event in part.events] == [b"a", b"b", b"c"]

    ask(tmp_path, talk)


def test_errors_and_metadata(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client("KV/Put", pb.PutRequest())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == "etcdserver: key is not provided"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client("KV/Put", pb.PutRequest(key=b"a", value=bytes(2_200_000)))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await client("KV/Range", pb.RangeRequest(key=b"a"), metadata=(("hasleader", "true"),))

    ask(tmp_path, talk)


def test_locks_and_elections(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        leases = [(await client("Lease/LeaseGrant", pb.LeaseGrantRequest(TTL=60))).ID for _ in range(2)]
        first = await client("Lock/Lock", lk.LockRequest(name=b"l", lease=leases[0]))
        waiting = asyncio.ensure_future(client("Lock/Lock", lk.LockRequest(name=b"l", lease=leases[1])))
        await client("KV/Range", pb.RangeRequest(key=b"x"))
        assert not waiting.done()
        await client("Lock/Unlock", lk.UnlockRequest(key=first.key))
        assert (await waiting).key == b"l/%x" % leases[1]
        campaign = el.CampaignRequest(name=b"e", lease=leases[0], value=b"me")
        leader = (await client("Election/Campaign", campaign)).leader
        assert (await client("Election/Leader", el.LeaderRequest(name=b"e"))).kv.value == b"me"
        await client("Election/Proclaim", el.ProclaimRequest(leader=leader, value=b"still me"))
        assert (await client("Election/Leader", el.LeaderRequest(name=b"e"))).kv.value == b"still me"
        await client("Election/Resign", el.ResignRequest(leader=leader))
        with pytest.raises(grpc.aio.AioRpcError, match="election: no leader"):
            await client("Election/Leader", el.LeaderRequest(name=b"e"))

    ask(tmp_path, talk)


def test_health_and_reflection(tmp_path: Path) -> None:
    async def talk(client: Client) -> None:
        asked = _health.HealthCheckRequest(service="etcdserverpb.KV")
        assert (await client("Health/Check", asked)).status == _health.HealthCheckResponse.SERVING
        statuses = (await client("Health/List", _health.HealthListRequest())).statuses
        assert {"", "etcdserverpb.Watch", "v3lockpb.Lock"} <= set(statuses)
        with pytest.raises(grpc.aio.AioRpcError, match="unknown service"):
            await client("Health/Check", _health.HealthCheckRequest(service="nope"))
        info = client.stream("ServerReflection/ServerReflectionInfo", _reflection.ServerReflectionRequest)
        await info.write(_reflection.ServerReflectionRequest(list_services=""))
        listed = (await info.read()).list_services_response.service
        assert {"etcdserverpb.KV", "grpc.health.v1.Health"} <= {service.name for service in listed}
        await info.write(_reflection.ServerReflectionRequest(file_containing_symbol="etcdserverpb.KV"))
        assert (await info.read()).file_descriptor_response.file_descriptor_proto
        await info.done_writing()

    ask(tmp_path, talk)


def test_stopping_ends_what_is_open(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            serving(tmp_path) as (port, server),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            watch = Client(channel).stream("Watch/Watch", pb.WatchRequest)
            await watch.write(pb.WatchRequest(create_request={"key": b"a"}))
            assert (await watch.read()).created
            await asyncio.wait_for(server.stop(0.1), SECONDS)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await watch.read()
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(main())


def test_a_client_certificate_is_who_calls(tmp_path: Path) -> None:
    async def main() -> None:
        pki = Pki(tmp_path / "pki")
        own = pki.issue("server")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.ca))
        context.load_cert_chain(own.cert, own.key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        async with serving(tmp_path / "data", context) as (port, _):

            def channel(name: str) -> grpc.aio.Channel:
                pair = pki.issue(name)
                files = (pki.ca.read_bytes(), pair.key.read_bytes(), pair.cert.read_bytes())
                options = [("grpc.use_local_subchannel_pool", 1)]
                return grpc.aio.secure_channel(
                    f"localhost:{port}", grpc.ssl_channel_credentials(*files), options
                )

            async with channel("root") as roots, channel("guest") as guests:
                root, guest = Client(roots), Client(guests)
                for user in ("root", "guest"):
                    await root(
                        "Auth/UserAdd", pb.AuthUserAddRequest(name=user, options={"no_password": True})
                    )
                await root("Auth/RoleAdd", pb.AuthRoleAddRequest(name="root"))
                await root("Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user="root", role="root"))
                await root("Auth/AuthEnable", pb.AuthEnableRequest())
                await root("KV/Put", pb.PutRequest(key=b"a"))
                with pytest.raises(grpc.aio.AioRpcError, match="etcdserver: permission denied"):
                    await guest("KV/Put", pb.PutRequest(key=b"a"))
                with pytest.raises(grpc.aio.AioRpcError, match="etcdserver: invalid auth token"):
                    await root("KV/Put", pb.PutRequest(key=b"a"), metadata=(("token", "forged.1"),))

    asyncio.run(main())
