"""What is counted under which labels, and that strangers cannot make more of them."""

from __future__ import annotations

import pytest

from apiserver.http import request_info
from apiserver.http.metrics import Metrics

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
