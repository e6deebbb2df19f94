"""What a certificate says and what is wrong with it (P): bytes in, one row of `kuberaft certs check` out.

Fed by `inventory`, which reads the files; shown by `commands.certs`, and by `up` and `status` as warnings.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

WARN_WITHIN = timedelta(days=30)
_USES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}


class Certificate(Struct, frozen=True, rename="camel"):
    """One certificate of a cluster. `name` is its file below the data directory, without `pki/` and suffix.

    `use` is authority, server, client, or both of these; `subject` the common name, with the organization in brackets;
    `expires` is RFC 3339; `days_left` whole days, negative once it has ended. A file that cannot be used has a
    `problem`, and what could not be read of it is empty.
    """

    name: str
    use: str = ""
    subject: str = ""
    hosts: list[str] = []
    issuer: str = ""
    serial: str = ""
    expires: str = ""
    days_left: int | None = None
    problem: str = ""


def describe(
    name: str, pem: bytes, now: datetime, *, key: bytes | None = None, authority: bytes | None = None
) -> Certificate:
    """The first certificate in `pem`. `key` and `authority` (PEM) are what must fit to it; None: not looked at."""
    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return Certificate(name, problem="is no PEM certificate")
    left = found.not_valid_after_utc - now
    return Certificate(
        name=name,
        use=_use(found),
        subject=_subject(found.subject),
        hosts=_hosts(found),
        issuer=_subject(found.issuer),
        serial=f"{found.serial_number:x}",
        expires=found.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        days_left=left // timedelta(days=1),
        problem=_problem(found, now, key, authority),
    )


def _problem(found: x509.Certificate, now: datetime, key: bytes | None, authority: bytes | None) -> str:
    if found.not_valid_after_utc < now:
        return "has expired"
    if found.not_valid_before_utc > now:
        return "is not valid yet"
    if key is not None and not _fits(found, key):
        return "its key is missing, unreadable or another one's"
    if authority is not None and not _signed_by(found, authority):
        return "was not signed by the cluster's authority"
    return ""


def _fits(found: x509.Certificate, key: bytes) -> bool:
    try:
        return serialization.load_pem_private_key(key, password=None).public_key() == found.public_key()
    except (ValueError, TypeError):
        return False


def _signed_by(found: x509.Certificate, authority: bytes) -> bool:
    try:
        authorities = x509.load_pem_x509_certificates(authority)
    except ValueError:
        return False
    return any(_directly(found, candidate) for candidate in authorities)


def _directly(found: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        found.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _use(found: x509.Certificate) -> str:
    try:
        if found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return "authority"
    except (x509.ExtensionNotFound, ValueError):
        pass
    try:
        usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    return ", ".join(_USES[usage] for usage in usages if usage in _USES)


def _hosts(found: x509.Certificate) -> list[str]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value) for name in names]


def _subject(name: x509.Name) -> str:
    common = ", ".join(str(part.value) for part in name.get_attributes_for_oid(NameOID.COMMON_NAME))
    groups = ", ".join(str(part.value) for part in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    return f"{common} ({groups})" if groups else common


def urgent(found: Iterable[Certificate], within: timedelta) -> list[Certificate]:
    """Those that cannot be used, and those that end within that time; the most urgent first."""
    limit = within // timedelta(days=1)
    chosen = [c for c in found if c.problem or c.days_left is None or c.days_left < limit]
    return sorted(chosen, key=lambda c: (c.days_left if c.days_left is not None else -(1 << 30), c.name))


def warnings(found: Iterable[Certificate], within: timedelta = WARN_WITHIN) -> list[str]:
    """One line each for `up` and `status`, with the remedy; leaves that share it are counted in one."""
    chosen = urgent(found, within)
    authorities = [c for c in chosen if c.use == "authority"]
    lines = [f"{said(c)}; before that: kuberaft certs renew --ca" for c in authorities]
    leaves = [c for c in chosen if c.use != "authority"]
    if leaves:
        more = f" and {len(leaves) - 1} more" if len(leaves) > 1 else ""
        lines.append(f"{said(leaves[0])}{more}; renew: kuberaft certs renew --all")
    return lines


def said(found: Certificate) -> str:
    """`certificate cluster/admin ends in 12 days`, or what is wrong with it."""
    if found.problem:
        return f"certificate {found.name} {found.problem}"
    return f"certificate {found.name} ends in {found.days_left} days"
