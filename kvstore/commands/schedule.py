"""Scheduled backups: `--backup-dir`, `--backup-schedule`, `--backup-keep` of a member.

Every member has this task, and the one that leads when a backup is due writes it, so there is one of each
time whether the members share the directory or not. A schedule is an interval ("6h", counted from the newest
backup in the directory, so restarts neither skip nor multiply backups) or a cron expression in UTC
("0 3 * * *"). The newest `keep` files of this name pattern stay; other files are never touched:

    kvstore-20261124T030000Z-r4711.db      time and revision; a snapshot file as `kvstore snapshot save` writes it
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from kvstore.backend import translated
from kvstore.commands.durations import seconds
from kvstore.commands.files import receive
from kvstore.errors import StoreError

log = logging.getLogger(__name__)

_NAME = re.compile(r"kvstore-(\d{8}T\d{6}Z)-r\d+\.db")
_TIME = "%Y%m%dT%H%M%SZ"
_RETRY_SECONDS = 60.0
_LONGEST_SLEEP = 30.0
"""Seconds; so a clock that was set is noticed."""
_WRONG = (
    "--backup-schedule: {!r} is neither an interval of a second or more, such as 6h,"
    ' nor a cron expression, such as "0 3 * * *"'
)

Due = Callable[[float | None, float], float]
"""(time of the newest backup, now) -> time of the next one."""


class Source(Protocol):
    """What is needed of a `kvstore.member.Member`."""

    @property
    def is_leader(self) -> bool: ...

    def revision(self) -> int: ...

    def export(self) -> AsyncIterator[tuple[bytes, int]]: ...


async def run(
    member: Source, directory: Path, schedule: str, keep: int, *, clock: Callable[[], float] = time.time
) -> None:
    """Runs until cancelled. Raises `ValueError` for a schedule that is none and for `keep` below 1."""
    due = parse(schedule)
    if keep < 1:
        raise ValueError(f"--backup-keep is {keep}; keep at least one backup")
    at = due(newest(directory), clock())
    while True:
        await asyncio.sleep(min(max(at - clock(), 0.0), _LONGEST_SLEEP))
        now = clock()
        if now < at:
            continue
        try:
            if member.is_leader:
                await back_up(member, directory, keep, now)
            at = due(now, now)
        except StoreError as error:
            log.error("no backup was written, next try in %d s: %s", _RETRY_SECONDS, error)
            at = now + _RETRY_SECONDS


async def back_up(member: Source, directory: Path, keep: int, now: float) -> Path:
    """Write one backup and remove what is too old."""
    _make(directory)
    stamp = datetime.fromtimestamp(now, UTC).strftime(_TIME)
    path = directory / f"kvstore-{stamp}-r{member.revision()}.db"
    await receive(path, member.export(), "this member", lambda done, total: None)
    for old in backups(directory)[:-keep]:
        with translated(old):
            old.unlink(missing_ok=True)
    log.info("backup written: %s", path)
    return path


def _make(directory: Path) -> None:
    with translated(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def backups(directory: Path) -> list[Path]:
    """Oldest first."""
    with translated(directory):
        found = list(directory.iterdir()) if directory.exists() else []
    return sorted(path for path in found if _NAME.fullmatch(path.name))


def newest(directory: Path) -> float | None:
    found = backups(directory)
    match = _NAME.fullmatch(found[-1].name) if found else None
    return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC).timestamp() if match else None


def parse(schedule: str) -> Due:
    """Raises `ValueError`."""
    text = schedule.strip()
    if " " in text:
        return _cron(text)
    interval = _interval(text)
    return lambda last, now: max(now, last + interval) if last is not None else now


def _interval(text: str) -> float:
    with contextlib.suppress(ValueError):
        interval = seconds(text)
        if interval >= 1:
            return interval
    raise ValueError(_WRONG.format(text))


def _cron(text: str) -> Due:
    from croniter import croniter

    if not croniter.is_valid(text):
        raise ValueError(_WRONG.format(text))

    def due(last: float | None, now: float) -> float:
        return float(croniter(text, datetime.fromtimestamp(now, UTC)).get_next(float))

    return due
