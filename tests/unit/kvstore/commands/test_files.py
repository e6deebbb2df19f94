"""What comes over the network becomes a file whole and right, or nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kvstore.commands.clusters import names_of
from kvstore.commands.durations import seconds
from kvstore.commands.files import receive
from kvstore.commands.tables import human_size, table
from kvstore.errors import SnapshotCorrupt

CONTENT = bytes(range(256)) * 4
WHOLE = CONTENT + hashlib.sha256(CONTENT).digest()


async def chunks(data: bytes, size: int, error: Exception | None = None) -> AsyncIterator[tuple[bytes, int]]:
    for at in range(0, len(data), size):
        yield data[at : at + size], len(data) - at - size
    if error is not None:
        raise error


def save(path: Path, data: bytes, size: int = 100, error: Exception | None = None) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    asyncio.run(receive(path, chunks(data, size, error), "there", lambda *progress: seen.append(progress)))
    return seen


@pytest.mark.parametrize("size", [1, 7, 32, 1000, 5000])
def test_a_whole_stream_becomes_the_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    seen = save(path, WHOLE, size)
    assert path.read_bytes() == WHOLE
    assert seen[-1][0] == len(WHOLE)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "data", [b"", WHOLE[:-1], WHOLE[:-32], WHOLE[:500], b"x" + WHOLE[1:], WHOLE + b"x", WHOLE[512:]]
)
def test_what_is_cut_or_altered_leaves_the_old_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(SnapshotCorrupt, match="there: the snapshot broke off or was altered"):
        save(path, data)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"file": b"old"}


def test_a_connection_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        save(tmp_path / "file", WHOLE, error=ConnectionResetError())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.2 kB"), (319_488, "320 kB"), (165_130_240, "165 MB")],
)
def test_sizes_as_etcdctl_writes_them(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_table_as_etcdctl_draws_it() -> None:
    assert table(["hash", "total size"], [["93cc82d8", "165 MB"]]).splitlines() == [
        "+----------+------------+",
        "|   HASH   | TOTAL SIZE |",
        "+----------+------------+",
        "| 93cc82d8 |     165 MB |",
        "+----------+------------+",
    ]


@pytest.mark.parametrize(("text", "value"), [("2s", 2), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "s", "1x", "-1s", "1s!"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


def test_initial_clusters_are_checked() -> None:
    cluster = "a=http://h:1,b=http://h:2,a=http://h:3/"
    assert names_of("a", cluster, "http://h:3,http://h:1") == {"a", "b"}
    with pytest.raises(ValueError, match="--name c is not in --initial-cluster, which has a, b"):
        names_of("c", cluster, "http://h:1")
    with pytest.raises(ValueError, match="make them agree"):
        names_of("b", cluster, "http://h:1")
    with pytest.raises(ValueError, match="'x' is not NAME=URL"):
        names_of("b", "x", "http://h:1")
