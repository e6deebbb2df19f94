"""(P) What a CertificateSigningRequest asks for, and whether the built-in signers would sign it.

Used by admission, and by the controllers that approve and sign. Source: ``pkg/apis/certificates/helpers.go`` and
``pkg/controller/certificates/signer``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from apiserver.api.meta import Object

CLIENT: Final = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT: Final = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING: Final = "kubernetes.io/kubelet-serving"
LEGACY: Final = "kubernetes.io/legacy-unknown"
SIGNERS: Final = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY})
NODE: Final = "system:node:"
NODES: Final = "system:nodes"
_OPTIONAL: Final = "key encipherment"
_KUBELET_CLIENT_USAGES: Final = frozenset({"digital signature", "client auth"})
_KUBELET_SERVING_USAGES: Final = frozenset({"digital signature", "server auth"})
_CLIENT_USAGES: Final = frozenset({"digital signature", "key encipherment", "client auth"})


class BadRequest(ValueError):
    """The request cannot be read."""


@dataclass(frozen=True)
class Asked:
    """The subject and the alternative names by kind. ``parsed`` is the request itself, for who signs it."""

    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    emails: tuple[str, ...]
    uris: tuple[str, ...]
    parsed: Any


def read(csr: Object) -> Asked:
    """Raises BadRequest."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        pem = base64.b64decode((csr.get("spec") or {}).get("request") or "", validate=True)
        parsed = x509.load_pem_x509_csr(pem)
        if not parsed.is_signature_valid:
            raise ValueError("its signature is not its key's")
        names = _alternative_names(parsed)
    except (binascii.Error, ValueError, x509.InvalidVersion) as fault:
        raise BadRequest(f"unable to parse csr: {fault}") from fault
    common = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organizations = parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return Asked(
        str(common[0].value) if common else "",
        tuple(str(item.value) for item in organizations),
        dns=tuple(names.get("DNSName", ())),
        addresses=tuple(names.get("IPAddress", ())),
        emails=tuple(names.get("RFC822Name", ())),
        uris=tuple(names.get("UniformResourceIdentifier", ())),
        parsed=parsed,
    )


def _alternative_names(parsed: Any) -> dict[str, list[str]]:
    from cryptography import x509

    found: dict[str, list[str]] = {}
    try:
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return found
    for name in extension.value:
        found.setdefault(type(name).__name__, []).append(str(name.value))
    return found


def fault_of(signer: str, asked: Asked, usages: Collection[str]) -> str:
    """Why the signer does not sign this, empty if it does. The words are the original's."""
    if signer == KUBELET_SERVING:
        return _serving_fault(asked, usages)
    if signer == KUBELET_CLIENT:
        return _kubelet_client_fault(asked, usages)
    if signer == CLIENT and not set(usages) <= _CLIENT_USAGES:
        return "invalid usages"
    if signer == CLIENT and "client auth" not in usages:
        return "usages did not contain client auth"
    return ""


def _node_fault(asked: Asked) -> str:
    if asked.organizations != (NODES,):
        return f"subject organization is not {NODES}"
    return ""


def _serving_fault(asked: Asked, usages: Collection[str]) -> str:
    if fault := _node_fault(asked):
        return fault
    if not asked.dns and not asked.addresses:
        return "DNS or IP subjectAltName is required"
    if asked.emails:
        return "Email subjectAltNames are not allowed"
    if asked.uris:
        return "URI subjectAltNames are not allowed"
    if set(usages) - {_OPTIONAL} != _KUBELET_SERVING_USAGES:
        return "usages did not match [digital signature key encipherment server auth]"
    return "" if asked.common_name.startswith(NODE) else f"subject common name does not begin with {NODE}"


def _kubelet_client_fault(asked: Asked, usages: Collection[str]) -> str:
    if fault := _node_fault(asked):
        return fault
    for names, what in (
        (asked.dns, "DNS"),
        (asked.emails, "Email"),
        (asked.addresses, "IP"),
        (asked.uris, "URI"),
    ):
        if names:
            return f"{what} subjectAltNames are not allowed"
    if set(usages) - {_OPTIONAL} != _KUBELET_CLIENT_USAGES:
        return "usages did not match [digital signature client auth]"
    return "" if asked.common_name.startswith(NODE) else f"subject common name does not begin with {NODE}"


def condition(csr: Object, kind: str) -> Object | None:
    listed = (csr.get("status") or {}).get("conditions") or ()
    return next((item for item in listed if item.get("type") == kind), None)
