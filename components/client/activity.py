"""What a component tells of its work: its decisions as records, and what its controllers have to do right now.

A composition root makes one `Activity` for its process and hands it down; components that run alone have none, and then
nothing here costs more than a look at a context variable. `observed` wraps one round of a controller's work: the
writes that the component's client makes meanwhile are its actions (`acted`, called by `transport`). Read by
``components.insight``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from apiserver.api.journal import Journal, ObjectRef
from components.client.errors import ApiError

_MOST_ACTIONS: Final = 20
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NOT_ACTIONS: Final = frozenset({"events", "leases"})
_SINGULAR: Final = {"endpoints": "endpoints", "ingresses": "ingress", "endpointslices": "endpoint slice"}


class Queue(Protocol):
    """The part of `components.client.workqueue.WorkQueue` that is shown."""

    def __len__(self) -> int: ...
    @property
    def processing(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def num_requeues(self, key: str) -> int: ...


class SchedulerQueue(Protocol):
    def lengths(self) -> dict[str, int]:
        """Pods by pool: active, backoff, unschedulable."""
        ...


@dataclass
class Activity:
    """``kinds``: what the keys of a controller name, as (group, resource), by the controller's name. ``queues``: of the
    controllers that run here now. ``scheduler``: None while it stands by."""

    journal: Journal
    kinds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    scheduler: SchedulerQueue | None = None

    @contextmanager
    def running(self, name: str, queue: Queue) -> Iterator[None]:
        self.queues[name] = queue
        try:
            yield
        finally:
            if self.queues.get(name) is queue:
                del self.queues[name]


CURRENT: ContextVar[Activity | None] = ContextVar("activity", default=None)
"""Of the component that the running task belongs to."""
_ACTIONS: ContextVar[list[str] | None] = ContextVar("actions", default=None)


@contextmanager
def observed(name: str, key: str, retries: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """One round of work on ``key``. A record is made if something was done, went wrong, or is a retry."""
    activity = CURRENT.get()
    if activity is None:
        yield
        return
    actions: list[str] = []
    error: Exception | None = None
    token, begun = _ACTIONS.set(actions), time.perf_counter()
    try:
        yield
    except Exception as raised:
        error = raised
        raise
    finally:
        _ACTIONS.reset(token)
        tried = retries()
        if actions or error is not None or tried:
            _note(activity, name, key, actions, error, tried, time.perf_counter() - begun)


def acted(method: str, path: str, answer: Mapping[str, Any]) -> None:
    """A request of this task was carried out."""
    actions = _ACTIONS.get()
    if actions is None or method not in _VERBS:
        return
    text = action_text(method, path, answer)
    if text and len(actions) < _MOST_ACTIONS:
        actions.append(text)


def action_text(method: str, path: str, answer: Mapping[str, Any]) -> str:
    """``create pod web-x7k2p``; empty for what is no action."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if len(parts) > 2 and parts[0] == "namespaces" and parts[2] not in ("status", "finalize"):
        parts = parts[2:]
    if not parts or parts[0] in _NOT_ACTIONS:
        return ""
    name = parts[1] if len(parts) > 1 else (answer.get("metadata") or {}).get("name") or ""
    what = _SINGULAR.get(parts[0]) or parts[0].removesuffix("s")
    return " ".join(part for part in (_VERBS[method], what, name, *parts[2:3]) if part)


def _note(
    activity: Activity,
    name: str,
    key: str,
    actions: list[str],
    error: Exception | None,
    retries: int,
    took: float,
) -> None:
    group, resource = activity.kinds.get(name, ("", ""))
    namespace, _, object_name = key.rpartition("/")
    result, text, said = _outcome(actions, error)
    summary = f"{name}: {key}{said}"
    detail = {
        "key": key,
        "result": result,
        "actions": actions,
        "error": text,
        "retries": retries,
        "ms": round(took * 1000, 3),
    }
    ref = ObjectRef(resource, group, namespace, object_name)
    activity.journal.note("controller", "decision", ref, summary, detail, component=name, ago=took)


def _outcome(actions: list[str], error: Exception | None) -> tuple[str, str, str]:
    """Result, error and what is said of it. That another write came first is part of normal life, and no error."""
    if error is None:
        return "done", "", f": {', '.join(actions) or 'done after a retry'}"
    if not isinstance(error, ApiError):
        text = f"{type(error).__name__}: {error}"
    elif error.is_conflict:
        return "conflict", "", " was changed by somebody else meanwhile, and is looked at again"
    else:
        text = error.message
    return "error", text, f" failed and will be tried again: {text}"
