"""A small certificate authority for tests: files, quickly made."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Pair(NamedTuple):
    cert: Path
    key: Path


class Pki:
    """Certificates are for 127.0.0.1 and localhost, as servers and as clients; the name is the common name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = directory / "ca.pem"
        directory.mkdir(parents=True)
        self.replace_authority()

    def replace_authority(self) -> None:
        """Nothing that was issued before is worth anything after."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ca {x509.random_serial_number()}")])
        builder = self._builder(self._name, self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *, organization: str = "", server_only: bool = False, dns: Sequence[str] = ()
    ) -> Pair:
        """`server_only`: with the usage of a server's certificate and no other. `dns`: more names of a server."""
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if organization:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        subject = x509.Name(parts)
        names = [x509.DNSName(host) for host in ("localhost", *dns)]
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *names]
        builder = self._builder(subject, key)
        builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        if server_only:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(usage, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return pair

    def flags(self, name: str) -> tuple[str, str, str]:
        """etcdctl's, for a client of that name."""
        pair = self.issue(name)
        return f"--cacert={self.ca}", f"--cert={pair.cert}", f"--key={pair.key}"

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
