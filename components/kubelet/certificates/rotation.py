"""Renews the kubelet's client certificate before it ends, and goes on with it without a restart.

    run ──▶ due? (plan) ──▶ key + request ──▶ API server: approved and signed by controllers ──▶ file ──▶ ApiClient.use

The certificate and its key are kept in one file of the kubelet's own, `kubelet-client-current.pem`, and used at the
next start if they end later than what the kubeconfig has. A kubeconfig that is changed meanwhile is used as it is. What
is refused or goes wrong is tried again; the certificate in use stays.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.kubeconfig import ClientConfig
from components.client.resources import CERTIFICATE_SIGNING_REQUESTS
from components.kubelet.certificates import plan

log = logging.getLogger(__name__)

FILE = "kubelet-client-current.pem"
_KEY = b"-----BEGIN PRIVATE KEY-----"
LOOK_SECONDS = 5.0
POLL_SECONDS = 1.0
PATIENCE = timedelta(minutes=15)


class Client(Protocol):
    """What is needed of an `ApiClient`."""

    config: ClientConfig

    def use(self, config: ClientConfig) -> None: ...

    async def get(self, gvr: GroupVersionResource, name: str) -> Object: ...

    async def create(self, gvr: GroupVersionResource, obj: Object) -> Object: ...


class Rotation:
    """One kubelet's. `directory` is made when something is to be kept."""

    def __init__(
        self,
        client: Client,
        node_name: str,
        directory: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self._node_name, self._path = client, node_name, directory / FILE
        self._now, self._sleep = now, sleep
        self._rng = rng or random.Random()

    def take_up(self) -> None:
        """Use what an earlier kubelet has kept, if it is good for longer than what the kubeconfig has."""
        try:
            certificate, key = _split(self._path.read_bytes())
            ends = _life(certificate)[1]
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("%s is not used: %s", self._path, error)
            return
        ours = self._client.config.client_cert
        if ours is not None and ends > max(self._now(), _life(ours)[1]):
            self._client.use(replace(self._client.config, client_cert=certificate, client_key=key))

    async def run(self) -> None:
        """Until cancelled."""
        seen, due, attempt = None, None, 0
        while True:
            certificate = self._client.config.client_cert
            if certificate != seen:
                seen, attempt = certificate, 0
                due = _due(certificate, self._rng.random()) if certificate else None
            if due is not None and self._now() >= due:
                if await self._tried():
                    continue
                due = self._now() + plan.pause(attempt)
                attempt += 1
            await self._sleep(LOOK_SECONDS)

    async def _tried(self) -> bool:
        try:
            await self.rotate()
        except (ApiError, plan.Refused, OSError, ValueError, TimeoutError) as error:
            log.warning("the client certificate was not renewed: %s", error or type(error).__name__)
            return False
        return True

    async def rotate(self) -> None:
        """Ask for a new certificate and go on with it. Raises what stands in the way, having changed nothing."""
        key, asked = await asyncio.to_thread(_request, self._node_name)
        made = await self._client.create(CERTIFICATE_SIGNING_REQUESTS, plan.request(self._node_name, asked))
        certificate = await self._issued(meta.name(made))
        ends = _life(certificate)[1]
        await asyncio.to_thread(_keep, self._path, certificate + key)
        self._client.use(replace(self._client.config, client_cert=certificate, client_key=key))
        log.info("the client certificate was renewed; it ends %s", ends.isoformat())

    async def _issued(self, name: str) -> bytes:
        end = self._now() + PATIENCE
        while True:
            certificate = plan.issued(await self._client.get(CERTIFICATE_SIGNING_REQUESTS, name))
            if certificate is not None:
                return certificate
            if self._now() >= end:
                raise TimeoutError(f"nobody has approved and signed {name}")
            await self._sleep(POLL_SECONDS)


def _due(certificate: bytes, share: float) -> datetime | None:
    try:
        return plan.deadline(*_life(certificate), share)
    except ValueError:
        return None


def _life(pem: bytes) -> tuple[datetime, datetime]:
    """From when until when the certificate is good. Raises ValueError."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(pem)
    return found.not_valid_before_utc, found.not_valid_after_utc


def _split(pem: bytes) -> tuple[bytes, bytes]:
    """Certificate and key of a file that `_keep` wrote. Raises ValueError."""
    certificate, begin, key = pem.partition(_KEY)
    if not begin:
        raise ValueError("it has no key")
    return certificate, begin + key


def _request(node_name: str) -> tuple[bytes, bytes]:
    """A new key and a request for it, both PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    names: list[Any] = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node_name}"),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _keep(path: Path, content: bytes) -> None:
    """Replace the file atomically, readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(temporary, path)
