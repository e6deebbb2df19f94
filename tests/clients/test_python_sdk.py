"""The official Python SDK, unmodified: typed clients, patches, watches, dynamic client, informer, leader election."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from tests.clients.here import Here

SECONDS = 10
APP = {"app": "web"}


@pytest.fixture(scope="module")
def sdk(api: Here) -> Iterator[client.ApiClient]:
    config.load_kube_config(str(api.kubeconfig))
    with config.new_client_from_config(str(api.kubeconfig)) as found:
        yield found


def template(labels: dict[str, str] = APP, **spec: Any) -> client.V1PodTemplateSpec:
    container = client.V1Container(name="c", image="nginx", ports=[client.V1ContainerPort(container_port=80)])
    return client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container], **spec)
    )


def named(name: str, **more: Any) -> client.V1ObjectMeta:
    return client.V1ObjectMeta(name=name, **more)


def config_map(name: str, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=named(name), data=data)


# (API class, words of its methods, object to be made, change of it): a kind of every shape in twelve groups.
SELECTOR = client.V1LabelSelector(match_labels=APP)
RULES = [client.V1PolicyRule(api_groups=[""], resources=["pods"], verbs=["get"])]
KINDS: list[tuple[type, str, Any]] = [
    (client.CoreV1Api, "namespaced_config_map", lambda m: client.V1ConfigMap(metadata=m, data={"a": "1"})),
    (client.CoreV1Api, "namespaced_secret", lambda m: client.V1Secret(metadata=m, string_data={"a": "1"})),
    (client.CoreV1Api, "namespaced_service", lambda m: client.V1Service(
        metadata=m, spec=client.V1ServiceSpec(selector=APP, ports=[client.V1ServicePort(port=80)]))),
    (client.CoreV1Api, "namespaced_service_account", lambda m: client.V1ServiceAccount(metadata=m)),
    (client.CoreV1Api, "namespaced_persistent_volume_claim", lambda m: client.V1PersistentVolumeClaim(
        metadata=m, spec=client.V1PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            resources=client.V1VolumeResourceRequirements(requests={"storage": "1Gi"})))),
    (client.CoreV1Api, "node", lambda m: client.V1Node(metadata=m)),
    (client.CoreV1Api, "namespaced_resource_quota", lambda m: client.V1ResourceQuota(
        metadata=m, spec=client.V1ResourceQuotaSpec(hard={"requests.storage": "500Gi"}))),
    (client.AppsV1Api, "namespaced_deployment", lambda m: client.V1Deployment(
        metadata=m, spec=client.V1DeploymentSpec(selector=SELECTOR, template=template()))),
    (client.AppsV1Api, "namespaced_stateful_set", lambda m: client.V1StatefulSet(
        metadata=m, spec=client.V1StatefulSetSpec(service_name="s", selector=SELECTOR, template=template()))),
    (client.AppsV1Api, "namespaced_daemon_set", lambda m: client.V1DaemonSet(
        metadata=m, spec=client.V1DaemonSetSpec(selector=SELECTOR, template=template()))),
    (client.BatchV1Api, "namespaced_job", lambda m: client.V1Job(
        metadata=m, spec=client.V1JobSpec(template=template({}, restart_policy="Never")))),
    (client.BatchV1Api, "namespaced_cron_job", lambda m: client.V1CronJob(
        metadata=m, spec=client.V1CronJobSpec(schedule="* * * * *", job_template=client.V1JobTemplateSpec(
            spec=client.V1JobSpec(template=template({}, restart_policy="Never")))))),
    (client.AutoscalingV2Api, "namespaced_horizontal_pod_autoscaler", lambda m: client.V2HorizontalPodAutoscaler(
        metadata=m, spec=client.V2HorizontalPodAutoscalerSpec(
            max_replicas=3, scale_target_ref=client.V2CrossVersionObjectReference(
                api_version="apps/v1", kind="Deployment", name="d")))),
    (client.PolicyV1Api, "namespaced_pod_disruption_budget", lambda m: client.V1PodDisruptionBudget(
        metadata=m, spec=client.V1PodDisruptionBudgetSpec(min_available="50%", selector=SELECTOR))),
    (client.NetworkingV1Api, "namespaced_ingress", lambda m: client.V1Ingress(
        metadata=m, spec=client.V1IngressSpec(default_backend=client.V1IngressBackend(
            service=client.V1IngressServiceBackend(name="s", port=client.V1ServiceBackendPort(number=80)))))),
    (client.RbacAuthorizationV1Api, "namespaced_role", lambda m: client.V1Role(metadata=m, rules=RULES)),
    (client.RbacAuthorizationV1Api, "cluster_role", lambda m: client.V1ClusterRole(metadata=m, rules=RULES)),
    (client.StorageV1Api, "storage_class", lambda m: client.V1StorageClass(metadata=m, provisioner="x.example/y")),
    (client.SchedulingV1Api, "priority_class", lambda m: client.V1PriorityClass(metadata=m, value=5)),
    (client.CoordinationV1Api, "namespaced_lease", lambda m: client.V1Lease(
        metadata=m, spec=client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=5))),
    (client.DiscoveryV1Api, "namespaced_endpoint_slice", lambda m: client.V1EndpointSlice(
        metadata=m, address_type="IPv4", endpoints=[client.V1Endpoint(addresses=["10.1.2.3"])])),
]  # fmt: skip


@pytest.mark.parametrize(("group", "words", "make"), KINDS, ids=[words for _, words, _ in KINDS])
def test_every_verb_of_a_kind(sdk: client.ApiClient, group: type, words: str, make: Any) -> None:
    methods, where = group(sdk), ("default",) if words.startswith("namespaced_") else ()

    def call(verb: str, *args: Any, **more: Any) -> Any:
        return getattr(methods, f"{verb}_{words}")(*args, **more)

    made = call("create", *where, make(named("one", labels={"mine": words})))
    assert made.metadata.uid
    assert call("read", "one", *where).to_dict() == made.to_dict()
    assert [o.metadata.name for o in call("list", *where, label_selector=f"mine={words}").items] == ["one"]
    patched = call("patch", "one", *where, {"metadata": {"annotations": {"a": "b"}}})
    assert patched.metadata.annotations["a"] == "b"
    patched.metadata.annotations = {"a": "c"}
    assert call("replace", "one", *where, patched).metadata.annotations["a"] == "c"
    with pytest.raises(ApiException, match="the object has been modified") as refused:
        call("replace", "one", *where, patched)
    assert refused.value.status == 409
    with pytest.raises(ApiException, match="already exists"):
        call("create", *where, make(named("one")))
    call("patch", "one", *where, {"metadata": {"finalizers": None}})  # a claim is protected by one
    call("delete", "one", *where, grace_period_seconds=0, propagation_policy="Background")
    with pytest.raises(ApiException, match="not found"):
        call("read", "one", *where)


def test_pages_and_selectors(sdk: client.ApiClient) -> None:
    core = client.CoreV1Api(sdk)
    for number in range(5):
        core.create_namespaced_config_map("default", config_map(f"page-{number}"))
    seen, token = [], None
    while token != "":
        page = core.list_namespaced_config_map("default", limit=2, _continue=token)
        seen += [o.metadata.name for o in page.items]
        token = page.metadata._continue or ""
    assert seen == sorted(f"page-{number}" for number in range(5))
    chosen = core.list_namespaced_config_map("default", field_selector="metadata.name=page-3").items
    assert [o.metadata.name for o in chosen] == ["page-3"]
    core.delete_collection_namespaced_config_map("default")
    assert core.list_namespaced_config_map("default").items == []


PATCHES = {
    "application/json-patch+json": [{"op": "add", "path": "/data/b", "value": "2"}],
    "application/merge-patch+json": {"data": {"b": "2"}},
    "application/strategic-merge-patch+json": {"data": {"b": "2"}},
}


@pytest.mark.parametrize("media_type", PATCHES)
def test_a_patch_of_every_type(sdk: client.ApiClient, media_type: str) -> None:
    core = client.CoreV1Api(sdk)
    name = media_type.partition("-")[0].partition("/")[2]
    core.create_namespaced_config_map("default", config_map(name, a="1"))
    changed = core.patch_namespaced_config_map(name, "default", PATCHES[media_type], _content_type=media_type)
    assert changed.data == {"a": "1", "b": "2"}


def test_status_scale_and_eviction(sdk: client.ApiClient) -> None:
    apps, core = client.AppsV1Api(sdk), client.CoreV1Api(sdk)
    body = client.V1Deployment(
        metadata=named("scaled"), spec=client.V1DeploymentSpec(selector=SELECTOR, template=template())
    )
    apps.create_namespaced_deployment("default", body)
    assert (
        apps.patch_namespaced_deployment_scale("scaled", "default", {"spec": {"replicas": 4}}).spec.replicas
        == 4
    )
    status = {"status": {"replicas": 4, "readyReplicas": 3}}
    assert apps.patch_namespaced_deployment_status("scaled", "default", status).status.ready_replicas == 3
    assert apps.read_namespaced_deployment_scale("scaled", "default").status.replicas == 4
    core.create_namespaced_service_account("default", client.V1ServiceAccount(metadata=named("default")))
    core.create_namespaced_pod("default", client.V1Pod(metadata=named("p"), spec=template().spec))
    eviction = client.V1Eviction(
        metadata=named("p"), delete_options=client.V1DeleteOptions(grace_period_seconds=0)
    )
    core.create_namespaced_pod_eviction("p", "default", eviction)
    review = client.V1SelfSubjectAccessReview(
        spec=client.V1SelfSubjectAccessReviewSpec(
            resource_attributes=client.V1ResourceAttributes(verb="get", resource="pods", namespace="default")
        )
    )
    assert client.AuthorizationV1Api(sdk).create_self_subject_access_review(review).status.allowed
    token = core.create_namespaced_service_account_token(
        "default",
        "default",
        client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[])),
    )
    assert token.status.token.count(".") == 2


def test_refusals_are_told(sdk: client.ApiClient) -> None:
    core = client.CoreV1Api(sdk)
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_config_map("default", config_map("UPPER"))
    assert (refused.value.status, "metadata.name: Invalid value" in refused.value.body) == (422, True)
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_config_map("nowhere", config_map("x"))
    assert (refused.value.status, 'namespaces \\"nowhere\\" not found' in refused.value.body) == (404, True)
    with pytest.raises(ApiException) as refused:
        core.patch_namespace("default", {"spec": {"finalizers": 5}})
    assert (refused.value.status, "cannot restore slice from int64" in refused.value.body) == (422, True)


# -- watches


def _names(stream: Iterator[Any], count: int) -> list[tuple[str, str]]:
    return [(e["type"], e["object"].metadata.name) for e in itertools.islice(stream, count)]


def test_a_watch_tells_what_happens(sdk: client.ApiClient) -> None:
    core = client.CoreV1Api(sdk)
    start = core.list_namespaced_secret("default").metadata.resource_version
    core.create_namespaced_secret("default", client.V1Secret(metadata=named("seen")))
    core.patch_namespaced_secret("seen", "default", {"stringData": {"a": "b"}})
    core.delete_namespaced_secret("seen", "default")
    watching = watch.Watch()
    stream = watching.stream(
        core.list_namespaced_secret, "default", resource_version=start, timeout_seconds=SECONDS
    )
    assert _names(stream, 3) == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")]
    stream.close()


def test_a_watch_of_the_forgotten_past_ends_with_410(api: Here, sdk: client.ApiClient) -> None:
    core = client.CoreV1Api(sdk)
    core.create_namespaced_config_map("default", config_map("before"))
    api.forget()
    with pytest.raises(ApiException) as refused:
        next(watch.Watch().stream(core.list_namespaced_config_map, "default", resource_version="1"))
    assert (refused.value.status, "Expired: too old resource version" in refused.value.reason) == (410, True)
    core.delete_namespaced_config_map("before", "default")


def test_an_informer_outlives_cut_connections_and_a_forgotten_past(api: Here, sdk: client.ApiClient) -> None:
    """Its cache has what the server has in the end, and every object was told once."""
    core, told = client.CoreV1Api(sdk), queue.Queue[str]()
    informer = SharedInformer(core.list_namespaced_config_map, namespace="default", label_selector="informed")
    informer.add_event_handler("ADDED", lambda o: told.put(o.metadata.name))

    def make(name: str) -> None:
        body = client.V1ConfigMap(metadata=named(name, labels={"informed": ""}))
        core.create_namespaced_config_map("default", body)
        assert told.get(timeout=SECONDS) == name

    informer.start()
    try:
        make("first")
        assert api.cut() > 0
        make("second")
        informer._resource_version = "1"  # as if it had been asleep since the beginning
        api.forget()
        api.cut()
        make("third")
        assert told.empty()
        assert sorted(o.metadata.name for o in informer.cache.list()) == ["first", "second", "third"]
    finally:
        informer.stop()


# -- the dynamic client


@pytest.fixture(scope="module")
def dyn(sdk: client.ApiClient, tmp_path_factory: pytest.TempPathFactory) -> dynamic.DynamicClient:
    return dynamic.DynamicClient(sdk, cache_file=str(tmp_path_factory.mktemp("discovery") / "cache"))


def test_the_dynamic_client_finds_everything(
    sdk: client.ApiClient, dyn: dynamic.DynamicClient, tmp_path: Path
) -> None:
    assert dyn.version["kubernetes"]["gitVersion"].startswith("v1.")
    deployments = dyn.resources.get(api_version="apps/v1", kind="Deployment")
    assert (deployments.name, deployments.namespaced) == ("deployments", True)
    assert "scale" in deployments.subresources
    assert {"v1", "apps/v1", "batch/v1"} <= {r.group_version for r in dyn.resources.search(preferred=True)}
    again = dynamic.DynamicClient(sdk, cache_file=dyn.resources._Discoverer__cache_file)
    assert again.resources.get(api_version="v1", kind="Pod").name == "pods"


def test_the_dynamic_client_changes_objects(dyn: dynamic.DynamicClient) -> None:
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")
    body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "dyn"}, "data": {"a": "1"}}
    made = maps.create(body=body, namespace="default")
    patched = maps.patch(
        name="dyn",
        namespace="default",
        body={"data": {"b": "2"}},
        content_type="application/merge-patch+json",
    )
    assert patched.data.to_dict() == {"a": "1", "b": "2"}
    with pytest.raises(ConflictError):
        maps.replace(body={**body, "metadata": {**made.metadata.to_dict()}}, namespace="default")
    since = made.metadata.resourceVersion
    events = maps.watch(namespace="default", resource_version=since, timeout=SECONDS)
    assert next(events)["object"].data.to_dict() == {"a": "1", "b": "2"}
    events.close()
    maps.delete(name="dyn", namespace="default")
    with pytest.raises(NotFoundError):
        maps.get(name="dyn", namespace="default")


def test_server_side_apply(dyn: dynamic.DynamicClient) -> None:
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")

    def apply(manager: str, data: dict[str, str], **more: Any) -> Any:
        body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "applied"}, "data": data}
        return maps.server_side_apply(body=body, namespace="default", field_manager=manager, **more)

    assert apply("one", {"a": "1", "b": "1"}).data.to_dict() == {"a": "1", "b": "1"}
    with pytest.raises(ConflictError, match='conflict with \\\\"one\\\\"'):
        apply("two", {"a": "2"})
    assert apply("two", {"a": "2"}, force_conflicts=True).data.to_dict() == {"a": "2", "b": "1"}
    assert apply("one", {"b": "1"}).data.to_dict() == {"a": "2", "b": "1"}
    assert [m.manager for m in maps.get(name="applied", namespace="default").metadata.managedFields] == [
        "one",
        "two",
    ]


# -- helpers


def test_a_file_of_several_objects(sdk: client.ApiClient, tmp_path: Path) -> None:
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "filed"}},
        {"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "filed"}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
             "metadata": {"name": "r", "namespace": "filed"}, "rules": []}]},
    ]  # fmt: skip
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    utils.create_from_yaml(sdk, str(file))
    assert client.CoreV1Api(sdk).read_namespaced_config_map("c", "filed").metadata.uid
    with pytest.raises(utils.FailToCreateError) as failed:
        utils.create_from_yaml(sdk, str(file))
    assert [error.status for error in failed.value.api_exceptions] == [409, 409, 409]


def test_one_of_two_leads(api: Here) -> None:
    """The elector of the SDK: the second sees the first's lease and waits."""
    config.load_kube_config(str(api.kubeconfig))
    leading = queue.Queue[str]()

    def elector(identity: str) -> leaderelection.LeaderElection:
        chosen = electionconfig.Config(
            LeaseLock("leader", "default", identity),
            lease_duration=15,
            renew_deadline=10,
            retry_period=1,
            onstarted_leading=lambda: leading.put(identity),
            onstopped_leading=lambda: None,
        )
        return leaderelection.LeaderElection(chosen)

    first, second = elector("first"), elector("second")
    assert first.try_acquire_or_renew()
    assert not second.try_acquire_or_renew()
    assert first.try_acquire_or_renew()
    held = client.CoordinationV1Api().read_namespaced_lease("leader", "default").spec
    assert (held.holder_identity, held.lease_duration_seconds) == ("first", 15)
