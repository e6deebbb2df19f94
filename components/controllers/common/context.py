"""What every controller is given, and the shape of a controller.

`ControllerManager` builds one `ControllerContext` and hands it to each controller; a controller registers its
handlers on shared informers in its constructor, and works in `run` until it is cancelled.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from apiserver.api.meta import Object
from components.client.events import EventRecorder
from components.client.informer import Informer, InformerFactory
from components.client.resources import PODS
from components.client.transport import ApiClient
from components.controllers.common.objects import controller_uid, spec
from components.controllers.options import ControllerOptions

BY_CONTROLLER = "controller uid"
BY_NODE = "node"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ControllerContext:
    client: ApiClient
    informers: InformerFactory
    options: ControllerOptions = field(default_factory=ControllerOptions)
    now: Callable[[], datetime] = utc_now
    rng: random.Random = field(default_factory=random.Random)

    recorders: list[EventRecorder] = field(default_factory=list)

    def recorder(self, component: str) -> EventRecorder:
        """A recorder in this component's name; the manager closes it."""
        recorder = EventRecorder(self.client, component, now=self.now)
        self.recorders.append(recorder)
        return recorder

    def pods(self) -> Informer:
        """The shared pod informer, with the indexes by controller and by node."""
        return self.informers.informer(
            PODS, indexers={BY_CONTROLLER: index_by_controller, BY_NODE: index_by_node}
        )


def loop_time() -> float:
    """The monotonic clock that timers, and so the queues, go by."""
    return asyncio.get_running_loop().time()


class Controller(Protocol):
    name: str

    async def run(self) -> None:
        """Work until cancelled; the informers are running and have synced."""


def index_by_controller(obj: Object) -> list[str]:
    """The uid of the controlling owner; orphans are indexed by `orphans/<namespace>`."""
    uid = controller_uid(obj)
    return [uid or orphans_of(obj["metadata"].get("namespace") or "")]


def orphans_of(namespace: str) -> str:
    return f"orphans/{namespace}"


def index_by_node(pod: Object) -> list[str]:
    node = spec(pod).get("nodeName")
    return [node] if node else []
