"""What a fault is (P): which requests it meets, how many of them, and what is done to these.

Read by `http.fault_api` from what is sent, and by `store` from what is stored; `docs/faults.md` is written after it. A
document is a Kubernetes object of kind Fault; its name is what an answer's ``X-Kuberaft-Fault`` header says.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

API_VERSION: Final = "kuberaft.io/v1"
KIND: Final = "Fault"
LONGEST_SECONDS: Final = 3600
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*"]
Seconds = Annotated[float, Meta(gt=0, le=LONGEST_SECONDS)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Natural = Annotated[int, Meta(ge=0, le=1_000_000)]
Revision = Annotated[int, Meta(ge=0, le=2**63 - 1)]
READS: Final = frozenset({"get", "list"})


class InvalidFault(ValueError):
    """A document that is no fault; the text names the field."""


class Match(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Requests for resources. An empty list means any; a word that ends in ``*`` means what begins so.

    ``resources`` are plurals, with ``/status`` and the like for a subresource; a plural alone means the object itself.
    """

    users: list[str] = []
    verbs: list[Verb] = []
    api_groups: list[str] = []
    resources: list[str] = []
    namespaces: list[str] = []
    names: list[str] = []


class Share(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Of the requests that match, all, or one of: each with a ``probability`` (the same ones for the same ``seed``),
    ``every`` Nth, the ``first`` N. ``first`` is counted for the cluster, the others by each API server for itself.
    """

    probability: Annotated[float, Meta(gt=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    every: Count | None = None
    first: Count | None = None


class _Action(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", tag_field="type"):
    pass


class Error(_Action, frozen=True, tag="error"):
    """Answer with a Status of this code. ``after_effect``: when the request has been done."""

    code: Literal[409, 410, 429, 500, 503, 504]
    retry_after: Annotated[int, Meta(ge=0, le=LONGEST_SECONDS)] = 0
    after_effect: bool = False


class Delay(_Action, frozen=True, tag="delay"):
    """Wait, then do the request."""

    seconds: Seconds


class Drop(_Action, frozen=True, tag="drop"):
    """Cut the connection instead of an answer. ``after_effect``: when the request has been done."""

    after_effect: bool = False


class WatchStop(_Action, frozen=True, tag="watchStop"):
    """End a watch in order after so many events; ``abrupt``: cut its connection."""

    after_events: Natural = 0
    abrupt: bool = False


class WatchExpire(_Action, frozen=True, tag="watchExpire"):
    """End a watch with an ERROR event, 410 Expired, after so many events."""

    after_events: Natural = 0


class WatchRewind(_Action, frozen=True, tag="watchRewind"):
    """After so many events go back by ``events``, once: these come again, with the versions they had."""

    events: Count
    after_events: Count = 1


class WatchDelay(_Action, frozen=True, tag="watchDelay"):
    """Deliver every event so much later, each once and in order."""

    seconds: Seconds


class Stale(_Action, frozen=True, tag="stale"):
    """Read as a replica that has fallen behind: ``revisions`` behind the newest; if 0, at ``revision``, which is the
    newest when the fault is added unless it is given.
    """

    revisions: Natural = 0
    revision: Revision = 0


class Compact(_Action, frozen=True, tag="compact"):
    """When it is added, all history before this moment is forgotten; watches from before ``revision`` are told so by
    every API server, whatever its caches still know.
    """

    revision: Revision = 0


Action = Error | Delay | Drop | WatchStop | WatchExpire | WatchRewind | WatchDelay | Stale | Compact
OfWatch = WatchStop | WatchExpire | WatchRewind | WatchDelay
OF_WATCH: Final = (WatchStop, WatchExpire, WatchRewind, WatchDelay)


class Spec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    action: Action
    match: Match = Match()
    share: Share = Share()


class Fault(Struct, frozen=True):
    """``taken``: how many requests of a ``first`` share have been met."""

    name: str
    spec: Spec
    taken: int = 0

    @property
    def spent(self) -> bool:
        first = self.spec.share.first
        return first is not None and self.taken >= first


def read(document: Any) -> Fault:
    """From a Fault object; one without a name has "". Raises InvalidFault."""
    if not isinstance(document, dict):
        raise InvalidFault("a Fault object is expected")
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if document.get(field) not in (None, "", wanted):
            raise InvalidFault(f"{field}: Unsupported value: {document[field]!r}: it is {wanted!r}")
    try:
        spec = msgspec.convert(document.get("spec"), Spec)
    except msgspec.ValidationError as error:
        raise InvalidFault(_in_spec(str(error))) from None
    _check(spec)
    return Fault(_name(document.get("metadata")), spec, _taken(document.get("status")))


def write(fault: Fault) -> dict[str, Any]:
    """The object that `read` reads."""
    document: dict[str, Any] = {"kind": KIND, "apiVersion": API_VERSION, "metadata": {"name": fault.name}}
    document["spec"] = {part: said for part, said in msgspec.to_builtins(fault.spec).items() if said}
    if fault.spec.share.first is not None:
        document["status"] = {"taken": fault.taken}
    return document


def _name(metadata: Any) -> str:
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if name in (None, ""):
        return ""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidFault("metadata.name: Invalid value: a lower-case DNS label is expected")
    return name


def _taken(status: Any) -> int:
    taken = status.get("taken") if isinstance(status, dict) else None
    return taken if isinstance(taken, int) else 0


def _check(spec: Spec) -> None:
    share, action = spec.share, spec.action
    if sum(one is not None for one in (share.probability, share.every, share.first)) > 1:
        raise InvalidFault("spec.share: give one of probability, every and first")
    if share.seed and share.probability is None:
        raise InvalidFault("spec.share.seed: it chooses with a probability only")
    if isinstance(action, Error) and action.after_effect and action.code < 500:
        raise InvalidFault(
            f"spec.action.afterEffect: {action.code} says that nothing was done; use 500, 503 or 504"
        )
    if isinstance(action, Stale) and action.revisions and action.revision:
        raise InvalidFault("spec.action: give one of revisions and revision")
    wanted = verbs_of(action)
    if wanted and spec.match.verbs and not wanted & {*spec.match.verbs} and "*" not in spec.match.verbs:
        words = " or ".join(sorted(wanted))
        raise InvalidFault(f"spec.match.verbs: this action is for {words}: nothing would match")


def verbs_of(action: Action) -> frozenset[str]:
    """The verbs that an action can be done to; empty: any."""
    if isinstance(action, (*OF_WATCH, Compact)):
        return frozenset({"watch"})
    return READS if isinstance(action, Stale) else frozenset()


def describe(action: Action) -> str:
    """For logs and tables: ``error code=429 retryAfter=2``."""
    fields = msgspec.to_builtins(action)
    words = [f"{name}={value}" for name, value in fields.items() if name != "type" and value]
    return " ".join([fields["type"], *words])


def _in_spec(text: str) -> str:
    """msgspec's words with the path as the original has it in front."""
    what, _, path = text.partition(" - at `$")
    return f"spec{path.removesuffix('`')}: {what.replace('`', chr(39))}"
