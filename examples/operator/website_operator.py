"""Websites become deployments. Run it with ``kopf run --all-namespaces website_operator.py``."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config
from kubernetes.client.rest import ApiException


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    config.load_kube_config()
    settings.networking.error_backoffs = [0.1, 0.5, 1, 2]
    settings.watching.reconnect_backoff = 0.1


@kopf.on.resume("example.com", "v1", "websites", backoff=0.5)
@kopf.on.create("example.com", "v1", "websites", backoff=0.5)
@kopf.on.update("example.com", "v1", "websites", field="spec", backoff=0.5)
def reconcile(name: str, namespace: str, spec: kopf.Spec, body: kopf.Body, **_: Any) -> None:
    """Whatever happened before, the deployment is as the website wants it afterwards; repeated when it fails."""
    wanted = deployment(name, spec)
    kopf.adopt(wanted, owner=body)
    apps = client.AppsV1Api()
    try:
        apps.create_namespaced_deployment(namespace, wanted)
    except ApiException as refused:
        if refused.status != 409 or "AlreadyExists" not in str(refused.body):
            raise
        apps.patch_namespaced_deployment(name, namespace, wanted)


@kopf.on.delete("example.com", "v1", "websites")
def bid_farewell(body: kopf.Body, **_: Any) -> None:
    """kopf holds the website with a finalizer until this is done."""
    kopf.info(body, reason="Farewell", message="the website is closed")


@kopf.on.event("apps", "v1", "deployments", labels={"website": kopf.PRESENT})
def report(name: str, namespace: str, status: kopf.Status, **_: Any) -> None:
    """How many pods are ready, told by the website."""
    ready = {"status": {"readyReplicas": status.get("readyReplicas", 0)}}
    objects = client.CustomObjectsApi()
    try:
        objects.patch_namespaced_custom_object_status("example.com", "v1", namespace, "websites", name, ready)
    except ApiException as refused:
        if refused.status != 404:
            raise


def deployment(name: str, spec: Any) -> dict[str, Any]:
    labels = {"website": name}
    container = {
        "name": "web",
        "image": "kuberaft/echo",
        "env": [{"name": "GREETING", "value": spec["greeting"]}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": spec["replicas"],
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }
