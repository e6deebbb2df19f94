"""Requests to a service, one after the other, and who answered them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from types import TracebackType
from typing import Any

TIMEOUT = 5.0
PAUSE = 0.02


async def ask(host: str, port: int, path: str = "/") -> dict[str, Any]:
    """One HTTP request; the echo server's JSON answer. Raises OSError, TimeoutError, ValueError."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ValueError(f"answer {head[:40]!r}")
    found: dict[str, Any] = json.loads(body)
    return found


class Traffic:
    """Asks for as long as the context lasts: `async with Traffic(host, port) as traffic`."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.pods: Counter[str] = Counter()
        self.errors: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Traffic:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                answer = await ask(self._host, self._port)
                self.pods[answer["pod"]] += 1
            except (OSError, TimeoutError, ValueError) as error:
                self.errors.append(str(error) or type(error).__name__)
            await asyncio.sleep(PAUSE)

    def summary(self) -> str:
        """`412 requests, 0 failed, answered by 4 pods`."""
        total = self.pods.total() + len(self.errors)
        return f"{total} requests, {len(self.errors)} failed, answered by {len(self.pods)} pods"
