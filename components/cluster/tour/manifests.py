"""The objects that the tour creates (P). Everything lives in one namespace, which the tour deletes in the end."""

from __future__ import annotations

from typing import Any

NAMESPACE = "tour"
PORT = 8080


def namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def deployment(image: str, replicas: int) -> dict[str, Any]:
    """A web application that says who answered."""
    container = {
        "name": "echo",
        "image": image,
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    }
    pod = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 5, "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": pod},
    }


def service() -> dict[str, Any]:
    """One address in front of the application's pods."""
    ports = [{"name": "http", "port": PORT, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"selector": {"app": "web"}, "ports": ports},
    }


def hungry_pod() -> dict[str, Any]:
    """A pod that no node has room for."""
    requests = {"cpu": "1000", "memory": "2Gi"}
    container = {"name": "main", "image": "kuberaft/pause", "resources": {"requests": requests}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "hungry", "namespace": NAMESPACE},
        "spec": {"containers": [container]},
    }


def config_map(name: str, value: str) -> dict[str, Any]:
    """A small thing to write."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}
