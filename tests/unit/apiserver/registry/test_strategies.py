"""Strategies: defaults, status, generation, deletion, versions, for the kinds with behaviour of their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import codec
from apiserver.api.gvk import GroupVersionKind
from apiserver.registry.strategy import RegistryOptions, Strategy
from apiserver.registry.table import Registry
from apiserver.schema.schemas import Schemas

REGISTRY = Registry.default(RegistryOptions())
SCHEMAS = Schemas.load()
_CONTAINERS = [{"name": "c", "image": "nginx"}]
_TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": _CONTAINERS}}
_SELECTOR = {"matchLabels": {"app": "a"}}


def _strategy(group: str, version: str, plural: str) -> Strategy:
    resource = REGISTRY.lookup(group, version, plural)
    assert resource is not None
    return resource.strategy


def _created(group: str, plural: str, body: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    """Through check, default and prepare; valid."""
    resource = REGISTRY.lookup(group, version, plural)
    assert resource is not None
    metadata = {"name": "t", "uid": "u1", **({"namespace": "ns"} if resource.namespaced else {})}
    obj, complaints = SCHEMAS.check(resource.gvk, {"metadata": metadata, **body})
    assert not complaints
    obj = resource.strategy.from_version(obj, resource.gvr.group_version)
    resource.strategy.default(obj)
    resource.strategy.prepare_for_create(obj)
    assert [error.message() for error in resource.strategy.validate(obj)] == []
    return obj


def test_the_table_holds_every_resource_once() -> None:
    paths = [tuple(resource.gvr) for resource in REGISTRY.resources]
    assert len(paths) == len(set(paths)) > 60
    services = REGISTRY.lookup("", "v1", "services")
    assert services is not None
    assert services.key("ns", "a") == "/registry/services/specs/ns/a"
    assert REGISTRY.kind(GroupVersionKind("apps", "v1", "Deployment")) is not None
    assert REGISTRY.lookup("", "v1", "nothing") is None


def test_versions_of_a_kind_share_strategy_and_storage() -> None:
    old = REGISTRY.lookup("autoscaling", "v1", "horizontalpodautoscalers")
    new = REGISTRY.lookup("autoscaling", "v2", "horizontalpodautoscalers")
    assert old is not None
    assert new is not None
    assert old.strategy is new.strategy
    assert (old.storage_prefix, old.storage_version) == (new.storage_prefix, "autoscaling/v2")


def test_events_of_both_groups_are_stored_alike_and_checked_differently() -> None:
    core = REGISTRY.lookup("", "v1", "events")
    new = REGISTRY.lookup("events.k8s.io", "v1", "events")
    assert core is not None
    assert new is not None
    assert core.strategy is not new.strategy
    assert (new.storage_prefix, new.storage_version) == ("/registry/events", "v1")


def test_deployment_defaults_and_status() -> None:
    body = {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}, "status": {"replicas": 9}}
    obj = _created("apps", "deployments", body)
    assert obj["status"] == {}
    assert obj["metadata"]["generation"] == 1
    assert obj["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert obj["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert "enableServiceLinks" not in obj["spec"]["template"]["spec"]


def test_generation_follows_the_spec_only() -> None:
    strategy = _strategy("apps", "v1", "deployments")
    old = _created("apps", "deployments", {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}})
    same = {**old, "metadata": {**old["metadata"], "labels": {"x": "y"}}, "status": {"replicas": 3}}
    strategy.prepare_for_update(same, old)
    assert same["metadata"]["generation"] == 1
    assert same["status"] == {}
    more = {**old, "metadata": dict(old["metadata"]), "spec": {**old["spec"], "replicas": 5}}
    strategy.prepare_for_update(more, old)
    assert more["metadata"]["generation"] == 2


def test_status_updates_change_nothing_else() -> None:
    strategy = _strategy("apps", "v1", "deployments")
    assert strategy.status is not None
    old = _created("apps", "deployments", {"spec": {"selector": _SELECTOR, "template": _TEMPLATE}})
    new = {**old, "metadata": dict(old["metadata"]), "spec": {"replicas": 7}, "status": {"replicas": 1}}
    strategy.status.prepare_for_update(new, old)
    assert new["spec"] == old["spec"]
    assert new["status"] == {"replicas": 1}


@pytest.mark.parametrize(
    ("pod", "options", "seconds"),
    [
        ({"spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}}, {}, 30),
        ({"spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}}, {"gracePeriodSeconds": 5}, 5),
        ({"spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}}, {"gracePeriodSeconds": 0}, 0),
        ({"spec": {"terminationGracePeriodSeconds": 30}}, {}, 0),
        ({"spec": {"terminationGracePeriodSeconds": -1, "nodeName": "n"}}, {}, 1),
        (
            {"spec": {"terminationGracePeriodSeconds": 30, "nodeName": "n"}, "status": {"phase": "Failed"}},
            {"gracePeriodSeconds": 9},
            0,
        ),
    ],
)
def test_pods_go_gracefully(pod: dict[str, Any], options: dict[str, Any], seconds: int) -> None:
    assert _strategy("", "v1", "pods").graceful_delete(pod, options) == seconds


def test_pod_spec_changes_are_refused_but_images_may_change() -> None:
    strategy = _strategy("", "v1", "pods")
    old = _created("", "pods", {"spec": {"containers": _CONTAINERS}})
    image = {
        **old,
        "spec": {**old["spec"], "containers": [{**old["spec"]["containers"][0], "image": "other"}]},
    }
    assert strategy.validate_update(image, old) == []
    moved = {**old, "spec": {**old["spec"], "hostname": "h"}}
    assert [error.field for error in strategy.validate_update(moved, old)] == ["spec"]


def test_job_selects_its_pods_by_uid() -> None:
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": _CONTAINERS}}}
    obj = _created("batch", "jobs", {"spec": spec})
    assert obj["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u1"}}
    assert obj["spec"]["template"]["metadata"]["labels"]["job-name"] == "t"


def test_secret_text_is_encoded() -> None:
    obj = _created("", "secrets", {"stringData": {"a": "b"}, "data": {"c": "ZA=="}})
    assert obj["data"] == {"a": "Yg==", "c": "ZA=="}
    assert "stringData" not in obj


def test_events_are_served_in_both_versions() -> None:
    strategy = _strategy("", "v1", "events")
    new = {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "p"},
        "note": "n",
        "reportingController": "c",
    }
    core = strategy.from_version(new, "events.k8s.io/v1")
    assert (core["apiVersion"], core["message"], core["reportingComponent"]) == ("v1", "n", "c")
    assert strategy.select_fields(core)["involvedObject.name"] == "p"
    assert strategy.to_version(core, "events.k8s.io/v1")["note"] == "n"


_SCALARS = st.none() | st.booleans() | st.text(max_size=2) | st.lists(st.just(1), max_size=1)
_PART = st.none() | st.dictionaries(
    st.sampled_from(["name", "namespace", "nodeName", "phase", "hostNetwork", "podIP", "other"]), _SCALARS
)
_OBJECT = st.fixed_dictionaries({"metadata": _PART}, optional={"spec": _PART, "status": _PART, "data": _PART})


@pytest.mark.parametrize(
    "strategy",
    [item.strategy for item in REGISTRY.resources if item.strategy.selected_parts is not None],
    ids=lambda strategy: strategy.gvk.kind,
)
@given(obj=_OBJECT)
def test_fields_are_selected_from_an_excerpt_as_from_the_whole(
    strategy: Strategy, obj: dict[str, Any]
) -> None:
    assert strategy.selected_parts is not None
    read = codec.excerpt(strategy.selected_parts)
    assert strategy.select_fields(read(codec.dumps(obj))) == strategy.select_fields(obj)


def test_an_excerpt_of_what_is_no_object_is_read_as_a_whole() -> None:
    read = codec.excerpt({"spec": ("nodeName",)})
    assert read(b'{"spec":3}') == {"spec": 3}
    with pytest.raises(codec.DecodeError):
        read(b'{"spec":')


def test_autoscaler_v1_round_trip() -> None:
    strategy = _strategy("autoscaling", "v1", "horizontalpodautoscalers")
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    body = {"spec": {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 70}}
    stored = _created("autoscaling", "horizontalpodautoscalers", body)
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    assert strategy.to_version(stored, "autoscaling/v1")["spec"]["targetCPUUtilizationPercentage"] == 70


def test_autoscaler_metrics_survive_version_one() -> None:
    strategy = _strategy("autoscaling", "v2", "horizontalpodautoscalers")
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}
    queue = {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "100m"}}
    metrics = [{"type": "Resource", "resource": memory}, {"type": "Pods", "pods": queue}]
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    stored = _created(
        "autoscaling",
        "horizontalpodautoscalers",
        {"spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": metrics}},
        "v2",
    )
    old = strategy.to_version(stored, "autoscaling/v1")
    text = old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"]
    assert text.startswith('[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}')
    assert strategy.from_version(old, "autoscaling/v1")["spec"]["metrics"] == metrics
