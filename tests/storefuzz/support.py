"""What the targets share."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

Target = Callable[[bytes], None]
CUT = b"\xff\xfe"
"""Ends a piece where a target cuts its input into several, whose lengths are then right."""
CLUSTER, MEMBER = 7, 1
_MEMORY = Path("/dev/shm")


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory, in memory if there is one there."""
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="storefuzz-", dir=where) as directory:
        yield Path(directory)


def in_loop(feed: Callable[[bytes], Coroutine[None, None, None]]) -> Target:
    """An error that nobody awaits counts, too."""

    async def watched(content: bytes, errors: list[object]) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        await feed(content)

    def run(content: bytes) -> None:
        errors: list[object] = []
        asyncio.run(watched(content, errors))
        assert not errors

    return run
