"""Client certificates: the subject's common name is the user, its organizations are the groups.

TLS has already checked the chain, so only the subject and the end are read here. What a certificate says is
remembered by its bytes: a connection shows the same certificate with every request.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from apiserver.auth.user import AUTHENTICATED, User


class Subject(NamedTuple):
    """``ends``: until when the certificate is good. A connection may outlive it."""

    name: str
    organizations: tuple[str, ...]
    credential: str
    ends: datetime

    def user(self) -> User:
        extra = {"authentication.kubernetes.io/credential-id": [self.credential]}
        return User(self.name, (*self.organizations, AUTHENTICATED), extra=extra)


@lru_cache(maxsize=1024)
def subject_of(certificate: bytes) -> Subject:
    """``certificate`` in DER; an empty name if its subject has no common name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    parsed = x509.load_der_x509_certificate(certificate)
    names = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return Subject(
        str(names[0].value) if names else "",
        tuple(str(group.value) for group in groups),
        f"X509SHA256={parsed.fingerprint(hashes.SHA256()).hex()}",
        parsed.not_valid_after_utc,
    )
