"""A cluster that is restored somewhere else: the site and its clients go on with the new kubeconfig."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from components.client.kubeconfig import ClientConfig, write
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.drills import catalogue
from components.drills.site import Site, lacking, require
from components.drills.sites import elsewhere
from components.drills.spec import Restore, Workload
from components.drills.workload.crew import Crew


def layout(directory: Path, server: str) -> Layout:
    directory.mkdir()
    found = Layout.at(directory)
    write(found.kubeconfig, ClientConfig(server=server, token="t"))
    return found


def test_clients_are_pointed_at_the_new_kubeconfig_each_at_its_own_address(tmp_path: Path) -> None:
    old = layout(tmp_path / "cluster", "http://127.0.0.1:1")
    new = layout(elsewhere(old).root, "http://127.0.0.1:2")
    site = Site("own", frozenset(), old.kubeconfig, old, masters={"m1": "http://127.64.254.1:6443"})
    crew = Crew(site, Workload(), "d-", random.Random(1), lambda kind, call: None)

    async def scene() -> list[str]:
        one, pinned = crew._client(), crew._client("m1")
        before = [one.config.server, pinned.config.server]
        site.move(new)
        crew.move()
        await crew.close()
        return [*before, one.config.server, pinned.config.server]

    master = "http://127.64.254.1:6443"
    assert asyncio.run(scene()) == ["http://127.0.0.1:1", master, "http://127.0.0.1:2", master]
    assert site.directory == new
    assert site.config().server == "http://127.0.0.1:2"


def test_only_a_cluster_of_the_drills_own_is_lost_and_moved() -> None:
    drill = catalogue.find("restore-elsewhere")
    assert [step.addresses for step in drill.timeline if isinstance(step, Restore)] == ["other"]
    assert lacking(drill, frozenset({"processes", "masters", "nodes", "endpoints"})) == ["own-cluster"]


def test_processes_have_to_be_within_reach() -> None:
    for name in ("rolling-upgrade", "expired-certificates"):
        with pytest.raises(ClusterError, match="needs access to the cluster's processes"):
            require(catalogue.find(name), Site("remote", frozenset({"endpoints"})))
