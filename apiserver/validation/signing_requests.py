"""Rules for new CertificateSigningRequests (``validateCertificateSigningRequest``). Pure.

What is asked for never changes afterwards; conditions and certificates are checked in `signing`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, duplicate, invalid, not_supported, required, too_long

Object = dict[str, Any]
Options = Mapping[str, Any]

_SPEC: Final = Path("spec")
_LEGACY_SIGNER: Final = "kubernetes.io/legacy-unknown"
_SHORTEST: Final = 600
_USAGES: Final = (
    *("signing", "digital signature", "content commitment", "key encipherment", "key agreement"),
    *("data encipherment", "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth"),
    *("client auth", "code signing", "email protection", "s/mime", "ipsec end system", "ipsec tunnel"),
    *("ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc"),
)
_BLOCK_START: Final = b"-----BEGIN CERTIFICATE REQUEST-----"


def validate_new_request(obj: Object, options: Options) -> list[FieldError]:
    spec = obj.get("spec") or {}
    found: list[FieldError] = []
    fault = request_fault(spec.get("request") or "")
    if fault:
        found.append(invalid(_SPEC.child("request"), spec.get("request"), fault))
    found += _usages(spec.get("usages") or [], _SPEC.child("usages"))
    signer, path = spec.get("signerName") or "", _SPEC.child("signerName")
    if signer == _LEGACY_SIGNER:
        text = "the legacy signerName is not allowed via this API version"
        found.append(invalid(path, signer, text))
    else:
        found += signer_name(signer, path)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SHORTEST:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        found.append(invalid(_SPEC.child("expirationSeconds"), seconds, text))
    return found


def request_fault(text: str) -> str:
    """What is wrong with base64 of a PEM encoded request, its signature included."""
    from cryptography import x509

    try:
        pem = base64.b64decode(text)
    except binascii.Error:
        pem = b""
    if _BLOCK_START not in pem:
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_pem_x509_csr(pem)
    except ValueError as exc:
        return str(exc)
    return "" if request.is_signature_valid else "x509: signature of the request is not valid"


def _usages(usages: list[str], path: Path) -> list[FieldError]:
    found = [] if usages else [required(path)]
    found += [not_supported(path.index(at), u, _USAGES) for at, u in enumerate(usages) if u not in _USAGES]
    return found + [duplicate(path.index(at), u) for at, u in enumerate(usages) if u in usages[:at]]


def signer_name(name: str, path: Path) -> list[FieldError]:
    """``ValidateSignerName``: ``domain.example/path``."""
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, text)]
    limit = names.DNS1123_SUBDOMAIN_MAX
    found = [too_long(path, limit)] if len(domain) > limit else []
    labels = domain.split(".")
    found += _first_bad(labels, domain, path, names.check_dns1123_label)
    if len(labels) < 2:
        text = "should be a domain with at least two segments separated by dots"
        found.append(invalid(path, domain, text))
    found += _first_bad(rest.split("."), rest, path, names.check_dns1123_subdomain)
    return found + ([too_long(path, limit)] if len(rest) > limit else [])


def _first_bad(labels: list[str], whole: str, path: Path, check: Any) -> list[FieldError]:
    for label in labels:
        wrong = check(label)
        if wrong:
            return [invalid(path, whole, f'validating label "{label}": {text}') for text in wrong]
    return []
