"""What a user of kubectl sees: real kubectl on a running cluster; every test has a namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.manifests import config_map, deployment, host_pod
from tests.support.local_cluster import LocalCluster, eventually
from tests.support.tools import require_tool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

ONE_OF_EACH = "{name: one, masters: {count: 1, apiPort: 0}, workers: {count: 1}}"
NODE = "w1"


class Kubectl:
    """kubectl with a namespace of its own. `k(...)` is the output of a success, `k.fails(...)` that of a failure."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.cluster.run_kubectl("-n", self.namespace, *args, stdin=stdin)

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *args, stdin=stdin)

    def fails(self, *args: str, stdin: str | None = None) -> str:
        result = self.run(*args, stdin=stdin)
        assert result.returncode == 1, f"{args} ended with {result.returncode}: {result.stdout}"
        return result.stderr

    def get(self, *args: str) -> dict[str, Any]:
        return self.cluster.get("-n", self.namespace, *args)

    def apply(self, manifest: str) -> str:
        return self("apply", "-f", "-", stdin=manifest)

    def rows(self, *args: str) -> list[list[str]]:
        """The cells of a table without its header."""
        return [line.split() for line in self("get", *args, "--no-headers").splitlines()]

    def roll_out(self, name: str) -> None:
        output = self("rollout", "status", f"deployment/{name}", "--timeout=30s")
        assert f'deployment "{name}" successfully rolled out' in output

    def edit(self, script: str, *args: str) -> str:
        """`kubectl edit` with sed as the editor."""
        command = [require_tool("kubectl"), "--kubeconfig", str(self.cluster.kubeconfig)]
        env = {**os.environ, "KUBE_EDITOR": f"sed -i {script}"}
        result = subprocess.run(
            [*command, "-n", self.namespace, "edit", *args],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env=env,
        )
        return result.stdout


