"""Real clusters for end-to-end tests; each in a folder of its own, ended whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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


SMALL = """\
name: small
masters: {count: 1, apiPort: 0}
workers: {count: 1}
"""


@pytest.fixture(scope="module")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One master and one worker, any free API port: for what needs one node only."""
    local = LocalCluster(tmp_path_factory.mktemp("small"))
    try:
        local.up(SMALL)
        yield local
    finally:
        local.close()
