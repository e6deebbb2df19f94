"""What a plugin sees (`Attributes`), what it may ask (`Reader`), and what it may do (`Plugin`)."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from apiserver.api import errors
from apiserver.api.gvk import GroupResource, GroupVersionKind, GroupVersionResource
from apiserver.api.meta import Object
from apiserver.auth import rbac
from apiserver.auth.user import User

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


def _ignore(_: str) -> None:
    """Nobody is there to be warned."""


def _forget(key: str, value: str) -> None:
    """Nobody keeps an audit log of this write."""


@dataclass(slots=True)
class Rounds:
    """Of mutating policies: ``due``, ``called`` and ``output`` as webhooks have them."""

    due: set[Hashable] = field(default_factory=set)
    called: set[Hashable] = field(default_factory=set)
    output: Object | None = None

    def call_again(self) -> None:
        """In the second round, those that have been called so far."""
        self.due |= self.called
        self.called = set()


@dataclass(slots=True)
class Reinvocation:
    """``wanted``: the plugins have to see once more what a webhook made of the object. ``again``: this is that round.
    ``due``: webhooks to be called in it; ``called``: those that would be, should a later one change the object.
    ``output``: the object as the webhooks left it."""

    wanted: bool = False
    again: bool = False
    due: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    output: Object | None = None
    policies: Rounds = field(default_factory=Rounds)


@dataclass
class Attributes:
    """One write on its way. `obj` is the new object (None on delete), `old` the stored one (None on create).

    `namespace` is empty for cluster-scoped resources; `name` is empty on create with generateName.
    """

    operation: str
    gvr: GroupVersionResource
    gvk: GroupVersionKind
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    user: User
    subresource: str = ""
    dry_run: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    warn: Callable[[str], None] = _ignore
    annotate: Callable[[str, str], None] = _forget
    """(key, value) for the audit log; the first value of a key stays."""
    reinvocation: Reinvocation | None = None
    """Where webhooks may change the object."""

    @property
    def group_resource(self) -> GroupResource:
        return GroupResource(self.gvr.group, self.gvr.resource)

    def is_on(self, group: str, resource: str, *operations: str, subresource: str = "") -> bool:
        """True when this is one of the operations on that resource."""
        return (
            self.gvr.resource == resource
            and self.gvr.group == group
            and self.operation in operations
            and self.subresource == subresource
        )

    def forbidden(self, reason: str, causes: list[dict[str, str]] | None = None) -> errors.StatusError:
        """A 403 about the object of this write; one without a name yet is "Unknown", as in the original."""
        name = self.name
        if self.obj is not None and not name:
            metadata = self.obj.get("metadata") or {}
            name = metadata.get("name") or metadata.get("generateName") or "Unknown"
        return errors.forbidden(self.group_resource, name, reason, causes or [])


class Reader(Protocol):
    """Other objects, as this API server's watch cache knows them; `fresh` asks the store itself."""

    async def get(
        self, gvr: GroupVersionResource, namespace: str, name: str, *, fresh: bool = False
    ) -> Object | None: ...

    async def list(self, gvr: GroupVersionResource, namespace: str | None = None) -> list[Object]: ...


class Writer(Protocol):
    """What plugins may write: one object, compared and swapped."""

    async def swap(self, gvr: GroupVersionResource, obj: Object) -> tuple[bool, Object | None]:
        """Store `obj` if its resourceVersion is the stored one. Whether it was, and what is stored now (None:
        gone)."""
        ...


class Access(Protocol):
    """What plugins may ask about rights: `apiserver.auth.authorizer.Authorizer`."""

    async def decide(self, asked: rbac.Attributes) -> tuple[bool, str]: ...

    async def role_based(self, user: User, namespace: str) -> list[rbac.Rule]: ...

    async def role(self, kind: str, namespace: str, name: str) -> Sequence[rbac.CompiledRule] | None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class AdmissionOptions:
    """Times in seconds; `rng` makes the suffixes of generated volume names."""

    not_ready_toleration_seconds: int = 300
    unreachable_toleration_seconds: int = 300
    rng: random.Random = field(default_factory=random.Random)
    now: Callable[[], datetime] = utc_now


class Plugin:
    """Both phases default to nothing; both raise `StatusError`."""

    name: str
    changes: Mapping[str, tuple[str, ...]] = {}
    """By resource: the fields that `admit` may change in new objects, for `observing`: ``spec/tolerations`` is
    replaced, ``spec/containers/`` changed inside: members of it, or of its items, are replaced."""

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        """Change `attributes.obj` in place, or refuse it."""

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        """Refuse the object; never changes it."""
