"""Scheduled backups: when they are due, who writes them, which stay."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kvstore.commands import schedule
from kvstore.errors import DataDirUnusable
from tests.support.virtual_time import run_virtual

NOON = 1795521600.0  # 2026-11-24T12:00:00Z
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's sync would end outside of virtual time."""

    async def at_once(function: Callable[..., object], *arguments: object) -> object:
        return function(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)


class FakeMember:
    """Exports a file of 512 bytes."""

    def __init__(self, *, is_leader: bool = True, fails: int = 0) -> None:
        self.is_leader = is_leader
        self.fails = fails
        self.exports = 0

    def revision(self) -> int:
        return 40 + self.exports

    async def export(self) -> AsyncIterator[tuple[bytes, int]]:
        self.exports += 1
        yield bytes(300), 244
        if self.exports <= self.fails:
            raise DataDirUnusable("the disk")
        yield bytes(212), 32
        yield hashlib.sha256(bytes(512)).digest(), 0


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def run_for(hours: float, member: FakeMember, directory: Path, text: str, keep: int = 9) -> list[str]:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        task = asyncio.create_task(
            schedule.run(member, directory, text, keep, clock=lambda: NOON + loop.time() - start)
        )
        await asyncio.wait([task], timeout=hours * HOUR)
        task.cancel()
        await asyncio.wait([task])

    run_virtual(main())
    return names(directory)


@pytest.mark.parametrize(
    ("text", "last", "due"),
    [
        ("6h", None, NOON),
        ("6h", NOON - HOUR, NOON + 5 * HOUR),
        ("6h", NOON - 10 * HOUR, NOON),
        ("1h30m", NOON, NOON + 1.5 * HOUR),
        ("0 3 * * *", NOON - 100 * HOUR, NOON + 15 * HOUR),
        ("*/5 * * * *", None, NOON + 300),
    ],
)
def test_when_the_next_one_is_due(text: str, last: float | None, due: float) -> None:
    assert schedule.parse(text)(last, NOON) == due


@pytest.mark.parametrize("text", ["", "often", "0", "0s", "-1h", "61 * * * *", "1 2 3", "5 m"])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r"--backup-schedule: .* such as 6h"):
        schedule.parse(text)


def test_backups_are_written_and_the_newest_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.db").touch()
    found = run_for(4.5, FakeMember(), tmp_path, "1h", keep=2)
    assert found == ["kvstore-20261124T150000Z-r43.db", "kvstore-20261124T160000Z-r44.db", "mine.db"]
    assert (tmp_path / found[0]).stat().st_size == 544


def test_a_restart_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    (tmp_path / "kvstore-20261124T113000Z-r7.db").touch()
    assert run_for(0.4, FakeMember(), tmp_path, "1h") == ["kvstore-20261124T113000Z-r7.db"]
    assert len(run_for(0.6, FakeMember(), tmp_path, "1h")) == 2


def test_only_the_leader_writes(tmp_path: Path) -> None:
    assert run_for(5, FakeMember(is_leader=False), tmp_path / "new", "1h") == []


def test_a_failure_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    member = FakeMember(fails=2)
    assert run_for(0.1, member, tmp_path, "1h") == ["kvstore-20261124T120200Z-r42.db"]
    assert member.exports == 3


def test_keep_is_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--backup-keep"):
        run_virtual(schedule.run(FakeMember(), tmp_path, "1h", 0))
