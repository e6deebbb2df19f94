"""Topology files: what is accepted, and what each fault says."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.cluster import plan, topology_file
from components.cluster.addresses import Addresses
from components.cluster.commands import up
from components.cluster.layout import Layout
from components.cluster.quantities import seconds, size_in_bytes
from components.cluster.topology import (
    Topology,
    WorkerSpec,
    master_names,
    with_fault_injection,
    with_workers,
    worker_names,
    worker_spec,
)
from components.cluster.topology_file import TopologyError
from components.master import api_config


@pytest.mark.parametrize(
    ("name", "masters", "workers"), [("single", 1, 1), ("ha", 3, 2), ("encrypted", 3, 2), ("large", 3, 10)]
)
def test_the_topologies_that_come_with_the_project(name: str, masters: int, workers: int) -> None:
    topology = topology_file.load(topology_file.find(name))
    assert (len(master_names(topology)), len(worker_names(topology))) == (masters, workers)
    assert topology.name == name


def test_the_schema_for_editors_is_the_one_that_is_checked() -> None:
    stored = (topology_file.CONFIG_DIR / "schema.json").read_bytes()
    assert stored == topology_file.json_schema(), "run: python -m components.cluster.schema"


def test_what_is_written_reads_back_the_same() -> None:
    topology = topology_file.load(topology_file.find("large"))
    assert topology_file.parse(topology_file.dump(topology), "copy") == topology


FAULTS = [
    ("masters: {count: x}", "t:1: masters.count = 'x': Expected int, got str", "odd number"),
    (
        "name: a\nmasters:\n  cuont: 3",
        "t:3: masters.cuont = 3: there is no such field",
        "did you mean count?",
    ),
    (
        "masters:\n  count: 4",
        "t:2: masters.count = 4: 4 masters survive no more failures than 3",
        "use 3 or 5",
    ),
    ("workers:\n  overrides:\n    w9: {}", "t:3: workers.overrides.w9: there is no such worker", "w1 ... w2"),
    ("workers:\n  overrides:\n    w1: {cpu: []}", "t:3: workers.overrides.w1.cpu: Expected", "quantity"),
    ("network: {slot: 99}", "t:1: network.slot = 99: Expected int <= 31", "auto"),
    ("timing: {nodeMonitorPeriod: 5}", "t:1: timing.nodeMonitorPeriod = 5: Expected str", "default: 1s"),
    (
        "masters: {electionTimeout: 200ms}",
        "t:1: masters.electionTimeout = '200ms': the election timeout is under three heartbeats",
        "three times",
    ),
    ("timing: {leaderRenewDeadline: 9s}", "t:1: timing.leaderRenewDeadline = '9s'", "leaderLeaseDuration"),
    ("a: [", "t:2: not valid YAML", "syntax"),
    ("- 1", "t:1: the file: Expected object, got array", ""),
    ("images: [{name: x}]", "t:1: images.[0]: Object missing required field command", ""),
    (
        "workers: {template: {taints: [{key: a, effect: Never}]}}",
        "t:1: workers.template.taints.[0].effect = 'Never'",
        "NoExecute, NoSchedule, PreferNoSchedule",
    ),
]


@pytest.mark.parametrize(("text", "message", "remedy"), FAULTS, ids=[fault[1][:50] for fault in FAULTS])
def test_a_fault_names_file_line_path_value_and_remedy(text: str, message: str, remedy: str) -> None:
    with pytest.raises(TopologyError) as raised:
        topology_file.parse(text, "t")
    assert raised.value.message.startswith(message)
    assert remedy in raised.value.remedy
    assert raised.value.remedy


def test_an_unknown_name_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="use one of encrypted, ha, large, single"):
        topology_file.find("huge")
    with pytest.raises(TopologyError, match="No such file"):
        topology_file.load(topology_file.find(str(tmp_path / "none.yaml")))


def test_a_worker_has_the_templates_fields_and_its_own_over_them() -> None:
    text = (
        "workers: {template: {cpu: 2, labels: {a: x, b: x}}, overrides: {w2: {labels: {b: y}, memory: 1Gi}}}"
    )
    topology = topology_file.parse(text, "t")
    assert worker_spec(topology, "w1") == WorkerSpec(cpu=2, labels={"a": "x", "b": "x"})
    assert worker_spec(topology, "w2") == WorkerSpec(cpu=2, memory="1Gi", labels={"a": "x", "b": "y"})


def test_fewer_workers_drop_the_overrides_of_the_others() -> None:
    topology = with_workers(topology_file.load(topology_file.find("large")), 2)
    assert worker_names(topology) == ["w1", "w2"]
    assert set(topology.workers.overrides) == {"w1", "w2"}


def test_a_dead_worker_is_not_ready_within_ten_seconds_by_default() -> None:
    timing = Topology().timing
    assert seconds(timing.node_monitor_grace_period) + seconds(timing.node_monitor_period) <= 10


@pytest.mark.parametrize(("text", "value"), [("100ms", 0.1), ("1.5s", 1.5), ("1m30s", 90), ("2h", 7200)])
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("512", 512), ("2Gi", 2 << 30), ("3M", 3_000_000)])
def test_sizes(text: str, value: int) -> None:
    assert size_in_bytes(text) == value


@pytest.mark.parametrize("text", ["", "5", "5 s", "-1s", "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


def test_fault_injection_reaches_the_api_servers_if_it_is_asked_for(tmp_path: Path) -> None:
    layout, plain = Layout.at(tmp_path), topology_file.load(topology_file.find("single"))
    for topology, enabled in ((plain, False), (with_fault_injection(plain), True)):
        config = plan.master(topology, Addresses(0), layout, "token", "m1")
        assert api_config(config).enable_fault_injection is enabled
    assert up._with_faults(layout, plain) == with_fault_injection(plain)
    default = topology_file.load(topology_file.find("ha"))
    assert up._with_faults(layout, None) == with_fault_injection(default)
