"""Certificate requests: which are approved by themselves, which are signed, and what is signed."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apiserver.api.meta import Object
from components.client.resources import CERTIFICATE_SIGNING_REQUESTS
from components.client.testing import FakeApi
from components.cluster import pki
from components.controllers.csrapproving.plan import approved, questions, review
from components.controllers.csrsigning.controller import is_done_with
from components.controllers.csrsigning.plan import Refuse, Sign, decide
from tests.support.virtual_time import run_virtual
from tests.unit.components.controllers.test_cluster_controllers import START, clock, manage

KEY = ec.generate_private_key(ec.SECP256R1())
YEAR = timedelta(days=365)
DNS, IP, MAIL = x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.0.0.1")), x509.RFC822Name("a@b.c")
CLIENT = ("digital signature", "key encipherment", "client auth")
SERVER = ("digital signature", "server auth")


def csr(
    signer: str,
    name: str = "system:node:n1",
    groups: Sequence[str] = ("system:nodes",),
    usages: Sequence[str] = CLIENT,
    names: Sequence[x509.GeneralName] = (),
    *conditions: str,
    **spec: Any,
) -> Object:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    parts += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return {
        "metadata": {"name": "csr", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": f"kubernetes.io/{signer}",
            "usages": list(usages),
            "username": "system:node:n1",
            **spec,
        },
        "status": {"conditions": [{"type": kind, "status": "True"} for kind in conditions]}
        if conditions
        else {},
    }


KUBELET, SERVING, OTHER = "kube-apiserver-client-kubelet", "kubelet-serving", "kube-apiserver-client"


def test_a_kubelet_is_asked_about_twice_for_itself_and_once_for_another() -> None:
    own = csr(KUBELET)
    assert [question.subresource for question in questions(own)] == ["selfnodeclient", "nodeclient"]
    other = csr(KUBELET, username="system:bootstrap:abcdef", groups=("system:nodes",))
    assert [question.subresource for question in questions(other)] == ["nodeclient"]
    asked = review(own, questions(own)[0])["spec"]
    assert (asked["user"], asked["resourceAttributes"]["subresource"]) == ("system:node:n1", "selfnodeclient")
    assert questions(approved(own, questions(own)[0])) == []


@pytest.mark.parametrize(
    "request_",
    [
        csr(SERVING, usages=SERVER, names=[DNS]),
        csr(KUBELET, name="alice"),
        csr(KUBELET, groups=("system:masters",)),
        csr(KUBELET, groups=("system:nodes", "system:masters")),
        csr(KUBELET, names=[DNS]),
        csr(KUBELET, usages=(*CLIENT, "server auth")),
        {**csr(KUBELET), "spec": {**csr(KUBELET)["spec"], "request": "bm90aGluZw=="}},
    ],
)
def test_requests_that_are_for_people_to_approve(request_: Object) -> None:
    assert questions(request_) == []


@pytest.mark.parametrize(
    ("signer", "more", "fault"),
    [
        (KUBELET, {}, ""),
        (KUBELET, {"names": [IP]}, "IP subjectAltNames are not allowed"),
        (KUBELET, {"groups": ()}, "subject organization is not system:nodes"),
        (KUBELET, {"name": "n1"}, "subject common name does not begin with system:node:"),
        (SERVING, {"usages": SERVER, "names": [DNS, IP]}, ""),
        (SERVING, {"usages": SERVER}, "DNS or IP subjectAltName is required"),
        (SERVING, {"usages": SERVER, "names": [DNS, MAIL]}, "Email subjectAltNames are not allowed"),
        (SERVING, {"names": [DNS]}, "usages did not match [digital signature key encipherment server auth]"),
        (OTHER, {"name": "jane", "groups": ("dev",)}, ""),
        (OTHER, {"usages": SERVER}, "invalid usages"),
        ("legacy-unknown", {"name": "x", "usages": ("any",)}, ""),
    ],
)
def test_what_each_signer_signs(signer: str, more: dict[str, Any], fault: str) -> None:
    request = csr(signer, **more)
    assert decide(request, YEAR) is None
    request["status"] = {"conditions": [{"type": "Approved"}]}
    outcome = decide(request, YEAR)
    if fault:
        assert outcome == Refuse("SignerValidationFailure", fault)
    else:
        assert isinstance(outcome, Sign)


def test_denied_failed_signed_and_foreign_requests_are_left_alone() -> None:
    for kinds in (("Approved", "Denied"), ("Approved", "Failed")):
        assert (
            decide({**csr(KUBELET), "status": {"conditions": [{"type": kind} for kind in kinds]}}, YEAR)
            is None
        )
    done = {"conditions": [{"type": "Approved"}], "certificate": "x"}
    assert decide({**csr(KUBELET), "status": done}, YEAR) is None
    foreign = csr(KUBELET, signerName="example.com/signer")
    assert decide({**foreign, "status": {"conditions": [{"type": "Approved"}]}}, YEAR) is None


@pytest.mark.parametrize(
    ("asked", "given"), [(None, YEAR), (3600, timedelta(hours=1)), (60, timedelta(minutes=10)), (10**9, YEAR)]
)
def test_the_length_is_what_is_asked_for_within_bounds(asked: int | None, given: timedelta) -> None:
    request = csr(KUBELET, expirationSeconds=asked)
    request["status"] = {"conditions": [{"type": "Approved"}]}
    outcome = decide(request, YEAR)
    assert isinstance(outcome, Sign)
    assert outcome.duration == given


def test_an_approved_request_is_signed_with_nothing_but_what_it_may_have(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [pki.Identity("cluster/x", "x")], START)
    files = {
        "cluster_signing_cert_file": tmp_path / "cluster/ca.crt",
        "cluster_signing_key_file": tmp_path / "cluster/ca.key",
    }

    async def main() -> Object:
        api = FakeApi(clock)
        request = csr(SERVING, usages=SERVER, names=[DNS, IP])
        api.load(CERTIFICATE_SIGNING_REQUESTS, {**request, "status": {"conditions": [{"type": "Approved"}]}})
        bad = csr(SERVING, usages=SERVER)
        bad["metadata"]["name"] = "bad"
        api.load(CERTIFICATE_SIGNING_REQUESTS, {**bad, "status": {"conditions": [{"type": "Approved"}]}})
        task = asyncio.ensure_future(manage(api, 5, "certificatesigningrequest-signing-controller", **files))
        await task
        refused = api.peek(CERTIFICATE_SIGNING_REQUESTS, "bad")
        assert refused is not None
        assert refused["status"]["conditions"][-1]["type"] == "Failed"
        return api.peek(CERTIFICATE_SIGNING_REQUESTS, "csr") or {}

    signed = run_virtual_with_threads(main)
    made = x509.load_pem_x509_certificate(base64.b64decode(signed["status"]["certificate"]))
    made.verify_directly_issued_by(
        x509.load_pem_x509_certificate(files["cluster_signing_cert_file"].read_bytes())
    )
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:n1"
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names) == {DNS, IP}


def run_virtual_with_threads(main: Any) -> Object:
    """Virtual time cannot wait for a thread: the files are read beforehand, in this one."""
    patch = pytest.MonkeyPatch()

    async def here(function: Any, *args: Any) -> Any:
        return function(*args)

    patch.setattr(asyncio, "to_thread", here)
    try:
        found: Object = run_virtual(main())
        return found
    finally:
        patch.undo()


def test_old_requests_are_cleared_away() -> None:
    def at(kind: str, certificate: str = "") -> Object:
        condition = {"type": kind, "lastUpdateTime": "2026-01-01T00:00:00Z"}
        return {**csr(KUBELET), "status": {"conditions": [condition], "certificate": certificate}}

    hour, day = START + timedelta(minutes=61), START + timedelta(hours=25)
    assert [is_done_with(at(kind), hour) for kind in ("Denied", "Failed", "Approved")] == [True, True, False]
    assert not is_done_with(csr(KUBELET), hour)
    assert is_done_with(csr(KUBELET), day)
