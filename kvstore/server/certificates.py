"""The certificates of the client port: read from files, read again when these change, without a restart.

`port` asks for `generation` now and then and lets new connections in with what it finds. Files that do not fit
together (half written, say) leave what was there in use, with one warning. `--auto-tls` makes a self-signed
certificate in the data directory.
"""

from __future__ import annotations

import datetime
import logging
import os
import ssl
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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


def self_signed(directory: Path, hosts: list[str], years: int) -> Files:
    """`cert.pem` and `key.pem` there; kept from the last start, as in etcd."""
    files = Files(directory / "cert.pem", directory / "key.pem", None)
    if files.cert.exists() and files.key.exists():
        return files
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, certificate = _make(hosts, years)
        files.key.touch(mode=0o600)
        files.key.write_bytes(key)
        files.cert.write_bytes(certificate)
    except OSError as error:
        raise BadCertificate(f"{error.filename}: {error.strerror}") from error
    return files


def _make(hosts: list[str], years: int) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "kvstore")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=365 * max(1, years)))
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret, certificate.public_bytes(serialization.Encoding.PEM)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
