"""Pages of a bbolt file: what is written is read again, what is damaged is refused and nothing else happens."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstore.bolt.format import PAGE_SIZE, Meta, checksum, pack_meta, unpack_meta
from kvstore.bolt.reader import BoltFile
from kvstore.bolt.writer import FileWriter
from kvstore.errors import DataDirUnusable, SnapshotCorrupt

Buckets = dict[bytes, dict[bytes, bytes]]

buckets = st.dictionaries(
    st.binary(min_size=1, max_size=20),
    st.dictionaries(st.binary(min_size=1, max_size=40), st.binary(max_size=9000), max_size=40),
    max_size=6,
)


def write(path: Path, content: Buckets) -> None:
    with open(path, "wb") as file:
        writer = FileWriter(file)
        for name, items in content.items():
            writer.bucket(name, sorted(items.items()))
        size = writer.finish()
    assert path.stat().st_size == size


def read(path: Path) -> Buckets:
    with BoltFile(path) as file:
        return {name: dict(bucket) for name, bucket in file.buckets().items()}


def seal(path: Path) -> None:
    """Append the checksum."""
    data = path.read_bytes()
    path.write_bytes(data + hashlib.sha256(data).digest())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(buckets)
def test_what_was_written_is_read(tmp_path: Path, content: Buckets) -> None:
    write(tmp_path / "db", content)
    assert read(tmp_path / "db") == content


@pytest.mark.parametrize("count", [0, 1, 2, 30, 31, 119, 120, 121, 4000, 20_000])
def test_trees_of_every_height(tmp_path: Path, count: int) -> None:
    items = {n.to_bytes(8, "big") * 2: b"v" * 100 for n in range(count)}
    write(tmp_path / "db", {b"key": items})
    assert read(tmp_path / "db") == {b"key": items}


def test_a_value_may_be_larger_than_many_pages(tmp_path: Path) -> None:
    items = {b"a": b"x" * 3_000_000, b"b": b"", b"c": b"y" * (PAGE_SIZE - 33)}
    write(tmp_path / "db", {b"key": items})
    assert read(tmp_path / "db") == {b"key": items}


def test_the_newer_valid_meta_page_counts() -> None:
    assert checksum(b"") == 0xCBF29CE484222325  # FNV-1a's published values
    assert checksum(b"foobar") == 0x85944171F73967E8
    meta = Meta(4096, 3, 2, 9, 7)
    page = pack_meta(0, meta)
    assert unpack_meta(page) == meta
    assert unpack_meta(page[:60] + b"\1" + page[61:]) is None


def test_one_damaged_meta_page_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "db"
    for at in (20, PAGE_SIZE + 20):
        write(path, {b"key": {b"a": b"1"}})
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)
        assert read(path) == {b"key": {b"a": b"1"}}


@pytest.mark.parametrize("kept", [0, 1, 100, PAGE_SIZE, 2 * PAGE_SIZE, 5 * PAGE_SIZE + 17])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "db"
    write(path, {b"key": {n.to_bytes(4, "big"): b"v" * 500 for n in range(200)}})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SnapshotCorrupt, match=f"{path}: truncated or altered .*use another snapshot"):
        read(path)


def test_an_altered_byte_is_found_by_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "db"
    write(path, {b"key": {b"a": b"v" * 2000}})
    seal(path)
    data = bytearray(path.read_bytes())
    data[3 * PAGE_SIZE + 1000] ^= 0x40
    path.write_bytes(data)
    with BoltFile(path) as file, pytest.raises(SnapshotCorrupt, match="checksum"):
        file.checksum()


def test_a_missing_file_is_no_corruption(tmp_path: Path) -> None:
    with pytest.raises(DataDirUnusable, match="none"):
        BoltFile(tmp_path / "none")


def test_fuzzed_pages_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    """Behind a checksum that fits, as an attacker would make it: no other exception, no endless walk."""
    path = tmp_path / "db"
    items = {n.to_bytes(4, "big"): b"v" * 120 for n in range(400)}
    write(path, {b"key": items, b"meta": {b"a": b"1"}})
    whole = path.read_bytes()
    rng = random.Random(1)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            page = rng.randrange(2, len(data) // PAGE_SIZE) * PAGE_SIZE
            at = page + rng.choice((rng.randrange(0, 48), rng.randrange(0, 600)))
            data[at] = rng.choice((0, 0xFF, rng.randrange(256)))
        path.write_bytes(data)
        try:
            assert sum(map(len, read(path).values())) <= len(items) + 60
        except SnapshotCorrupt:
            refused += 1
    assert refused > 100


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=20_000))
def test_any_bytes_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "db"
    path.write_bytes(data)
    with pytest.raises(SnapshotCorrupt):
        read(path)


def test_pages_that_refer_to_themselves_end(tmp_path: Path) -> None:
    """A branch whose children are its own page, above a meta page with a right checksum."""
    path = tmp_path / "db"
    write(path, {b"key": {n.to_bytes(4, "big"): b"v" * 500 for n in range(200)}})
    with BoltFile(path) as file:
        root = file.meta.root
        pages = file.meta.pages
    data = bytearray(path.read_bytes())
    for page in (0, 1):
        data[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] = pack_meta(
            page, Meta(4096, root - 1, 2, pages, 3 - page)
        )
    path.write_bytes(data)
    with pytest.raises(SnapshotCorrupt):
        read(path)
