"""How the members of the store and the nodes are right now; one sampler per master, at work while somebody looks.

Each master describes itself (`own`); the one that is asked puts together what all say. Nodes and their pods come from
the watch caches, change by change, so that a look costs no more than what has happened since the last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import psutil

from apiserver.api import codec, meta
from apiserver.api.journal import timestamp
from apiserver.api.meta import Object
from apiserver.api.pods import is_pod_terminal, pod_requests
from apiserver.api.quantity import ZERO, parse_quantity
from apiserver.auth.feed import Feed
from apiserver.storage.entry import Entry
from components.insight.gather import Peers
from kvstore.errors import StoreError
from kvstore.member import Member

if TYPE_CHECKING:
    from apiserver.http.scope import Services

log = logging.getLogger(__name__)

SECONDS: Final = 0.5
PATH: Final = "/kuberaft/v1/cluster?local=true"
_MILLI: Final = 1000
Status = dict[str, Any]


class Nodes:
    """Nodes and what the pods on them ask for."""

    def __init__(self, services: Services) -> None:
        self._nodes: dict[str, Object] = {}
        self._pods: dict[str, tuple[str, int, int]] = {}  # pod -> node, millicores, bytes
        caches = services.caches
        self._feeds = (
            Feed(caches.of("/registry/minions/"), self._put_node, lambda name: self._drop(self._nodes, name)),
            Feed(caches.of("/registry/pods/"), self._put_pod, lambda path: self._drop(self._pods, path)),
        )

    async def shown(self) -> list[Status]:
        for feed in self._feeds:
            await feed.ready()
            feed.poll()
        sums: dict[str, list[int]] = {name: [0, 0, 0] for name in self._nodes}
        for node, cpu, memory in self._pods.values():
            if node in sums:
                mine = sums[node]
                mine[0], mine[1], mine[2] = mine[0] + 1, mine[1] + cpu, mine[2] + memory
        return [_node(name, node, *sums[name]) for name, node in sorted(self._nodes.items())]

    def _put_node(self, entry: Entry) -> None:
        node = entry.object()
        self._nodes[meta.name(node)] = node

    def _put_pod(self, entry: Entry) -> None:
        pod = entry.object()
        path = f"{meta.namespace(pod)}/{meta.name(pod)}"
        node = (pod.get("spec") or {}).get("nodeName")
        if not node or is_pod_terminal(pod):
            self._drop(self._pods, path)
            return
        asked = pod_requests(pod)
        self._pods[path] = (node, asked.get("cpu", ZERO).milli_value(), asked.get("memory", ZERO).value())

    @staticmethod
    def _drop(known: dict[str, Any], name: str) -> None:
        known.pop(name, None)


def _node(name: str, node: Object, pods: int, cpu: int, memory: int) -> Status:
    """``cpu`` in cores and ``memory`` in bytes are what its pods ask for."""
    conditions = (node.get("status") or {}).get("conditions") or []
    ready = next((c["status"] for c in conditions if c.get("type") == "Ready"), "Unknown")
    room = (node.get("status") or {}).get("allocatable") or {}
    return {
        "name": name,
        "ready": ready == "True",
        "readyStatus": ready,
        "pods": pods,
        "cpu": cpu / _MILLI,
        "memory": memory,
        "podCapacity": int(room.get("pods") or 0),
        "cpuCapacity": parse_quantity(str(room.get("cpu", "0"))).milli_value() / _MILLI,
        "memoryCapacity": parse_quantity(str(room.get("memory", "0"))).value(),
    }


class ClusterSampler:
    """``ready`` says whether this master serves."""

    def __init__(
        self,
        services: Services,
        member: Member,
        peers: Peers,
        ready: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._member, self._peers, self._ready, self._now = member, peers, ready, now
        self._nodes = Nodes(services)
        self._process = psutil.Process()
        self._readers: list[Callable[[bytes], None]] = []
        self._task: asyncio.Task[None] | None = None

    async def own(self) -> Status:
        """This member, as it sees itself; a leader also says how far away the others are."""
        member = self._member
        status = await member.status()
        if member.is_leader and self._readers:
            await self._measure()
        role = "leader" if member.is_leader else "learner" if member.is_learner else "follower"
        return {
            "name": member.config.name,
            "id": f"{member.id:x}",
            "role": role,
            "reachable": True,
            "revision": status.header.revision,
            "commitIndex": status.raft_index,
            "appliedIndex": status.raft_applied_index,
            "term": status.raft_term,
            "dbSize": status.db_size,
            "rttMs": None,
            "fsyncMs": percentiles(member.sync_times()),
            "ready": self._ready(),
            "version": status.version,
            "memoryBytes": self._process.memory_info().rss,
            "cpu": self._process.cpu_percent(None) / 100,
            "leader": member.member_name(member.leader_id),
            "peersRttMs": {
                member.member_name(peer): round(seconds * 1000, 3)
                for peer, seconds in member.round_trips().items()
            },
        }

    async def _measure(self) -> None:
        """A linearizable read is a round to the others."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._member.read_index()
        except (StoreError, TimeoutError) as error:
            log.debug("no round trip: %s", error)

    async def sample(self) -> Status:
        own = await self.own()
        answers = await self._peers.ask(await self._peers.masters(), PATH)
        told = [codec.decode(answer.body) for answer in answers if answer.body is not None]
        members = merged(own, [one for one in told if isinstance(one, dict)], self._known())
        leader = max(
            ((one["term"], one.get("leader") or "") for one in members if one.get("leader")), default=(0, "")
        )[1]
        for one in members:
            one.pop("leader", None)
            one.pop("peersRttMs", None)
        return {
            "kind": "ClusterStatus",
            "time": timestamp(self._now()),
            "name": "kuberaft",
            "leader": leader,
            "term": max(one["term"] for one in members),
            "members": members,
            "nodes": await self._nodes.shown(),
            "missing": self._peers.missing(answers),
        }

    def _known(self) -> list[tuple[str, str]]:
        """(name, id) of all members."""
        return [(one.name, f"{one.id:x}") for one in self._member.member_list()]

    def subscribe(self, tell: Callable[[bytes], None]) -> Callable[[], None]:
        """``tell`` gets a sample, encoded, every half second; call the result to end that."""
        self._readers = [*self._readers, tell]
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="cluster sampler")

        def end() -> None:
            self._readers = [reader for reader in self._readers if reader is not tell]
            if not self._readers and self._task is not None:
                self._task.cancel()
                self._task = None

        return end

    async def close(self) -> None:
        self._readers = []
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                line = msgspec.json.encode(await self.sample())
            except Exception:
                log.exception("the cluster could not be looked at")
            else:
                for tell in self._readers:
                    tell(line)
            await asyncio.sleep(SECONDS)


