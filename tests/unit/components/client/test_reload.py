"""Configurations that follow their files, and clients that go on with what these say."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from cryptography import x509

from components.client.kubeconfig import ClientConfig, load, write
from components.client.reload import CHECK_SECONDS, Reload
from components.client.resources import NODES
from components.client.transport import ApiClient
from tests.support.pki import Pair, Pki


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += CHECK_SECONDS
        return self.now


def newer(reload: Reload) -> ClientConfig | None:
    return asyncio.run(reload.newer())


def test_a_changed_kubeconfig_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write(path, ClientConfig("https://a", token="one"))
    reload = Reload(load(path), Clock())
    assert newer(reload) is None
    write(path, ClientConfig("https://a", token="two"))
    found = newer(reload)
    assert (found and found.token) == "two"
    assert newer(reload) is None


def test_it_looks_once_a_second(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write(path, ClientConfig("https://a", token="one"))
    reload = Reload(load(path), lambda: 7.0)
    write(path, ClientConfig("https://a", token="two"))
    assert newer(reload) is None


def test_files_that_a_kubeconfig_names_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write(path, ClientConfig("https://a"))
    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"] = {"tokenFile": "token"}
    path.write_text(yaml.safe_dump(document))
    (tmp_path / "token").write_text("one")
    reload = Reload(load(path), Clock())
    (tmp_path / "token").write_text("another")
    found = newer(reload)
    assert (found and found.token) == "another"


@pytest.mark.parametrize("bad", [b"", b"- list\n", b"\xff", b"apiVersion: v1\n", b"a: ["])
def test_a_file_that_cannot_be_used_changes_nothing(
    tmp_path: Path, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kubeconfig"
    write(path, ClientConfig("https://a", token="one"))
    reload = Reload(load(path), Clock())
    path.write_bytes(bad)
    assert newer(reload) is None
    assert newer(reload) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    write(path, ClientConfig("https://a", token="two"))
    found = newer(reload)
    assert (found and found.token) == "two"


def identity(config: ClientConfig, pair: Pair) -> ClientConfig:
    return replace(config, client_cert=pair.cert.read_bytes(), client_key=pair.key.read_bytes())


def test_a_client_goes_on_with_its_new_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pki = Pki(tmp_path / "pki")
    server = pki.issue("server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(server.cert, server.key)
    seen: list[int] = []

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        seen.append(x509.load_der_x509_certificate(shown).serial_number)
        return web.json_response({"kind": "Node"})

    async def main() -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        first = identity(ClientConfig(url, ca=pki.ca.read_bytes()), pki.issue("a"))
        second = identity(first, pki.issue("b"))
        async with ApiClient(first, user_agent="test") as client:
            await client.get(NODES, "n")
            client.use(second)
            await client.get(NODES, "n")
            client.use(replace(second, client_key=first.client_key))  # another one's key
            await client.get(NODES, "n")
        await runner.cleanup()

    asyncio.run(main())
    a, b, c = seen
    assert a != b == c
    assert ["in use stays" in record.getMessage() for record in caplog.records] == [True]
