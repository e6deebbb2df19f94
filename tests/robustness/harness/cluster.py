"""The members' processes: ours (`python -m kvstore`) or a real etcd, with the same flags."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from components.cluster.peernet import Network, owner
from components.drills.disks import Disk
from components.drills.recording.recorder import Endpoint
from kvstore.rpc.proto import rpc_pb2
from tests.support.kvstore_cluster import free_ports

OURS: tuple[str, ...] = (sys.executable, "-m", "kvstore")
HEARTBEAT_MS, ELECTION_MS = 50, 500
READY_SECONDS = 40.0
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class MemberProcess:
    """One member: its ports, its directory (on a disk of its own, if it has one) and, while it runs, its process."""

    name: str
    client_port: int
    peer_port: int
    advertised: int
    home: Path
    disk: Disk | None = None
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    paused: bool = False
    may_end: bool = False
    """Its disk failed it: it may end by itself at any time, and is started again."""
    removed: bool = False

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def data(self) -> Path:
        return (self.disk.mount if self.disk else self.home) / f"{self.name}.data"

    @property
    def log(self) -> Path:
        return self.home / f"{self.name}.log"


class Cluster:
    """`proxied`: connections between members go through `network`, which needs the event loop to run."""

    def __init__(
        self,
        directory: Path,
        program: Sequence[str] = OURS,
        *,
        flags: Sequence[str] = (),
        proxied: bool = True,
    ) -> None:
        self._proxied = proxied
        self.directory = directory
        self.program = tuple(program)
        self.flags = tuple(flags)
        self.members: list[MemberProcess] = []
        self.endpoints: list[Endpoint] = []
        self.network = Network(lambda peer: owner(peer[1], self.pids()))
        self.ended: list[str] = []
        """Members that ended without being killed, and with a disk that works."""

    @property
    def present(self) -> list[MemberProcess]:
        """Those that were not removed."""
        return [m for m in self.members if not m.removed]

    def pids(self) -> dict[int, str]:
        return {m.process.pid: m.name for m in self.members if m.process is not None and m.running}

    async def create(
        self, disks: Sequence[Disk] = (), environments: Sequence[dict[str, str]] = (), *, count: int = 3
    ) -> None:
        """The members of a new cluster; `start` each of them."""
        for number in range(count):
            await self.add(disks[number] if disks else None, environments[number] if environments else None)

    async def add(self, disk: Disk | None = None, environment: dict[str, str] | None = None) -> MemberProcess:
        name = f"m{len(self.members) + 1}"
        peer, client = free_ports(2)
        advertised = await self.network.proxy(name, ("127.0.0.1", peer)) if self._proxied else peer
        member = MemberProcess(
            name, client, peer, advertised, self.directory, disk, environment=environment or {}
        )
        self.members.append(member)
        self.endpoints.append(Endpoint(f"127.0.0.1:{client}"))
        return member

    def start(self, member: MemberProcess, state: str = "new") -> None:
        with member.log.open("ab") as log:
            member.process = subprocess.Popen(
                [*self.program, *self._flags(member, state), *self.flags, *member.flags],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, **member.environment, "PYTHONUNBUFFERED": "1"},
            )

    def _flags(self, member: MemberProcess, state: str) -> list[str]:
        client = f"http://127.0.0.1:{member.client_port}"
        initial = ",".join(f"{m.name}={url(m)}" for m in self.present)
        values = {
            "name": member.name,
            "data-dir": str(member.data),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": f"http://127.0.0.1:{member.peer_port}",
            "initial-advertise-peer-urls": url(member),
            "initial-cluster": initial,
            "initial-cluster-state": state,
            "initial-cluster-token": "robustness",
            "heartbeat-interval": str(HEARTBEAT_MS),
            "election-timeout": str(ELECTION_MS),
        }
        return [f"--{name}={value}" for name, value in values.items()]

    # Signals.

    def kill(self, member: MemberProcess) -> None:
        if member.process is not None and member.running:
            member.process.kill()
            member.process.wait(10)
        member.paused = False

    def pause(self, member: MemberProcess) -> None:
        if member.process is not None and member.running:
            member.process.send_signal(signal.SIGSTOP)
            member.paused = True

    def resume(self, member: MemberProcess) -> None:
        if member.process is not None and member.running:
            member.process.send_signal(signal.SIGCONT)
        member.paused = False

    def ensure_running(self) -> None:
        """Whatever was killed or paused works again."""
        for member in self.present:
            if member.paused:
                self.resume(member)
            if not member.running:
                self._note_end(member)
                self.start(member, "existing")

    def _note_end(self, member: MemberProcess) -> None:
        """Nobody but us may have ended it."""
        code = member.process.returncode if member.process is not None else None
        if code not in (None, -signal.SIGKILL) and not member.may_end:
            self.ended.append(f"{member.name} ended by itself with status {code}: {last_line(member.log)}")

    # Questions.

    async def status(self, member: MemberProcess, seconds: float = 1.0) -> Any:
        endpoint = self.endpoints[self.members.index(member)]
        path = "/etcdserverpb.Maintenance/Status"
        return await endpoint.unary(path, rpc_pb2.StatusRequest(), rpc_pb2.StatusResponse, seconds)

    async def leader(self) -> MemberProcess | None:
        """The member that says it leads at the highest term."""
        best: tuple[int, MemberProcess] | None = None
        for member in self.present:
            if not member.running or member.paused:
                continue
            with contextlib.suppress(grpc.aio.AioRpcError):
                status = await self.status(member, 0.5)
                term = status.raftTerm
                if status.leader == status.header.member_id and (best is None or term > best[0]):
                    best = (term, member)
        return best[1] if best else None

    async def ready(self, seconds: float = READY_SECONDS) -> None:
        """Returns when every member answers a linearizable read. Raises `AssertionError`."""
        deadline = asyncio.get_running_loop().time() + seconds
        waiting = self.present
        while waiting:
            member = waiting[0]
            self.ensure_running()
            try:
                request = rpc_pb2.RangeRequest(key=b"\0", range_end=b"\0", limit=1)
                endpoint = self.endpoints[self.members.index(member)]
                await endpoint.unary("/etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse, 2.0)
                waiting.pop(0)
            except grpc.aio.AioRpcError as error:
                if asyncio.get_running_loop().time() > deadline:
                    state = "runs" if member.running else "is dead"
                    raise AssertionError(
                        f"{member.name} ({state}) does not serve: {error.details()}"
                    ) from error
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        for member in self.members:
            if member.process is not None and member.running:
                member.process.kill()
                member.process.wait(10)
        for endpoint in self.endpoints:
            await endpoint.close()
        await self.network.close()
        for member in self.members:
            if member.disk is not None:
                member.disk.close()


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1][-500:] if lines else "(nothing logged)"


def url(member: MemberProcess) -> str:
    return f"http://127.0.0.1:{member.advertised}"
