"""Damaged files, taken ports, full disks: each error names the file and the remedy and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.cluster import slots
from tests.support.local_cluster import LocalCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SINGLE = "name: t\nmasters: {count: 1, apiPort: 0}\nworkers: {count: 0}\n"
THREE = "name: t\nmasters: {count: 3, apiPort: 0}\nworkers: {count: 0}\n"


def refused(cluster: LocalCluster, *args: str) -> str:
    """What the command says when it fails as it should: two or more lines, the first with `error:`."""
    result = cluster.run_kuberaft(*args)
    assert result.returncode == 1, (args, result.stdout, result.stderr)
    assert "Traceback" not in result.stdout + result.stderr
    message, remedy = re.fullmatch(r"error: (.+?)\n  (\S.*)\n", result.stderr, re.DOTALL).groups()  # type: ignore[union-attr]
    assert message
    assert remedy
    return result.stderr


def contents(directory: Path) -> dict[str, bytes]:
    """Every file with its content."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def damage(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 0xFF
    file.write_bytes(data)


@pytest.fixture
def new(tmp_path: Path) -> Iterator[LocalCluster]:
    """A directory in which nothing was made yet."""
    local = LocalCluster(tmp_path / "cluster")
    try:
        yield local
    finally:
        local.close()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One running master, with something in its store."""
    local = LocalCluster(tmp_path_factory.mktemp("single") / "cluster")
    try:
        local.up(SINGLE)
        local.kubectl("create", "configmap", "kept")
        yield local
    finally:
        local.close()


@pytest.fixture(scope="module")
def backup(single: LocalCluster) -> Path:
    file = single.dir.parent / "cluster.backup"
    single.kuberaft("backup", str(file))
    return file


# -- topology files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("masters: {cuont: 3}", ["t.yaml:1", "masters.cuont", "did you mean count?"]),
        ("name: x\nworkers: {count: many}", ["t.yaml:2", "workers.count", "'many'", "int"]),
        ("masters: {count: 9}", ["t.yaml:1", "masters.count = 9", "<= 7"]),
        ("workers: {template: {cpu: much}}", ["t.yaml:1", "workers.template.cpu", "'much'", "quantity"]),
        ("masters: {count: 3", ["t.yaml:", "not valid YAML"]),
        ("- one\n- two", ["t.yaml:1", "object"]),
        ("name: \x00", ["t.yaml"]),
    ],
)
def test_a_bad_topology_names_line_field_and_remedy(
    new: LocalCluster, tmp_path: Path, text: str, words: list[str]
) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    said = refused(new, "up", "--detach", "--config", str(file))
    assert [word for word in words if word not in said] == [], said
    assert not new.dir.exists()


def test_a_missing_topology_is_named(new: LocalCluster, tmp_path: Path) -> None:
    assert f"{tmp_path}/none.yaml" in refused(new, "up", "--detach", "--config", f"{tmp_path}/none.yaml")
    assert "single" in refused(new, "up", "--detach", "--config", "nosuch")
    assert not new.dir.exists()


# -- ports and directories


def test_a_taken_api_port_is_named_and_nothing_is_made(new: LocalCluster, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "t.yaml"
        file.write_text(SINGLE.replace("apiPort: 0", f"apiPort: {port}"))
        said = refused(new, "up", "--detach", "--config", str(file))
    assert f"port {port} on 127.0.0.1 is taken" in said
    assert "--api-port" in said
    assert not new.dir.exists()


def free_slot(directory: Path) -> int:
    """One that no other cluster of this machine has."""
    guard = slots.claim_any(str(directory))
    guard.close()
    return guard.slot


@pytest.mark.parametrize("port", [6443, 2380])
def test_a_taken_address_of_a_master_is_named_and_nothing_is_made(
    new: LocalCluster, tmp_path: Path, port: int
) -> None:
    slot = free_slot(tmp_path)
    host = f"127.{64 + 2 * slot}.254.1"
    file = tmp_path / "t.yaml"
    file.write_text(SINGLE + f"network: {{slot: {slot}}}\n")
    with socket.create_server((host, port)):
        said = refused(new, "up", "--detach", "--config", str(file))
    assert f"port {port} on {host} is taken" in said
    assert "ss -ltnp" in said
    assert not new.dir.exists()


def test_a_directory_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    cluster = LocalCluster(tmp_path / "file" / "cluster")
    said = refused(cluster, "up", "--detach", "--config", "single", "--api-port", "0")
    assert f"{tmp_path}/file" in said
    assert "--dir" in said
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    without = "-dac_override,-dac_read_search"  # what lets root write anywhere
    command = [
        *(["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"] if os.geteuid() == 0 else []),
        *(sys.executable, "-m", "components.cluster.cli", "up", "--detach", "--config", "single"),
        *("--api-port", "0", "--dir", str(closed / "cluster")),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1, result.stderr
    assert f"{closed}/cluster: cannot be written: Permission denied" in result.stderr
    assert "--dir" in result.stderr
    assert list(closed.iterdir()) == []


# -- backups


def test_a_damaged_backup_is_refused_and_changes_nothing(
    single: LocalCluster, backup: Path, tmp_path: Path
) -> None:
    good = backup.read_bytes()
    damaged = {
        "cut": good[: len(good) * 2 // 3],
        "empty": b"",
        "altered": good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :],
        "longer": good + b"x",
        "other": b"\x00" * 20_000,
    }
    target = LocalCluster(tmp_path / "target")
    for name, data in damaged.items():
        file = tmp_path / name
        file.write_bytes(data)
        assert str(file) in refused(target, "restore", str(file))
        result = subprocess.run(
            [sys.executable, "-m", "components.cluster.cli", "backup", "verify", str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 1
        assert f"error: {file}: truncated or altered" in result.stderr
        assert "use another backup" in result.stderr
    assert str(tmp_path / "none") in refused(target, "restore", str(tmp_path / "none"))
    assert not target.dir.exists()
    assert {path.name for path in tmp_path.iterdir()} == damaged.keys()


def test_a_restore_over_a_running_cluster_is_refused(single: LocalCluster, backup: Path) -> None:
    said = refused(single, "restore", str(backup))
    assert str(single.dir) in said
    assert "kuberaft down" in said
    assert "kept" in single.kubectl("get", "configmaps", "-o", "name")


def start_and_kill(cluster: LocalCluster, seconds: float, *args: str) -> bool:
    """Run the command and kill it after a while; False when it was done before."""
    command = [sys.executable, "-m", "components.cluster.cli", *args, "--dir", str(cluster.dir)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        return True


def test_a_killed_backup_leaves_no_file_that_looks_like_one(single: LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "b"
    done = time.monotonic()
    single.kuberaft("backup", str(file))
    took = time.monotonic() - done
    file.unlink()
    for part in (0.5, 0.7, 0.8, 0.9, 0.95):
        start_and_kill(single, took * part, "backup", str(file))
        if file.exists():
            single.kuberaft("backup", "verify", str(file))
            file.unlink()
    single.kuberaft("backup", str(file))
    assert [path.name for path in tmp_path.iterdir()] == ["b"], "what killed backups left is gone too"


def test_a_killed_restore_is_taken_back_or_done(single: LocalCluster, backup: Path, tmp_path: Path) -> None:
    """The steps in between, one by one: tests/unit/components/cluster/test_interrupted.py."""
    target = LocalCluster(tmp_path / "cluster")
    for seconds in (0.35, 0.45, 0.55, 0.65):
        start_and_kill(target, seconds, "restore", str(backup))
    single.close()  # both have the one slot that the Services' addresses are of
    start_and_kill(target, 0.6, "restore", str(backup))
    try:
        target.kuberaft("restore", str(backup), "--api-port", "0")
        assert not [path.name for path in target.dir.iterdir() if path.name.startswith(".")]
        target.kuberaft("up", "--detach")
        assert "kept" in target.kubectl("get", "configmaps", "-o", "name")
    finally:
        target.close()
        single.kuberaft("up", "--detach")


# -- disks


def wal(cluster: LocalCluster, master: str) -> Path:
    """The newest segment of a member's log."""
    return sorted((cluster.dir / "masters" / master / "member" / "wal").glob("*.wal"))[-1]


