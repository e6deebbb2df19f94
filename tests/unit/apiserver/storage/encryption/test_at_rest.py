"""A whole server over a real member: no Secret is plain in any file that it leaves, and its keys are replaced live."""

from __future__ import annotations

import asyncio
import base64
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apiserver.config import ApiServerConfig
from apiserver.server import ApiServer
from apiserver.storage.embedded import EmbeddedStorage
from components.cluster import backup
from components.cluster.layout import Layout
from components.cluster.prepare import prepare
from components.cluster.topology import ApiServer as ApiServerTopology
from components.cluster.topology import Masters, Topology, Workers
from kvstore.config import MemberConfig
from kvstore.member import Member
from kvstore.types import RangeRequest
from tests.unit.apiserver.storage.encryption.files import IDENTITY, provider, secrets

HIDDEN, OLDER, SHOWN = "HIDDENVALUE1", "OLDERVALUE12", "SHOWNVALUE12"
SECRETS = "/api/v1/namespaces/default/secrets"
TOPOLOGY = Topology(
    masters=Masters(count=1, api_port=0),
    workers=Workers(count=0),
    api_server=ApiServerTopology(encrypt_secrets=True),
)


class Asking:
    def __init__(self, server: ApiServer, member: Member) -> None:
        self.server = server
        self.member = member

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"https://127.0.0.1:{self.server.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, json=body, ssl=False) as answer,
        ):
            return answer.status, json.loads(await answer.read())

    async def stored(self, key: str) -> bytes:
        return (await self.member.range(RangeRequest(key.encode()))).kvs[0].value


@asynccontextmanager
async def running(folder: Path, data: Path, **config: Any) -> AsyncIterator[Asking]:
    member = Member(MemberConfig("m1", data, {"m1": ("127.0.0.1", 0)}))
    await member.start()
    try:
        await member.wait_leader(20)
        chosen = ApiServerConfig(bind_address="127.0.0.1", secure_port=0, cert_dir=folder, **config)
        server = ApiServer(chosen, EmbeddedStorage(member))
        await server.start()
        try:
            yield Asking(server, member)
        finally:
            await server.stop()
    finally:
        await member.stop()


def secret(name: str, value: str) -> dict[str, Any]:
    return {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, "stringData": {"p": value}}


def forms(value: str) -> list[bytes]:
    return [value.encode(), base64.b64encode(value.encode())]


def holding(value: str, folder: Path) -> set[str]:
    """The files below the folder with the value in it."""
    return {
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(form in path.read_bytes() for form in forms(value))
    }


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    prepared = prepare(Layout.at(tmp_path / "cluster"), TOPOLOGY)
    yield prepared.layout
    prepared.close()


def test_no_secret_is_plain_in_logs_databases_snapshots_and_backups(layout: Layout, tmp_path: Path) -> None:
    file = layout.pki / "cluster/encryption.yaml"

    async def body() -> None:
        data = layout.masters / "m1"
        async with running(tmp_path / "certs", data, encryption_provider_config=file) as api:
            shown = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}, "data": {"p": SHOWN}}
            assert (await api.ask("POST", "/api/v1/namespaces/default/configmaps", shown))[0] == 201
            assert (await api.ask("POST", SECRETS, secret("a", OLDER)))[0] == 201
            assert (await api.ask("PUT", f"{SECRETS}/a", secret("a", HIDDEN)))[0] == 200
            assert (await api.ask("POST", SECRETS, secret("b", HIDDEN)))[0] == 201
            assert (await api.ask("DELETE", f"{SECRETS}/b"))[0] == 200
            _, found = await api.ask("GET", f"{SECRETS}/a")
            assert found["data"]["p"] == base64.b64encode(HIDDEN.encode()).decode()
            for query in ("", "?resourceVersion=0", "?limit=5"):
                assert [item["data"] for item in (await api.ask("GET", SECRETS + query))[1]["items"]] == [
                    found["data"]
                ]
            assert (await api.stored("/registry/secrets/default/a")).startswith(b"k8s:enc:secretbox:v1:key1:")
            await api.member.snapshot(tmp_path / "snapshot")

    asyncio.run(body())
    backup.write(layout, "t", tmp_path / "snapshot", tmp_path / "backup")
    plain = holding(SHOWN, tmp_path)
    assert {"snapshot", "backup", "data.mdb"} <= plain
    assert any(name.endswith(".wal") for name in plain), plain
    assert holding(HIDDEN, tmp_path) == holding(OLDER, tmp_path) == set()
    with tarfile.open(tmp_path / "backup") as archive:
        assert archive.extractfile("pki/cluster/encryption.yaml").read() == file.read_bytes()


