"""What the health endpoints say, to whom, about what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from apiserver.storage.interface import Unavailable
from tests.support.served import Server, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path) as found:
        yield found


def test_all_checks_at_once(server: Server) -> None:
    for name in ("healthz", "livez", "readyz"):
        assert server.ask("GET", f"/{name}")[::2] == (200, b"ok")
    _, headers, data = server.ask("GET", "/livez?verbose")
    assert data == b"[+]ping ok\n[+]log ok\n[+]etcd ok\nlivez check passed\n"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    _, _, data = server.ask("GET", "/readyz?verbose=1&exclude=etcd&exclude=none&exclude=any")
    assert b"[+]etcd excluded: ok\n" in data
    assert b'warn: some health checks cannot be excluded: no matches for "any","none"\n' in data
    assert data.endswith(b"readyz check passed\n")


def test_a_store_that_does_not_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone() -> int:
        raise Unavailable("no leader")

    monkeypatch.setattr(server.server.services.storage, "current_revision", gone)
    status, _, data = server.ask("GET", "/livez")
    assert (status, data) == (
        500,
        b"[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\nlivez check failed\n",
    )
    assert server.ask("GET", "/livez?exclude=etcd")[::2] == (200, b"ok")
    status, _, data = server.ask("GET", "/readyz/etcd")
    assert (status, data) == (500, b"internal server error: the store does not answer: no leader\n")
    assert server.ask("GET", "/readyz/ping")[::2] == (200, b"ok")
    assert server.ask("GET", "/readyz/none")[0] == 404


def test_a_server_whose_caches_are_empty_is_not_ready(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.server.services.caches.require(["/registry/never/"])
    status, _, data = server.ask("GET", "/readyz/informer-sync")
    assert (status, data) == (
        500,
        b"internal server error: 1 informers not started yet: [/registry/never/]\n",
    )
    assert server.ask("GET", "/readyz")[0] == 500
    assert not server.server.synced
    assert server.ask("GET", "/livez")[0] == 200


def test_a_server_that_shuts_down_is_alive_and_not_ready(server: Server) -> None:
    server.server.services.lifecycle.begin_shutdown()
    assert server.ask("GET", "/livez")[0] == 200
    status, _, data = server.ask("GET", "/readyz")
    assert status == 500
    assert b"[-]shutdown failed: reason withheld\n" in data
