"""Before the first process: every decision and file, or an error that changes nothing."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
import yaml

from components.cluster import files, slots, state, topology_file
from components.cluster.addresses import Addresses
from components.cluster.config import MasterConfig, WorkerConfig, load
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.prepare import prepare
from components.cluster.topology import Masters, Network, Topology, Workers, with_api_port, with_workers

SMALL = Topology(name="t", masters=Masters(count=1, api_port=0), workers=Workers(count=1))


def tree(path: Path) -> list[str]:
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


def test_a_new_cluster_has_everything_its_processes_read(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    prepared = prepare(layout, SMALL)
    try:
        master = load(layout.config_file("m1"), MasterConfig)
        worker = load(layout.config_file("w1"), WorkerConfig)
        addresses = Addresses(prepared.state.slot)
        assert master.store.initial_cluster == {"m1": f"{addresses.master(1)}:2380"}
        assert worker.node_ip == addresses.node(1)
        named = [master.store.tls.cert, master.api.tls.key, master.scheduler_kubeconfig, worker.kubeconfig]
        assert [Path(path).exists() for path in named] == [True] * 4
        user = yaml.safe_load(layout.kubeconfig.read_text())
        port = prepared.api_socket.getsockname()[1]
        assert user["clusters"][0]["cluster"]["server"] == f"https://127.0.0.1:{port}"
        assert layout.kubeconfig.stat().st_mode & 0o777 == 0o600
    finally:
        prepared.close()
    assert not layout.run.exists()


def test_the_second_start_keeps_slot_token_and_topology(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    first = prepare(layout, SMALL)
    first.close()
    second = prepare(layout, None)
    second.close()
    assert (second.state, second.topology) == (first.state, first.topology)


def test_one_cluster_a_directory(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    prepared = prepare(layout, SMALL)
    try:
        before = tree(tmp_path)
        with pytest.raises(ClusterError, match=f"already running there \\(process {os.getpid()}\\)"):
            prepare(layout, None)
        assert tree(tmp_path) == before
    finally:
        prepared.close()


def test_a_taken_port_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ClusterError, match=f"port {port} on 127.0.0.1 is taken") as raised:
            prepare(Layout.at(tmp_path / "a" / "c"), with_api_port(SMALL, port))
    assert "--api-port" in raised.value.remedy
    assert tree(tmp_path) == []


def test_a_taken_slot_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    guard = slots.claim_any(str(tmp_path))
    topology = Topology(masters=SMALL.masters, network=Network(slot=guard.slot))
    with pytest.raises(ClusterError, match=f"slot {guard.slot} is taken"):
        prepare(Layout.at(tmp_path / "c"), topology)
    guard.close()
    assert tree(tmp_path) == []


def test_two_clusters_take_two_slots(tmp_path: Path) -> None:
    one, two = prepare(Layout.at(tmp_path / "1"), SMALL), prepare(Layout.at(tmp_path / "2"), SMALL)
    one.close()
    two.close()
    assert one.state.slot != two.state.slot
    assert one.state.token != two.state.token


def test_the_number_of_masters_cannot_change_but_workers_can(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    prepare(layout, SMALL).close()
    with pytest.raises(ClusterError, match="has 1 masters, the topology asked for has 3"):
        prepare(layout, with_api_port(Topology(), 0))
    prepared = prepare(layout, with_workers(SMALL, 3))
    prepared.close()
    assert layout.config_file("w3").exists()


def test_a_directory_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "config").mkdir()
    with pytest.raises(ClusterError, match=r"holds other things \(thesis\.tex\)"):
        prepare(Layout.at(tmp_path), SMALL)
    assert tree(tmp_path) == ["config", "thesis.tex"]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClusterError, match=f"{tmp_path}/file/c: cannot be written") as raised:
        prepare(Layout.at(tmp_path / "file" / "c"), SMALL)
    assert "--dir" in raised.value.remedy


def test_a_full_disk_is_named_and_leaves_no_half_file() -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("/dev/full is not there")
    error = OSError(28, "No space left on device")
    from components.cluster.layout import unusable

    assert "free some space" in unusable(Path("/x"), error).remedy


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "f"
    files.write_private(target, b"old")

    def full(source: object, destination: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ClusterError, match="No space left"):
        files.write_private(target, b"new")
    assert target.read_bytes() == b"old"
    assert tree(tmp_path) == ["f"]


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path)
    layout.state.write_text("slot: many\n")
    with pytest.raises(ClusterError, match=r"cluster\.yaml: ") as raised:
        state.load(layout)
    assert "restore" in raised.value.remedy


def test_addresses_of_a_slot_do_not_meet_the_next_ones() -> None:
    zero, one = Addresses(0), Addresses(1)
    assert (zero.cluster_cidr, zero.service_cidr) == ("127.64.0.0/16", "127.65.0.0/16")
    assert (one.cluster_cidr, one.service_cidr) == ("127.66.0.0/16", "127.67.0.0/16")
    assert zero.master(1) == "127.64.254.1"
    assert zero.node(2) == "127.64.250.2"
    assert zero.kubernetes_service == "127.65.0.1"


def test_the_default_topology_is_ha() -> None:
    assert topology_file.load(topology_file.find("ha")).masters.count == 3


@pytest.mark.parametrize("text", ["x", "5", "3-2", "0-99", "-1-3", "0-32"])
def test_a_range_of_slots_that_is_none_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(slots.VARIABLE, text)
    with pytest.raises(ClusterError, match=re.escape(f"KUBERAFT_SLOTS={text}: is no range")):
        slots.claim_any(str(tmp_path))


def test_slots_are_taken_from_the_range_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = slots.claim_any(str(tmp_path))
    free.close()
    monkeypatch.setenv(slots.VARIABLE, f"{free.slot}-{free.slot}")
    guard = slots.claim_any(f"{tmp_path}/other")
    try:
        assert guard.slot == free.slot
        with pytest.raises(ClusterError, match="all address slots"):
            slots.claim_any(str(tmp_path))
    finally:
        guard.close()
