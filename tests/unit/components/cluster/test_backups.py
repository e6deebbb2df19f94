"""Scheduled backups: when, what stays, and what a failure leaves; files are real, the clock is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from components.cluster.backup import FORMAT, Manifest
from components.cluster.backup_metrics import families
from components.cluster.backups import RETRY_SECONDS, Backups, found, name_of
from components.cluster.errors import ClusterError
from components.cluster.status import BackupStatus
from components.cluster.topology import Backup, Topology, contradictions, with_backup
from components.cluster.view import backups_line

HOUR = 3600.0
T0 = 1_800_000_000.0


class Stage:
    """A schedule whose backups are tiny files; `broken` is what the next ones fail with."""

    def __init__(self, directory: Path, schedule: str = "6h", keep: int = 3) -> None:
        self.directory = directory
        self.now, self.revision = T0, 100
        self.broken: Exception | None = None
        self.told: list[str] = []
        wanted = Backup(str(directory), schedule, keep)
        self.backups = Backups(wanted, "t", self._take, self.told.append, clock=lambda: self.now)

    async def _take(self, target: Path) -> Manifest:
        if self.broken is not None:
            raise self.broken
        await asyncio.to_thread(target.write_bytes, b"x" * 10)
        self.now += 2.0
        self.revision += 1
        return Manifest(FORMAT, "", "t", 0, self.revision, 10)

    def begin(self) -> BackupStatus:
        asyncio.run(self.backups.begin())
        return self.backups.status

    def back_up(self, at: float) -> BackupStatus:
        self.now = at
        asyncio.run(self.backups.back_up())
        return self.backups.status

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


def test_the_first_one_is_due_at_once_and_the_others_follow(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "made" / "new")
    assert stage.begin().next == T0
    status = stage.back_up(T0)
    assert (status.next, status.last_success, status.duration) == (T0 + 6 * HOUR, T0, 2.0)
    assert (status.size, status.revision, status.kept, status.error) == (10, 101, 1, "")
    assert stage.names() == [name_of("t", T0, 101)] == [status.last]


def test_a_new_start_counts_from_the_newest_file(tmp_path: Path) -> None:
    (tmp_path / name_of("t", T0 - HOUR, 7)).write_bytes(b"old")
    (tmp_path / name_of("t", T0 - 9 * HOUR, 9)).write_bytes(b"older")
    status = Stage(tmp_path).begin()
    assert (status.next, status.revision, status.size, status.kept) == (T0 + 5 * HOUR, 7, 3, 2)


def test_cron(tmp_path: Path) -> None:
    midnight = T0 - T0 % (24 * HOUR)
    stage = Stage(tmp_path, "0 3 * * *")
    stage.now = midnight
    assert stage.begin().next == midnight + 3 * HOUR
    assert stage.back_up(midnight + 3 * HOUR).next == midnight + 27 * HOUR


def test_the_oldest_go_after_a_good_one_and_nothing_else(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    others = [
        "notes",
        "kuberaft-other-20261124T030000Z-r4.backup",
        "kuberaft-t-20261124T030000Z-r4.backup.part",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    for day in range(5):
        stage.back_up(T0 + day * 24 * HOUR)
    kept = [name_of("t", T0 + day * 24 * HOUR, 101 + day) for day in (2, 3, 4)]
    assert stage.names() == sorted([*others, *kept])
    stage.broken = OSError("no space left on device")
    status = stage.back_up(T0 + 200 * HOUR)
    assert stage.names() == sorted([*others, *kept])
    assert (status.kept, status.last) == (3, kept[-1])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("no space left on device"), "no space left on device"),
        (ClusterError("no master is ready", "look at kuberaft status"), "no master is ready"),
        (TimeoutError(), "it took too long"),
    ],
)
def test_a_failure_is_told_and_tried_again(tmp_path: Path, error: Exception, text: str) -> None:
    stage = Stage(tmp_path)
    stage.back_up(T0)
    stage.broken = error
    status = stage.back_up(T0 + 6 * HOUR)
    assert (status.error, status.failures, status.next) == (text, 1, T0 + 6 * HOUR + RETRY_SECONDS)
    assert (status.last_success, stage.told) == (T0, [text])
    stage.broken = None
    status = stage.back_up(T0 + 7 * HOUR)
    assert (status.error, status.failures, status.successes) == ("", 1, 2)


def test_a_directory_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    stage = Stage(tmp_path / "file" / "below")
    assert stage.begin().next == T0
    assert "cannot be written" in stage.back_up(T0).error


def test_files_are_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    for at, revision in ((T0 + 5, 1), (T0, 9), (T0, 8)):
        (tmp_path / name_of("t", at, revision)).write_bytes(b"")
    assert [(one.time, one.revision) for one in found(tmp_path, "t")] == [(T0, 8), (T0, 9), (T0 + 5, 1)]
    assert found(tmp_path / "missing", "t") == []


@pytest.mark.parametrize("schedule", ["", "soon", "0s", "61 * * * *", "* * *", "-1h"])
def test_a_schedule_that_is_none_is_refused(schedule: str) -> None:
    wrong = [path for path, _, _ in contradictions(Topology(backup=Backup("/b", schedule)))]
    assert wrong == [("backup", "schedule")]


def test_flags_replace_what_the_topology_says() -> None:
    topology = with_backup(Topology(), "/b", None, 5)
    assert topology.backup == Backup("/b", keep=5)
    assert with_backup(topology, None, "1h", None).backup == Backup("/b", "1h", 5)
    assert with_backup(Topology(), None, None, None) == Topology()


def test_the_line_in_status() -> None:
    status = BackupStatus("/b", "6h", 3, next=T0)
    assert backups_line(status).startswith("backups (6h) in /b: none yet; next 2027-01-")
    status = BackupStatus("/b", "6h", 3, kept=2, last_success=T0, size=3 << 20)
    assert backups_line(status).endswith(", 3.0M, 2 kept")


def test_figures_as_metrics() -> None:
    status = BackupStatus("/b", "6h", 3, kept=2, last_success=T0, size=3 << 20, successes=4, failures=1)
    samples = {sample.name: sample.value for family in families(status) for sample in family.samples}
    assert samples == {
        "kuberaft_backup_last_success_timestamp_seconds": T0,
        "kuberaft_backup_size_bytes": 3 << 20,
        "kuberaft_backup_files": 2,
        "kuberaft_backup_successes_total": 4,
        "kuberaft_backup_failures_total": 1,
    }
    assert list(families(None)) == []
