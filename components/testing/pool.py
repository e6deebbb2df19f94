"""The clusters of one test process: one for each spec that is asked for, at most some at a time.

With pytest-xdist each worker process has a pool, hence clusters, of its own. A reset puts back the whole store,
cluster-scoped objects and definitions too, so two tests cannot share a cluster at the same time.
"""

from __future__ import annotations

from pathlib import Path

from components.cluster.errors import ClusterError
from components.testing.cluster import Cluster
from components.testing.spec import ClusterSpec


class Pool:
    """``limit``: of running clusters; beyond it the one that was asked for least recently is stopped."""

    def __init__(self, root: Path, limit: int) -> None:
        self._root = root
        self._limit = limit
        self._clusters: dict[ClusterSpec, Cluster] = {}
        self._failures: dict[ClusterSpec, ClusterError] = {}
        self._started = 0

    def get(self, spec: ClusterSpec) -> Cluster:
        """Raises ClusterError: at once if a start with this spec has failed before."""
        if spec in self._failures:
            raise self._failures[spec]
        cluster = self._clusters.pop(spec, None)
        if cluster is not None and not cluster.running:
            cluster.stop()
            cluster = None
        if cluster is None:
            self._make_room()
            cluster = self._start(spec)
        self._clusters[spec] = cluster  # the last is the one that was asked for last
        return cluster

    def discard(self, cluster: Cluster) -> None:
        """Nobody gets it again."""
        self._clusters.pop(cluster.spec, None)
        cluster.stop()

    def close(self) -> None:
        while self._clusters:
            self._clusters.popitem()[1].stop()

    def _make_room(self) -> None:
        while len(self._clusters) >= self._limit:
            self._clusters.pop(next(iter(self._clusters))).stop()

    def _start(self, spec: ClusterSpec) -> Cluster:
        self._started += 1
        cluster = Cluster(self._root / f"cluster-{self._started}", spec)
        try:
            cluster.start()
        except BaseException as error:
            cluster.stop()
            if isinstance(error, ClusterError):
                self._failures[spec] = error
            raise
        return cluster
