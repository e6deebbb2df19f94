"""How other API servers are spoken to: where they are, over which TLS, and one small GET for what is asked of them.

The proxy's client certificate (``--proxy-client-cert-file``) is shown in every connection: by it an extension server
knows that the front-proxy headers may be believed. Files are read off the event loop, and again when they change.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import ssl
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
from multidict import CIMultiDict

from apiserver.aggregator.routes import Address, Unresolvable, by_cluster_ip, by_endpoint
from apiserver.aggregator.service import ApiService, Reference
from apiserver.api.gvk import GroupVersionResource
from apiserver.auth.user import MASTERS, User
from apiserver.config import ApiServerConfig
from apiserver.http.proxy.headers import identity
from apiserver.http.proxy.upgrade import os_text
from apiserver.http.reader import CacheReader
from apiserver.storage.cacher import ResourceCache

Object = Mapping[str, Any]
AGGREGATOR: Final = User("system:kube-aggregator", (MASTERS,))
SERVICES: Final = GroupVersionResource("", "v1", "services")
SLICES: Final = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
_OWNER: Final = "kubernetes.io/service-name"
_SECONDS: Final = 5.0
_LIMIT: Final = 32 << 20
_KEPT_CONTEXTS: Final = 64


class Unreachable(Exception):
    """The text is the reason, as the original words it; ``url``: empty if it is not known where the server is."""

    def __init__(self, url: str, text: str) -> None:
        super().__init__(text)
        self.url = url


class Answer(NamedTuple):
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Upstream:
    def __init__(self, config: ApiServerConfig, reader: CacheReader, slices: ResourceCache) -> None:
        self._config = config
        self._reader = reader
        self._slices = slices
        self._contexts: OrderedDict[tuple[Any, ...], ssl.SSLContext] = OrderedDict()
        self._rng = random.SystemRandom()

    async def service(self, reference: Reference) -> Object | None:
        return await self._reader.get(SERVICES, reference.namespace, reference.name)

    async def slices(self, reference: Reference) -> list[Object]:
        """Of all that the namespace has, only the Service's own are parsed."""
        if not self._slices.revision:
            await self._slices.ready()
        entries = self._slices.select(f"{self._slices.prefix}{reference.namespace}/")
        return [entry.object() for entry in entries if entry.labels().get(_OWNER) == reference.name]

    async def address(self, reference: Reference) -> Address:
        """Raises Unresolvable."""
        service = await self.service(reference)
        if not self._config.enable_aggregator_routing:
            return by_cluster_ip(reference, service)
        return by_endpoint(reference, service, await self.slices(reference), self._rng.choice)

    async def context(self, item: ApiService, *, verify: bool = True) -> ssl.SSLContext:
        """``verify`` False: whoever answers will do. Raises ValueError for a bundle or files that cannot be used."""
        verify = verify and not item.insecure
        bundle = item.bundle if verify else ""
        files = self._files()
        key = (verify, bundle, *((path, _changed(path)) for path in files))
        found = self._contexts.pop(key, None)
        if found is None:
            found = await asyncio.to_thread(_context, bundle, verify, files)
        self._contexts[key] = found
        while len(self._contexts) > _KEPT_CONTEXTS:
            self._contexts.popitem(last=False)
        return found

    def _files(self) -> Sequence[Path]:
        certificate, key = self._config.proxy_client_cert_file, self._config.proxy_client_key_file
        return (certificate, key) if certificate is not None and key is not None else ()

    async def get(
        self,
        item: ApiService,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        verify: bool = True,
        seconds: float = _SECONDS,
    ) -> Answer:
        """As the aggregator itself. Raises Unreachable."""
        assert item.service is not None
        try:
            host, port = await self.address(item.service)
        except Unresolvable as exc:
            raise Unreachable("", str(exc)) from exc
        url = f"https://{f'[{host}]' if ':' in host else host}:{port}{path}"
        try:
            context = await self.context(item, verify=verify)
            async with asyncio.timeout(seconds):
                return await _get(url, context, item.service.host, dict(headers or {}))
        except TimeoutError:
            text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            raise Unreachable(url, f'Get "{url}": {text}') from None
        except aiohttp.ClientConnectorError as exc:
            raise Unreachable(url, f'Get "{url}": dial tcp {host}:{port}: {os_text(exc.os_error)}') from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise Unreachable(url, f'Get "{url}": {exc or "EOF"}') from exc


def _changed(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0


def _context(bundle: str, verify: bool, files: Sequence[Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif bundle:
        try:
            context.load_verify_locations(cadata=base64.b64decode(bundle).decode("ascii"))
        except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as exc:
            raise ValueError(f"unable to load root certificates: {exc}") from exc
    else:
        context.load_default_certs()
    if files:
        try:
            context.load_cert_chain(files[0], files[1])
        except (OSError, ssl.SSLError) as exc:
            raise ValueError(f"--proxy-client-cert-file, --proxy-client-key-file: {exc}") from exc
    return context


async def _get(url: str, context: ssl.SSLContext, name: str, headers: dict[str, str]) -> Answer:
    sent = CIMultiDict(identity(AGGREGATOR))
    sent.update(headers)
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(url, headers=sent, server_hostname=name, allow_redirects=False) as answer,
    ):
        data = bytearray()
        async for chunk in answer.content.iter_any():
            data += chunk
            if len(data) > _LIMIT:
                raise ValueError(f"the answer is longer than {_LIMIT} bytes")
        return Answer(url, answer.status, answer.headers, bytes(data))
