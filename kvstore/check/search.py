"""Is there an order of the calls that explains every answer? Porcupine's search, for a store with revisions.

The algorithm is Wing and Gong's with Lowe's memory of what was tried, as in anishathalye/porcupine: calls and
returns stand in a list sorted by time; a call whose start lies before the first return still in the list may come
next; if the model answers what was recorded, the call is lifted out of the list; at a dead end the last choice is
taken back. A call of unknown outcome has no return: it may come next at any time, or never.

Revisions make most of it deterministic, which is what lets thousands of calls be searched:

- a call that changes nothing and fits the state is taken at once, for it can spoil nothing;
- only the call that was answered revision r + 1 can make revision r + 1;
- a call of unknown outcome is tried only where no call was answered the next revision, and, if a read showed what
  that revision wrote, only if it writes that. What watches showed (`hints`) is tried first, but believed of none.

Without revisions in the answers nothing of this holds, and it is porcupine as written; `kvstore.check.partition`
then splits the history by key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kvstore.check.compare import difference
from kvstore.check.evidence import Evidence, gather
from kvstore.check.history import Call, Compact, Grant, History, KeepAlive, Put, Revoke, Txn, leases_of
from kvstore.check.model import COMPACTED, LEASE_EXISTS, NO_LEASE, NOTHING, Effect, Model, Refused

DEFAULT_BUDGET = 2_000_000
NEVER = 1 << 62
"""The return time of a call that never returned."""


@dataclass(frozen=True)
class Blocked:
    """A call that could have come next, and why it cannot."""

    call: Call
    reason: str


@dataclass(frozen=True)
class Window:
    """The furthest the search came: the state there, what led to it, and what does not fit."""

    revision: int
    recent: tuple[Call, ...]
    blocked: tuple[Blocked, ...]
    expected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """`ok` is None when the budget ran out before there was an answer. `order`: indices of the calls taken."""

    ok: bool | None
    model: Model
    order: tuple[int, ...]
    steps: int
    window: Window | None = None


@dataclass
class _Frame:
    """One choice: what was taken, how it changed the state, and what else could have been taken instead."""

    index: int
    effect: Effect
    others: Iterator[tuple[int, Effect]] | None


@dataclass
class _Node:
    """One end of a call in the list ordered by time."""

    index: int
    is_return: bool
    before: _Node | None = field(default=None, repr=False)
    after: _Node | None = field(default=None, repr=False)


def search(calls: list[Call], history: History, *, budget: int = DEFAULT_BUDGET) -> Found:
    """`calls`: what is to be ordered (see `kvstore.check.prepare`); `history`: where evidence is taken from."""
    return _Search(calls, history, budget).run()


class _Search:
    def __init__(self, calls: list[Call], history: History, budget: int) -> None:
        self._calls = calls
        self._budget = budget
        self._model = Model(history.start)
        self._evidence: Evidence = gather(calls, history)
        self._known = sum(call.outcome != "unknown" for call in calls)
        self._head, self._ends = _list(calls)
        self._stack: list[_Frame] = []
        self._taken = 0
        self._bits = 0
        self._tried: set[tuple[int, tuple[int, int, int]]] = set()
        self._steps = 0
        self._best = -1
        self._window: Window | None = None

    def run(self) -> Found:
        while self._taken < self._known:
            if self._steps > self._budget:
                return self._result(None)
            if self._take_reads():
                continue
            alternatives = iter(self._alternatives())
            if not self._choose(alternatives):
                self._note()
                if not self._back():
                    return self._result(False)
        self._extend()
        return self._result(True)

    def _extend(self) -> None:
        """What watches showed beyond the last answer was done by calls whose outcome is unknown."""
        while (choice := self._hinted()) is not None:
            self._take(*choice, None)

    def _hinted(self) -> tuple[int, Effect] | None:
        revision = self._model.revision + 1
        for index in self._candidates():
            effect = self._try(index)
            if effect is not None and self._evidence.hinted(revision, effect.changes):
                return index, effect
        return None

    def _result(self, ok: bool | None) -> Found:
        order = tuple(frame.index for frame in self._stack)
        return Found(ok, self._model, order, self._steps, None if ok else self._window)

    # The list.

    def _candidates(self) -> Iterator[int]:
        """Calls that started before the first return still in the list."""
        node = self._head.after
        while node is not None and not node.is_return:
            yield node.index
            node = node.after

    def _lift(self, index: int) -> None:
        for node in self._ends[index]:
            assert node.before is not None
            node.before.after = node.after
            if node.after is not None:
                node.after.before = node.before
        self._bits |= 1 << index
        self._taken += self._calls[index].outcome != "unknown"

    def _unlift(self, index: int) -> None:
        for node in reversed(self._ends[index]):
            assert node.before is not None
            node.before.after = node
            if node.after is not None:
                node.after.before = node
        self._bits &= ~(1 << index)
        self._taken -= self._calls[index].outcome != "unknown"

    # Choices.

    def _take_reads(self) -> bool:
        """Takes every call that changes nothing; those that become candidates on the way, too."""
        taken = self._taken
        node = self._head.after
        while node is not None and not node.is_return:
            index, node = node.index, node.after
            if self._calls[index].outcome != "unknown" and self._try(index) is NOTHING:
                self._take(index, NOTHING, None)
                while node is not None and node.is_return and self._bits >> node.index & 1:
                    node = node.after
        return self._taken > taken

    def _alternatives(self) -> list[tuple[int, Effect]]:
        """What may come next with an effect, the most likely first."""
        revision = self._model.revision + 1
        known: list[tuple[int, Effect]] = []
        owner: list[tuple[int, Effect]] = []
        unknown: list[tuple[int, Effect]] = []
        for index in self._candidates():
            effect = self._try(index)
            if effect is None or effect.is_nothing:
                continue
            if self._evidence.owner(revision) == index:
                owner.append((index, effect))
            elif self._possible(index, effect, revision):
                target = unknown if self._calls[index].outcome == "unknown" else known
                target.append((index, effect))
        unknown.sort(key=lambda choice: not choice[1].changes)
        choices = known + owner + unknown
        choices.sort(key=lambda choice: self._evidence.unlike(revision, choice[1].changes))
        return choices

    def _possible(self, index: int, effect: Effect, revision: int) -> bool:
        evidence = self._evidence
        if not evidence.exact:
            return True
        known = self._calls[index].outcome != "unknown"
        if not effect.changes:
            return known or self._wanted(effect)
        in_time = known or revision <= evidence.last or self._wanted(effect)
        return in_time and evidence.owner(revision) is None and evidence.allows(revision, effect.changes)

    def _wanted(self, effect: Effect) -> bool:
        """True if an answer that waits may be explained by what this would do to a lease or to old revisions."""
        waiting = (self._calls[index] for index in self._candidates())
        return any(_explains(effect, call) for call in waiting)

    def _choose(self, alternatives: Iterator[tuple[int, Effect]]) -> bool:
        return any(self._take(index, effect, alternatives) for index, effect in alternatives)

    def _take(self, index: int, effect: Effect, others: Iterator[tuple[int, Effect]] | None) -> bool:
        """False if the state this leads to was tried before."""
        self._lift(index)
        if effect is not NOTHING:
            self._model.commit(effect)
            state = (self._bits, self._model.fingerprint())
            if state in self._tried:
                self._model.revert(effect)
                self._unlift(index)
                return False
            self._tried.add(state)
        self._stack.append(_Frame(index, effect, others))
        return True

    def _back(self) -> bool:
        """Takes choices back until another one can be made; False if none is left."""
        while self._stack:
            frame = self._stack.pop()
            if frame.effect is not NOTHING:
                self._model.revert(frame.effect)
            self._unlift(frame.index)
            if frame.others is not None and self._choose(frame.others):
                return True
        return False

    def _try(self, index: int) -> Effect | None:
        """The effect of the call now, or None if it cannot come next."""
        call = self._calls[index]
        if call.result is not None and call.result.revision is not None:
            ahead = call.result.revision - self._model.revision
            if ahead not in (0, 1):
                return None
        self._steps += 1
        effect = self._run(call)
        return effect if isinstance(effect, Effect) else None

    def _run(self, call: Call) -> Effect | str:
        """The effect, or why the call cannot come next."""
        try:
            expected, effect = self._model.run(call.request)
        except Refused as refusal:
            if call.outcome == "unknown" or call.error == str(refusal):
                return NOTHING
            return f"the store would refuse: {refusal}"
        if call.outcome == "error":
            return f"answered {call.error!r}, the store would accept"
        if call.outcome == "ok" and call.result is not None:
            return difference(call.result, expected) or effect
        return effect

    # The dead end that explains a failure.

    def _note(self) -> None:
        if self._taken <= self._best:
            return
        self._best = self._taken
        blocked = []
        for index in self._candidates():
            call = self._calls[index]
            if call.outcome != "unknown":
                blocked.append(Blocked(call, self._reason(index)))
        keys = {key for item in blocked for key in touched(item.call)}
        related = [self._calls[f.index] for f in self._stack if touched(self._calls[f.index]) & keys]
        state = tuple(
            f"{key!r}: {kv.value!r} (mod {kv.mod})" if (kv := self._model.get(key)) else f"{key!r}: nothing"
            for key in sorted(keys)
        )
        self._window = Window(self._model.revision, tuple(related[-4:]), tuple(blocked), state)

    def _reason(self, index: int) -> str:
        call, revision = self._calls[index], self._model.revision + 1
        found = self._run(call)
        if isinstance(found, str):
            return found
        owner = self._evidence.owner(revision)
        if owner is not None and owner != index:
            return f"revision {revision} was answered to another call, which cannot come next either"
        if owner == index or self._possible(index, found, revision):
            return "it fits, but what must follow does not"
        return f"what it writes is not what was read of revision {revision}"


def _explains(effect: Effect, call: Call) -> bool:
    """True if `effect` may be why `call` was answered as it was."""
    if effect.compact:
        return call.error == COMPACTED and call.outcome == "error"
    if (effect.granted or effect.revoked) not in leases_of(call.request):
        return False
    if isinstance(call.request, Grant):
        return call.error == LEASE_EXISTS if effect.granted else call.outcome == "ok"
    if call.outcome == "unknown":
        return bool(effect.granted) and isinstance(call.request, Put | Txn)
    gone = call.error == NO_LEASE or (call.result is not None and call.result.ttl == 0)
    return gone == bool(effect.revoked)


def touched(call: Call) -> frozenset[str]:
    """The keys a request names; a range by its start."""
    match call.request:
        case Txn():
            steps = (*call.request.success, *call.request.failure)
            return frozenset({c.key for c in call.request.compare} | {s.key for s in steps})
        case Compact():
            return frozenset()
        case Grant() | Revoke() | KeepAlive():
            return frozenset({f"lease {call.request.lease}"})
        case _:
            return frozenset({call.request.key})


def _list(calls: list[Call]) -> tuple[_Node, list[tuple[_Node, ...]]]:
    """The list's head and, per call, its nodes. A call and a return at one time: the call is first."""
    ends: list[tuple[_Node, ...]] = []
    timed: list[tuple[int, bool, _Node]] = []
    for index, call in enumerate(calls):
        start = _Node(index, False)
        nodes: tuple[_Node, ...] = (start,)
        timed.append((call.call, False, start))
        if call.outcome != "unknown":
            end = _Node(index, True)
            nodes = (start, end)
            timed.append((call.returned if call.returned is not None else NEVER, True, end))
        ends.append(nodes)
    head = last = _Node(-1, False)
    for _, _, node in sorted(timed, key=lambda item: item[:2]):
        last.after, node.before = node, last
        last = node
    return head, ends
