"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction: who may decide on requests, what none gets.

Approving and signing need the verbs ``approve`` and ``sign`` on the signer, besides those on the request's
subresources.
"""

from __future__ import annotations

from typing import Final

from apiserver.admission.interface import CREATE, UPDATE, Access, Attributes, Plugin, Reader
from apiserver.api import certificate_requests as requests
from apiserver.api.field_errors import quote
from apiserver.api.meta import Object
from apiserver.auth import rbac
from apiserver.auth.user import MASTERS

_GROUP: Final = "certificates.k8s.io"
_REQUESTS: Final = "certificatesigningrequests"
_SIGNED: Final = ("certificate", "conditions")


class CertificateApproval(Plugin):
    name = "CertificateApproval"

    def __init__(self, access: Access) -> None:
        self._access = access

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        if attributes.is_on(_GROUP, _REQUESTS, UPDATE, subresource="approval"):
            await _require(self._access, attributes, "approve")


class CertificateSigning(Plugin):
    name = "CertificateSigning"

    def __init__(self, access: Access) -> None:
        self._access = access

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        if not attributes.is_on(_GROUP, _REQUESTS, UPDATE, subresource="status"):
            return
        before, after = ((obj or {}).get("status") or {} for obj in (attributes.old, attributes.obj))
        if any((before.get(key) or None) != (after.get(key) or None) for key in _SIGNED):
            await _require(self._access, attributes, "sign")


class CertificateSubjectRestriction(Plugin):
    name = "CertificateSubjectRestriction"

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        csr = attributes.obj
        if csr is None or not attributes.is_on(_GROUP, _REQUESTS, CREATE):
            return
        if (csr.get("spec") or {}).get("signerName") != requests.CLIENT:
            return
        try:
            asked = requests.read(csr)
        except requests.BadRequest as fault:
            raise attributes.forbidden(f"failed to parse CSR: {fault}") from None
        if MASTERS in asked.organizations:
            text = f"use of {requests.CLIENT} signer with {MASTERS} group is not allowed"
            raise attributes.forbidden(text)


async def _require(access: Access, write: Attributes, verb: str) -> None:
    """The right is on the signer's name, or on all of its domain."""
    signer = _signer(write.old or {})
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        asked = rbac.Attributes(write.user, verb, _GROUP, "signers", name=name)
        if (await access.decide(asked))[0]:
            return
    raise write.forbidden(f"user not permitted to {verb} requests with signerName {quote(signer)}")


def _signer(csr: Object) -> str:
    return (csr.get("spec") or {}).get("signerName") or ""
