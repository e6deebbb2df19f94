"""A certificate is good until it ends, however long its connection lives; authorities are told apart."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from multidict import CIMultiDict

from apiserver.api.errors import StatusError
from apiserver.auth.client_certificates import ClientCertificates, FrontProxy
from tests.support.pki import Pair, Pki


def der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.cert.read_text())


def test_a_certificate_ends_during_its_connection(tmp_path: Path) -> None:
    pki, now = Pki(tmp_path / "pki"), [datetime.now(UTC)]
    certificates = ClientCertificates(pki.ca, None, lambda: now[0])
    shown, headers = der(pki.issue("jane", organization="dev")), CIMultiDict[str]()
    user = certificates.user(shown, headers)
    assert user is not None
    assert (user.name, user.groups) == ("jane", ("dev", "system:authenticated"))
    now[0] += timedelta(days=2)
    with pytest.raises(StatusError) as info:
        certificates.user(shown, headers)
    assert info.value.code == 401


def test_without_a_client_authority_a_certificate_names_nobody(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    certificates = ClientCertificates(None, FrontProxy(pki.ca), lambda: datetime.now(UTC))
    assert certificates.user(der(pki.issue("front")), CIMultiDict[str]()) is None
    named = certificates.user(der(pki.issue("front")), CIMultiDict({"x-remote-user": "jane"}))
    assert named is not None
    assert named.name == "jane"


def test_authorities_that_are_exchanged_are_followed(tmp_path: Path) -> None:
    """And a file that cannot be read leaves those that were there."""
    clients, proxies = Pki(tmp_path / "clients"), Pki(tmp_path / "proxies")
    certificates = ClientCertificates(clients.ca, FrontProxy(proxies.ca), lambda: datetime.now(UTC))
    headers, old = CIMultiDict({"X-Remote-User": "jane"}), der(proxies.issue("front"))
    assert named(certificates, old, headers) == "jane"
    proxies.ca.write_bytes(b"no certificate")
    assert named(certificates, old, headers) == "jane"
    proxies.replace_authority()
    assert named(certificates, der(proxies.issue("front")), headers) == "jane"
    with pytest.raises(StatusError):
        certificates.user(old, headers)


def named(certificates: ClientCertificates, shown: bytes, headers: CIMultiDict[str]) -> str:
    user = certificates.user(shown, headers)
    return "" if user is None else user.name
