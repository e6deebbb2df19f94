"""The certificates of the client port: read from files, read again when these change, without a restart.

`port` asks for `generation` now and then and lets new connections in with what it finds. Files that do not fit
together (half written, say) leave what was there in use, with one warning.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
TLS_MINIMUM = {"": ssl.TLSVersion.TLSv1_2, "TLS1.2": ssl.TLSVersion.TLSv1_2, "TLS1.3": ssl.TLSVersion.TLSv1_3}
Alpn = tuple[str, ...]
Stamp = tuple[tuple[int, int, int], ...]


class BadCertificate(Exception):
    """The files cannot be read or do not fit together; the text names them."""


@dataclass(frozen=True)
class Files:
    """`ca` None: clients need no certificate."""

    cert: Path
    key: Path
    ca: Path | None

    def stamp(self) -> Stamp:
        """Changes when a file does. Raises OSError."""
        found = [os.stat(path) for path in (self.cert, self.key, self.ca) if path is not None]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in found)


class Certificates:
    """`generation` counts the versions that have been used. Raises `BadCertificate` when made."""

    def __init__(self, files: Files, minimum: str = "") -> None:
        self._files = files
        self._minimum = TLS_MINIMUM[minimum]
        self._checked = time.monotonic()
        self._seen = self._stamp()
        self._contexts: dict[Alpn, ssl.SSLContext] = {(): self._load(())}
        self._generation = 1

    @property
    def generation(self) -> int:
        now = time.monotonic()
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            self._refresh()
        return self._generation

    def context(self, alpn: Alpn) -> ssl.SSLContext:
        """Of the newest version that could be read."""
        if alpn not in self._contexts:
            self._contexts[alpn] = self._load(alpn)
        return self._contexts[alpn]

    def _refresh(self) -> None:
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            self._seen = stamp
            self._contexts = {alpn: self._load(alpn) for alpn in self._contexts}
        except BadCertificate as error:
            log.warning("the certificates in use stay: %s", error)
            return
        self._generation += 1
        log.info("certificates read again from %s", self._files.cert)

    def _stamp(self) -> Stamp:
        try:
            return self._files.stamp()
        except OSError as error:
            raise BadCertificate(f"{error.filename}: {error.strerror}") from error

    def _load(self, alpn: Alpn) -> ssl.SSLContext:
        files = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._minimum
        if alpn:
            context.set_alpn_protocols(list(alpn))
        try:
            context.load_cert_chain(files.cert, files.key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise BadCertificate(
                f"{files.cert} and {files.key} are no certificate and its key: {error}"
            ) from error
        if files.ca is not None:
            try:
                context.load_verify_locations(files.ca)
            except (ssl.SSLError, OSError) as error:
                raise BadCertificate(f"{files.ca} holds no certificates: {error}") from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _no_password() -> str:
    """Else OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")
