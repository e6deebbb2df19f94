"""What a website becomes, and that this is so whatever the API server does."""

from __future__ import annotations

from typing import Any

import pytest

from components.testing.faults import fault
from components.testing.handle import Kuberaft


def website(name: str = "shop", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Website", "metadata": {"name": name}, "spec": spec}


def greeting(deployment: dict[str, Any]) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])


def test_a_website_runs_changes_and_goes(kuberaft: Kuberaft) -> None:
    kuberaft.create(website(replicas=2))
    kuberaft.wait_for("websites", "shop", lambda o: o["status"]["readyReplicas"] == 2)
    assert {pod["status"]["phase"] for pod in kuberaft.list("pods", labels="website=shop")} == {"Running"}

    kuberaft.patch("websites", "shop", {"spec": {"greeting": "welcome"}})
    kuberaft.wait_for("deployments", "shop", lambda o: greeting(o) == "welcome")

    kuberaft.delete("websites", "shop")
    kuberaft.wait_for("websites", "shop", "deleted")
    kuberaft.wait_for("deployments", "shop", "deleted")  # by the garbage collector
    assert "Farewell" in [event["reason"] for event in kuberaft.list("events")]


def test_the_next_test_finds_nothing(kuberaft: Kuberaft) -> None:
    assert kuberaft.list("websites", namespace="*") == []


FAULTS = {
    "too many requests": fault("429", retry_after=1, verbs=["create"], resources=["deployments"], first=1),
    "a server error": fault("500", verbs=["create"], resources=["deployments"], first=1),
    "an answer that is lost": fault(
        "drop", after_effect=True, verbs=["create"], resources=["deployments"], first=1
    ),
    "an API server that is slow": fault("delay", seconds=0.5, resources=["deployments"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_website_gets_its_deployment_in_spite_of(name: str, kuberaft: Kuberaft) -> None:
    kuberaft.cluster.add_fault(FAULTS[name])
    kuberaft.create(website(replicas=0))
    kuberaft.wait_for("deployments", "shop", lambda o: o["spec"]["replicas"] == 0)
