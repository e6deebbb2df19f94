"""All clients of one run: started together, stopped together, and asked at the end for what is stored.

Fed by `runner`. Keys go through etcd's API where the cluster offers it; objects through the kubeconfig's address
and through each master; both are recorded in histories of their own. The end is a mark: one write that every
watcher has to see, then one read of everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

from components.client.errors import ApiError
from components.client.resources import NAMESPACES
from components.client.transport import ApiClient
from components.cluster.quantities import seconds
from components.drills.observed import Observed, Request
from components.drills.recording.objects import ObjectClient, ObjectWatcher, Port, after
from components.drills.recording.recorder import Client, Recorder
from components.drills.recording.watcher import Watcher
from components.drills.site import Site
from components.drills.spec import Workload
from components.drills.workload.service import Service, is_ready
from components.drills.workload.swaps import Swaps, swap
from kvstore.check.history import Call, Delete, Range, Watch

CALL_SECONDS = 3.0  # of an object's client, for each attempt
FINISH_SECONDS = 15.0
PAUSE = 0.1
READERS, WATCHERS, LAST = 50, 500, 900
"""Numbers of clients: swappers count from 1."""


class Crew:
    """`told(kind, call)` is called with each answer. Use: `prepare`, `start`, `finish`, `close`."""

    def __init__(
        self, site: Site, load: Workload, prefix: str, dice: random.Random, told: Callable[[str, Call], None]
    ) -> None:
        self.namespace = prefix.rstrip("-")
        self.service: Service | None = None
        self.requests: list[Request] = []
        self._site, self._load, self._prefix, self._dice, self._told = site, load, prefix, dice, told
        self._recorders: dict[str, Recorder] = {}
        self._last: dict[str, Port] = {}
        self._swaps: list[Swaps] = []
        self._readers: list[Swaps] = []
        self._keys: list[Watcher] = []
        self._objects: list[ObjectWatcher] = []
        self._clients: list[tuple[ApiClient, str]] = []  # with the master that each is for, if any
        self._stop = asyncio.Event()
        self._working: list[asyncio.Task[None]] = []
        self._watching: list[asyncio.Task[None]] = []

    async def prepare(self) -> None:
        """The namespace, the application, the clients. Raises ClusterError, ApiError."""
        if self._site.store and self._load.key_clients:
            self._prepare_keys()
        if self._site.kubeconfig is not None:
            await self._prepare_objects()

    def _prepare_keys(self) -> None:
        recorder = self._recorders["keys"] = Recorder()
        store = self._site.store
        self._last["keys"] = Client(LAST, store, recorder)
        for number in range(1, self._load.key_clients + 1):
            self._add(Client(number, store, recorder), number, "keys")
        for number in range(len(store)):
            reader = Client(READERS + number, store, recorder).pinned(number)
            self._readers.append(self._swaps_of(reader, READERS + number, "keys"))
        end = after(self._prefix)
        for number in range(self._load.watchers):
            watch = Watch(0, WATCHERS + number, 0, self._prefix, end, prev_kv=True)
            dice = random.Random(self._dice.random())
            self._keys.append(Watcher(watch, store, recorder, dice, bool(number % 2), ask_progress=False))

    async def _prepare_objects(self) -> None:
        client = self._client()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await client.create(NAMESPACES, body)
        if self._load.service and self._site.workers:
            self.service = Service(client, self.namespace, self.requests.append)
            await self.service.create()
        if not self._load.object_clients:
            return
        recorder = self._recorders["objects"] = Recorder()
        self._last["objects"] = ObjectClient(LAST, client, self.namespace, recorder)
        places = [""] * self._load.object_clients + list(self._site.masters)
        for number, master in enumerate(places, 101):
            port = ObjectClient(number, self._client(master), self.namespace, recorder)
            self._add(port, number, "objects")
        for number in range(self._load.watchers):
            watcher = ObjectWatcher(WATCHERS + number, self._client(), self.namespace, self._prefix, recorder)
            self._objects.append(watcher)

    def _add(self, port: Port, number: int, kind: str) -> None:
        self._swaps.append(self._swaps_of(port, number, kind))

    def _swaps_of(self, port: Port, number: int, kind: str) -> Swaps:
        dice = random.Random(self._dice.random())
        pause = seconds(self._load.pause)
        return Swaps(port, number, self._prefix, dice, pause, lambda call: self._told(kind, call))

    def _client(self, master: str = "") -> ApiClient:
        client = self._site.client(master, CALL_SECONDS)
        self._clients.append((client, master))
        return client

    async def start(self) -> None:
        """Watchers first, so that they see everything."""
        watchers: list[Watcher | ObjectWatcher] = [*self._keys, *self._objects]
        self._watching = [asyncio.create_task(watcher.run()) for watcher in watchers]
        await self._until(lambda: all(watcher.seen for watcher in watchers))
        self._working = [asyncio.create_task(client.run(self._stop)) for client in self._swaps]
        self._working += [asyncio.create_task(reader.read_only(self._stop)) for reader in self._readers]
        if self.service is not None:
            self._working.append(asyncio.create_task(self.service.run(self._stop)))

    def move(self) -> None:
        """Everybody goes on with the site's kubeconfig of now, as who is given a new one."""
        for client, master in self._clients:
            client.use(self._site.config(master))

    async def finish(self, seen: Observed) -> None:
        """Let the clients end, read everything, wait for the watchers; what went wrong is a problem of `seen`."""
        self._stop.set()
        ended = await asyncio.gather(*self._working, return_exceptions=True)
        seen.problems += [f"a client ended: {error!r}" for error in ended if isinstance(error, Exception)]
        found = await asyncio.gather(*(self._mark(kind, port, seen) for kind, port in self._last.items()))
        marks = dict(zip(self._last, found, strict=True))
        watchers: list[tuple[str, Watcher | ObjectWatcher]] = [("keys", w) for w in self._keys]
        watchers += [("objects", w) for w in self._objects]
        with contextlib.suppress(TimeoutError):
            await self._until(lambda: all(w.seen >= marks[kind] for kind, w in watchers))
        late = sum(w.seen < marks[kind] for kind, w in watchers)
        if late:
            seen.problems.append(f"{late} watchers did not see the last write within {FINISH_SECONDS:.0f} s")
        broken = [task.exception() for task in self._watching if task.done() and not task.cancelled()]
        seen.problems += [f"a watcher ended: {error!r}" for error in broken if error]
        seen.requests += [self._shifted(request, seen) for request in self.requests]
        seen.histories = {kind: recorder.history() for kind, recorder in self._recorders.items()}

    @staticmethod
    def _shifted(request: Request, seen: Observed) -> Request:
        return Request(request.time - seen.origin / 1e9, request.seconds, request.pod, request.error)

    async def _mark(self, kind: str, port: Port, seen: Observed) -> int:
        """The revision of one last write; then everything is read."""
        revision, tries = 0, 0
        deadline = asyncio.get_running_loop().time() + FINISH_SECONDS
        while not revision and asyncio.get_running_loop().time() < deadline:
            tries += 1
            call = await port.call(swap(f"{self._prefix}mark{tries}", 0, f"mark{tries}"))
            if call.outcome == "ok" and call.result is not None and call.result.succeeded:
                revision = call.result.revision or 0
            else:
                await asyncio.sleep(PAUSE)
        read = await self._everything(port, deadline)
        if not revision or not read:
            seen.problems.append(
                f"{kind}: no answer within {FINISH_SECONDS:.0f} s after all faults were undone"
            )
        return revision

    async def _everything(self, port: Port, deadline: float) -> bool:
        while True:
            call = await port.call(Range(self._prefix, after(self._prefix)))
            if call.outcome == "ok":
                return True
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """End every client; nothing of them goes on."""
        tasks = [*self._working, *self._watching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client, _ in self._clients:
            await client.close()

    async def clean(self) -> None:
        """Delete what the drill made in a cluster that goes on. Raises ApiError, and what the store says."""
        if self._site.kubeconfig is not None:
            async with self._site.client() as client:
                await client.delete(NAMESPACES, self.namespace)
        if "keys" in self._last:
            await self._last["keys"].call(Delete(self._prefix, after(self._prefix)))

    async def _until(self, probe: Callable[[], bool]) -> None:
        async with asyncio.timeout(FINISH_SECONDS):
            while not probe():  # noqa: ASYNC110 - many watchers, one question
                await asyncio.sleep(0.02)

    async def busy_worker(self) -> str:
        """A node with a pod of the application; empty when there is none."""
        if self.service is None:
            return ""
        with contextlib.suppress(ApiError):
            pods = [pod for pod in await self.service.pods() if is_ready(pod)]
            return next((str(pod["spec"].get("nodeName", "")) for pod in pods), "")
        return ""
