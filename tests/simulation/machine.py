"""What simulated members apply: commands in order, and who the members are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kvstore.raft.config import Voting

CHANGE = b"members "


@dataclass(frozen=True)
class State:
    """`at`: (index, term). `voting` is None in a member that joined and has nothing yet."""

    at: tuple[int, int] = (0, 0)
    commands: tuple[bytes, ...] = ()
    voting: Voting | None = None
    removed: frozenset[int] = frozenset()


class Machine:
    """`save` is a commit to its own disk, at moments of its own choice."""

    def __init__(
        self, voting: Voting | None, on_apply: Callable[[int, int, tuple[bytes, ...]], None]
    ) -> None:
        self.state = self._saved = State(voting=voting)
        self._on_apply = on_apply

    def applied(self) -> tuple[int, int]:
        return self.state.at

    def durable_index(self) -> int:
        return self._saved.at[0]

    def apply(self, index: int, term: int, commands: Sequence[bytes]) -> list[object]:
        self._on_apply(index, term, tuple(commands))
        state = replace(self.state, at=(index, term), commands=self.state.commands + tuple(commands))
        for command in commands:
            if command.startswith(CHANGE):
                state = _changed(state, command)
        self.state = state
        return [index] * len(commands)

    def voting(self) -> Voting | None:
        return self.state.voting

    def save(self) -> None:
        self._saved = self.state

    def crash(self) -> None:
        self.state = self._saved


def change(kind: str, member: int, number: int) -> bytes:
    """The command; `number` makes it different from all others."""
    return CHANGE + f"{kind} {member} {number}".encode()


def _changed(state: State, command: bytes) -> State:
    """Changes that make no sense (any more) are applied as nothing, by all members alike."""
    _, kind, text, _ = command.decode().split()
    member, voting = int(text), state.voting
    assert voting is not None, "a change is applied before the first snapshot"
    voters, learners, removed = voting.voters, voting.learners, state.removed
    if member in removed:
        return state
    match kind:
        case "add":
            voters |= {member} - learners
        case "learn":
            learners |= {member} - voters
        case "promote" if member in learners:
            voters, learners = voters | {member}, learners - {member}
        case "remove" if voters - {member}:
            voters, learners, removed = voters - {member}, learners - {member}, removed | {member}
    return replace(state, voting=Voting(voters, learners), removed=removed)
