"""Who the members are, as part of the applied state: every member changes this list by the same commands.

`kvstore.applier` applies changes, `kvstore.raft` counts votes by them, `kvstore.member` asks `may_add` and
`may_remove` before it proposes a change that could cost the cluster its majority. Pure. Source: etcd
`server/etcdserver/api/membership/cluster.go`, `server/etcdserver/server.go`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

import msgspec

from kvstore.errors import (
    MemberBadURLs,
    MemberExists,
    MemberNotEnoughStarted,
    MemberNotFound,
    MemberNotLearner,
    PeerURLExists,
    TooManyLearners,
    Unhealthy,
)
from kvstore.types import (
    MemberAddRequest,
    MemberChangeRequest,
    MemberInfo,
    MemberPromoteRequest,
    MemberPublishRequest,
    MemberRemoveRequest,
    MemberUpdateRequest,
)

MAX_LEARNERS = 1


class Members:
    """The list, and the ids of those that are none any more: an id is never used twice."""

    def __init__(self, members: Iterable[MemberInfo] = (), removed: Iterable[int] = ()) -> None:
        self._members = {member.id: member for member in members}
        self.removed = set(removed)

    def __bool__(self) -> bool:
        return bool(self._members)

    def begin(self, members: Iterable[MemberInfo]) -> None:
        """Those that a cluster starts with."""
        self._members = {member.id: member for member in members}

    def reduce_to(self, id_: int) -> None:
        """A cluster of that one; the others are none any more."""
        self.removed |= self._members.keys() - {id_}
        self._members = {id_: self._put(self._known(id_), is_learner=False)}

    def all(self) -> tuple[MemberInfo, ...]:
        """By id."""
        return tuple(self._members[id_] for id_ in sorted(self._members))

    def get(self, id_: int) -> MemberInfo | None:
        return self._members.get(id_)

    def apply(self, request: MemberChangeRequest) -> MemberInfo:
        """Change the list; the member that is concerned, as it is then (or was, if removed). Raises `StoreError`."""
        match request:
            case MemberAddRequest():
                return self._add(request)
            case MemberRemoveRequest():
                member = self._known(request.id)
                del self._members[request.id]
                self.removed.add(request.id)
                return member
            case MemberUpdateRequest():
                member = self._known(request.id)
                self._require_free(request.peer_urls, but=request.id)
                return self._put(member, peer_urls=request.peer_urls)
            case MemberPromoteRequest():
                member = self._known(request.id)
                if not member.is_learner:
                    raise MemberNotLearner
                return self._put(member, is_learner=False)
            case MemberPublishRequest():
                return self._put(self._known(request.id), name=request.name, client_urls=request.client_urls)

    def _add(self, request: MemberAddRequest) -> MemberInfo:
        if request.id in self.removed or request.id in self._members:
            raise MemberExists
        self._require_free(request.peer_urls)
        if request.is_learner and sum(m.is_learner for m in self._members.values()) >= MAX_LEARNERS:
            raise TooManyLearners
        member = MemberInfo(request.id, "", request.peer_urls, (), request.is_learner)
        self._members[member.id] = member
        return member

    def _known(self, id_: int) -> MemberInfo:
        member = self._members.get(id_)
        if member is None:
            raise MemberNotFound
        return member

    def _require_free(self, urls: Iterable[str], but: int = 0) -> None:
        taken = {url for member in self._members.values() if member.id != but for url in member.peer_urls}
        if taken & set(urls):
            raise PeerURLExists

    def _put(self, member: MemberInfo, **changes: object) -> MemberInfo:
        changed: MemberInfo = msgspec.structs.replace(member, **changes)
        self._members[member.id] = changed
        return changed


def may_add(members: Iterable[MemberInfo], reachable: Collection[int]) -> None:
    """Raise unless a majority would be there even if the new voter never started, and all others are well."""
    voters = [member for member in members if not member.is_learner]
    started = sum(bool(member.name) for member in voters)
    if started == 1 and len(voters) == 1:
        return  # else a cluster of one could never grow
    if started < (len(voters) + 1) // 2 + 1:
        raise MemberNotEnoughStarted
    if any(member.id not in reachable for member in voters):
        raise Unhealthy


def may_remove(members: Collection[MemberInfo], id_: int, reachable: Collection[int]) -> None:
    """Raise if what is left would have no majority. `reachable`: ids that answer, the asking member included."""
    member = next((m for m in members if m.id == id_), None)
    if member is None or member.is_learner:
        return  # the change itself says what is wrong
    left = [m for m in members if not m.is_learner and m.id != id_]
    started = sum(bool(m.name) for m in left)
    if not left or started < len(left) // 2 + 1:
        raise MemberNotEnoughStarted
    if id_ in reachable and sum(m.id in reachable for m in left) < len(left) // 2 + 1:
        raise Unhealthy


def checked_urls(urls: Iterable[str]) -> tuple[str, ...]:
    """Sorted, as etcd stores them. Raises `MemberBadURLs` for none and for what is no `http(s)://host:port`."""
    found = tuple(sorted(urls))
    if not found:
        raise MemberBadURLs
    for url in found:
        address(url)
    return found


def address(url: str) -> tuple[str, int]:
    """(host, port). Raises `MemberBadURLs`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise MemberBadURLs from error
    if parts.scheme not in ("http", "https") or not host or port is None or parts.path not in ("", "/"):
        raise MemberBadURLs
    return host, port
