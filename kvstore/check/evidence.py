"""What the answers themselves say about each revision, before any order is searched for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kvstore.check.history import Call, Delete, History, KeyValue, Put, Result, Txn

Changes = tuple[tuple[str, KeyValue | None], ...]


@dataclass(frozen=True)
class Evidence:
    """`owners`: revision -> the call that was answered it. `read`: revision -> key -> value that reads showed.

    `hints`: revision -> key -> value (None: deleted) as watches showed it. `exact`: every write that was
    acknowledged has its revision recorded, so gaps between owned revisions are known to be somebody else's.
    """

    owners: dict[int, int]
    read: dict[int, dict[str, str | None]]
    hints: dict[int, dict[str, str | None]]
    exact: bool
    last: int

    def owner(self, revision: int) -> int | None:
        return self.owners.get(revision)

    def allows(self, revision: int, changes: Changes) -> bool:
        shown = self.read.get(revision)
        if shown is None:
            return True
        written = {key: kv.value for key, kv in changes if kv is not None}
        return all(key in written and value in (None, written[key]) for key, value in shown.items())

    def unlike(self, revision: int, changes: Changes) -> bool:
        """True if watches showed something else of that revision."""
        return bool(changes) and revision in self.hints and not self.hinted(revision, changes)

    def hinted(self, revision: int, changes: Changes) -> bool:
        shown = self.hints.get(revision)
        if shown is None or not changes:
            return False
        return all(shown.get(key, _ABSENT) == (kv.value if kv else None) for key, kv in changes)


_ABSENT = object()


def gather(calls: list[Call], history: History) -> Evidence:
    owners: dict[int, int] = {}
    read: dict[int, dict[str, str | None]] = {}
    last, exact = history.start.revision, True
    for index, call in enumerate(calls):
        if call.outcome != "ok" or call.result is None:
            exact = exact and (call.outcome != "ok" or not _writes(call))
            continue
        last = max(last, call.result.revision or 0)
        for kv in _shown(call.result):
            if kv.mod:
                last = max(last, kv.mod)
                read.setdefault(kv.mod, {})[kv.key] = kv.value
        if _writes(call):
            if call.result.revision is None:
                exact = False
            else:
                owners.setdefault(call.result.revision, index)
    hints = _hints(history)
    return Evidence(owners, read, hints, exact, max([last, *hints]))


def _hints(history: History) -> dict[int, dict[str, str | None]]:
    hints: dict[int, dict[str, str | None]] = {}
    for response in history.watched:
        for event in response.events:
            value = event.kv.value if event.type == "PUT" else None
            hints.setdefault(event.revision, {})[event.kv.key] = value
    return hints


def _writes(call: Call) -> bool:
    """True if the answer says that something was written."""
    result = call.result
    match call.request:
        case Put():
            return True
        case Delete():
            return result is None or result.deleted != 0
        case Txn():
            if result is None or result.succeeded is None:
                return any(isinstance(s, Put | Delete) for s in call.request.success)
            steps = call.request.success if result.succeeded else call.request.failure
            answers: Iterable[Result | None] = result.responses or [None] * len(steps)
            pairs = zip(steps, answers, strict=False)
            return any(
                isinstance(step, Put) or (isinstance(step, Delete) and (a is None or a.deleted != 0))
                for step, a in pairs
            )
        case _:
            return False


def _shown(result: Result) -> Iterable[KeyValue]:
    yield from result.kvs or ()
    yield from result.prev_kvs or ()
    for response in result.responses or ():
        yield from _shown(response)
