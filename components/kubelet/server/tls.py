"""How the kubelet's server speaks TLS: with certificate files that may be replaced while it runs.

A listener keeps its context for life, so every handshake is handed over to the newest one that could be made of the
files; one that cannot be leaves everything as it is, with one warning.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from components.client.reload import CHECK_SECONDS, stamp_of

log = logging.getLogger(__name__)


class Serving:
    """The listener's `context`. Raises OSError, ValueError (of which ssl.SSLError is one) when it is made."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path) -> None:
        self._paths = (certificate, key, client_ca)
        self._seen = stamp_of(self._paths)
        self._newest = self.context = _context(*self._paths)
        self.context.sni_callback = self._hand_over

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._newest is not self.context:
            connection.context = self._newest

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self.refresh()

    async def refresh(self) -> None:
        """Look at the files now."""
        stamp = stamp_of(self._paths)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._newest = await asyncio.to_thread(_context, *self._paths)
        except (OSError, ValueError) as error:
            log.warning("%s: the certificates in use stay: %s", self._paths[0], error)
            return
        log.info("%s: using the changed certificates", self._paths[0])


def _context(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client_ca))
    context.load_cert_chain(certificate, key, password=_no_password)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """Else OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")
