"""The ConfigMap ``kube-system/extension-apiserver-authentication``: by it extension servers know whom to believe.

It holds the authority of clients' certificates, and that of front proxies with the names of the headers they use. API
servers with other authorities add theirs; certificates that have ended go. Source:
``pkg/controlplane/controller/clusterauthenticationtrust``.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.config import ApiServerConfig
from apiserver.http.rest.call import Call
from apiserver.http.rest.create import create
from apiserver.storage.interface import RevisionMismatch, StorageError

if TYPE_CHECKING:
    from apiserver.http.scope import Services

log = logging.getLogger(__name__)
NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
_CLIENT_CA, _PROXY_CA = "client-ca-file", "requestheader-client-ca-file"
_LISTS: Final = (
    ("requestheader-username-headers", "requestheader_username_headers"),
    ("requestheader-uid-headers", "requestheader_uid_headers"),
    ("requestheader-group-headers", "requestheader_group_headers"),
    ("requestheader-extra-headers-prefix", "requestheader_extra_headers_prefix"),
    ("requestheader-allowed-names", "requestheader_allowed_names"),
)
_LOOK_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0
_SLACK: Final = timedelta(minutes=5)
Data = dict[str, str]


class Trust:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self) -> None:
        """Until cancelled."""
        config = self._services.config
        if config.client_ca_file is None and config.requestheader_client_ca_file is None:
            return
        while True:
            kept = False
            try:
                kept = await self._keep()
            except (StorageError, StatusError, OSError, ValueError, TypeError) as exc:
                log.warning("%s/%s: %s", NAMESPACE, NAME, exc)
            await asyncio.sleep(_LOOK_SECONDS if kept else _RETRY_SECONDS)

    async def _keep(self) -> bool:
        """False: somebody was faster."""
        resource = self._services.registry.lookup("", "v1", "configmaps")
        assert resource is not None
        call, storage = Call(self._services, resource), self._services.storage
        own = await asyncio.to_thread(own_data, self._services.config)
        stored, _ = await storage.get(call.key(NAMESPACE, NAME))
        obj: dict[str, Any] = codec.decode(stored.value) if stored is not None else {}
        data = combined(obj.get("data") or {}, own, self._services.now())
        if stored is None:
            return await _create(call, data)
        if data == obj.get("data"):
            return True
        with suppress(RevisionMismatch):
            await storage.update(stored.key, codec.encode({**obj, "data": data}), stored.revision)
            return True
        return False


async def _create(call: Call, data: Data) -> bool:
    gvk, metadata = call.resource.gvk, {"name": NAME, "namespace": NAMESPACE}
    obj = {"kind": gvk.kind, "apiVersion": gvk.group_version, "metadata": metadata, "data": data}
    try:
        await create(call, NAMESPACE, obj)
    except StatusError as exc:
        if exc.reason == "AlreadyExists":
            return False
        raise
    return True


def own_data(config: ApiServerConfig) -> Data:
    """What the flags say. Raises OSError."""
    found: Data = {}
    if config.client_ca_file is not None:
        found[_CLIENT_CA] = Path(config.client_ca_file).read_text()
    if config.requestheader_client_ca_file is not None:
        found[_PROXY_CA] = Path(config.requestheader_client_ca_file).read_text()
        found |= {name: _text(getattr(config, flag)) for name, flag in _LISTS}
    return found


def combined(stored: Mapping[str, str], own: Mapping[str, str], now: datetime) -> Data:
    """What is there with what we add. Raises ValueError for what cannot be read."""
    found: Data = {}
    for name in (_CLIENT_CA, _PROXY_CA):
        bundle = _bundle([stored.get(name) or "", own.get(name) or ""], now)
        if bundle:
            found[name] = bundle
    if _PROXY_CA in found:
        for name, _ in _LISTS:
            words = [*json.loads(stored.get(name) or "[]"), *json.loads(own.get(name) or "[]")]
            found[name] = _text(list(dict.fromkeys(words)))
    return found


def _text(words: Sequence[str]) -> str:
    return json.dumps(list(words), separators=(",", ":"))


def _bundle(texts: Sequence[str], now: datetime) -> str:
    certificates: dict[bytes, None] = {}
    for text in texts:
        for certificate in x509.load_pem_x509_certificates(text.encode()) if text.strip() else ():
            if certificate.not_valid_after_utc > now - _SLACK:
                certificates[certificate.public_bytes(Encoding.PEM)] = None
    return b"".join(certificates).decode()
