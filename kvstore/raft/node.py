"""The only place that touches pysyncobj's insides: `RaftNode`, and the check that they are what we know.

It subclasses SyncObj and overrides, by their mangled names, the steps of a tick that the library does in a
way that loses data or pickles: applying, taking commands, compaction. Everything else (elections, terms,
replication, commit) is the library's, behind the guard.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import pysyncobj.syncobj as library
from pysyncobj import SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from kvstore.raft.config import Voting
from kvstore.raft.journal import WalJournal
from kvstore.raft.messages import CHANGE, ENTRY, Message

VERSION = "0.3.17"
PREFIX = "_SyncObj__"
HOOKS = [
    "raftLog",
    "raftCurrentTerm",
    "votedForNodeId",
    "raftCommitIndex",
    "raftLastApplied",
    "raftElectionDeadline",
    "newAppendEntriesTime",
    "raftState",
    "raftLeader",
    "connectedNodes",
    "otherNodes",
    "readonlyNodes",
    "raftNextIndex",
    "raftMatchIndex",
    "lastResponseTime",
    "serializer",
    "votesCount",
]
METHODS = (
    f"{PREFIX}generateRaftTimeout {PREFIX}connectedToAnyone {PREFIX}applyLogEntries {PREFIX}tryLogCompaction "
    f"{PREFIX}sendAppendEntries {PREFIX}onMessageReceived {PREFIX}setCurrentTerm {PREFIX}setState "
    "_checkCommandsToApply _onTick _isLeader _getLeader"
).split()

library.PIPE_NOTIFIER_ENABLED = False  # a pipe per node that only its own poller would read


class Driver(Protocol):
    """What the node asks of the core while it ticks."""

    def send(self, peer: int, message: Message) -> None: ...
    def apply_committed(self) -> bool:
        """Apply; whether followers should hear of the new commit index at once."""

    def next_change(self) -> bytes | None: ...
    def next_entry(self) -> bytes | None:
        """The next entry of a leader's log, with its type byte."""

    def may_campaign(self) -> bool:
        """Asked when the election deadline has passed."""


class Link(Transport):  # type: ignore[misc]  # pysyncobj ships no types
    """pysyncobj's idea of a transport: hands everything to the core."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(None, None, [])
        self._driver = driver

    def send(self, node: Node, message: Message) -> bool:
        self._driver.send(node.id, message)
        return True

    def destroy(self) -> None:
        """Nothing is held here."""


class NoSerializer:
    """Stands in for the library's snapshots: says "sent, complete"; the guard turns that into a heartbeat."""

    def getTransmissionData(self, _node: Node) -> tuple[bytes, bool, bool]:
        return b"", True, True

    def cancelTransmisstion(self, _node: Node) -> None:
        """Snapshots are streamed by `kvstore.raft.snapshots`."""


class NoPoller:
    def poll(self, _timeout: float) -> None:
        """Input comes from the engine."""


def check_hooks() -> None:
    """Raise if the installed pysyncobj is not the one whose insides this module knows."""
    from pysyncobj.version import VERSION as installed

    if installed != VERSION:
        raise RuntimeError(
            f"kvstore needs pysyncobj {VERSION}, found {installed}: pip install pysyncobj=={VERSION}"
        )
    missing = [name for name in METHODS if not hasattr(library.SyncObj, name)]
    if missing:
        raise RuntimeError(f"pysyncobj {installed} lacks {', '.join(missing)}: reinstall it")


