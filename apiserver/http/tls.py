"""The serving certificate: the given files, or a self-signed pair made in ``--cert-dir`` as kube-apiserver does.

`Serving` follows the files: a new certificate is served, and a new authority trusted, from the next handshake on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
from datetime import datetime, timedelta
from pathlib import Path

from apiserver.config import ApiServerConfig, ConfigError
from apiserver.http.certificate_files import CHECK_SECONDS, CertificateFiles

log = logging.getLogger(__name__)

HTTP2 = "h2"
_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


class Serving:
    """The listener's `context`. Raises ConfigError for files that cannot be used when it is made.

    A listener keeps its context for life, so every handshake is handed over to the newest one: that changes
    certificate, key and trusted authorities alike, and an authority that is gone is trusted no more.
    """

    def __init__(self, config: ApiServerConfig, now: datetime) -> None:
        self._config = config
        self._pair = _pair(config, now)
        self._files = CertificateFiles(
            (*self._pair, config.client_ca_file, config.requestheader_client_ca_file)
        )
        self._newest = self.context = server_context(config, self._pair)
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
        """Look at the files now; those that cannot be used leave everything as it is, with one warning."""
        if not self._files.changed():
            return
        try:
            self._newest = await asyncio.to_thread(server_context, self._config, self._pair)
        except ConfigError as exc:
            log.warning("the certificates in use stay: %s", exc)
            return
        log.info("certificates read again: %s", self._files)


def _pair(config: ApiServerConfig, now: datetime) -> tuple[Path, Path]:
    if config.tls_cert_file is None or config.tls_private_key_file is None:
        return _self_signed(config, now)
    return config.tls_cert_file, config.tls_private_key_file


def server_context(config: ApiServerConfig, pair: tuple[Path, Path]) -> ssl.SSLContext:
    """Raises ConfigError for files that cannot be used."""
    certificate, key = pair
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"] if config.disable_http2_serving else [HTTP2, "http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as exc:
        raise ConfigError(f"--tls-cert-file {certificate}, --tls-private-key-file {key}: {exc}") from exc
    authorities = {
        "--client-ca-file": config.client_ca_file,
        "--requestheader-client-ca-file": config.requestheader_client_ca_file,
    }
    for flag, path in authorities.items():
        if path is None:
            continue
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as exc:
            raise ConfigError(f"{flag} {path}: {exc}") from exc
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _no_password() -> str:
    """Else OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


def _self_signed(config: ApiServerConfig, now: datetime) -> tuple[Path, Path]:
    certificate, key = config.cert_dir / "apiserver.crt", config.cert_dir / "apiserver.key"
    if certificate.exists() and key.exists():
        return certificate, key
    try:
        config.cert_dir.mkdir(parents=True, exist_ok=True)
        certificate_pem, key_pem = _make(config, now)
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(key_pem)
        certificate.write_bytes(certificate_pem)
    except OSError as exc:
        raise ConfigError(
            f"--cert-dir {config.cert_dir}: cannot write a certificate: {exc.strerror}"
        ) from exc
    return certificate, key


def _make(config: ApiServerConfig, now: datetime) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"{socket.gethostname()}@{int(now.timestamp())}")]
    )
    addresses = {config.advertise_address, config.bind_address, config.kubernetes_service_ip, "127.0.0.1"}
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in (*_NAMES, socket.gethostname())]
    names += [x509.IPAddress(ipaddress.ip_address(a)) for a in sorted(addresses - {"", "0.0.0.0", "::"})]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
