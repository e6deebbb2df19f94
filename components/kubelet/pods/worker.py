"""One pod's worker: drives the pod on this node from its first sight to its removal.

Woken by `update` (the API server), `poke` (the runtime, a probe) and `refresh` (an object it refers to
changed); decides with `pods.plan` and `pods.machine`, acts through `pods.starter` and the runtime, and
tells `pods.reporter`. Between wake-ups it sleeps: an idle pod costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from apiserver.api.meta import format_time, parse_time
from apiserver.api.pods import init_containers, is_sidecar
from components.kubelet.config import KubeletConfig
from components.kubelet.logs.tail import last_lines
from components.kubelet.pods import plan as planning
from components.kubelet.pods.backoff import Backoff
from components.kubelet.pods.containers import TOKEN_PATH
from components.kubelet.pods.enforcement import unenforced
from components.kubelet.pods.hosts import pod_hostname
from components.kubelet.pods.machine import Life, Phase
from components.kubelet.pods.reporter import StatusReporter
from components.kubelet.pods.starter import Reporter, Starter, Waiting
from components.kubelet.pods.status import View, build
from components.kubelet.pods.steps import Steps
from components.kubelet.probes.worker import ProbeManager
from components.kubelet.runtime.interface import (
    ContainerStatus,
    Runtime,
    RuntimeFault,
    SandboxConfig,
    SandboxStatus,
)
from components.kubelet.volumes.manager import MountFailed, VolumeManager
from components.kubelet.volumes.tokens import TokenManager

log = logging.getLogger(__name__)
Object = dict[str, Any]
_RETRY = 10.0
_STATUS_RETRY = 1.0
_MESSAGE_LIMIT = 4096
_KEPT_CONTAINERS = 2


@dataclass
class Services:
    """What all workers of a kubelet share."""

    config: KubeletConfig
    runtime: Runtime
    starter: Starter
    probes: ProbeManager
    volumes: VolumeManager
    tokens: TokenManager
    reporter: StatusReporter
    steps: Steps
    report: Reporter
    backoff: Backoff
    now: Callable[[], datetime]
    log_dir_of: Callable[[Object], Path]
    can_mount: Callable[[], bool]


class PodWorker:
    def __init__(self, services: Services, pod: Object) -> None:
        self._s = services
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.life = Life()
        self.removed = False
        self._wake = asyncio.Event()
        self._stale_volumes = True
        self._waiting: dict[str, tuple[str, str]] = {}
        self._messages: dict[str, str] = {}
        self._initialized = False
        self._mount_delay = 0.5

    # --- what wakes it

    def update(self, pod: Object) -> None:
        """A new version of the pod. Our own status coming back is no reason to wake up."""
        if _wanted(pod) != _wanted(self.pod):
            self._wake.set()
        self.pod = pod

    def poke(self) -> None:
        self._wake.set()

    def refresh(self) -> None:
        self._stale_volumes = True
        self._wake.set()

    def remove(self, pod: Object) -> None:
        """The API server has no such pod any more."""
        self.pod, self.removed = pod, True
        self._wake.set()

    # --- the loop

    async def run(self) -> None:
        """Until the pod has ended and, if it was deleted, is gone from the API server and from this node."""
        while True:
            self._wake.clear()
            try:
                delay = await self._step()
            except (RuntimeFault, OSError) as error:
                log.warning("pod %s: %s", planning.pod_text(self.pod), error)
                delay = _RETRY
            if delay is not None and delay < 0:
                return
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _step(self) -> float | None:
        """One round; seconds until the next one is due by itself, None for never, negative for done."""
        self._observe()
        if self.life.phase is Phase.SYNCING:
            delay = await self._sync()
            self._observe()
            if self.life.phase is Phase.SYNCING:
                return delay
        if self.life.phase is Phase.TERMINATING:
            await self._terminate()
        return await self._terminated()

    def _observe(self) -> None:
        """Reasons to end the pod that its spec or status give."""
        meta, spec, status = self.pod["metadata"], self.pod["spec"], self.pod.get("status") or {}
        if self.removed or meta.get("deletionTimestamp"):
            grace = meta.get("deletionGracePeriodSeconds")
            self.life.terminate(
                int(spec.get("terminationGracePeriodSeconds", 30) if grace is None else grace)
            )
        elif status.get("phase") in ("Succeeded", "Failed"):
            self.life.terminate(int(spec.get("terminationGracePeriodSeconds", 30)))
        elif self._deadline_left() == 0:
            message = "Pod was active on the node longer than the specified deadline"
            if self.life.terminate(
                int(spec.get("terminationGracePeriodSeconds", 30)), ("DeadlineExceeded", message)
            ):
                self._s.report(self.pod, {}, "Normal", "DeadlineExceeded", message)

    def _deadline_left(self) -> float | None:
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        start = (self.pod.get("status") or {}).get("startTime")
        if limit is None or not start:
            return None
        return max(parse_time(start).timestamp() + float(limit) - self._s.now().timestamp(), 0.0)

    # --- syncing

    async def _sync(self) -> float | None:
        latest = planning.latest_by_name(self._s.runtime.list_containers(self.uid))
        if planning.is_finished(self.pod, latest):
            self.life.terminate(0)
            return None
        if self._stale_volumes and not await self._mount():
            await self._report()
            self._mount_delay = min(self._mount_delay * 2, 122.0)
            return self._mount_delay
        failed = self._s.probes.failed()
        sandbox = self._sandbox()
        plan = self._plan(sandbox, latest, failed)
        if plan.create_sandbox:
            sandbox = await self._create_sandbox()
            if sandbox is None:
                await self._report()
                return _RETRY
            plan = self._plan(sandbox, latest, failed)
        self._initialized = plan.initialized
        problem = await self._act(plan, sandbox)
        self._probe_running(sandbox)
        sent = await self._report()
        await self._prune()
        waits = [plan.wake_after, self._s.tokens.renew_after(self.uid), self._deadline_left()]
        waits += [None if sent else _STATUS_RETRY, _RETRY if problem else None]
        if self._s.tokens.renew_after(self.uid) == 1.0:
            self._stale_volumes = True
        return min((wait for wait in waits if wait is not None), default=None)

    def _plan(
        self, sandbox: SandboxStatus | None, latest: dict[str, ContainerStatus], failed: dict[str, str]
    ) -> planning.Plan:
        facts = planning.Facts(
            pod=self.pod,
            sandbox_id=sandbox.id if sandbox else None,
            latest=latest,
            failed_probes=failed,
            started=lambda name: name in latest and self._s.probes.started(latest[name].id),
            now=self._s.now().timestamp(),
        )
        return planning.compute(facts, self._s.backoff)

    def _sandbox(self) -> SandboxStatus | None:
        mine = [
            s for s in self._s.runtime.list_pod_sandboxes() if s.config.uid == self.uid and s.state == "READY"
        ]
        return max(mine, key=lambda s: s.created_at, default=None)

    async def _mount(self) -> bool:
        try:
            await self._s.volumes.mount_all(self.pod, self._facts(None))
        except MountFailed as error:
            text = f'MountVolume.SetUp failed for volume "{error.volume}" : {error}'
            self._s.report(self.pod, {}, "Warning", "FailedMount", text)
            return False
        self._stale_volumes, self._mount_delay = False, 0.5
        return True

    async def _create_sandbox(self) -> SandboxStatus | None:
        """A new sandbox; the old ones, with all that was in them, are over."""
        mine = [s for s in self._s.runtime.list_pod_sandboxes() if s.config.uid == self.uid]
        meta = self.pod["metadata"]
        config = SandboxConfig(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=self.uid,
            attempt=len(mine),
            hostname=pod_hostname(self.pod),
            host_network=bool(self.pod["spec"].get("hostNetwork")),
            log_directory=str(self._s.log_dir_of(self.pod)),
        )
        try:
            for old in mine:
                await self._s.runtime.stop_pod_sandbox(old.id)
            await self._s.runtime.run_pod_sandbox(config)
        except RuntimeFault as error:
            text = f"Failed to create pod sandbox: {error}"
            self._s.report(self.pod, {}, "Warning", "FailedCreatePodSandBox", text)
            return None
        address = next((s.ips[0] for s in [self._sandbox()] if s is not None and s.ips), "")
        self._s.steps.note(
            self.pod, "sandbox", f"made the pod's sandbox with the address {address or 'none'}"
        )
        self._tell_about_token()
        self._tell_what_is_not_enforced()
        return self._sandbox()

    def _tell_about_token(self) -> None:
        """The one mount that is replaced instead of refused, so that pods run at all without namespaces."""
        directory = self._token_directory()
        if directory and not self._s.can_mount():
            text = (
                f"this machine grants no mount namespace: the service account is not at {TOKEN_PATH} but in "
                f"{directory} (KUBERAFT_SERVICEACCOUNT)"
            )
            self._s.report(self.pod, {}, "Warning", "FailedMount", text)

    def _tell_what_is_not_enforced(self) -> None:
        fields = unenforced(self.pod)
        if fields:
            text = f"the process runtime runs the pod without enforcing: {fields}"
            self._s.report(self.pod, {}, "Warning", "NotEnforced", text)

    async def _act(self, plan: planning.Plan, sandbox: SandboxStatus | None) -> bool:
        """Carry out the plan; True if a container could not be started as it is."""
        for status, why in plan.kill:
            await self._kill(status, why, self._grace_of_restart(status))
            self._wake.set()
        for name, message in plan.back_off.items():
            if self._waiting.get(name) != ("CrashLoopBackOff", message):
                self._waiting[name] = ("CrashLoopBackOff", message)
                text = f"Back-off restarting failed container {name} in pod {planning.pod_text(self.pod)}"
                self._s.report(self.pod, {"name": name}, "Warning", "BackOff", text)
        if sandbox is None:
            return False
        problem = False
        for container, attempt in plan.start:
            problem = not await self._start(container, attempt, sandbox) or problem
        return problem

    async def _start(self, container: Object, attempt: int, sandbox: SandboxStatus) -> bool:
        name = container["name"]
        try:
            await self._s.starter.start(self.pod, container, attempt, sandbox.id, self._facts(sandbox))
        except Waiting as waiting:
            self._waiting[name] = (waiting.reason, waiting.message)
            return False
        self._waiting.pop(name, None)
        self._tell_start(name, attempt)
        if container in init_containers(self.pod):
            self._wake.set()
        return True

    def _tell_start(self, name: str, attempt: int) -> None:
        history = self._history().get(name) or []
        self._s.steps.started(self.pod, name, attempt, history[0] if history else None, history[1:2])

    def _facts(self, sandbox: SandboxStatus | None) -> dict[str, str]:
        config = self._s.config
        ip = sandbox.ips[0] if sandbox and sandbox.ips else ""
        return {
            "status.podIP": ip,
            "status.podIPs": ip,
            "status.hostIP": config.node_ip,
            "status.hostIPs": config.node_ip,
            "spec.nodeName": config.node_name,
            "hostname": config.node_name if self.pod["spec"].get("hostNetwork") else pod_hostname(self.pod),
            "clusterDomain": config.cluster_domain,
            "tokenDirectory": self._token_directory(),
        }

    def _token_directory(self) -> str:
        for volume in self.pod["spec"].get("volumes") or []:
            if volume["name"].startswith("kube-api-access-"):
                return str(self._s.volumes.path(self.uid, volume))
        return ""

    def _probe_running(self, sandbox: SandboxStatus | None) -> None:
        specs = self._specs()
        for status in self._s.runtime.list_containers(self.uid):
            if status.state == "RUNNING" and status.name in specs:
                ip = sandbox.ips[0] if sandbox and sandbox.ips else ""
                self._s.probes.ensure(self.pod, specs[status.name], status.id, ip)
            else:
                self._s.probes.forget(status.id)

    def _specs(self) -> dict[str, Object]:
        spec = self.pod["spec"]
        return {c["name"]: c for c in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]}

    def _grace_of_restart(self, status: ContainerStatus) -> float:
        container = self._specs().get(status.name) or {}
        kind = self._s.probes.failed().get(status.id)
        probe = container.get(f"{kind}Probe") or {}
        of_pod = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(probe.get("terminationGracePeriodSeconds") or of_pod)

    async def _kill(self, status: ContainerStatus, why: str, grace: float) -> None:
        self._s.probes.forget(status.id, ("startup", "liveness"))
        sandbox = self._sandbox()
        ip = sandbox.ips[0] if sandbox and sandbox.ips else ""
        await self._s.starter.stop(self.pod, self._specs().get(status.name), status, why, grace, ip)
        self._s.probes.forget(status.id)

    async def _prune(self) -> None:
        """Keep the last two containers of each name: the current one and the one that `--previous` shows."""
        for history in self._history().values():
            for old in history[_KEPT_CONTAINERS:]:
                if old.state in ("EXITED", "CREATED"):
                    await self._s.runtime.remove_container(old.id)
                    _remove_log(old)

    # --- ending

    async def _terminate(self) -> None:
        while self.life.phase is Phase.TERMINATING:
            grace = self.life.grace
            task = asyncio.create_task(self._kill_all(float(grace)), name=f"terminate {self.uid}")
            try:
                if await self._watch_termination(task, grace):
                    self.life.finished()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _watch_termination(self, task: asyncio.Task[None], grace: int) -> bool:
        """Report progress while containers end; False if the pod must end sooner than was thought."""
        while not task.done():
            waiter = asyncio.create_task(self._wake.wait())
            await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            self._wake.clear()
            self._observe()
            if self.life.grace < grace:
                return False
            if not task.done() and not self.removed:
                await self._report()
        task.result()
        return True

    async def _kill_all(self, grace: float) -> None:
        """App containers together, then the sidecars in reverse order of their start."""
        sidecars = [c["name"] for c in init_containers(self.pod) if is_sidecar(c)]
        running = [s for s in self._s.runtime.list_containers(self.uid) if s.state == "RUNNING"]
        async with asyncio.TaskGroup() as group:
            for status in running:
                if status.name not in sidecars:
                    group.create_task(self._kill(status, f"Stopping container {status.name}", grace))
        for name in reversed(sidecars):
            for status in running:
                if status.name == name:
                    await self._kill(status, f"Stopping container {name}", grace)

    async def _terminated(self) -> float | None:
        if not self.removed and not await self._report():
            return _STATUS_RETRY
        for sandbox in self._s.runtime.list_pod_sandboxes():
            if sandbox.config.uid == self.uid and sandbox.state == "READY":
                await self._s.runtime.stop_pod_sandbox(sandbox.id)
        for status in self._s.runtime.list_containers(self.uid):
            self._s.probes.forget(status.id)
        if not self.removed and not await self._report():
            return _STATUS_RETRY
        if not self.removed and self.pod["metadata"].get("deletionTimestamp"):
            if not await self._s.reporter.delete(self.pod):
                return _STATUS_RETRY
            self.removed = True
        return -1.0 if self.removed else None

    # --- status

    def _history(self) -> dict[str, list[ContainerStatus]]:
        history: dict[str, list[ContainerStatus]] = {}
        for status in self._s.runtime.list_containers(self.uid):
            history.setdefault(status.name, []).append(status)
        for entries in history.values():
            entries.sort(key=lambda s: (s.attempt, s.created_at), reverse=True)
        return history

    async def _report(self) -> bool:
        history, sandbox, probes = self._history(), self._sandbox(), self._s.probes
        everything = [status for entries in history.values() for status in entries]
        view = View(
            pod=self.pod,
            history=history,
            waiting=self._waiting,
            ready={s.id: probes.ready(s.id) for s in everything},
            started={s.id: probes.started(s.id) for s in everything},
            messages={s.id: self._message(s) for s in everything if s.state == "EXITED"},
            sandbox_ready=sandbox is not None,
            initialized=self._initialized,
            pod_ip=sandbox.ips[0] if sandbox and sandbox.ips else "",
            host_ip=self._s.config.node_ip,
            now=format_time(self._s.now()),
            terminal=self.life.phase is Phase.TERMINATED,
            failed=self.life.failed if self.life.phase is Phase.TERMINATED else None,
        )
        return await self._s.reporter.report(self.pod, build(view))

    def _message(self, status: ContainerStatus) -> str:
        """What the container left in its termination log, else (if asked for) the end of its output."""
        if status.id not in self._messages:
            path = status.annotations.get("terminationMessagePath", "")
            try:
                with open(path, "rb") as file:
                    text = file.read(_MESSAGE_LIMIT).decode("utf-8", "replace")
            except OSError:
                text = ""
            wanted = status.annotations.get("terminationMessagePolicy") == "FallbackToLogsOnError"
            if not text and wanted and status.exit_code != 0:
                text = last_lines(Path(status.log_path), lines=80, limit=2048)
            self._messages[status.id] = text
        return self._messages[status.id]


def _wanted(pod: Object) -> tuple[object, ...]:
    """All of a pod that is not this kubelet's own report."""
    meta = {k: v for k, v in pod["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    status = pod.get("status") or {}
    gates = {gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []}
    conditions = [c for c in status.get("conditions") or [] if c["type"] in gates]
    # The deadline counts from the start time, which comes back with the first report.
    start = status.get("startTime") if pod["spec"].get("activeDeadlineSeconds") is not None else None
    return meta, pod["spec"], status.get("phase") in ("Succeeded", "Failed"), conditions, start


def _remove_log(status: ContainerStatus) -> None:
    Path(status.log_path).unlink(missing_ok=True)