def test_a_key_is_replaced_live_and_a_lost_one_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(secrets(provider("aesgcm", "old"), IDENTITY))
    config: dict[str, Any] = {"encryption_provider_config": file}

    async def body() -> None:
        async with running(
            tmp_path / "certs", tmp_path / "m", encryption_provider_config_automatic_reload=True, **config
        ) as api:
            [followed] = [file for file in api.server.followed if file.subject == "encryption"]
            _, made = await api.ask("POST", SECRETS, secret("a", HIDDEN))
            before = await api.stored("/registry/secrets/default/a")
            for content, prefix in (
                (secrets(provider("aesgcm", "old", "new"), IDENTITY), b"k8s:enc:aesgcm:v1:old:"),
                (secrets(provider("aesgcm", "new", "old"), IDENTITY), b"k8s:enc:aesgcm:v1:new:"),
            ):
                file.write_bytes(content)
                await followed.look()
                status, same = await api.ask("PUT", f"{SECRETS}/a", made)
                assert (status, same["data"]) == (200, made["data"])
                changed = same["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
                assert changed == (prefix != b"k8s:enc:aesgcm:v1:old:")
                assert (await api.stored("/registry/secrets/default/a")).startswith(prefix)
            assert before != await api.stored("/registry/secrets/default/a")

    asyncio.run(body())
    file.write_bytes(secrets(provider("aesgcm", "other")))
    asyncio.run(
        without_the_key(tmp_path, config, "no matching key was found for the provided AES transformer")
    )
    asyncio.run(without_the_key(tmp_path, {}, "identity transformer tried to read encrypted data"))
    file.write_bytes(secrets(IDENTITY, provider("aesgcm", "new")))
    asyncio.run(decrypting(tmp_path, config))


async def without_the_key(tmp_path: Path, config: dict[str, Any], text: str) -> None:
    async with running(tmp_path / "certs", tmp_path / "m", **config) as api:
        before = await api.stored("/registry/secrets/default/a")
        unlisted = f'Internal error occurred: unable to transform key "/registry/secrets/default/a": {text}'
        for method, path, message in (
            ("GET", f"{SECRETS}/a", f"Internal error occurred: {text}"),
            ("PUT", f"{SECRETS}/a", f"Internal error occurred: {text}"),
            ("DELETE", f"{SECRETS}/a", f"Internal error occurred: {text}"),
            ("GET", SECRETS, unlisted),
            ("GET", f"{SECRETS}?limit=1", unlisted),
            ("GET", f"{SECRETS}?resourceVersion=0", unlisted),
            ("GET", f"{SECRETS}?watch=1", unlisted),
        ):
            status, answer = await api.ask(method, path, secret("a", SHOWN) if method == "PUT" else None)
            assert (status, answer["reason"], answer["message"]) == (500, "InternalError", message), path
        assert (await api.ask("POST", SECRETS, secret("a", SHOWN)))[1]["reason"] == "AlreadyExists"
        assert await api.stored("/registry/secrets/default/a") == before


async def decrypting(tmp_path: Path, config: dict[str, Any]) -> None:
    async with running(tmp_path / "certs", tmp_path / "m", **config) as api:
        _, found = await api.ask("GET", f"{SECRETS}/a")
        assert base64.b64decode(found["data"]["p"]) == HIDDEN.encode()
        assert (await api.ask("PUT", f"{SECRETS}/a", found))[0] == 200
        assert (await api.stored("/registry/secrets/default/a")).startswith(b"{")
