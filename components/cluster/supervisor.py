"""Runs one cluster: starts its processes, owns failover endpoint and control socket, stops everything.

    prepare ──▶ Supervisor.run ──▶ launcher (processes), failover (connections), monitor (health)
                      ▲
                   control (requests of the command line)

It restarts nothing unless asked. It ends on `request_stop` (Ctrl-C, SIGTERM, `kuberaft down`) and leaves no
process, port or temporary file; pods are ended through the kubelets' own records, so that no foreign process
is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from components.cluster import ipc, pki, rejoin, renewal, state, stopping, token_keys
from components.cluster.addresses import API_PORT
from components.cluster.caretaker import BackupCare, CertificateWatch, allow_rotation
from components.cluster.errors import ClusterError
from components.cluster.failover import Failover
from components.cluster.launcher import Launcher
from components.cluster.logtail import last_lines
from components.cluster.monitor import MasterMonitor, NodeMonitor
from components.cluster.peers import Peers
from components.cluster.plan import index
from components.cluster.prepare import Prepared
from components.cluster.processes import Process, ProcessTable
from components.cluster.status import (
    BackupStatus,
    ClusterStatus,
    MemberAnswer,
    NodeStatus,
    SupervisorStatus,
    all_ready,
    leader_of,
    member_status,
    node_is_ready,
    process_status,
)
from components.cluster.topology import master_names, worker_names

logger = logging.getLogger(__name__)

START_TIMEOUT = 60.0  # from the first process to all nodes Ready, on the slowest machine
REJOIN_TIMEOUT = 30.0  # for the others to serve without a master that has lost its data
STOP_TIMEOUT = 6.0  # for a process to end by itself after the first signal
RESIGN_TIMEOUT = 3.0  # for the masters to give up their leases before that
MODULES = {"master": "components.master", "worker": "components.worker"}


class Supervisor:
    """One cluster, from `prepare`'s result to the last process's end."""

    def __init__(self, prepared: Prepared, launcher: Launcher, modules: Mapping[str, str] = MODULES) -> None:
        self._modules = modules
        self._prepared = prepared
        self._layout = prepared.layout
        self._launcher = launcher
        masters, workers = master_names(prepared.topology), worker_names(prepared.topology)
        self._table = ProcessTable(masters, workers)
        self._failover = Failover({m: (prepared.addresses.master(index(m)), API_PORT) for m in masters})
        self.peers = Peers(prepared.addresses, masters, proxied=prepared.topology.masters.peer_proxies)
        self._answers: dict[str, MemberAnswer] = {}
        self._nodes: list[NodeStatus] = []
        self._pidfds: dict[str, int] = {}
        self._jobs: dict[int, asyncio.Future[int]] = {}
        self._unclaimed: dict[int, int] = {}  # exits reported before the pid was known to be ours
        self._ended = asyncio.Event()  # set whenever a process ends
        self._stop = asyncio.Event()
        self._progress: list[str] = []
        self._progressed = asyncio.Event()
        self._began = time.monotonic()
        self._finished = False
        self._starter_lives = True
        self._later: list[asyncio.Task[None]] = []  # masters that wait for the others
        self._certificates = CertificateWatch(self._layout, self._say)
        self._renewing = asyncio.Lock()
        self._backups: BackupCare | None = None
        if prepared.topology.backup is not None:
            self._backups = BackupCare(
                self._layout, prepared.topology.backup, prepared.topology.name, self.ready_masters, self._say
            )
        self.ready = asyncio.Event()
        self.failure: ClusterError | None = None

    async def run(self) -> None:
        """Start everything, supervise until asked to stop, stop everything. Raises the ClusterError that
        ended it.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._launcher.start(self._on_exit, self._on_starter_death)
            await self._failover.start(self._prepared.api_socket)
            await self.peers.start()
            tasks = [asyncio.create_task(coroutine) for coroutine in self._monitors()]
            await self._start_all()
            tasks.append(asyncio.create_task(self._watch_start()))
            await self._stop.wait()
        except ClusterError as error:
            self._fail(error)
        finally:
            for task in (*tasks, *self._later):
                task.cancel()
            await asyncio.gather(*tasks, *self._later, return_exceptions=True)
            await self._shut_down()
        if self.failure is not None:
            raise self.failure

    def request_stop(self) -> None:
        """Begin to stop; `run` returns when everything has."""
        self._stop.set()

    # -- what the control socket offers

    def status(self) -> ClusterStatus:
        """The cluster now, from what the monitors heard last."""
        now = time.time()
        furthest = max((answer.applied_index for answer in self._answers.values()), default=0)
        members = [member_status(self._answers[name], furthest) for name in sorted(self._answers)]
        return ClusterStatus(
            name=self._prepared.topology.name,
            directory=str(self._layout.root),
            kubeconfig=str(self._layout.kubeconfig),
            server=self._prepared.api_url,
            slot=self._prepared.state.slot,
            ready=all_ready(self._table.all()),
            leader=leader_of(members),
            supervisor=SupervisorStatus(os.getpid(), round(time.monotonic() - self._began, 1)),
            processes=[process_status(process, now) for process in self._table.all()],
            members=members,
            nodes=self._nodes,
            connections=self._failover.connections,
            warnings=[*self._certificates.warnings, *(self._backups.warnings if self._backups else ())],
            backups=self._backup_status(),
        )

    async def start(self, name: str, program: str = "") -> int:
        """Start a process that has ended, by the Python interpreter `program` or as a copy of the starter; its pid.

        Raises ClusterError when it runs.
        """
        process = self._table.get(name)
        if process.running:
            raise ClusterError(
                f"{name} is running (process {process.pid})", f"end it first: kuberaft kill {name}"
            )
        if name in self._forgetful():
            await self._others_serve_without(name)
        pid = await self._launcher.spawn(
            name, self._modules[process.kind], self._args(name), self._layout.log(name), program
        )
        process.started(pid, time.time(), program)
        with contextlib.suppress(ProcessLookupError):  # it may have ended already: the exit report follows
            self._pidfds[name] = os.pidfd_open(pid)
        self._say(f"{name} started (process {pid}{f', by {program}' if program else ''})")
        self._claim(pid)
        return pid

    def kill(self, name: str, number: int) -> str:
        """Send a signal to a process, or to the master that leads the store (`leader`); the name of the
        process.
        """
        if name == "leader":
            name = self.status().leader
            if not name:
                raise ClusterError(
                    "the store has no leader at this moment", "try again, or name a master: m1"
                )
        process = self._table.get(name)
        if not process.running or name not in self._pidfds:
            raise ClusterError(f"{name} is not running", f"start it: kuberaft start {name}")
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfds[name], number)
        self._say(f"{name}: sent {signal.Signals(number).name}")
        return name

    def _backup_status(self) -> BackupStatus | None:
        return None if self._backups is None else self._backups.status

    async def renew_certificates(self, names: list[str], life: timedelta = pki.LEAF_LIFE) -> list[str]:
        """Issue them anew (all for no names); the processes take them up by themselves. Raises ClusterError."""
        prepared = self._prepared
        known = (self._layout, prepared.topology, prepared.addresses, prepared.api_url)
        async with self._renewing:
            issued = await asyncio.to_thread(renewal.renew, *known, names, life)
        self._say(f"certificates renewed: {', '.join(issued)}")
        await self._certificates.look()
        return issued

    async def exchange_authorities(self) -> list[str]:
        """New authorities for the running cluster; the paths issued by them. Raises ClusterError."""
        prepared = self._prepared
        known = (self._layout, prepared.topology, prepared.addresses, prepared.api_url)
        async with self._renewing:
            await asyncio.to_thread(renewal.begin_authorities, *known)
            self._say("new authorities are trusted beside the old ones")
            await asyncio.sleep(renewal.TRUST_SECONDS)
            issued = await asyncio.to_thread(renewal.switch_authorities, *known)
        self._say("the new authorities have signed all certificates")
        await self._certificates.look()
        return issued

    async def drop_authorities(self) -> None:
        """Trust no old authority any more. Raises ClusterError."""
        prepared = self._prepared
        known = (self._layout, prepared.topology, prepared.addresses, prepared.api_url)
        async with self._renewing:
            await asyncio.to_thread(renewal.drop_authorities, *known)
        self._say("the old authorities are trusted no more")

    async def exchange_token_key(self) -> None:
        """A new key signs the tokens of service accounts; those of the old one stay good. Raises ClusterError."""
        directory = self._layout.pki / "cluster"
        async with self._renewing:
            await asyncio.to_thread(token_keys.begin, directory)
            await asyncio.sleep(renewal.TRUST_SECONDS)
            await asyncio.to_thread(token_keys.switch, directory)
        self._say("a new key signs the tokens of service accounts")

    async def drop_token_keys(self) -> None:
        """Tokens of the old keys are refused. Raises ClusterError."""
        async with self._renewing:
            await asyncio.to_thread(token_keys.drop, self._layout.pki / "cluster")
        self._say("tokens of the old keys are refused")

    async def progress(self) -> AsyncIterator[str]:
        """What has happened since the start, line by line, until all nodes are Ready or the cluster has
        stopped.
        """
        seen = 0
        while True:
            self._progressed.clear()
            while seen < len(self._progress):
                seen += 1
                yield self._progress[seen - 1]
            if self.ready.is_set() or self._finished or self.failure is not None:
                return
            await self._progressed.wait()

    def ready_master(self) -> Path:
        """The admin socket of a master that serves: the leader when it does. Raises ClusterError when none
        does.
        """
        return self.ready_masters()[0]

    def ready_masters(self) -> list[Path]:
        """The admin sockets of all that serve, the leader's first. Raises ClusterError when none does."""
        leader = self.status().leader
        ready = sorted(self._failover.ready, key=lambda name: (name != leader, name))
        if not ready:
            raise ClusterError("no master is ready", "look at kuberaft status and kuberaft logs m1")
        return [self._layout.admin_socket(name) for name in ready]

    # -- processes

    def _args(self, name: str) -> list[str]:
        return ["--config", str(self._layout.config_file(name))]

    async def _start_all(self) -> None:
        later = self._forgetful()
        for process in self._table.all():
            if process.name not in later:
                await self.start(process.name)
        self._later = [asyncio.create_task(self._start_later(name)) for name in sorted(later)]

    async def _start_later(self, name: str) -> None:
        try:
            await self.start(name)
        except ClusterError as error:
            self._say(f"warning: {error}")

    def _forgetful(self) -> set[str]:
        masters = [process.name for process in self._table.of("master")]
        return rejoin.forgetful(self._layout, masters, self._prepared.state.formed)

    async def _others_serve_without(self, name: str) -> None:
        self._say(f"{name} has no data: it waits for the others to serve without it, then copies their state")
        loop = asyncio.get_running_loop()
        deadline, began = loop.time() + REJOIN_TIMEOUT, 0
        while True:
            now = rejoin.furthest(self._answers)
            began = began or now
            if began and now >= began + rejoin.PROOF:
                return
            if loop.time() >= deadline:
                raise ClusterError(
                    f"{self._layout.masters / name}: {name} has no data, and the other masters do not serve",
                    f"start them first, then: kuberaft start {name}; or restore a backup: kuberaft restore FILE",
                )
            await asyncio.sleep(0.1)

    def _formed(self) -> None:
        """A master serves: what it stored may have been acknowledged."""
        if self._prepared.state.formed:
            return
        self._prepared.state = msgspec.structs.replace(self._prepared.state, formed=True)
        try:
            state.save(self._layout, self._prepared.state)
        except ClusterError as error:
            self._say(f"warning: {error}")

    def _on_exit(self, pid: int, code: int) -> None:
        job = self._jobs.pop(pid, None)
        if job is not None and not job.done():
            job.set_result(code)
            return
        process = self._table.by_pid(pid)
        if process is None:
            self._unclaimed[pid] = code
            return
        process.ended(code)
        descriptor = self._pidfds.pop(process.name, None)
        if descriptor is not None:
            os.close(descriptor)
        if process.kind == "master":
            self._on_master(process.name, None)
            self._failover.cut(process.name)
        self._say(f"{process.name} {process.describe_exit()}")
        if not self.ready.is_set() and self._goes_on_without(process):
            self._say(f"warning: {self._start_failure(process)}")
        self._ended.set()

    def _on_starter_death(self, error: ClusterError) -> None:
        """The kernel has killed everything it started (`titles.die_with_parent`): the cluster is over."""
        for process in self._table.all():
            if process.running and process.pid is not None:
                self._on_exit(process.pid, -signal.SIGKILL)
        self._starter_lives = False
        self._fail(error)
        self._stop.set()

    def _claim(self, pid: int) -> None:
        """Deliver an exit that was reported while the start of `pid` was still on its way to us."""
        if pid in self._unclaimed:
            self._on_exit(pid, self._unclaimed.pop(pid))

    def _fail(self, error: ClusterError) -> None:
        self.failure = self.failure or error
        self._progressed.set()

    # -- health

    def _monitors(self) -> Iterable[Coroutine[Any, Any, None]]:
        for process in self._table.of("master"):
            yield self._monitor(process).run()
        yield NodeMonitor(self._any_ready_socket, self._on_nodes).run()
        yield self._certificates.run()
        yield allow_rotation(self._layout, self.ready)
        if self._backups is not None:
            yield self._backups.run(self.ready)

    def _monitor(self, process: Process) -> MasterMonitor:
        report = functools.partial(self._on_master, process.name)
        return MasterMonitor(
            process.name, self._layout.admin_socket(process.name), report, lambda: process.pid
        )

    def _any_ready_socket(self) -> Path | None:
        return self.ready_master() if self._failover.ready else None

    def _on_master(self, name: str, answer: MemberAnswer | None) -> None:
        process = self._table.get(name)
        if answer is None or not process.running:
            self._answers.pop(name, None)
            ready = draining = False
        else:
            self._answers[name] = answer
            ready, draining = answer.ready, answer.draining
        if ready and process.state == "starting":
            process.became_ready()
            self._formed()
            self._say(f"{name} ready: {'leader' if answer and answer.leader else 'follower'}")
        elif not ready and process.state == "ready":
            process.lost()
            self._say(f"{name} {'is draining' if draining else 'no longer ready'}")
        self._failover.set_ready(name, ready, answers=name in self._answers, draining=draining)

    def _on_nodes(self, answer: list[NodeStatus]) -> bool:
        self._nodes = answer
        for process in self._table.of("worker"):
            fresh = node_is_ready(process, answer)
            if fresh and process.state == "starting":
                process.became_ready()
                self._say(f"node {process.name} Ready")
            elif not fresh and process.state == "ready":
                process.lost()
                self._say(f"node {process.name} NotReady")
        if all_ready(self._needed()):
            self._all_ready()
            return True
        return self.ready.is_set()

    def _needed(self) -> list[Process]:
        """Without what the start goes on: masters that have ended, as long as a quorum runs."""
        masters = self._table.of("master")
        ended = [process for process in masters if not process.running]
        if len(masters) - len(ended) <= len(masters) // 2:
            ended = []
        return [process for process in self._table.all() if process not in ended]

    def _goes_on_without(self, process: Process) -> bool:
        """Whether the start does, with a quorum of masters that have not ended; some may have yet to be started."""
        masters = self._table.of("master")
        ended = [master for master in masters if master.exit is not None]
        return process in ended and len(masters) - len(ended) > len(masters) // 2

    def _all_ready(self) -> None:
        if not self.ready.is_set():
            took = time.monotonic() - self._began
            self._say(f"all {len(self._nodes)} nodes Ready after {took:.1f} s")
            self.ready.set()
            self._progressed.set()

    async def _watch_start(self) -> None:
        """Until everything is ready, a process that ends or a clock that runs out ends the start; but one
        master that cannot start does not keep the others from serving.
        """
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT
        while not self.ready.is_set():
            self._ended.clear()
            dead = next((p for p in self._needed() if not p.running), None)
            if dead is not None:
                self._fail(self._start_failure(dead))
                self._stop.set()
                return
            if asyncio.get_running_loop().time() >= deadline:
                waiting = ", ".join(p.name for p in self._table.all() if p.state != "ready")
                remedy = f"see the logs in {self._layout.logs}"
                self._fail(ClusterError(f"not ready within {START_TIMEOUT:.0f} s: {waiting}", remedy))
                self._stop.set()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._ended.wait()

    def _start_failure(self, process: Process) -> ClusterError:
        log = self._layout.log(process.name)
        tail = "\n".join(f"    {line}" for line in last_lines(log, 5))
        return ClusterError(
            f"{process.name} {process.describe_exit()} while starting:\n{tail}", f"the whole log: {log}"
        )

    # -- stopping

    async def _shut_down(self) -> None:
        self._say("stopping")
        await self._failover.stop()
        workers, masters = self._table.of("worker"), self._table.of("master")
        await self._end(workers, signal.SIGTERM)
        await self._resign([process for process in masters if process.running])
        await asyncio.gather(self._end_pods(workers), self._end(masters, signal.SIGINT))
        await self.peers.close()
        await self._launcher.close()
        self._finished = True
        self._progressed.set()

    async def _resign(self, masters: list[Process]) -> None:
        """Masters that end together lose their quorum with the second one: leases are given up before."""
        if len(masters) < 2:
            return
        sockets = [self._layout.admin_socket(master.name) for master in masters]
        asked = (ipc.call(socket, "resign", timeout=RESIGN_TIMEOUT) for socket in sockets)
        for master, answer in zip(masters, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(answer, Exception):
                logger.info("%s did not resign: %s", master.name, answer or type(answer).__name__)

    async def _end(self, processes: list[Process], first: signal.Signals) -> None:
        """`first`, wait, SIGKILL for those that stay. SIGINT spares masters the delay that nobody needs."""
        for number, patience in ((first, STOP_TIMEOUT), (signal.SIGKILL, STOP_TIMEOUT)):
            for process in processes:
                if process.running and process.name in self._pidfds:
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(self._pidfds[process.name], signal.SIGCONT)
                        signal.pidfd_send_signal(self._pidfds[process.name], number)
            if await self._gone(processes, patience):
                return

    async def _gone(self, processes: list[Process], patience: float) -> bool:
        deadline = asyncio.get_running_loop().time() + patience
        while any(process.running for process in processes):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            self._ended.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._ended.wait()
        return True

    async def _end_pods(self, workers: list[Process]) -> None:
        """Let each worker's own records name the processes of its pods, and end exactly those."""
        if self._starter_lives:
            await asyncio.gather(*(self._end_pods_of(process.name) for process in workers))
            return
        try:
            await asyncio.to_thread(stopping.end_pods, self._layout, self._modules["worker"])
        except ClusterError as error:
            logger.error("%s", error)

    async def _end_pods_of(self, name: str) -> None:
        try:
            args = [*self._args(name), "--end-pods"]
            pid = await self._launcher.spawn(
                f"{name}-end", self._modules["worker"], args, self._layout.log(name)
            )
            job = self._jobs[pid] = asyncio.get_running_loop().create_future()
            self._claim(pid)
            async with asyncio.timeout(2 * STOP_TIMEOUT):
                code = await job
            if code != 0:
                logger.error(
                    "ending the pods of %s failed with code %d: see %s", name, code, self._layout.log(name)
                )
        except (ClusterError, TimeoutError) as error:
            logger.error("ending the pods of %s: %s", name, error or "it took too long")

    def _say(self, text: str) -> None:
        line = f"{time.monotonic() - self._began:6.2f}s  {text}"
        logger.info("%s", text)
        self._progress.append(line)
        self._progressed.set()
