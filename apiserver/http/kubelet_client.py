"""HTTPS to kubelets, with the API server's client certificate. Made on first use, and anew when its files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from apiserver.config import ApiServerConfig
from apiserver.http.certificate_files import CHECK_SECONDS, CertificateFiles

log = logging.getLogger(__name__)


class KubeletClient:
    def __init__(self, config: ApiServerConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._session: ClientSession | None = None
        self._retired: list[ClientSession] = []  # streams go on; idle connections end by themselves
        self._contexts: dict[bool, ssl.SSLContext] = {}  # by whether the kubelet's certificate is checked
        self._files = CertificateFiles(
            (
                config.kubelet_client_certificate,
                config.kubelet_client_key,
                config.kubelet_certificate_authority,
            )
        )
        self._checked = clock()

    async def session(self) -> ClientSession:
        context = await self.context()  # before the look, that of several who ask at once only one makes it
        if self._session is None:
            timeout = ClientTimeout(total=None, connect=5.0)
            self._session = ClientSession(connector=TCPConnector(ssl=context), timeout=timeout)
        return self._session

    async def context(self, *, verify: bool = True) -> ssl.SSLContext:
        """How TLS is spoken with kubelets; the files are read off the event loop."""
        await self._refresh()
        if verify not in self._contexts:
            self._contexts[verify] = await asyncio.to_thread(self._context, verify)
        return self._contexts[verify]

    async def _refresh(self) -> None:
        now = self._clock()
        if now - self._checked < CHECK_SECONDS:
            return
        self._checked = now
        if not self._contexts or not self._files.changed():
            return
        try:
            contexts = {v: await asyncio.to_thread(self._context, v) for v in list(self._contexts)}
        except (OSError, ssl.SSLError) as error:
            log.warning(
                "the client certificate for kubelets stays the one in use: %s: %s", self._files, error
            )
            return
        self._contexts = contexts
        if self._session is not None:
            self._retired.append(self._session)
            self._session = None
        log.info("certificates for kubelets read again: %s", self._files)

    def _context(self, verify: bool) -> ssl.SSLContext:
        config = self._config
        context = ssl.create_default_context(cafile=config.kubelet_certificate_authority)
        if config.kubelet_certificate_authority is None or not verify:
            # As kube-apiserver without this flag: the kubelet's serving certificate is not checked.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if config.kubelet_client_certificate and config.kubelet_client_key:
            context.load_cert_chain(config.kubelet_client_certificate, config.kubelet_client_key)
        return context

    async def close(self) -> None:
        for session in (*self._retired, self._session):
            if session is not None:
                await session.close()
