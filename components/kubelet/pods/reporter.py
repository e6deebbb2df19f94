"""Sends pod statuses to the API server: only changes, one request at a time per pod, retried until they
arrive.

Fed by `pods.worker` with whole statuses. The patch carries the pod's uid, so that a status never reaches
another pod of the same name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from components.client.errors import ApiError
from components.client.resources import PODS
from components.client.transport import MERGE_PATCH, ApiClient

log = logging.getLogger(__name__)
Object = dict[str, Any]
_OWNED = (
    *("reason", "message", "podIP", "podIPs", "initContainerStatuses", "containerStatuses"),
    *("hostIP", "hostIPs", "startTime", "qosClass", "phase", "conditions", "observedGeneration"),
)


class StatusReporter:
    def __init__(self, client: ApiClient, on_sent: Callable[[Object, Object], None] | None = None) -> None:
        """``on_sent(pod, status)`` is called for each status that has arrived."""
        self._client = client
        self._on_sent = on_sent
        self._sent: dict[str, Object] = {}

    def forget(self, uid: str) -> None:
        self._sent.pop(uid, None)

    async def report(self, pod: Object, status: Object) -> bool:
        """True when the API server has this status (or the pod is gone from it)."""
        meta = pod["metadata"]
        if self._sent.get(meta["uid"]) == status:
            return True
        known = self._sent.get(meta["uid"]) or pod.get("status") or {}
        change: Object = {key: status[key] for key in status}
        change.update({key: None for key in _OWNED if key in known and key not in status})
        patch = {"metadata": {"uid": meta["uid"]}, "status": change}
        try:
            await self._client.patch(
                PODS, meta["name"], patch, meta["namespace"], subresource="status", content_type=MERGE_PATCH
            )
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return True
            log.warning("status of pod %s/%s not sent: %s", meta["namespace"], meta["name"], error)
            return False
        self._sent[meta["uid"]] = status
        if self._on_sent is not None:
            self._on_sent(pod, status)
        return True

    async def delete(self, pod: Object) -> bool:
        """The last act for a deleted pod whose containers have all ended: remove the object itself."""
        meta = pod["metadata"]
        try:
            await self._client.delete(
                PODS, meta["name"], meta["namespace"], grace_period_seconds=0, uid=meta["uid"]
            )
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                log.warning("pod %s/%s not deleted: %s", meta["namespace"], meta["name"], error)
                return False
        return True
