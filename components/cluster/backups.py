"""Backups of the running cluster on a schedule: when one is due, what is kept, and how it went.

    supervisor ──▶ Backups.run ──▶ take (a file, verified) ──▶ old files beyond `keep` go
                              └──▶ failed: a line in `status`, an Event, another try after a minute

A schedule is an interval ("6h", counted from the newest backup in the directory, so restarts neither skip nor multiply
backups) or a cron expression in UTC ("0 3 * * *"); `kvstore.commands.schedule` reads both. Files are called

    kuberaft-ha-20261124T030000Z-r4711.backup      cluster, time and revision

and only files of this cluster's name pattern are ever counted or removed, and only after a good backup.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from components.cluster.backup import Manifest
from components.cluster.errors import ClusterError
from components.cluster.layout import unusable
from components.cluster.status import BackupStatus
from components.cluster.topology import Backup
from kvstore.commands import schedule

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
_LONGEST_SLEEP = 30.0  # seconds, so that a clock that was set is noticed
_TIME = "%Y%m%dT%H%M%SZ"

Take = Callable[[Path], Awaitable[Manifest]]
"""Writes a verified backup under that name. Raises ClusterError, OSError, TimeoutError."""


class Found(Struct, frozen=True):
    """A backup file by its name alone."""

    path: Path
    time: float
    revision: int


def name_of(cluster: str, at: float, revision: int) -> str:
    """The file of a backup taken at the time `at`."""
    stamp = datetime.fromtimestamp(at, UTC).strftime(_TIME)
    return f"kuberaft-{cluster}-{stamp}-r{revision}.backup"


def found(directory: Path, cluster: str) -> list[Found]:
    """The scheduled backups of a cluster, oldest first. Raises ClusterError for a directory that cannot be read."""
    pattern = re.compile(rf"kuberaft-{re.escape(cluster)}-(\d{{8}}T\d{{6}}Z)-r(\d+)\.backup")
    try:
        paths = list(directory.iterdir()) if directory.exists() else []
    except OSError as error:
        raise unusable(directory, error) from error
    matches = ((path, pattern.fullmatch(path.name)) for path in paths)
    known = [Found(path, _seconds(match[1]), int(match[2])) for path, match in matches if match]
    return sorted(known, key=lambda one: (one.time, one.revision))


def _seconds(stamp: str) -> float:
    return datetime.strptime(stamp, _TIME).replace(tzinfo=UTC).timestamp()


class Backups:
    """The schedule of one cluster. `failed` hears of each failure, `clock` tells the time of the day."""

    def __init__(
        self,
        wanted: Backup,
        cluster: str,
        take: Take,
        failed: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = Path(wanted.directory)
        self._cluster = cluster
        self._keep = wanted.keep
        self._take, self._failed, self._clock = take, failed, clock
        self._due = schedule.parse(wanted.schedule)
        self.status = BackupStatus(wanted.directory, wanted.schedule, wanted.keep)

    async def run(self) -> None:
        """Until cancelled."""
        await self.begin()
        while True:
            assert self.status.next is not None
            await asyncio.sleep(min(max(self.status.next - self._clock(), 0.0), _LONGEST_SLEEP))
            if self._clock() >= self.status.next:
                await self.back_up()

    async def begin(self) -> None:
        """Look what is there, and decide when the first one is due."""
        try:
            known = await asyncio.to_thread(found, self._directory, self._cluster)
        except ClusterError:
            known = []  # the first backup will say so
        now = self._clock()
        if known:
            newest = known[-1]
            size = await asyncio.to_thread(_size, newest.path)
            self._say(
                kept=len(known),
                last=newest.path.name,
                last_success=newest.time,
                revision=newest.revision,
                size=size,
            )
        self._say(next=self._due(self.status.last_success, now))

    async def back_up(self) -> None:
        """One attempt, now; what comes of it is in `status`."""
        began = self._clock()
        try:
            manifest, path, kept = await self._attempt(began)
        except (ClusterError, OSError, TimeoutError) as error:
            text = error.message if isinstance(error, ClusterError) else str(error) or "it took too long"
            self._say(failures=self.status.failures + 1, error=text, next=began + RETRY_SECONDS)
            logger.error("no backup was written, next try in %d s: %s", RETRY_SECONDS, text)
            self._failed(text)
            return
        ended = self._clock()
        self._say(
            kept=kept,
            last=path.name,
            last_success=began,
            duration=round(ended - began, 3),
            size=await asyncio.to_thread(_size, path),
            revision=manifest.revision,
            successes=self.status.successes + 1,
            error="",
            next=self._due(began, ended),
        )
        logger.info("backup written: %s", path)

    async def _attempt(self, now: float) -> tuple[Manifest, Path, int]:
        await asyncio.to_thread(_make, self._directory)
        temporary = self._directory / name_of(self._cluster, now, 0)
        manifest = await self._take(temporary)
        path = self._directory / name_of(self._cluster, now, manifest.revision)
        kept = await asyncio.to_thread(self._settle, temporary, path)
        return manifest, path, kept

    def _settle(self, temporary: Path, path: Path) -> int:
        """Give the file its name, remove what is too old; how many are left."""
        temporary.rename(path)
        known = found(self._directory, self._cluster)
        for old in known[: -self._keep]:
            old.path.unlink(missing_ok=True)
        return min(len(known), self._keep)

    def _say(self, **changes: object) -> None:
        self.status = msgspec.structs.replace(self.status, **changes)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(directory, error) from error


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