class RaftNode(library.SyncObj):  # type: ignore[misc]  # pysyncobj ships no types
    def __init__(
        self,
        member_id: int,
        voting: Voting,
        journal: WalJournal,
        driver: Driver,
        *,
        applied: int,
        heartbeat: float,
        election: float,
        max_entry_bytes: int,
        rng: random.Random,
    ) -> None:
        self._driver, self._journal, self._rng, self._election = driver, journal, rng, election
        self._member_id, self.voting = member_id, Voting(frozenset({member_id}))
        self._peers: dict[int, Node] = {}
        conf = SyncObjConf(
            autoTick=False,
            appendEntriesUseBatch=False,
            appendEntriesPeriod=heartbeat,
            appendEntriesBatchSizeBytes=max_entry_bytes + 1,
            raftMinTimeout=election,
            raftMaxTimeout=2 * election,
            leaderFallbackTimeout=election,
            connectionTimeout=10 * election,
            commandsWaitLeader=False,
        )
        super().__init__(Node(member_id), [], conf, transport=Link(driver))
        self._poller = NoPoller()
        self._put("serializer", NoSerializer())
        self._put("raftLog", journal)
        self._put("raftCurrentTerm", max(journal.getCurrentTerm(), journal.last.term))
        self._put("votedForNodeId", journal.getVotedForNodeId())
        self._put("raftCommitIndex", applied)
        self._put("raftLastApplied", applied)
        for name in HOOKS:
            self._take(name)
        self.set_voting(voting, library_clock())

    def _take(self, name: str) -> Any:
        return self.__dict__[PREFIX + name]

    def _put(self, name: str, value: object) -> None:
        self.__dict__[PREFIX + name] = value

    @property
    def term(self) -> int:
        return self._SyncObj__raftCurrentTerm  # type: ignore[no-any-return]

    @property
    def commit_index(self) -> int:
        return self._SyncObj__raftCommitIndex  # type: ignore[no-any-return]

    @property
    def applied_index(self) -> int:
        return self._SyncObj__raftLastApplied  # type: ignore[no-any-return]

    @applied_index.setter
    def applied_index(self, index: int) -> None:
        self._put("raftLastApplied", index)

    @property
    def is_leader(self) -> bool:
        return bool(self._isLeader())

    @property
    def leader_id(self) -> int | None:
        leader = self._getLeader()
        return None if leader is None else int(leader.id)

    @property
    def connected(self) -> set[int]:
        return {node.id for node in self._take("connectedNodes")}

    @property
    def voters(self) -> set[int]:
        """The other members that vote."""
        return {node.id for node in self._take("otherNodes")}

    @property
    def others(self) -> set[int]:
        """All other members, learners too."""
        return self.voters | {node.id for node in self._take("readonlyNodes")}

    def match_index(self, peer: int) -> int:
        node = self._peers.get(peer)
        return 0 if node is None else int(self._take("raftMatchIndex").get(node, 0))

    def replicates_to(self, peer: int) -> bool:
        """Whether a reply of that member means something to this one as leader."""
        return self._peers.get(peer) in self._take("raftMatchIndex")

    def deliver(self, peer: int, message: Message) -> None:
        getattr(self, PREFIX + "onMessageReceived")(self._peers[peer], message)

    def set_connected(self, peer: int, connected: bool) -> None:
        nodes = self._take("connectedNodes")
        (nodes.add if connected else nodes.discard)(self._peers.setdefault(peer, Node(peer)))

    def set_voting(self, voting: Voting, now: float) -> None:
        """Count these from now on. The library's own changes of members are not safe and not used.

        Votes that a campaign has got so far are of other voters: they do not count with these.
        """
        if voting.voters != self.voting.voters:
            self._put("votesCount", 0)
        self.voting = voting
        voters, learners = self._nodes(voting.voters), self._nodes(voting.learners)
        known = self._take("otherNodes") | self._take("readonlyNodes")
        self._put("otherNodes", voters)
        self._put("readonlyNodes", learners)
        for node in (voters | learners) - known:
            self._take("raftNextIndex")[node] = self._journal.last.index + 1
            self._take("raftMatchIndex")[node] = 0
            self._take("lastResponseTime")[node] = now
        for node in known - voters - learners:
            for table in ("raftNextIndex", "raftMatchIndex", "lastResponseTime"):
                self._take(table).pop(node, None)
            self._take("connectedNodes").discard(node)

    def _nodes(self, members: Iterable[int]) -> set[Node]:
        return {self._peers.setdefault(id_, Node(id_)) for id_ in members if id_ != self._member_id}

    def adopt_term(self, term: int) -> None:
        """Another member is in a later term: follow into it, without a leader for now."""
        if term > self.term:
            getattr(self, PREFIX + "setCurrentTerm")(term, None)
            getattr(self, PREFIX + "setState")(library._RAFT_STATE.FOLLOWER)
            self._put("raftLeader", None)

    def heard_from(self, peer: int, now: float) -> None:
        """A sign of life that is no reply to an append: a snapshot's acknowledgement."""
        if self.replicates_to(peer):
            self._take("lastResponseTime")[self._peers[peer]] = now

    def is_due(self, now: float) -> bool:
        """Whether it is time for a heartbeat or an election."""
        return now > float(self._take("newAppendEntriesTime" if self.is_leader else "raftElectionDeadline"))

    def campaign_at(self, when: float) -> None:
        """Bring the election deadline forward to `when` (never put it off)."""
        self._put("raftElectionDeadline", min(when, self._take("raftElectionDeadline")))

    def put_off(self, when: float) -> None:
        """Move the election deadline back to `when` at least."""
        self._put("raftElectionDeadline", max(when, self._take("raftElectionDeadline")))

    def committed(self, index: int) -> None:
        """The leader vouches for the entry at `index`, which the journal holds."""
        self._put("raftCommitIndex", max(self.commit_index, index))

    def restart_from(self, index: int) -> None:
        """The journal was reset to a snapshot at `index`."""
        self._put("raftCommitIndex", index)
        self._put("raftLastApplied", index)

    def transfer_to(self, peer: int) -> bool:
        """Ask a member that has everything to take over; False if it has not (yet)."""
        results: list[int] = []
        self.transferLeadership(self._peers[peer], lambda _, reason: results.append(reason))
        return results == [0]

    # Steps of a tick that replace the library's.

    def _SyncObj__generateRaftTimeout(self) -> float:
        return self._election * (1.0 + self._rng.random())

    def _SyncObj__connectedToAnyone(self) -> bool:
        """Asked when the election deadline has passed. Without a quorum in reach a campaign only disturbs."""
        voters = self._take("otherNodes")
        reached = len(voters & self._take("connectedNodes"))
        return (reached + 1) * 2 > len(voters) + 1 and self._driver.may_campaign()

    def _SyncObj__applyLogEntries(self) -> bool:
        return self._driver.apply_committed()

    def _SyncObj__tryLogCompaction(self) -> None:
        """The engine trims."""

    def _checkCommandsToApply(self) -> None:
        if not self.is_leader:
            return
        change = self._driver.next_change()
        if change is not None:
            self._journal.add(CHANGE + change, self._journal.last.index + 1, self.term)
        payload = self._driver.next_entry()
        if payload is not None:
            self._journal.add(ENTRY + payload, self._journal.last.index + 1, self.term)
        if change is not None or payload is not None:
            getattr(self, PREFIX + "sendAppendEntries")()

    def _SyncObj__doApplyCommand(self, _command: bytes) -> None:
        raise AssertionError("entries are applied by the core")


Clock = Callable[[], float]


def library_clock() -> float:
    """The clock that elections run on."""
    return float(library.monotonicTime())
