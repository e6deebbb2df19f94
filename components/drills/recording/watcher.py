"""One observer: a watch that is asked for again, after the last revision it saw, wherever it can be had."""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import dataclass

import grpc
import grpc.aio
import msgspec

from components.drills.recording import wire
from components.drills.recording.recorder import Endpoint, Recorder
from kvstore.check.history import Watch, Watched
from kvstore.rpc.proto import rpc_pb2

PATH = "/etcdserverpb.Watch/Watch"
_numbers = itertools.count(1)


@dataclass
class Watcher:
    """`wanted`: what to watch; its number, start and time are filled in for every attempt."""

    wanted: Watch
    endpoints: list[Endpoint]
    recorder: Recorder
    rng: random.Random
    require_leader: bool = False
    ask_progress: bool = True
    seen: int = 0
    """Everything up to this revision was delivered."""

    async def run(self) -> None:
        """Until cancelled."""
        at, last = self.rng.randrange(len(self.endpoints)), None
        start = self.wanted.start_revision
        while True:
            watch = msgspec.structs.replace(
                self.wanted,
                watch=next(_numbers),
                time=self.recorder.now(),
                start_revision=max(start, self.seen + 1) if self.seen else start,
                resumes=last,
                endpoint=self.endpoints[at % len(self.endpoints)].address,
            )
            self.recorder.add(watch)
            try:
                compacted = await self._follow(watch, self.endpoints[at % len(self.endpoints)])
            except grpc.aio.AioRpcError:
                compacted = 0
            last = watch.watch if watch.start_revision or self.seen else None
            if compacted:
                last, self.seen = None, compacted - 1
            at += 1
            await asyncio.sleep(0.05)

    async def _follow(self, watch: Watch, endpoint: Endpoint) -> int:
        """Records what comes until the stream ends; the compact revision if that is why, else 0."""
        metadata = (("hasleader", "true"),) if self.require_leader else None
        stream = endpoint.stream(PATH, rpc_pb2.WatchRequest, rpc_pb2.WatchResponse, metadata=metadata)
        try:
            await stream.write(wire.watch_message(watch))
            asking = asyncio.create_task(self._ask(stream))
            try:
                return await self._read(stream, watch)
            finally:
                asking.cancel()
        finally:
            stream.cancel()

    async def _read(self, stream: grpc.aio.StreamStreamCall, watch: Watch) -> int:  # type: ignore[type-arg]
        while (response := await stream.read()) is not grpc.aio.EOF:
            record = wire.watched(watch.watch, self.recorder.now(), response)
            self.recorder.add(record)
            self._learn(record)
            if record.canceled:
                return record.compact_revision
        return 0

    def _learn(self, record: Watched) -> None:
        if record.events and not record.fragment:
            self.seen = max(self.seen, record.events[-1].revision)
        if record.is_progress:
            self.seen = max(self.seen, record.revision)
        elif record.created and not self.wanted.start_revision and not self.seen:
            self.seen = record.revision

    async def _ask(self, stream: grpc.aio.StreamStreamCall) -> None:  # type: ignore[type-arg]
        """Asks for progress notifications now and then."""
        while self.ask_progress:
            await asyncio.sleep(self.rng.uniform(0.1, 0.6))
            try:
                await stream.write(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return
