"""The certificate authority that signs requests: its certificate and key, from files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from components.controllers.csrsigning.plan import Sign

_BACKDATE = timedelta(minutes=5)
_EXTENDED = {
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
_BASIC = {
    "digital signature": "digital_signature",
    "signing": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
}
_ALL = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


@dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: Any

    @classmethod
    def load(cls, certificate: Path, key: Path) -> Authority:
        """The one of the certificates in the file that the key belongs to. Raises OSError, ValueError."""
        private: Any = serialization.load_pem_private_key(key.read_bytes(), password=None)
        for candidate in x509.load_pem_x509_certificates(certificate.read_bytes()):
            if candidate.public_key() == private.public_key():
                return cls(candidate, private)
        raise ValueError(f"{key} is not the key of {certificate}")

    def sign(self, request: Sign, now: datetime) -> bytes:
        """PEM. The subject, the alternative names and the key are the request's, nothing else is taken from it.

        It never outlives the authority's own certificate.
        """
        parsed = request.asked.parsed
        end = min(now + request.duration, self.certificate.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(parsed.subject)
            .issuer_name(self.certificate.subject)
            .public_key(parsed.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATE)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        basic = _usage(request.usages)
        if basic is not None:
            builder = builder.add_extension(basic, critical=True)
        extended = [_EXTENDED[name] for name in request.usages if name in _EXTENDED]
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(dict.fromkeys(extended)), critical=False)
        names = _names(parsed)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _usage(usages: tuple[str, ...]) -> x509.KeyUsage | None:
    """None if none is asked for: an extension that allows nothing would make the certificate useless."""
    wanted = {_BASIC[name] for name in usages if name in _BASIC}
    return x509.KeyUsage(**{name: name in wanted for name in _ALL}) if wanted else None


def _names(parsed: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
