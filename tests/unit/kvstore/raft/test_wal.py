"""The log on disk: what a crash may leave behind is repaired, everything else is refused."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from kvstore.errors import DataCorrupt
from kvstore.raft.errors import WalCorrupt, WalError
from kvstore.raft.files import OsFiles
from kvstore.raft.journal import WalJournal
from kvstore.raft.wal import Wal

NO_COMMAND = b"\x01"


class FailingFiles(OsFiles):
    """A disk that is full after `room` bytes: it takes what fits and fails, as the kernel does."""

    room: int | None = None
    sync_fails = False

    def append(self, name: str, data: bytes) -> None:
        if self.room is not None and len(data) > self.room:
            super().append(name, data[: self.room])
            self.room = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(name, data)

    def create(self, name: str, data: bytes) -> None:
        if self.room is not None and len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().create(name, data)

    def sync(self, name: str) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        super().sync(name)


def open_journal(
    directory: Path,
    applied: tuple[int, int] = (0, 0),
    *,
    files: OsFiles | None = None,
    segment_bytes: int = 1 << 20,
    cluster_id: int = 7,
) -> tuple[WalJournal, Wal]:
    wal = Wal(
        files or OsFiles(directory, fsync=False),
        cluster_id=cluster_id,
        member_id=1,
        segment_bytes=segment_bytes,
    )
    journal = WalJournal(wal)
    journal.open(applied)
    return journal, wal


def commit(journal: WalJournal, wal: Wal) -> None:
    batch = journal.take_batch()
    assert batch is not None
    wal.commit(batch)


def write(directory: Path, count: int, *, segment_bytes: int = 1 << 20) -> None:
    journal, wal = open_journal(directory, segment_bytes=segment_bytes)
    for index in range(1, count + 1):
        journal.setCurrentTerm(index, 5)
        journal.add(b"\x00command %d" % index, index, index)
        commit(journal, wal)
    wal.close()


def entries(journal: WalJournal) -> list[tuple[int, int]]:
    return [(journal[at].index, journal[at].term) for at in range(len(journal))]  # type: ignore[union-attr]


def only_segment(directory: Path) -> Path:
    (segment,) = directory.glob("*.wal")
    return segment


def test_everything_committed_is_read_back(tmp_path: Path) -> None:
    write(tmp_path, 3)
    journal, _ = open_journal(tmp_path)
    assert entries(journal) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert journal.entry(2).command == b"\x00command 2"
    assert (journal.getCurrentTerm(), journal.getVotedForNodeId()) == (3, 5)


def test_an_entry_replaces_all_behind_it(tmp_path: Path) -> None:
    write(tmp_path, 4)
    journal, wal = open_journal(tmp_path)
    journal.deleteEntriesFrom(2)
    journal.add(NO_COMMAND, 2, 9)
    commit(journal, wal)
    again, _ = open_journal(tmp_path)
    assert entries(again) == [(0, 0), (1, 1), (2, 9)]


def test_a_tail_torn_at_any_byte_is_cut_and_written_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "whole", 3)
    data = only_segment(tmp_path / "whole").read_bytes()
    write(tmp_path / "shorter", 2)
    keep = len(only_segment(tmp_path / "shorter").read_bytes())
    caplog.set_level(logging.WARNING)
    for size in range(keep + 1, len(data)):
        directory = tmp_path / f"torn-{size}"
        directory.mkdir()
        (directory / "0000000000000001.wal").write_bytes(data[:size])
        caplog.clear()
        journal, wal = open_journal(directory)
        assert entries(journal) == [(0, 0), (1, 1), (2, 2)]
        assert "cut" in caplog.text
        journal.add(NO_COMMAND, 3, 8)
        commit(journal, wal)
        wal.close()
        assert entries(open_journal(directory)[0])[-1] == (3, 8)


def test_a_last_frame_with_an_unwritten_sector_is_torn(tmp_path: Path) -> None:
    journal, wal = open_journal(tmp_path)
    journal.add(b"\x00" + b"x" * 3000, 1, 1)
    commit(journal, wal)
    path = only_segment(tmp_path)
    data = bytearray(path.read_bytes())
    data[1024:1536] = bytes(512)
    path.write_bytes(data)
    assert entries(open_journal(tmp_path)[0]) == [(0, 0)]


@pytest.mark.parametrize("where", ["header", "middle", "last frame"])
def test_damage_that_no_crash_leaves_is_refused(tmp_path: Path, where: str) -> None:
    write(tmp_path, 3)
    path = only_segment(tmp_path)
    data = bytearray(path.read_bytes())
    at = {"header": 20, "middle": len(data) // 2, "last frame": len(data) - 3}[where]
    data[at] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(WalCorrupt, match=rf"{path}.* at offset \d+.*restore the cluster"):
        open_journal(tmp_path)
    assert path.read_bytes() == data


def test_a_torn_segment_that_is_not_the_last_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 6, segment_bytes=150)
    first = sorted(tmp_path.glob("*.wal"))[0]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(WalCorrupt):
        open_journal(tmp_path)


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 6, segment_bytes=150)
    segments = sorted(tmp_path.glob("*.wal"))
    assert len(segments) > 2
    segments[1].unlink()
    with pytest.raises(WalCorrupt, match="missing"):
        open_journal(tmp_path)


def test_the_log_of_another_cluster_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with pytest.raises(WalCorrupt, match="cluster"):
        open_journal(tmp_path, cluster_id=8)


def test_a_missing_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataCorrupt, match="log is missing"):
        open_journal(tmp_path, applied=(9, 2))


def test_trimmed_segments_leave_term_vote_and_newer_entries(tmp_path: Path) -> None:
    write(tmp_path, 20, segment_bytes=150)
    journal, wal = open_journal(tmp_path, applied=(15, 15))
    journal.forget_before(14)
    wal.trim(14)
    again, _ = open_journal(tmp_path, applied=(15, 15))
    assert again.base.index <= 15
    assert again.last[1:] == (20, 20)
    assert (again.getCurrentTerm(), again.getVotedForNodeId()) == (20, 5)
    assert len(list(tmp_path.glob("*.wal"))) < 10


def test_an_entry_may_be_replaced_whose_first_version_was_trimmed(tmp_path: Path) -> None:
    """Found by simulation: segments [1..14] [15] [14' 15'], and the first is trimmed."""
    journal, wal = open_journal(tmp_path, segment_bytes=1)
    for index in range(1, 5):
        journal.add(NO_COMMAND, index, 1)
    commit(journal, wal)
    journal.add(NO_COMMAND, 5, 1)
    commit(journal, wal)
    journal.deleteEntriesFrom(4)
    for index in (4, 5, 6):
        journal.add(NO_COMMAND, index, 2)
    commit(journal, wal)
    wal.trim(5)
    assert entries(open_journal(tmp_path, applied=(5, 2))[0]) == [(4, 2), (5, 2), (6, 2)]


def test_an_applied_state_beyond_the_log_makes_the_log_begin_behind_it(tmp_path: Path) -> None:
    write(tmp_path, 3)
    journal, wal = open_journal(tmp_path, applied=(10, 4))
    assert entries(journal) == [(10, 4)]
    commit(journal, wal)
    again, _ = open_journal(tmp_path, applied=(10, 4))
    assert entries(again) == [(10, 4)]


def test_a_log_that_forked_below_the_applied_state_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, 5)
    journal, _ = open_journal(tmp_path, applied=(3, 9))
    assert entries(journal) == [(3, 9)]


@pytest.mark.parametrize("room", [0, 1, 15, 16, 40])
def test_a_full_disk_is_fatal_and_leaves_a_log_that_opens(tmp_path: Path, room: int) -> None:
    write(tmp_path, 2)
    files = FailingFiles(tmp_path, fsync=False)
    journal, wal = open_journal(tmp_path, files=files)
    files.room = room
    journal.add(b"\x00" + b"x" * 100, 3, 3)
    with pytest.raises(WalError, match=r"No space left on device.*Free space"):
        commit(journal, wal)
    files.room = None
    journal.add(NO_COMMAND, 4, 3)
    with pytest.raises(WalError):
        commit(journal, wal)  # space came back, but what was acknowledged since is not known
    wal.close()
    again, wal = open_journal(tmp_path)
    assert entries(again) == [(0, 0), (1, 1), (2, 2)]
    again.add(NO_COMMAND, 3, 3)
    commit(again, wal)


def test_a_full_disk_at_a_new_segment_leaves_no_half_of_it(tmp_path: Path) -> None:
    write(tmp_path, 2)
    files = FailingFiles(tmp_path, fsync=False)
    journal, wal = open_journal(tmp_path, files=files, segment_bytes=10)
    files.room = 0
    journal.add(NO_COMMAND, 3, 3)
    with pytest.raises(WalError):
        commit(journal, wal)
    assert len(list(tmp_path.iterdir())) == 1
    assert entries(open_journal(tmp_path)[0])[-1] == (2, 2)


def test_a_failed_sync_is_never_retried(tmp_path: Path) -> None:
    files = FailingFiles(tmp_path, fsync=False)
    journal, wal = open_journal(tmp_path, files=files)
    files.sync_fails = True
    journal.add(NO_COMMAND, 1, 1)
    with pytest.raises(WalError):
        commit(journal, wal)
    files.sync_fails = False
    journal.add(NO_COMMAND, 2, 1)
    with pytest.raises(WalError):
        commit(journal, wal)


def test_a_disk_that_is_slow_for_a_while_is_slow_for_that_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, slept = [100.0], []
    monkeypatch.setattr("kvstore.raft.files.time.monotonic", lambda: now[0])
    monkeypatch.setattr("kvstore.raft.files.time.sleep", slept.append)
    files = OsFiles(tmp_path / "wal")
    files.create("a", b"")
    files.slow_down(0.2, 5.0)
    files.sync("a")
    now[0] = 105.0
    files.sync("a")
    files.close()
    assert slept == [0.2]
