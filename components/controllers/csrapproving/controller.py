"""Asks the API server whether the author of a kubelet's certificate request may have it, and approves it then."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource
from apiserver.api.meta import Object
from components.client.resources import CERTIFICATE_SIGNING_REQUESTS
from components.client.run import run_workers
from components.client.workqueue import WorkQueue
from components.controllers.common.context import ControllerContext
from components.controllers.csrapproving.plan import Question, approved, questions, review

REVIEWS = GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")


class CertificateApprover:
    name = "certificatesigningrequest-approving-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._queue = WorkQueue()
        self._requests = context.informers.informer(CERTIFICATE_SIGNING_REQUESTS)
        self._requests.add_handler(self._changed, lambda _, new: self._changed(new))

    def _changed(self, csr: Object) -> None:
        self._queue.add(meta.name(csr))

    async def run(self) -> None:
        await run_workers(self._queue, self.sync, 1, self.name)

    async def sync(self, name: str) -> None:
        csr = self._requests.store.get(name)
        for question in questions(csr) if csr is not None else []:
            assert csr is not None
            if await self._allowed(csr, question):
                update = approved(csr, question)
                await self._client.update(CERTIFICATE_SIGNING_REQUESTS, update, subresource="approval")
                return

    async def _allowed(self, csr: Object, question: Question) -> bool:
        answer = await self._client.create(REVIEWS, review(csr, question))
        return bool((answer.get("status") or {}).get("allowed"))
