"""TLS between members: what to present, whom to trust, and files that are replaced while the member runs."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from kvstore.raft.config import TlsFiles

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int] | None, ...]


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls.cert, tls.key)
    return context


def client_context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(tls.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.cert, tls.key)
    return context


class Certificates:
    """Contexts made of the files as they are now. Open connections go on with what they began with."""

    def __init__(self, tls: TlsFiles) -> None:
        self._tls = tls
        self._stamp = _stamp(tls)
        self._newest = self.server = server_context(tls)
        self.server.sni_callback = self._hand_over
        self.client = client_context(tls)

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._newest is not self.server:
            connection.context = self._newest

    def refresh(self) -> None:
        """Called now and then, and before dialling. Files that cannot be used leave everything as it is.

        A listening socket keeps its context, so every handshake is handed over to the newest: a new authority is
        trusted at once, and one that is gone no more.
        """
        stamp = _stamp(self._tls)
        if stamp == self._stamp:
            return
        self._stamp = stamp  # one warning for each change
        try:
            self.client, self._newest = client_context(self._tls), server_context(self._tls)
        except (OSError, ssl.SSLError) as error:
            log.warning("%s: the certificates in use stay: %s", self._tls.cert, error)
            return
        log.info("%s: using the changed certificates", self._tls.cert)


def _stamp(tls: TlsFiles) -> Stamp:
    return tuple(_stamp_of(path) for path in tls)


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
