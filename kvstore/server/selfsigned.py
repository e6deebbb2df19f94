"""`--auto-tls`: a self-signed certificate in the data directory, made at the first start and kept."""

from __future__ import annotations

import datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kvstore.server.certificates import BadCertificate, Files


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
