"""HTTPS to kubelets, with the API server's client certificate. Made on first use."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from apiserver.config import ApiServerConfig


class KubeletClient:
    def __init__(self, config: ApiServerConfig) -> None:
        self._config = config
        self._session: ClientSession | None = None
        self._contexts: dict[bool, ssl.SSLContext] = {}  # by whether the kubelet's certificate is checked

    async def session(self) -> ClientSession:
        context = await self.context()  # before the look, that of several who ask at once only one makes it
        if self._session is None:
            timeout = ClientTimeout(total=None, connect=5.0)
            self._session = ClientSession(connector=TCPConnector(ssl=context), timeout=timeout)
        return self._session

    async def context(self, *, verify: bool = True) -> ssl.SSLContext:
        """How TLS is spoken with kubelets; the files are read once, off the event loop."""
        if verify not in self._contexts:
            self._contexts[verify] = await asyncio.to_thread(self._context, verify)
        return self._contexts[verify]

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
        if self._session is not None:
            await self._session.close()
