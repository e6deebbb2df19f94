"""The connections to kubelets: made once, closed at the end."""

from __future__ import annotations

import asyncio

from apiserver.config import ApiServerConfig
from apiserver.http.kubelet_client import KubeletClient


def test_those_who_ask_at_once_share_a_session() -> None:
    async def main() -> None:
        client = KubeletClient(ApiServerConfig())
        first, second = await asyncio.gather(client.session(), client.session())
        assert first is second
        await client.close()
        assert first.closed

    asyncio.run(main())
