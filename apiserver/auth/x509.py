"""Client certificates: the subject's common name is the user, its organizations are the groups.

TLS has already checked the chain, so only the subject is read here. Users are remembered by the certificate's
bytes: a connection shows the same certificate with every request.
"""

from __future__ import annotations

from functools import lru_cache

from apiserver.auth.user import AUTHENTICATED, User


@lru_cache(maxsize=1024)
def user_of(certificate: bytes) -> User | None:
    """``certificate`` in DER; None if its subject has no common name."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    subject = x509.load_der_x509_certificate(certificate).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names:
        return None
    groups = tuple(str(a.value) for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    return User(str(names[0].value), (*groups, AUTHENTICATED))
