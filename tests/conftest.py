"""Settings of every test."""

from __future__ import annotations

import gc
import os
from importlib.metadata import entry_points

from hypothesis import HealthCheck, settings

from components.cluster import slots
from components.cluster.topology import MAX_SLOT

PLUGIN = "components.testing.plugin"
INSTALLED = any(found.value == PLUGIN for found in entry_points(group="pytest11"))
# A tree whose entry points have not been installed anew since the plugin came has it all the same.
pytest_plugins = [] if INSTALLED else [PLUGIN]

_worker, _workers = (
    os.environ.get("PYTEST_XDIST_WORKER"),
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)
if _worker is not None and _workers <= MAX_SLOT + 1:  # a cluster that is stopped for a moment keeps its place
    _each = (MAX_SLOT + 1) // _workers
    _first = _each * int(_worker.removeprefix("gw"))
    os.environ[slots.VARIABLE] = f"{_first}-{_first + _each - 1}"

# How long an example takes says something about the machine, not about the product.
settings.register_profile(
    "kuberaft", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("kuberaft")


def pytest_collection_finish() -> None:
    """The thousands of tests live to the end: without this every full collection would look at each again."""
    gc.freeze()
