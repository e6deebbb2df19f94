"""What a storage says once the member below it has stopped: an error of its own, for every way to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from apiserver.storage.embedded import EmbeddedStorage
from apiserver.storage.interface import StorageError, Unavailable
from kvstore.config import MemberConfig
from kvstore.member import Member


async def _watch(storage: EmbeddedStorage) -> None:
    async with storage.watch("/registry/pods/", 1) as watch:
        async for _ in watch:
            return


ASK: dict[str, Callable[[EmbeddedStorage], Awaitable[object]]] = {
    "get": lambda storage: storage.get("/registry/pods/a"),
    "a read of what is here": lambda storage: storage.list("/registry/pods/", linearizable=False),
    "a read of what is new": lambda storage: storage.list(
        "/registry/pods/", min_revision=5, linearizable=False
    ),
    "create": lambda storage: storage.create("/registry/pods/a", b"{}"),
    "watch": _watch,
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK.keys())
def test_a_storage_over_a_stopped_member_is_unavailable(
    ask: Callable[[EmbeddedStorage], Awaitable[object]], tmp_path: Path
) -> None:
    async def main() -> None:
        member = Member(MemberConfig("m1", tmp_path, {"m1": ("127.0.0.1", 0)}))
        await member.start()
        await member.stop()
        with pytest.raises(StorageError) as raised:
            await ask(EmbeddedStorage(member))
        assert isinstance(raised.value, Unavailable)

    asyncio.run(main())
