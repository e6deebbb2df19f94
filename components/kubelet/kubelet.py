"""The kubelet: one node's agent. Watches the pods bound to its node and gives each a worker.

Composed here: runtime, volumes, probes, workers, node agent, HTTPS server. Fed by the API server through
informers; reports back through `pods.reporter`, `node.agent` and events. Stopping it leaves the
containers running: a new kubelet on the same root directory takes them up again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apiserver.api.journal import Journal
from apiserver.api.meta import format_time
from apiserver.api.pods import is_pod_terminal
from components.client.events import EventRecorder
from components.client.informer import InformerFactory
from components.client.resources import PODS, SERVICES
from components.client.transport import ApiClient
from components.kubelet.config import KubeletConfig
from components.kubelet.node.agent import NodeAgent
from components.kubelet.node.machine import read_machine
from components.kubelet.node.status import allocatable, labels
from components.kubelet.objects import ObjectCache
from components.kubelet.pods.admission import refusal
from components.kubelet.pods.backoff import Backoff
from components.kubelet.pods.containers import ContainerBuilder
from components.kubelet.pods.reporter import StatusReporter
from components.kubelet.pods.starter import Starter
from components.kubelet.pods.status import rejected
from components.kubelet.pods.steps import Steps
from components.kubelet.pods.worker import PodWorker, Services
from components.kubelet.probes.probers import Prober
from components.kubelet.probes.worker import ProbeManager
from components.kubelet.runtime.interface import Runtime, RuntimeFault
from components.kubelet.volumes.manager import VolumeManager
from components.kubelet.volumes.tokens import TokenManager

log = logging.getLogger(__name__)
Object = dict[str, Any]


class Kubelet:
    def __init__(
        self,
        config: KubeletConfig,
        client: ApiClient,
        runtime: Runtime,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
        journal: Journal | None = None,
    ) -> None:
        """``journal``: where this node's steps are kept; its server gives them out."""
        self.steps = Steps(journal or Journal(config.node_name, now))
        self.config, self.runtime = config, runtime
        self._client, self._now = client, now
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        config.root_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.machine = read_machine(config.root_dir)
        self._allocatable = allocatable(config, self.machine)
        self.node = NodeAgent(config, client, runtime, now)
        self._recorder = EventRecorder(client, "kubelet", config.node_name, now=now)
        self._informers = InformerFactory(client)
        self.pods = self._informers.informer(PODS, field_selector=f"spec.nodeName={config.node_name}")
        self._service_informer = self._informers.informer(SERVICES)
        self._objects = ObjectCache(client, self._refresh)
        self._prober = Prober(runtime)
        self._services = self._compose(rng or random.Random())

    def _compose(self, rng: random.Random) -> Services:
        config, runtime = self.config, self.runtime
        tokens = TokenManager(self._client, self._now)
        volumes = VolumeManager(config.root_dir, self._objects, tokens.token, self._allocatable)
        builder = ContainerBuilder(
            self._objects,
            volumes,
            lambda: self._service_informer.store.list(),
            node_name=config.node_name,
            log_dir=config.log_dir,
            allocatable=self._allocatable,
            can_mount=runtime.can_mount,
        )
        return Services(
            config=config,
            runtime=runtime,
            starter=Starter(
                runtime, builder, self._prober, self.report, Backoff(), lambda: self._now().timestamp()
            ),
            probes=ProbeManager(self._prober, self._poke, self.report, rng),
            volumes=volumes,
            tokens=tokens,
            reporter=StatusReporter(self._client, self.steps.status_sent),
            steps=self.steps,
            report=self.report,
            backoff=Backoff(),
            now=self._now,
            log_dir_of=self._log_dir_of,
            can_mount=runtime.can_mount,
        )

    async def run(self) -> None:
        """Until cancelled. The runtime must have been started."""
        self.runtime.on_change(self._poke)
        self.pods.add_handler(
            on_add=self._seen, on_update=lambda _, new: self._seen(new), on_delete=self._gone
        )
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._informers.run(), name="informers")
                await self.node.register()
                group.create_task(self.node.run(), name="node agent")
                group.create_task(self._keep_house(), name="housekeeping")
        finally:
            self._group = None
            await self._services.probes.close()
            await self._objects.close()
            await self._prober.close()
            await self._recorder.close()

    def report(self, pod: Object, container: Object, kind: str, reason: str, message: str) -> None:
        """An event about the pod, or about one of its containers if `container` names one."""
        path = ""
        if container.get("name"):
            inits = [c["name"] for c in pod["spec"].get("initContainers") or []]
            field = "initContainers" if container["name"] in inits else "containers"
            path = f"spec.{field}{{{container['name']}}}"
        self.steps.event(pod, container.get("name") or "", reason, message)
        self._recorder.event(pod, kind, reason, message, field_path=path)

    # --- pods

    def _seen(self, pod: Object) -> None:
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker.update(pod)
        elif self._group is not None:
            self._start_worker(pod)

    def _gone(self, pod: Object) -> None:
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker.remove(pod)

    def _start_worker(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        assert self._group is not None
        known = any(s.config.uid == uid for s in self.runtime.list_pod_sandboxes())
        refused = None if known or is_pod_terminal(pod) else self._refusal(pod)
        if refused is not None and not pod["metadata"].get("deletionTimestamp"):
            self._group.create_task(self._reject(pod, *refused))
            return
        self.steps.note(pod, "admitted", f"{self.config.node_name} took the pod up")
        worker = PodWorker(self._services, pod)
        self._workers[uid] = worker
        self._tasks[uid] = self._group.create_task(self._work(worker), name=f"pod {uid}")

    def _refusal(self, pod: Object) -> tuple[str, str] | None:
        others = [w.pod for w in self._workers.values() if not is_pod_terminal(w.pod)]
        node_labels = self.node.node.get("metadata", {}).get("labels") or labels(self.config, self.machine)
        return refusal(pod, others, self._allocatable, node_labels)

    async def _reject(self, pod: Object, reason: str, message: str) -> None:
        self.report(pod, {}, "Warning", reason, message)
        status = rejected(pod, reason, message, format_time(self._now()))
        await self._services.reporter.report(pod, status)

    async def _work(self, worker: PodWorker) -> None:
        try:
            await worker.run()
            await self._clean(worker.uid)
        except Exception:
            # One pod must not take the others down; housekeeping finds what is left of it.
            log.exception("the worker of pod %s failed", worker.uid)
        finally:
            self._workers.pop(worker.uid, None)
            self._tasks.pop(worker.uid, None)

    async def _clean(self, uid: str) -> None:
        """Remove everything of a pod that is gone."""
        logs = [s.config.log_directory for s in self.runtime.list_pod_sandboxes() if s.config.uid == uid]
        for sandbox in self.runtime.list_pod_sandboxes():
            if sandbox.config.uid == uid:
                await self.runtime.remove_pod_sandbox(sandbox.id)
        for directory in logs:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        services = self._services
        await services.volumes.remove(uid)
        services.tokens.forget(uid)
        services.backoff.forget(uid)
        services.reporter.forget(uid)

    def _poke(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.poke()

    def _refresh(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.refresh()

    def _log_dir_of(self, pod: Object) -> Path:
        meta = pod["metadata"]
        return self.config.log_dir / f"{meta['namespace']}_{meta['name']}_{meta['uid']}"

    # --- housekeeping

    async def _keep_house(self) -> None:
        """Remove what pods left that the API server no longer knows (deleted while the kubelet was away)."""
        await self.pods.wait_synced()
        while True:
            await self._remove_orphans()
            await asyncio.sleep(self.config.housekeeping_interval)

    async def _remove_orphans(self) -> None:
        known = {pod["metadata"]["uid"] for pod in self.pods.store.list()} | set(self._workers)
        uids = {s.config.uid for s in self.runtime.list_pod_sandboxes()} | set(
            self._services.volumes.known_pods()
        )
        for uid in uids - known:
            log.info("removing what is left of pod %s", uid)
            try:
                for status in self.runtime.list_containers(uid):
                    await self.runtime.stop_container(status.id, 2.0)
                await self._clean(uid)
            except (RuntimeFault, OSError) as error:
                log.warning("pod %s: %s", uid, error)
