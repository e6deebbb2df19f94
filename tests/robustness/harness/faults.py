"""What is done to a cluster: processes die or stand still, links are cut or slow, the leader moves, history ends.

`inject` does it, waits for as long as the fault lasts and undoes it. Each fault leaves the cluster as it found it,
if need be by `Cluster.ensure_running`; `Faults` at the end of a run does that once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass

import grpc
import grpc.aio

from components.cluster.peernet import Link
from components.drills.recording.recorder import Client, Recorder
from kvstore.rpc.proto import rpc_pb2
from tests.robustness.harness import traffic
from tests.robustness.harness.cluster import Cluster, MemberProcess


@dataclass
class Field:
    """What a fault works on. `scale`: one for the shortest runs."""

    cluster: Cluster
    client: Client
    recorder: Recorder
    rng: random.Random

    async def victim(self, *, leader: bool) -> MemberProcess:
        """The leader, or somebody else; anybody if nobody leads."""
        found = await self.cluster.leader()
        alive = [m for m in self.cluster.present if m.running] or self.cluster.present
        if leader and found is not None:
            return found
        return self.rng.choice([m for m in alive if m is not found] or alive)

    async def anybody(self) -> MemberProcess:
        return await self.victim(leader=self.rng.random() < 0.5)

    async def wait(self, low: float, high: float) -> None:
        await asyncio.sleep(self.rng.uniform(low, high))


class Fault(ABC):
    name: str
    ours_only = False
    needs_disk = False

    @abstractmethod
    async def inject(self, field: Field) -> None: ...


class KillLeader(Fault):
    name = "kill-leader"

    async def inject(self, field: Field) -> None:
        member = await field.victim(leader=True)
        field.cluster.kill(member)
        await field.wait(0.0, 1.0)
        field.cluster.ensure_running()


class KillFollower(Fault):
    name = "kill-follower"

    async def inject(self, field: Field) -> None:
        field.cluster.kill(await field.victim(leader=False))
        await field.wait(0.0, 1.0)
        field.cluster.ensure_running()


class KillAll(Fault):
    name = "kill-all"

    async def inject(self, field: Field) -> None:
        members = field.cluster.present
        field.rng.shuffle(members)
        for member in members:
            field.cluster.kill(member)
            if field.rng.random() < 0.5:
                await field.wait(0.0, 0.2)
        field.cluster.ensure_running()


class Pause(Fault):
    """SIGSTOP; when it goes on, the member believes that no time has passed."""

    name = "pause"

    async def inject(self, field: Field) -> None:
        member = await field.anybody()
        field.cluster.pause(member)
        await field.wait(0.2, 1.8)
        field.cluster.resume(member)


class Isolate(Fault):
    """Nothing gets to the member, nothing gets away from it."""

    name = "isolate"

    async def inject(self, field: Field) -> None:
        member = await field.anybody()
        field.cluster.network.cut(*both_ways(field.cluster, member), reset=field.rng.random() < 0.3)
        await field.wait(0.3, 2.0)
        field.cluster.network.heal()


class OneWay(Fault):
    """The member hears and is not heard, or the other way round."""

    name = "one-way"

    async def inject(self, field: Field) -> None:
        member = await field.anybody()
        links = both_ways(field.cluster, member)
        outward = field.rng.random() < 0.5
        field.cluster.network.cut(*(link for link in links if (link[0] == member.name) == outward))
        await field.wait(0.3, 2.0)
        field.cluster.network.heal()


class OneLink(Fault):
    """Two members do not reach each other; both reach the third."""

    name = "one-link"

    async def inject(self, field: Field) -> None:
        first, second = field.rng.sample([m.name for m in field.cluster.present], 2)
        field.cluster.network.cut((first, second), (second, first))
        await field.wait(0.3, 2.0)
        field.cluster.network.heal()


class Flap(Fault):
    name = "flap"

    async def inject(self, field: Field) -> None:
        member = await field.anybody()
        for _ in range(field.rng.randrange(3, 8)):
            field.cluster.network.cut(*both_ways(field.cluster, member), reset=field.rng.random() < 0.5)
            await field.wait(0.02, 0.3)
            field.cluster.network.heal()
            await field.wait(0.02, 0.3)


class Delay(Fault):
    name = "delay"

    async def inject(self, field: Field) -> None:
        links = [link for m in field.cluster.present for link in both_ways(field.cluster, m)]
        chosen = field.rng.sample(links, field.rng.randrange(1, len(links)))
        for link in chosen:
            field.cluster.network.slow(field.rng.uniform(0.005, 0.3), link)
        await field.wait(0.5, 1.5)
        field.cluster.network.heal()


class Compaction(Fault):
    """History up to a little before the present is thrown away; then perhaps a member dies in the middle of it."""

    name = "compact"

    async def inject(self, field: Field) -> None:
        revision = field.recorder.revision - field.rng.randrange(0, 30)
        if revision > 1:
            await traffic.compact(field.client, revision)
        if field.rng.random() < 0.5:
            field.cluster.kill(await field.anybody())
            field.cluster.ensure_running()


class MoveLeader(Fault):
    name = "move-leader"

    async def inject(self, field: Field) -> None:
        leader = await field.cluster.leader()
        if leader is None:
            return
        others = [m for m in field.cluster.present if m is not leader and m.running]
        with contextlib.suppress(grpc.aio.AioRpcError):
            target = (await field.cluster.status(field.rng.choice(others))).header.member_id
            endpoint = field.cluster.endpoints[field.cluster.members.index(leader)]
            request = rpc_pb2.MoveLeaderRequest(targetID=target)
            path = "/etcdserverpb.Maintenance/MoveLeader"
            await endpoint.unary(path, request, rpc_pb2.MoveLeaderResponse, 2.0)
        await field.wait(0.1, 0.4)


class FallBehind(Fault):
    """A follower is away while the others compact their logs: it comes back by a snapshot."""

    name = "fall-behind"

    async def inject(self, field: Field) -> None:
        member = await field.victim(leader=False)
        if field.rng.random() < 0.5:
            field.cluster.kill(member)
        else:
            field.cluster.network.cut(*both_ways(field.cluster, member), reset=True)
        await field.wait(1.5, 2.5)
        await traffic.compact(field.client, max(1, field.recorder.revision - 5))
        field.cluster.network.heal()
        field.cluster.ensure_running()


def both_ways(cluster: Cluster, member: MemberProcess) -> list[Link]:
    others = [m.name for m in cluster.members if m is not member]
    return [link for other in others for link in ((member.name, other), (other, member.name))]
