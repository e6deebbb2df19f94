"""What is counted under which labels, and that strangers cannot make more of them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from apiserver.http import metrics_export, request_info
from apiserver.http.metrics import Metrics
from tests.support.served import CONFIG_MAPS, running

PODS = "/api/v1/namespaces/default/pods"


class Pods:
    subresources = {"status": object()}


def metrics() -> Metrics:
    return Metrics(lambda group, version, plural: Pods() if plural == "pods" else None, {})


def labels(found: Metrics, method: str, path: str) -> tuple[str, ...]:
    return found.series(request_info.parse(method, path, {})).labels


def test_labels_are_those_of_the_table() -> None:
    found = metrics()
    assert labels(found, "POST", PODS) == ("POST", "", "v1", "pods", "", "resource")
    assert labels(found, "GET", f"{PODS}/x/status") == ("GET", "", "v1", "pods", "status", "resource")
    assert labels(found, "GET", f"{PODS}/x/own") == ("GET", "", "v1", "pods", "", "resource")
    assert labels(found, "GET", "/metrics") == ("GET", "", "", "", "/metrics", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", PODS + "/x/own{}"), ("GET", PODS + "{}/x"), ("GET", "/x{}"), ("GET{}", "/metrics")],
)
def test_a_stranger_makes_no_series(method: str, path: str) -> None:
    found = metrics()
    for number in range(10):
        labels(found, method.format(number), path.format(number))
    assert len(found.all_series()) == len(found._series) == 1


def test_what_is_asked_for_again_is_the_same_series() -> None:
    found = metrics()
    infos = [request_info.parse("GET", f"{PODS}/{name}", {}) for name in "ab"]
    assert found.series(infos[0]) is found.series(infos[1])
    assert found.all_series() == [found.series(infos[0])]


def test_the_loop_does_not_wait_for_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is counted meanwhile is of the next scrape."""
    begun, go_on = threading.Event(), threading.Event()

    def write(registry: CollectorRegistry) -> bytes:
        begun.set()
        assert go_on.wait(10)
        return generate_latest(registry)

    with running(tmp_path) as server:
        services = server.server.services

        async def scrape() -> None:
            rendering = asyncio.create_task(metrics_export.render(services))
            assert await asyncio.to_thread(begun.wait, 10)
            services.metrics.series(request_info.parse("GET", CONFIG_MAPS, {})).codes[299] += 1
            go_on.set()
            body, _ = await rendering
            assert b'code="299"' not in body
            body, _ = await metrics_export.render(services)
            assert b'code="299"' in body

        monkeypatch.setattr(metrics_export, "generate_latest", write)
        server.run(scrape())
