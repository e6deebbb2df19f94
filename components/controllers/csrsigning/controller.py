"""Signs approved certificate requests with the cluster's authority, and clears away what is done or forgotten.

Requests are deleted as the original's cleaner does: an hour after they were issued, denied or failed, a day after they
were made and not decided on, and when their certificate has ended.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from apiserver.api import certificate_requests as requests
from apiserver.api import meta
from apiserver.api.meta import Object
from components.client.errors import ApiError
from components.client.reload import Stamp, stamp_of
from components.client.resources import CERTIFICATE_SIGNING_REQUESTS
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.common.objects import created_at, status, time_of
from components.controllers.csrsigning.plan import Refuse, decide, failed

if TYPE_CHECKING:
    from pathlib import Path

    from components.controllers.csrsigning.authority import Authority

_DONE = timedelta(hours=1)
_PENDING = timedelta(hours=24)
_CLEAN_PERIOD = 3600.0


class CertificateSigner:
    name = "certificatesigningrequest-signing-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._context = context
        self._client = context.client
        self._queue = WorkQueue()
        self._authority: Authority | None = None
        self._stamp: Stamp = ()
        self._requests = context.informers.informer(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.add_handler(self._changed, lambda _, new: self._changed(new))

    def _changed(self, csr: Object) -> None:
        self._queue.add(meta.name(csr))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._clean(), name="certificate request cleaner")
            await run_workers(self._queue, self.sync, 1, self.name)

    async def sync(self, name: str) -> None:
        csr = self._requests.store.get(name)
        longest = timedelta(seconds=self._context.options.cluster_signing_duration)
        outcome = decide(csr, longest) if csr is not None else None
        if csr is None or outcome is None:
            return
        if isinstance(outcome, Refuse):
            update = failed(csr, outcome)
        else:
            pem = (await self._loaded()).sign(outcome, self._context.now())
            update = {**csr, "status": {**status(csr), "certificate": base64.b64encode(pem).decode()}}
        await self._client.update(CERTIFICATE_SIGNING_REQUESTS, update, subresource="status")

    async def _loaded(self) -> Authority:
        """As its files are now; requests are rare, so that nothing has to be remembered but what they were."""
        stamp = stamp_of(self._files())
        if self._authority is None or stamp != self._stamp:
            self._authority, self._stamp = await asyncio.to_thread(self._load), stamp
        return self._authority

    def _files(self) -> tuple[Path, Path]:
        options = self._context.options
        assert options.cluster_signing_cert_file is not None
        assert options.cluster_signing_key_file is not None
        return options.cluster_signing_cert_file, options.cluster_signing_key_file

    def _load(self) -> Authority:
        from components.controllers.csrsigning.authority import Authority

        return Authority.load(*self._files())

    async def _clean(self) -> None:
        while True:
            for csr in list(self._requests.store.list()):
                if is_done_with(csr, self._context.now()):
                    await self._delete(csr)
            await asyncio.sleep(_CLEAN_PERIOD)

    async def _delete(self, csr: Object) -> None:
        try:
            await self._client.delete(CERTIFICATE_SIGNING_REQUESTS, meta.name(csr), uid=meta.uid(csr))
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise


def is_done_with(csr: Object, now: datetime) -> bool:
    ended = [requests.condition(csr, kind) for kind in ("Denied", "Failed")]
    issued = requests.condition(csr, "Approved") if status(csr).get("certificate") else None
    for condition in (*ended, issued):
        if condition is not None:
            since = time_of(condition.get("lastUpdateTime")) or created_at(csr)
            if now - since > _DONE:
                return True
    undecided = not any((*ended, requests.condition(csr, "Approved")))
    return (undecided and now - created_at(csr) > _PENDING) or _has_ended(csr, now)


def _has_ended(csr: Object, now: datetime) -> bool:
    data = status(csr).get("certificate")
    if not data:
        return False
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(base64.b64decode(data)).not_valid_after_utc < now
    except ValueError:
        return False
