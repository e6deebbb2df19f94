"""Starts one container: image, config, create, start, postStart hook; and stops one: preStop hook, signals.

Used by `pods.worker`. Failures come back as the waiting state to show, with the events and texts of the
original (kuberuntime_container.go startContainer and killContainer, images/image_manager.go).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from components.kubelet.pods.backoff import Backoff
from components.kubelet.pods.containers import ContainerBuilder
from components.kubelet.probes.probers import Prober
from components.kubelet.runtime.interface import ContainerStatus, ImageFault, Runtime, RuntimeFault

Object = dict[str, Any]
Reporter = Callable[[Object, Object, str, str, str], None]
_MINIMUM_GRACE = 2.0
_HOOK_TIMEOUT = 600.0


class Waiting(Exception):
    """The container could not be started: the reason and message of its waiting state."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class Starter:
    def __init__(
        self,
        runtime: Runtime,
        builder: ContainerBuilder,
        prober: Prober,
        report: Reporter,
        pull_backoff: Backoff,
        now: Callable[[], float],
    ) -> None:
        self._runtime, self._builder, self._prober = runtime, builder, prober
        self._report, self._backoff, self._now = report, pull_backoff, now
        self._failures: dict[str, tuple[float, str]] = {}  # uid/image -> (when, back-off message)

    async def start(
        self, pod: Object, container: Object, attempt: int, sandbox_id: str, facts: Mapping[str, str]
    ) -> str:
        """The id of the running container. Raises Waiting."""
        await self._image(pod, container)
        try:
            config = await self._builder.build(pod, container, attempt, facts)
            container_id = await self._runtime.create_container(sandbox_id, config)
            self._report(pod, container, "Normal", "Created", "Container created")
            await self._runtime.start_container(container_id)
        except RuntimeFault as error:
            self._report(pod, container, "Warning", "Failed", f"Error: {error}")
            raise Waiting(error.reason, str(error)) from error
        self._report(pod, container, "Normal", "Started", "Container started")
        await self._post_start(pod, container, container_id, facts)
        return container_id

    async def _image(self, pod: Object, container: Object) -> None:
        image = container.get("image", "")
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        present = self._runtime.image_status(image)
        if present is not None and policy != "Always":
            text = f'Container image "{image}" already present on machine and can be accessed by the pod'
            self._report(pod, container, "Normal", "Pulled", text)
            return
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            self._report(pod, container, "Warning", "ErrImageNeverPull", message)
            raise Waiting("ErrImageNeverPull", message)
        await self._pull(pod, container, image)

    async def _pull(self, pod: Object, container: Object, image: str) -> None:
        key, began = f"{pod['metadata']['uid']}/{image}", time.monotonic()
        failed = self._failures.get(key)
        if failed is not None and self._backoff.remaining(key, failed[0], self._now()) > 0:
            raise Waiting("ImagePullBackOff", failed[1])
        self._report(pod, container, "Normal", "Pulling", f'Pulling image "{image}"')
        try:
            info = await self._runtime.pull_image(image)
        except ImageFault as error:
            self._note_failure(pod, container, key, image, error)
            raise Waiting(error.reason, str(error)) from error
        took = f"{(time.monotonic() - began) * 1000:.0f}ms"
        text = f'Successfully pulled image "{image}" in {took} ({took} including waiting). '
        self._report(pod, container, "Normal", "Pulled", text + f"Image size: {info.size} bytes.")

    def _note_failure(self, pod: Object, container: Object, key: str, image: str, error: ImageFault) -> None:
        now = self._now()
        self._backoff.next(key, now, now)
        message = f'Back-off pulling image "{image}": {error.reason}: {error}'
        self._failures[key] = (now, message)
        self._report(pod, container, "Warning", "Failed", f'Failed to pull image "{image}": {error}')
        self._report(pod, container, "Warning", "Failed", f"Error: {error.reason}")
        self._report(pod, container, "Normal", "BackOff", f'Back-off pulling image "{image}"')

    async def _post_start(
        self, pod: Object, container: Object, container_id: str, facts: Mapping[str, str]
    ) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        ok, output = await self._prober.probe(
            hook, container, container_id, facts["status.podIP"], _HOOK_TIMEOUT
        )
        if ok:
            return
        self._report(pod, container, "Warning", "FailedPostStartHook", "PostStartHook failed")
        self._report(pod, container, "Normal", "Killing", "FailedPostStartHook")
        await self._runtime.stop_container(container_id, _MINIMUM_GRACE)
        raise Waiting("PostStartHookError", f"PostStartHook failed: {output}")

    async def stop(
        self,
        pod: Object,
        container: Object | None,
        status: ContainerStatus,
        why: str,
        grace: float,
        pod_ip: str,
    ) -> None:
        """preStop, SIGTERM, SIGKILL: all within `grace` seconds, but never less than two for the signals."""
        shown = container or {"name": status.name}
        self._report(pod, shown, "Normal", "Killing", why)
        began = time.monotonic()
        hook = (shown.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            await self._pre_stop(pod, shown, status.id, hook, grace, pod_ip)
        left = max(grace - (time.monotonic() - began), _MINIMUM_GRACE)
        await self._runtime.stop_container(status.id, left)

    async def _pre_stop(
        self, pod: Object, container: Object, container_id: str, hook: Object, grace: float, pod_ip: str
    ) -> None:
        try:
            async with asyncio.timeout(grace):
                ok, _ = await self._prober.probe(hook, container, container_id, pod_ip, grace)
        except TimeoutError:
            return
        if not ok:
            self._report(pod, container, "Warning", "FailedPreStopHook", "PreStopHook failed")