@pytest.fixture(scope="module")
def one_of_each(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """One master and one worker: no test here is about failures."""
    local = LocalCluster(tmp_path_factory.mktemp("kubectl") / "cluster")
    try:
        local.up(ONE_OF_EACH)
        yield local
    finally:
        local.close()


@pytest.fixture
def k(one_of_each: LocalCluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    name: str = request.node.name.removeprefix("test_").replace("_", "-")
    one_of_each.apply(f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}")
    yield Kubectl(one_of_each, name)
    one_of_each.kubectl("delete", "namespace", name, "--wait=false")


def test_kubectl_speaks_http2(one_of_each: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GODEBUG", "http2debug=1")
    told = one_of_each.run_kubectl("get", "namespaces").stderr
    assert (
        "http2: Transport received HEADERS" in told
        or 'http2: decoded hpack field header field ":status"' in told
    )


def test_get_in_every_output_format(k: Kubectl) -> None:
    k.apply(deployment("web", replicas=2) + config_map("conf", a="1"))
    k.roll_out("web")
    header, *rows = k("get", "pods", "-o", "wide").splitlines()
    assert header.split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert [(row.split()[1], row.split()[2], row.split()[6]) for row in rows] == [
        ("1/1", "Running", NODE)
    ] * 2
    names = sorted(row.split()[0] for row in rows)
    assert k("get", "pods", "-o", "name").split() == [f"pod/{name}" for name in names]
    assert k("get", "pods", "-o", "jsonpath={.items[*].metadata.name}").split() == names
    columns = k("get", "pods", "-o", "custom-columns=N:.metadata.name,P:.status.phase").split()
    assert columns == ["N", "P", names[0], "Running", names[1], "Running"]
    assert k("get", "cm", "conf", "-o", "yaml").startswith(
        'apiVersion: v1\ndata:\n  a: "1"\nkind: ConfigMap\n'
    )
    assert k("get", "cm", "conf", "-o", "go-template={{.data.a}}") == "1"
    assert k("get", "pods", "-L", "app", "--no-headers").split()[5] == "web"
    assert "app=web,pod-template-hash=" in k("get", "pods", "--show-labels")
    assert k.rows("deploy,rs")[0][:4] == ["deployment.apps/web", "2/2", "2", "2"]
    everything = k("get", "all")
    assert all(kind in everything for kind in ("pod/web-", "deployment.apps/web", "replicaset.apps/web-"))


def test_get_selects_sorts_and_pages(k: Kubectl) -> None:
    k.apply(
        config_map("b", labels="{set: one}")
        + config_map("a", labels="{set: two}")
        + host_pod("p", "sleep 60")
    )
    assert [row[0] for row in k.rows("cm", "-l", "set in (one,two)", "--chunk-size=1")] == ["a", "b"]
    assert [row[0] for row in k.rows("cm", "-l", "set!=one,set", "--sort-by=.metadata.name")] == ["a"]
    assert [row[0] for row in k.rows("cm", "--field-selector=metadata.name=b")] == ["b"]
    k("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
    assert [
        row[0] for row in k.rows("pods", "--field-selector=status.phase=Running,spec.nodeName=" + NODE)
    ] == ["p"]
    assert {row[0] for row in k.rows("pods", "-A")} >= {k.namespace}
    assert "field label not supported: foo" in k.fails("get", "pods", "--field-selector=foo=bar")
    assert k.fails("get", "pods", "nope") == 'Error from server (NotFound): pods "nope" not found\n'
    assert k.fails("get", "foos") == 'error: the server doesn\'t have a resource type "foos"\n'
    assert k.run("get", "deploy").stderr == f"No resources found in {k.namespace} namespace.\n"


def test_get_watch(k: Kubectl) -> None:
    k.apply(config_map("conf"))
    command = [require_tool("kubectl"), "--kubeconfig", str(k.cluster.kubeconfig), "-n", k.namespace]
    arguments = [
        "get",
        "cm",
        "-w",
        "--output-watch-events",
        "--no-headers",
        "--field-selector=metadata.name!=kube-root-ca.crt",
    ]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        try:
            assert watch.stdout.readline().split()[:3] == ["ADDED", "conf", "0"]
            k("patch", "cm", "conf", "-p", '{"data": {"a": "1"}}')
            assert watch.stdout.readline().split()[:3] == ["MODIFIED", "conf", "1"]
            k("delete", "cm", "conf")
            assert watch.stdout.readline().split()[:3] == ["DELETED", "conf", "1"]
        finally:
            watch.terminate()


def test_describe(k: Kubectl) -> None:
    k.apply(deployment("web", replicas=1) + config_map("conf", a="one"))
    k.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: sec}\nstringData: {password: hunter2}")
    k.roll_out("web")
    k("expose", "deployment", "web", "--port=80", "--target-port=http")
    ip = k.get("pods")["items"][0]["status"]["podIP"]
    wanted = {
        "pod": [
            "Successfully assigned",
            "Container started",
            "Controlled By:  ReplicaSet/web-",
            "Ready                       True",
        ],
        "deployment web": [
            "1 desired | 1 updated | 1 total | 1 available | 0 unavailable",
            "NewReplicaSetAvailable",
            "Scaled up replica set web-",
        ],
        "replicaset": [
            "Controlled By:  Deployment/web",
            "1 Running / 0 Waiting / 0 Succeeded / 0 Failed",
            "Created pod: web-",
        ],
        "configmap conf": ["a:\n----\none\n"],
        "secret sec": ["password:  7 bytes"],
        f"node {NODE}": ["KubeletReady", "Non-terminated Pods:", "HolderIdentity:  w1"],
        f"namespace {k.namespace}": ["Status:       Active"],
    }
    for what, parts in wanted.items():
        text = k("describe", *what.split())
        missing = [part for part in parts if part not in text]
        assert not missing, f"kubectl describe {what} lacks {missing}:\n{text}"
    eventually(lambda: f"{ip}:8080" in k("describe", "service", "web"), "the service's endpoint")
    eventually(lambda: f"Addresses:  {ip}" in k("describe", "endpointslice"), "the slice's endpoint")
    reasons = {line.split()[2] for line in k("events").splitlines()[1:]}
    assert {"Scheduled", "Started", "SuccessfulCreate", "ScalingReplicaSet"} <= reasons


def test_apply_again_diff_dry_run_prune(k: Kubectl) -> None:
    first, second = config_map("conf", a="1", b="2"), config_map("conf", b="3", c="4")
    assert k.apply(first) == "configmap/conf created\n"
    assert k.apply(first) == "configmap/conf unchanged\n"
    assert k("diff", "-f", "-", stdin=first) == ""
    result = k.run("diff", "-f", "-", stdin=second)
    assert result.returncode == 1
    assert '-  a: "1"\n' in result.stdout
    assert '+  c: "4"\n' in result.stdout
    for mode, note in (("client", "dry run"), ("server", "server dry run")):
        assert (
            k("apply", f"--dry-run={mode}", "-f", "-", stdin=second)
            == f"configmap/conf configured ({note})\n"
        )
    assert k.get("cm", "conf")["data"] == {"a": "1", "b": "2"}
    assert k.apply(second) == "configmap/conf configured\n"
    assert k.get("cm", "conf")["data"] == {"b": "3", "c": "4"}
    k.apply(config_map("keep", labels="{set: one}", a="1") + config_map("drop", labels="{set: one}"))
    prune = ("apply", "--prune", "-l", "set=one", "--prune-allowlist=core/v1/ConfigMap", "-f", "-")
    output = k(*prune, stdin=config_map("keep", labels="{set: one}", a="1"))
    assert output == "configmap/keep unchanged\nconfigmap/drop pruned\n"


def test_refusals_say_why(k: Kubectl) -> None:
    pod = host_pod("p", "true")
    unknown = k.fails("apply", "-f", "-", stdin=pod.replace("image:", "imagge: x, image:"))
    assert 'strict decoding error: unknown field "spec.containers[0].imagge"' in unknown
    invalid = k.fails("create", "-f", "-", stdin=pod.replace("name: p", "name: Bad_Name"))
    assert invalid.startswith('The Pod "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name"')
    k.apply(config_map("conf"))
    twice = k.fails("create", "-f", "-", stdin=config_map("conf"))
    assert "Error from server (AlreadyExists)" in twice
    assert 'configmaps "conf" already exists' in twice
    for body in ("apiVersion: v1\nkind: Foo", "apiVersion: apps/v2\nkind: Deployment"):
        text = k.fails("apply", "-f", "-", stdin=f"{body}\nmetadata: {{name: x}}\n")
        kind, version = body.split()[3], body.split()[1]
        assert f'no matches for kind "{kind}" in version "{version}"' in text
    for args in (["top", "nodes"], ["top", "pods"]):
        assert k.fails(*args) == "error: Metrics API not available\n"


def test_edit_patch_replace(k: Kubectl) -> None:
    k.apply(config_map("conf", a="1") + deployment("web", replicas=0))
    assert k.edit("s/a:.*1.*/a:\\ two/", "cm", "conf") == "configmap/conf edited\n"
    assert k.get("cm", "conf")["data"] == {"a": "two"}
    assert k("patch", "cm", "conf", "-p", '{"data": {"b": "2"}}') == "configmap/conf patched\n"
    assert (
        k("patch", "cm", "conf", "--type=merge", "-p", '{"data": {"a": null}}') == "configmap/conf patched\n"
    )
    again = k("patch", "cm", "conf", "--type=merge", "-p", '{"data": {"a": null}}')
    assert again == "configmap/conf patched (no change)\n"
    k("patch", "cm", "conf", "--type=json", "-p", '[{"op": "add", "path": "/data/c", "value": "3"}]')
    assert k.get("cm", "conf")["data"] == {"b": "2", "c": "3"}
    container = {"name": "echo", "env": [{"name": "X", "value": "1"}]}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    k("patch", "deploy", "web", "-p", json.dumps(template))
    (merged,) = k.get("deploy", "web")["spec"]["template"]["spec"]["containers"]
    assert merged["env"] == [{"name": "X", "value": "1"}]
    assert merged["image"] == "kuberaft/echo:v1"
    k("patch", "deploy", "web", "--subresource=scale", "--type=merge", "-p", '{"spec": {"replicas": 1}}')
    assert k.get("deploy", "web")["spec"]["replicas"] == 1
    refused = k.fails("patch", "deploy", "web", "-p", '{"spec": {"replicas": "x"}}')
    assert "unrecognized type: int32" in refused
    changed = k.get("cm", "conf") | {"data": {"z": "26"}}
    assert k("replace", "-f", "-", stdin=json.dumps(changed)) == "configmap/conf replaced\n"
    assert "the object has been modified" in k.fails("replace", "-f", "-", stdin=json.dumps(changed))
    assert "configmap/conf replaced" in k("replace", "--force", "-f", "-", stdin=config_map("conf", y="25"))
    assert k.get("cm", "conf")["data"] == {"y": "25"}


def test_label_annotate_set(k: Kubectl) -> None:
    k.apply(config_map("conf") + deployment("web", replicas=0))
    assert k("label", "cm", "conf", "a=1") == "configmap/conf labeled\n"
    assert "already has a value (1), and --overwrite is false" in k.fails("label", "cm", "conf", "a=2")
    assert k("label", "cm", "conf", "a=2", "--overwrite") == "configmap/conf labeled\n"
    assert k("label", "cm", "conf", "a-") == "configmap/conf unlabeled\n"
    assert k("annotate", "cm", "conf", "note=hi") == "configmap/conf annotated\n"
    metadata = k.get("cm", "conf")["metadata"]
    assert "labels" not in metadata
    assert metadata["annotations"]["note"] == "hi"
    k("set", "image", "deploy/web", "echo=kuberaft/echo:v2")
    k("set", "env", "deploy/web", "A=b")
    k("set", "resources", "deploy/web", "--requests=cpu=20m", "--limits=memory=64Mi")
    (container,) = k.get("deploy", "web")["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == ("kuberaft/echo:v2", [{"name": "A", "value": "b"}])
    assert container["resources"] == {"limits": {"memory": "64Mi"}, "requests": {"cpu": "20m"}}


def test_scale_and_rollout(k: Kubectl) -> None:
    k.apply(deployment("web", replicas=1))
    k.roll_out("web")
    fields = "{.metadata.generation} {.metadata.annotations['deployment\\.kubernetes\\.io/revision']}"
    assert (
        k("get", "deploy/web", "-o", f"jsonpath={fields}") == "1 1"
    )  # the revision is written with the status
    assert k("scale", "deploy/web", "--replicas=2") == "deployment.apps/web scaled\n"
    assert "Expected replicas to be 7, was 2" in k.fails(
        "scale", "deploy/web", "--replicas=1", "--current-replicas=7"
    )
    k("autoscale", "deploy/web", "--min=1", "--max=4", "--cpu-percent=50")
    assert k.rows("hpa")[0][:2] == ["web", "Deployment/web"]
    k("set", "image", "deploy/web", "echo=kuberaft/echo:v2")
    k("annotate", "deploy/web", "kubernetes.io/change-cause=second")
    k.roll_out("web")
    assert k("rollout", "history", "deploy/web").split()[-4:] == ["1", "<none>", "2", "second"]
    assert "kuberaft/echo:v1" in k("rollout", "history", "deploy/web", "--revision=1")
    assert k("rollout", "undo", "deploy/web") == "deployment.apps/web rolled back\n"
    k.roll_out("web")
    assert image_of(k) == "kuberaft/echo:v1"
    k("rollout", "undo", "deploy/web", "--to-revision=2")
    assert image_of(k) == "kuberaft/echo:v2"
    assert "unable to find specified revision 99" in k.fails(
        "rollout", "undo", "deploy/web", "--to-revision=99"
    )
    k.roll_out("web")
    assert k("rollout", "pause", "deploy/web") == "deployment.apps/web paused\n"
    k("set", "env", "deploy/web", "A=b")
    assert "cannot rollback a paused deployment" in k.fails("rollout", "undo", "deploy/web")
    assert len(k.rows("rs")) == 2
    assert k("rollout", "resume", "deploy/web") == "deployment.apps/web resumed\n"
    k.roll_out("web")
    assert len(k.rows("rs")) == 3
    assert k("rollout", "restart", "deploy/web") == "deployment.apps/web restarted\n"
    k.roll_out("web")


def image_of(k: Kubectl) -> str:
    return k("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}")


def test_delete(k: Kubectl) -> None:
    k.apply(config_map("a", labels="{x: z}") + config_map("b", labels="{x: z}") + config_map("c"))
    assert k("delete", "cm", "-l", "x=z") == 'configmap "a" deleted\nconfigmap "b" deleted\n'
    assert k("delete", "-f", "-", stdin=config_map("c")) == 'configmap "c" deleted\n'
    assert k.fails("delete", "cm", "c") == 'Error from server (NotFound): configmaps "c" not found\n'
    assert k("delete", "cm", "c", "--ignore-not-found") == ""
    k.apply(config_map("d"))
    assert 'configmap "d" deleted' in k("delete", "cm", "--all")
    k.apply(host_pod("stubborn", "trap '' TERM; sleep 60", grace=30) + host_pod("quick", "sleep 60", grace=1))
    k("wait", "--for=condition=Ready", "pod", "--all", "--timeout=20s")
    assert k("delete", "pod", "quick", "--now") == 'pod "quick" deleted\n'
    assert k("delete", "pod", "stubborn", "--wait=false") == 'pod "stubborn" deleted\n'
    assert k.get("pod", "stubborn")["metadata"]["deletionGracePeriodSeconds"] == 30
    assert k("delete", "pod", "stubborn", "--force") == 'pod "stubborn" force deleted\n'
    assert k.rows("pods") == []


def test_delete_cascades(k: Kubectl) -> None:
    k.apply(deployment("web", replicas=1))
    k.roll_out("web")
    k("delete", "deploy", "web", "--cascade=orphan")
    (replica_set,) = eventually(
        lambda: [rs for rs in k.get("rs")["items"] if "ownerReferences" not in rs["metadata"]], "an orphan"
    )
    k.apply(deployment("web", replicas=1))
    k.roll_out("web")
    (adopted,) = k.get("rs")["items"]
    assert adopted["metadata"]["uid"] == replica_set["metadata"]["uid"]
    k("delete", "deploy", "web", "--cascade=foreground")
    assert k("get", "rs,pods", "-o", "name") == ""
    k.apply(deployment("web", replicas=1))
    k.roll_out("web")
    k("delete", "deploy", "web")
    eventually(lambda: k("get", "rs,pods", "-o", "name") == "", "what it owned is collected")


def test_logs(k: Kubectl) -> None:
    counting = "for i in 1 2 3; do echo line $i; done; echo end; exec sleep 60"
    k.apply(host_pod("talk", counting, labels="{a: log}") + host_pod("crash", "echo boom; exit 2"))
    k("wait", "--for=condition=Ready", "pod/talk", "--timeout=20s")
    eventually(lambda: k("logs", "talk").endswith("end\n"), "all lines")
    assert k("logs", "talk", "--tail=2") == "line 3\nend\n"
    stamp, *words = k("logs", "talk", "--timestamps", "--tail=1").split()
    assert words == ["end"]
    assert stamp.endswith("Z")
    assert len(stamp) == len("2026-01-01T00:00:00.000000000Z")
    assert k("logs", "-l", "a=log", "--prefix", "--tail=1") == "[pod/talk/main] end\n"
    assert k("logs", "talk", "--since=1h", "--limit-bytes=6") == "line 1"
    assert "container nope is not valid for pod talk" in k.fails("logs", "talk", "-c", "nope")
    assert 'previous terminated container "main" in pod "talk" not found' in k.fails("logs", "talk", "-p")
    eventually(
        lambda: k.run("logs", "crash", "-p").stdout == "boom\n", "the log of the container that crashed"
    )
    k.apply(host_pod("short", "echo one; sleep 1; echo two") + deployment("web", replicas=1))
    k("wait", "--for=jsonpath={.status.containerStatuses[0].state.running}", "pod/short", "--timeout=20s")
    assert k("logs", "-f", "short") == "one\ntwo\n"
    k.roll_out("web")
    assert "listening on" in k("logs", "deploy/web")
    k.apply(host_pod("broken", "true").replace("image: host", "image: nginx"))
    reason = (
        "pod/broken",
        "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImagePull",
    )
    k("wait", *reason, "--timeout=30s")
    waiting = k.fails("logs", "broken")
    assert 'container "main" in pod "broken" is waiting to start: image can\'t be pulled' in waiting
    assert "containerd" in k("events", "--for=pod/broken")


def test_wait(k: Kubectl) -> None:
    k.apply(host_pod("done", "true", restart="Never") + deployment("web", replicas=1))
    k("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=20s")
    assert (
        k("wait", "--for=condition=Available", "deploy/web", "--timeout=20s")
        == "deployment.apps/web condition met\n"
    )
    assert "timed out waiting for the condition" in k.fails(
        "wait", "--for=condition=Foo", "pod/done", "--timeout=1s"
    )
    assert k.rows("pods", "done")[0][1:3] == ["0/1", "Completed"]
    k("delete", "pod", "done", "--wait=false")
    k("wait", "--for=delete", "pod/done", "--timeout=20s")


def test_run_and_expose(k: Kubectl) -> None:
    code = "import time; print('up', flush=True); time.sleep(60)"
    k("run", "py", "--image=python", "--restart=Never", "--", "-c", code)
    eventually(lambda: k.run("logs", "py").stdout == "up\n", "the interpreter's output")
    assert k(
        "run", "hi", "--image=host", "--rm", "-i", "--restart=Never", "--command", "--", "echo", "hello"
    ).startswith("hello\n")
    assert k("expose", "pod", "py", "--port=80", "--target-port=8080") == "service/py exposed\n"
    service = k.get("service", "py")["spec"]
    assert service["selector"] == {"run": "py"}
    assert service["ports"][0]["targetPort"] == 8080
    assert "spec:\n  containers:" in k("run", "dry", "--image=x", "--dry-run=client", "-o", "yaml")


def test_discovery_and_explain(k: Kubectl, one_of_each: LocalCluster) -> None:
    assert "FIELDS:\n  apiVersion\t<string>" in k("explain", "pods")
    surge = k("explain", "deploy.spec.strategy.rollingUpdate")
    assert "maxSurge\t<IntOrString>" in surge
    assert "GROUP:      apps" in surge
    assert "    httpHeaders\t<[]HTTPHeader>\n      name\t<string> -required-" in k(
        "explain", "pod.spec.containers.livenessProbe", "--recursive"
    )
    assert 'field "foo" does not exist' in k.fails("explain", "pods.spec.foo")
    kinds = {line.split()[0]: line.split()[1:] for line in k("api-resources").splitlines()}
    assert kinds["deployments"] == ["deploy", "apps/v1", "true", "Deployment"]
    assert kinds["nodes"] == ["no", "v1", "false", "Node"]
    assert {"apps/v1", "v1", "policy/v1"} <= set(k("api-versions").split())
    assert "Kubernetes control plane" in k("cluster-info")
    assert "Server Version: v1.36" in k("version")
    assert "readyz check passed" in k("get", "--raw", "/readyz?verbose")
    assert "https://127.0.0.1:" in k("config", "view")
    assert k("auth", "can-i", "create", "pods") == "yes\n"


def test_cordon_drain_taint(k: Kubectl) -> None:
    k.apply(deployment("web", replicas=2))
    k.roll_out("web")
    k.apply(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\n"
        "spec: {maxUnavailable: 0, selector: {matchLabels: {app: web}}}"
    )
    eventually(lambda: k.get("pdb", "web")["status"].get("currentHealthy") == 2, "the budget's status")
    assert k.rows("pdb")[0][:4] == ["web", "N/A", "0", "0"]
    drain = ("drain", NODE, "--pod-selector=app=web", "--force")
    try:
        assert "would violate the pod's disruption budget" in k.fails(*drain, "--timeout=1s")
        assert k.rows("nodes")[0][1] == "Ready,SchedulingDisabled"
        k("patch", "pdb", "web", "--type=merge", "-p", '{"spec": {"maxUnavailable": 2}}')
        eventually(lambda: k.rows("pdb")[0][3] == "2", "disruptions are allowed")
        assert f"node/{NODE} drained" in k(*drain, "--timeout=30s")
        assert {row[2] for row in k.rows("pods", "-l", "app=web")} == {"Pending"}
    finally:
        assert k("uncordon", NODE) == f"node/{NODE} uncordoned\n"
    k.roll_out("web")
    assert k("taint", "node", NODE, "a=b:NoSchedule") == f"node/{NODE} tainted\n"
    assert "a=b:NoSchedule" in k("describe", "node", NODE)
    assert k("taint", "node", NODE, "a-") == f"node/{NODE} untainted\n"


def test_namespaces(k: Kubectl) -> None:
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}"
    k("apply", "-f", "-", stdin=namespace)
    inside = Kubectl(k.cluster, "team")
    inside.apply(host_pod("p", "sleep 60", grace=1) + config_map("held"))
    inside("patch", "cm", "held", "-p", '{"metadata": {"finalizers": ["example.com/x"]}}')
    k("delete", "namespace", "team", "--wait=false")
    eventually(lambda: inside("get", "pods,sa", "-o", "name") == "", "the content is removed")
    assert k.rows("namespace", "team")[0][1] == "Terminating"
    assert "example.com/x in 1 resource instances" in eventually(
        lambda: (text := k("describe", "namespace", "team")) and "SomeFinalizersRemain" in text and text,
        "the reason",
    )
    assert "because it is being terminated" in inside.fails("create", "-f", "-", stdin=config_map("late"))
    inside("patch", "cm", "held", "--type=json", "-p", '[{"op": "remove", "path": "/metadata/finalizers"}]')
    k("wait", "--for=delete", "namespace/team", "--timeout=20s")


def test_no_component_complains(one_of_each: LocalCluster) -> None:
    """Runs last: nothing that a user did above may have made a component fail."""
    bad = [
        line
        for log in Path(one_of_each.dir, "logs").glob("*.log")
        for line in log.read_text().splitlines()
        if "Traceback" in line or " ERROR " in line or " CRITICAL " in line
    ]
    assert bad == []
