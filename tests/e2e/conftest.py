"""Real clusters for end-to-end tests; each in a folder of its own, ended whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.testing.pool import Pool
from components.testing.spec import ClusterSpec
from tests.support.local_cluster import LocalCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """The default topology, running: 3 masters and 2 workers, any free API port."""
    local = LocalCluster(tmp_path_factory.mktemp("cluster"))
    try:
        local.up()
        yield local
    finally:
        local.close()


@pytest.fixture(scope="module")
def small_cluster(kuberaft_pool: Pool) -> Iterator[LocalCluster]:
    """One master and one worker, for what needs one node only: put back after each file, not started anew."""
    cluster = kuberaft_pool.get(ClusterSpec(masters=1, workers=1))
    yield LocalCluster(cluster.layout.root)
    cluster.reset()
