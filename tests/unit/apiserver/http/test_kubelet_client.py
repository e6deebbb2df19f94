"""The connections to kubelets: made once, closed at the end."""

from __future__ import annotations

import asyncio
import itertools
import logging
from pathlib import Path

import pytest

from apiserver.config import ApiServerConfig
from apiserver.http.certificate_files import CHECK_SECONDS
from apiserver.http.kubelet_client import KubeletClient
from tests.support.pki import Pki


def test_those_who_ask_at_once_share_a_session() -> None:
    async def main() -> None:
        client = KubeletClient(ApiServerConfig())
        first, second = await asyncio.gather(client.session(), client.session())
        assert first is second
        await client.close()
        assert first.closed

    asyncio.run(main())


def test_changed_files_are_used_and_bad_ones_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pki = Pki(tmp_path / "pki")
    pair = pki.issue("api-server")
    config = ApiServerConfig(
        kubelet_client_certificate=pair.cert,
        kubelet_client_key=pair.key,
        kubelet_certificate_authority=pki.ca,
    )
    ticks = itertools.count(0, CHECK_SECONDS)

    async def main() -> None:
        client = KubeletClient(config, lambda: next(ticks))
        first, session = await client.context(), await client.session()
        assert await client.context() is first
        pki.issue("api-server")
        second = await client.context()
        assert second is not first
        assert await client.session() is not session
        pki.issue("other")
        await asyncio.to_thread(pair.key.write_bytes, (tmp_path / "pki/other.key").read_bytes())
        assert await client.context() is second
        assert await client.context() is second
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        await client.close()
        assert session.closed

    asyncio.run(main())
