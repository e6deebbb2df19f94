"""The pytest plugin (entry point ``pytest11``): options, the marker ``kuberaft``, the fixtures `kuberaft_cluster` and
`kuberaft`. See docs/testing.md.

Loaded by every pytest that runs where kuberaft is installed, so it imports the rest only when a fixture is used.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from components.testing.cluster import Cluster
    from components.testing.handle import Kuberaft
    from components.testing.pool import Pool
    from components.testing.spec import ClusterSpec

_OPTIONS = (
    ("kuberaft_masters", "1", "Masters of the clusters that tests get: 1 or 3."),
    ("kuberaft_workers", "0", "Workers: without one, no pod runs."),
    ("kuberaft_topology", "", "A topology file (docs/topology.md) for everything else."),
    ("kuberaft_clusters", "2", "Clusters that run at the same time in one test process, at most."),
)
_MARKER = "kuberaft(masters=N, workers=N, faults=[...]): the cluster that a test needs (docs/testing.md)"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kuberaft", "clusters of kuberaft")
    for name, default, text in _OPTIONS:
        parser.addini(name, text, default=default)
        group.addoption(f"--{name.replace('_', '-')}", dest=name, default=None, metavar="VALUE", help=text)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def kuberaft_pool(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """The clusters of this test process."""
    from components.testing.pool import Pool

    limit = _number(pytestconfig, "kuberaft_clusters")
    pool = Pool(tmp_path_factory.mktemp("kuberaft"), max(1, limit))
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def kuberaft_cluster(kuberaft_pool: Pool, pytestconfig: pytest.Config) -> Cluster:
    """The cluster that the options describe, running. Nothing is reset: that is what `kuberaft` does."""
    return _running(kuberaft_pool, _spec(pytestconfig))


@pytest.fixture
def kuberaft(
    request: pytest.FixtureRequest, kuberaft_pool: Pool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kuberaft]:
    """A namespace of its own in a cluster that is as it was when it started; put back after the test."""
    from components.testing.handle import Kuberaft, namespace_for

    words = _words(request.node)
    cluster = _running(kuberaft_pool, _marked(_spec(request.config), words))
    name = namespace_for(request.node.name, next(_numbers))
    found = Kuberaft(cluster, name, tmp_path_factory.getbasetemp())
    try:
        found.open(words.get("faults", ()))
        yield found
    finally:
        found.close()
        _reset(kuberaft_pool, cluster)


_numbers = itertools.count(1)


def _running(pool: Pool, spec: ClusterSpec) -> Cluster:
    from components.cluster.errors import ClusterError

    try:
        return pool.get(spec)
    except ClusterError as error:
        pytest.fail(str(error), pytrace=False)


def _reset(pool: Pool, cluster: Cluster) -> None:
    """A cluster that does not go back is not used again."""
    try:
        if cluster.running:
            cluster.reset()
    except BaseException:
        pool.discard(cluster)
        raise


def _words(node: pytest.Item) -> dict[str, Any]:
    """What the markers say, the nearest last."""
    words: dict[str, Any] = {}
    for marker in reversed([*node.iter_markers("kuberaft")]):
        if marker.args:
            _wrong(f"{node.nodeid}: @pytest.mark.kuberaft takes words only, such as masters=3")
        words.update(marker.kwargs)
    return words


def _spec(config: pytest.Config) -> ClusterSpec:
    from components.testing.spec import BadRequest, ClusterSpec

    topology = _option(config, "kuberaft_topology")
    try:
        return ClusterSpec(
            _number(config, "kuberaft_masters"),
            _number(config, "kuberaft_workers"),
            str((Path(config.rootpath) / topology).resolve()) if topology else "",
        ).checked()
    except BadRequest as error:
        _wrong(str(error))


def _marked(spec: ClusterSpec, words: dict[str, Any]) -> ClusterSpec:
    from components.testing.spec import BadRequest

    try:
        return spec.marked(words)
    except BadRequest as error:
        _wrong(str(error))


def _option(config: pytest.Config, name: str) -> str:
    value = config.getoption(name)
    return str(config.getini(name) if value is None else value)


def _number(config: pytest.Config, name: str) -> int:
    value = _option(config, name)
    if not value.isdigit():
        _wrong(f"{name}={value!r}: a number is expected")
    return int(value)


def _wrong(text: str) -> NoReturn:
    pytest.fail(text, pytrace=False)