def percentiles(seconds: list[float]) -> dict[str, float | None]:
    """In milliseconds; nothing is known without a value."""
    if not seconds:
        return {"p50": None, "p99": None}
    ordered = sorted(seconds)
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 3)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


def merged(own: Status, told: list[Status], known: list[tuple[str, str]]) -> list[Status]:
    """All members by name; one that has not answered is not reachable, and nothing more is known of it."""
    by_name = {one["name"]: one for one in [*told, own] if one.get("name")}
    distances: dict[str, float] = {}
    for one in by_name.values():
        if one["role"] == "leader" and one["term"] == max(other["term"] for other in by_name.values()):
            distances = one.get("peersRttMs") or {}
    found = []
    for name, id_ in sorted(known):
        one = dict(by_name.get(name) or _unreachable(name, id_))
        if one["role"] != "leader":
            one["rttMs"] = distances.get(name)
        found.append(one)
    return found or [own]


def _unreachable(name: str, id_: str) -> Status:
    fields = ("revision", "commitIndex", "appliedIndex", "dbSize", "memoryBytes", "cpu", "rttMs")
    return {
        "name": name,
        "id": id_,
        "role": "follower",
        "reachable": False,
        "term": 0,
        "ready": False,
        "version": None,
        "fsyncMs": percentiles([]),
        **dict.fromkeys(fields),
    }
