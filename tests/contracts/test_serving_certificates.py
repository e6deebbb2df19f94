"""What serves TLS follows its files: one suite for the listeners of API server, kubelet and the store's members."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest
from cryptography import x509

from apiserver.config import ApiServerConfig
from apiserver.http import tls
from components.kubelet.server.tls import Serving
from kvstore.raft.certificates import Certificates
from kvstore.raft.config import TlsFiles
from tests.support.handshake import shown_serial
from tests.support.pki import Pair, Pki


class Followed(Protocol):
    context: ssl.SSLContext

    async def refresh(self) -> None: ...


Make = Callable[[Pair, Path], Followed]


def of_the_api_server(pair: Pair, client_ca: Path) -> Followed:
    config = ApiServerConfig(tls_cert_file=pair.cert, tls_private_key_file=pair.key, client_ca_file=client_ca)
    return tls.Serving(config, datetime.now(UTC))


def of_the_kubelet(pair: Pair, client_ca: Path) -> Followed:
    return Serving(pair.cert, pair.key, client_ca)


class Peers:
    """The listener of a member of the store, which is looked at from outside and by a plain call."""

    def __init__(self, tls: TlsFiles) -> None:
        self._certificates = Certificates(tls)
        self.context = self._certificates.server

    async def refresh(self) -> None:
        self._certificates.refresh()


def of_the_store(pair: Pair, client_ca: Path) -> Followed:
    return Peers(TlsFiles(pair.cert, pair.key, client_ca))


@pytest.fixture(params=[of_the_api_server, of_the_kubelet, of_the_store])
def make(request: pytest.FixtureRequest) -> Make:
    chosen: Make = request.param
    return chosen


def refresh(serving: Followed) -> None:
    asyncio.run(serving.refresh())


def serial(pair: Pair) -> int:
    return x509.load_pem_x509_certificate(pair.cert.read_bytes()).serial_number


def test_a_new_certificate_is_shown(tmp_path: Path, make: Make) -> None:
    pki = Pki(tmp_path / "pki")
    pair, client = pki.issue("server"), pki.issue("client")
    serving, before = make(pair, pki.ca), serial(pair)
    pki.issue("server")
    assert shown_serial(serving.context, client) == before
    refresh(serving)
    assert shown_serial(serving.context, client) == serial(pair) != before


def test_files_that_do_not_fit_change_nothing(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    pki = Pki(tmp_path / "pki")
    pair, client = pki.issue("server"), pki.issue("client")
    serving, before = make(pair, pki.ca), serial(pair)
    half = pki.issue("other")
    for bad in (half.cert.read_bytes(), b"", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"):
        caplog.clear()
        pair.cert.write_bytes(bad)
        refresh(serving)
        refresh(serving)
        assert shown_serial(serving.context, client) == before
        told = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert ["certificates in use stay" in record.getMessage() for record in told] == [True]
    pair.cert.unlink()
    refresh(serving)
    assert shown_serial(serving.context, client) == before
    shutil.copy(half.cert, pair.cert)
    shutil.copy(half.key, pair.key)
    refresh(serving)
    assert shown_serial(serving.context, client) == serial(half)


def test_authorities_are_exchanged(tmp_path: Path, make: Make) -> None:
    """The new one is trusted with the next handshake, and the old one no more."""
    pki = Pki(tmp_path / "pki")
    pair, old = pki.issue("server"), pki.issue("old")
    serving = make(pair, pki.ca)
    shown_serial(serving.context, old)
    pki.replace_authority()
    new = pki.issue("new")
    with pytest.raises(ssl.SSLError):
        shown_serial(serving.context, new)
    refresh(serving)
    shown_serial(serving.context, new)
    with pytest.raises(ssl.SSLError):
        shown_serial(serving.context, old)
