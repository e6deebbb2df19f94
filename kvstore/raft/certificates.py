"""TLS between members: what to present, whom to trust, and files that are replaced while the member runs."""

from __future__ import annotations

import logging
import ssl

from kvstore.raft.config import TlsFiles

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int], ...]


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
        self.server = server_context(tls)
        self.client = client_context(tls)

    def refresh(self) -> None:
        """Called now and then, and before dialling. Files that cannot be used leave everything as it is.

        A listening socket keeps its context, so that one is changed in place: a new authority is trusted at
        once, an old one until the member is started again.
        """
        try:
            stamp = _stamp(self._tls)
            if stamp == self._stamp:
                return
            self.client = client_context(self._tls)
            self.server.load_verify_locations(self._tls.ca)
            self.server.load_cert_chain(self._tls.cert, self._tls.key)
        except (OSError, ssl.SSLError) as error:
            log.warning("%s: the changed certificates cannot be used yet: %s", self._tls.cert, error)
            return
        self._stamp = stamp
        log.info("%s: using the changed certificates", self._tls.cert)


def _stamp(tls: TlsFiles) -> Stamp:
    stats = [path.stat() for path in tls]
    return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)
