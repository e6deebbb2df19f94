"""The serving certificate: the given files, or a self-signed pair made in ``--cert-dir`` as kube-apiserver does."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from datetime import datetime, timedelta
from pathlib import Path

from apiserver.config import ApiServerConfig, ConfigError

_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


def server_context(config: ApiServerConfig, now: datetime) -> ssl.SSLContext:
    """Raises ConfigError for files that cannot be used."""
    certificate, key = config.tls_cert_file, config.tls_private_key_file
    if certificate is None or key is None:
        certificate, key = _self_signed(config, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as exc:
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
