"""Conditions and certificates of signing requests (``apis/certificates/validation``). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from apiserver.validation.diff import diff

Object = dict[str, Any]
_CONDITIONS: Final = Path("status").child("conditions")
_CERTIFICATE: Final = Path("status").child("certificate")
_DECISIONS: Final = ("Approved", "Denied")
_FINAL: Final = (*_DECISIONS, "Failed")
_STATUSES: Final = ("True", "False", "Unknown")
_BLOCK: Final = re.compile(r"-----BEGIN ([^-\n]+)-----\n(.*?)-----END \1-----", re.S)
_ENTRY: Final = r"[A-Za-z0-9+/=\s]*"


def validate_approval(new: Object, old: Object) -> list[FieldError]:
    found = _conditions(new, old) + _removed(new, old)
    if _certificate(new) != _certificate(old):
        found.append(forbidden(_CERTIFICATE, "updates may not set certificate content"))
    return found


def validate_certificate_update(new: Object, old: Object) -> list[FieldError]:
    found = _conditions(new, old)
    changed = _certificate(new) != _certificate(old)
    if changed and (fault := certificate_fault(_certificate(new))):
        found.append(invalid(_CERTIFICATE, "<certificate data>", fault))
    found += _removed(new, old) + _decided(new, old)
    if changed and _certificate(old):
        found.append(forbidden(_CERTIFICATE, "updates may not modify existing certificate content"))
    return found


def _certificate(obj: Object) -> str:
    return (obj.get("status") or {}).get("certificate") or ""


def _of_type(obj: Object, kind: str | None = None) -> list[Object]:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return [c for c in conditions if kind is None or c.get("type") == kind]


def _conditions(new: Object, old: Object) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    contradicts = all(_of_type(old, kind) for kind in _DECISIONS)  # stored by an older server
    for at, condition in enumerate(_of_type(new)):
        path, kind = _CONDITIONS.index(at), condition.get("type") or ""
        if not kind:
            found.append(required(path.child("type")))
        found += _status(condition, kind, path.child("status"))
        if kind in _DECISIONS and not contradicts and seen.intersection(_DECISIONS) - {kind}:
            found.append(invalid(_CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive"))
        if kind in seen:
            found.append(duplicate(path.child("type"), kind))
        seen.add(kind)
    return found


def _status(condition: Object, kind: str, path: Path) -> list[FieldError]:
    allowed = ("True",) if kind in _FINAL else _STATUSES
    status = condition.get("status") or ""
    if not status:
        return [required(path)]
    return [] if status in allowed else [not_supported(path, status, allowed)]


def _removed(new: Object, old: Object) -> list[FieldError]:
    return [
        forbidden(_CONDITIONS, f'updates may not remove a condition of type "{kind}"')
        for kind in _FINAL
        if len(_of_type(new, kind)) < len(_of_type(old, kind))
    ]


def _decided(new: Object, old: Object) -> list[FieldError]:
    """Who signs does not decide."""
    found = []
    for kind in _DECISIONS:
        now, before = _of_type(new, kind), _of_type(old, kind)
        if len(now) > len(before):
            found.append(forbidden(_CONDITIONS, f'updates may not add a condition of type "{kind}"'))
        elif len(now) == len(before) and now != before:
            text = f'updates may not modify a condition of type "{kind}"\n'
            found.append(forbidden(_CONDITIONS, text + diff(before, now)))
    return found


def certificate_fault(text: str) -> str:
    """What is wrong with base64 of PEM; nothing is wrong with nothing."""
    if not text:
        return ""
    try:
        pem = base64.b64decode(text).decode("utf-8", "replace")
    except binascii.Error:
        pem = ""
    blocks = _BLOCK.findall(pem)
    if not blocks:
        return "must contain at least one CERTIFICATE PEM block"
    for kind, body in blocks:
        if kind != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind}"'
        if not re.fullmatch(_ENTRY, body):
            return "no PEM block headers are permitted"
        if fault := _parse_fault(body):
            return fault
    return ""


def _parse_fault(body: str) -> str:
    from cryptography import x509

    try:
        x509.load_der_x509_certificate(base64.b64decode("".join(body.split())))
    except (ValueError, binascii.Error) as exc:
        return str(exc)
    return ""
