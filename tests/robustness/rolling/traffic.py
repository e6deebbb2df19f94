"""Clients that ask while masters come and go, each as strict as the kind of client that it stands for.

`Kubectl` opens a connection for every command. `KeepAlive` keeps one, as a Go client does: it repeats a request only
when the connection was refused, when a reused connection ended before the first byte of an answer, or when it is told
to by a Retry-After. `Sdk` is the Python client with its own settings, whatever they are: every exception counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.client.connect import ssl_context
from components.client.kubeconfig import load
from tests.robustness.rolling.history import NAMESPACE, PREFIX, Requests

PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
PAUSE = 0.01
LIMIT = 15.0
REPEATS = 10


class Broken(Exception):
    """The connection ended without a byte of an answer. ``fresh``: it had never carried an answer."""

    def __init__(self, fresh: bool, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.fresh = fresh


class Wire:
    """HTTP/1.1 by hand, so that nothing is repeated behind our back."""

    def __init__(self, kubeconfig: Path) -> None:
        config = load(kubeconfig)
        address = urlsplit(config.server)
        self._address = (address.hostname, address.port)
        self._context = ssl_context(config)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = False

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        """Raises Broken; anything else is a failure that no client may see."""
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection(*self._address, ssl=self._context)
            except OSError as error:
                raise Broken(True, error) from error
            self._used = False
        data = json.dumps(body).encode() if body is not None else b""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        reader, writer = self._streams
        try:
            writer.write(head.encode() + data)
            line = await reader.readline()
        except OSError as error:
            await self.close()
            raise Broken(not self._used, error) from error
        if not line:
            await self.close()
            raise Broken(not self._used, EOFError("closed before an answer"))
        return await self._rest(reader, int(line.split()[1]))

    async def _rest(self, reader: asyncio.StreamReader, code: int) -> tuple[int, dict[str, str], bytes]:
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self._used = True
        if headers.get("connection") == "close":
            await self.close()
        return code, headers, body

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()


class KeepAlive:
    """Creates, patches and reads, one after another, on one connection; ``fresh``: on a new one each."""

    def __init__(self, kubeconfig: Path, number: int, *, fresh: bool = False) -> None:
        self.requests = Requests(f"{'kubectl' if fresh else 'keep-alive client'} {number}")
        self._wire = Wire(kubeconfig)
        self._fresh = fresh
        self._name = f"{PREFIX}{'k' if fresh else 'a'}{number}"
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._wire.close()

    async def _run(self) -> None:
        turn = 0
        while True:
            name = f"{self._name}-{turn}"
            obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"n": "0"}}
            await self._write("POST", PATH, obj)
            await self._write("PATCH", f"{PATH}/{name}", {"data": {"n": "1"}})
            await self._once("GET", f"{PATH}/{name}")
            turn += 1
            await asyncio.sleep(PAUSE)

    async def _write(self, method: str, path: str, body: Any) -> None:
        answer = await self._once(method, path, body)
        if answer is not None:
            self.requests.written.append(int(json.loads(answer)["metadata"]["resourceVersion"]))

    async def _once(self, method: str, path: str, body: Any = None) -> bytes | None:
        """The answer; None after a failure, which is kept."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(LIMIT):
                code, _, data = await self._repeated(method, path, body)
        except Exception as error:
            self.requests.failures.append(f"{method} {path}: {error!r}")
            await self._wire.close()
            return None
        finally:
            self.requests.slowest = max(self.requests.slowest, time.monotonic() - started)
        if self._fresh:
            await self._wire.close()
        if code >= 300:
            self.requests.failures.append(f"{method} {path}: {code} {data[:200]!r}")
            return None
        self.requests.answered += 1
        return data

    async def _repeated(self, method: str, path: str, body: Any) -> tuple[int, dict[str, str], bytes]:
        for _ in range(REPEATS):
            try:
                code, headers, data = await self._wire.ask(method, path, body)
            except Broken:
                self.requests.repeated += 1
                continue
            if code not in (429, 503) or "retry-after" not in headers:
                return code, headers, data
            self.requests.repeated += 1
            await asyncio.sleep(float(headers["retry-after"]))
        raise ConnectionError(f"given up after {REPEATS} times")


class Sdk(threading.Thread):
    """The official Python client, as a script uses it."""

    def __init__(self, kubeconfig: Path, number: int) -> None:
        super().__init__(name=f"sdk client {number}", daemon=True)
        self.requests = Requests(self.name)
        self._kubeconfig = str(kubeconfig)
        self._prefix = f"{PREFIX}s{number}"
        self._over = threading.Event()

    def run(self) -> None:
        from kubernetes import client, config

        api = client.CoreV1Api(config.new_client_from_config(self._kubeconfig))
        turn = 0
        while not self._over.wait(PAUSE):
            name = f"{self._prefix}-{turn}"
            body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data={"n": "0"})
            self._try(lambda body=body: api.create_namespaced_config_map(NAMESPACE, body))  # type: ignore[misc]
            self._try(lambda name=name: api.read_namespaced_config_map(name, NAMESPACE), wrote=False)  # type: ignore[misc]
            turn += 1

    def _try(self, call: Any, *, wrote: bool = True) -> None:
        started = time.monotonic()
        try:
            answer = call()
        except Exception as error:
            self.requests.failures.append(repr(error))
        else:
            self.requests.answered += 1
            if wrote:
                self.requests.written.append(int(answer.metadata.resource_version))
        self.requests.slowest = max(self.requests.slowest, time.monotonic() - started)

    def close(self) -> None:
        self._over.set()