def test_a_damaged_log_stops_one_member_which_then_copies_the_others(new: LocalCluster) -> None:
    new.up(THREE)
    for number in range(3):
        new.kubectl("create", "configmap", f"before-{number}")
    new.close()
    segment = wal(new, "m1")
    damage(segment, segment.stat().st_size // 2)
    result = new.run_kuberaft("up", "--detach")
    assert result.returncode == 0, result.stderr
    assert "warning: m1 exited with code 1 while starting" in result.stdout
    assert str(segment) in result.stdout
    assert "delete this member's data directory" in result.stdout
    assert "Traceback" not in result.stdout + (new.dir / "logs" / "m1.log").read_text()
    new.kubectl("create", "configmap", "without-m1")
    assert str(segment) in new.run_kuberaft("logs", "m1").stdout

    shutil.rmtree(new.dir / "masters" / "m1")
    new.kuberaft("start", "m1")

    def joined() -> bool:
        members = {m["name"]: m for m in new.status()["members"]}
        return "m1" in members and members["m1"]["ready"] and members["m1"]["lag"] < 10

    eventually(joined, "m1 follows the others")
    new.kuberaft("kill", "m2")
    stored = eventually(lambda: new.run_kubectl("get", "configmaps", "-o", "name").stdout, "m1 and m3 serve")
    assert {"configmap/before-0", "configmap/before-2", "configmap/without-m1"} <= set(stored.split())


def test_lost_data_of_a_majority_is_not_mistaken_for_a_new_cluster(new: LocalCluster) -> None:
    new.up(SINGLE)
    new.close()
    shutil.rmtree(new.dir / "masters" / "m1")
    said = refused(new, "up", "--detach")
    assert "the data of m1 is missing" in said
    assert "kuberaft restore FILE" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, just large enough for a start."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=110m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("a small disk can only be made by root")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def fill_but(filler: Path, left: int) -> None:
    """Fill the disk with a file, leaving about so many bytes. The cluster goes on writing meanwhile."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(left))
    os.truncate(filler, max(0, filler.stat().st_size - left))


def test_a_full_disk_stops_the_member_and_loses_nothing(small_disk: Path) -> None:
    cluster = LocalCluster(small_disk / "cluster")
    filler = small_disk / "filler"
    try:
        cluster.up(SINGLE)
        written = []
        fill_but(filler, 65_536)
        for number in range(200):
            result = cluster.run_kubectl(
                "create", "configmap", f"n-{number}", f"--from-literal=data={'x' * 4000}", seconds=20
            )
            if result.returncode != 0:
                break
            written.append(f"configmap/n-{number}")
        eventually(lambda: cluster.status()["processes"][0]["exit"], "the member has stopped", 20.0)
        assert cluster.status()["processes"][0]["exit"] == "exited with code 1"
        log = (cluster.dir / "logs" / "m1.log").read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 300 :]
        # Whatever is said after this line may find no room on the disk itself.
        told = [line for line in log.splitlines() if "this member stops" in line]
        assert len(told) == 1, log
        assert "no space left on" in told[0].lower()  # found by the log or by the database
        assert str(cluster.dir / "masters" / "m1") in told[0]
        assert re.search(r"start (it|the member) again", told[0])

        cluster.close()
        message = refused(cluster, "up", "--detach")
        assert "are free on that disk" in message or "No space left on device" in message
        assert str(cluster.dir) in message
        assert "--dir DIR" in message
        filler.unlink()
        cluster.kuberaft("up", "--detach")
        stored = set(cluster.kubectl("get", "configmaps", "-o", "name").split())
        assert set(written) <= stored
    finally:
        cluster.close()
