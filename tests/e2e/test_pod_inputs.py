"""What pods are given (volumes, environment, token) and how services reach them, on one small cluster."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tests.e2e.podkit import FOREVER, Bench, Object, echo, pod, python, shell
from tests.support.local_cluster import LocalCluster, eventually
from tests.support.traffic import ask

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CONFIG: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"color": "red", "nested.txt": "deep"},
}
SECRET: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "hidden"},
    "stringData": {"password": "s3cret"},
}
ASK_API = """
import os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=folder + "ca.crt")
url = "https://%(KUBERNETES_SERVICE_HOST)s:%(KUBERNETES_SERVICE_PORT)s" % os.environ
token = open(folder + "token").read()
review = b'{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}'
headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
request = urllib.request.Request(
    url + "/apis/authentication.k8s.io/v1/selfsubjectreviews", data=review, headers=headers
)
print(open(folder + "namespace").read(), urllib.request.urlopen(request, context=context).read().decode())
"""


@pytest.fixture(scope="module")
def bench(small_cluster: LocalCluster) -> Bench:
    made = Bench(small_cluster)
    made.apply(CONFIG, SECRET)
    return made


def mount(name: str, path: str, **more: str) -> Object:
    return {"name": name, "mountPath": path, **more}


def test_volumes_of_every_kind(bench: Bench) -> None:
    host = bench.cluster.dir / "shared"
    host.mkdir()
    (host / "from-host").write_text("host file\n")
    downward = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    limit = {"resource": "limits.memory", "containerName": "main", "divisor": "1Mi"}
    both = [
        {"configMap": {"name": "settings", "items": [{"key": "nested.txt", "path": "a/b"}]}},
        {"secret": {"name": "hidden"}},
        {"downwardAPI": {"items": [{"path": "limit", "resourceFieldRef": limit}]}},
    ]
    volumes: list[Object] = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "secret", "secret": {"secretName": "hidden", "defaultMode": 0o400}},
        {"name": "downward", "downwardAPI": downward},
        {"name": "all", "projected": {"sources": both}},
        {"name": "host", "hostPath": {"path": str(host), "type": "Directory"}},
        {"name": "scratch", "emptyDir": {}},
    ]
    script = (
        "cat /etc/v/config/color; echo; cat /etc/v/secret/password; echo; cat /etc/v/downward/labels; echo;"
        "cat /etc/v/all/a/b; echo; cat /etc/v/all/password; echo; cat /etc/v/all/limit; echo;"
        "cat /etc/v/host/from-host; cat /one-file; echo; stat -Lc %a /etc/v/secret/password;"
        "echo inside >/etc/v/scratch/part/file; touch /etc/v/config/color 2>/dev/null || echo read-only;"
        + FOREVER
    )
    mounts = [
        *(mount(v["name"], f"/etc/v/{v['name']}") for v in volumes if v["name"] not in ("scratch", "config")),
        {**mount("config", "/etc/v/config"), "readOnly": True},
        mount("config", "/one-file", subPath="color"),
        mount("scratch", "/etc/v/scratch/part", subPathExpr="$(POD_NAME)"),
    ]
    other = shell("other", "until cat /s/volumes/file; do sleep 0.1; done;" + FOREVER)
    other["volumeMounts"] = [mount("scratch", "/s")]
    main = shell("main", script, volumeMounts=mounts, resources={"limits": {"memory": "256Mi"}})
    bench.apply(pod("volumes", main, other, labels={"tier": "front"}, volumes=volumes))
    text = bench.logged("volumes", "read-only", "-c", "main")
    expected = [
        "red",
        "s3cret",
        'tier="front"',
        "deep",
        "s3cret",
        "256",
        "host file",
        "red",
        "400",
        "read-only",
    ]
    assert text.splitlines() == expected
    bench.logged("volumes", "inside", "-c", "other")


def test_a_config_map_volume_follows_its_object(bench: Bench) -> None:
    changing = {**CONFIG, "metadata": {"name": "changing"}, "data": {"key": "before"}}
    watch = "while :; do cat /c/key; echo; sleep 0.2; done"
    main = shell("main", watch, volumeMounts=[mount("c", "/c")])
    bench.apply(changing, pod("follows", main, volumes=[{"name": "c", "configMap": {"name": "changing"}}]))
    bench.logged("follows", "before")
    bench.apply({**changing, "data": {"key": "after"}})
    bench.logged("follows", "after")
    assert bench.container("follows")["restartCount"] == 0


def test_a_missing_config_map_waits_and_says_so(bench: Bench) -> None:
    late = {**CONFIG, "metadata": {"name": "late"}}
    source = {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "color"}}}
    bench.apply(pod("waits", shell("main", "echo $COLOR;" + FOREVER, env=[source])))

    def reason() -> Object | None:
        waiting: Object = bench.container("waits").get("state", {}).get("waiting", {})
        return waiting if waiting.get("reason") == "CreateContainerConfigError" else None

    assert bench.until(reason, "CreateContainerConfigError")["message"] == 'configmap "late" not found'
    bench.apply(late)
    bench.logged("waits", "red")


def test_environment_from_every_source(bench: Bench) -> None:
    fields = {
        "NAME": "metadata.name",
        "LABEL": "metadata.labels['tier']",
        "NODE": "spec.nodeName",
        "IP": "status.podIP",
        "HOST": "status.hostIP",
        "ACCOUNT": "spec.serviceAccountName",
    }
    env = [
        *({"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in fields.items()),
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}},
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "password"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "x", "optional": True}}},
        {"name": "BOTH", "value": "$(COLOR)-$(NAME)-$$(NAME)-$(NOBODY)"},
    ]
    main = python("main", "import json, os; print(json.dumps(dict(os.environ)))", env=env)
    main["envFrom"] = [{"configMapRef": {"name": "settings"}, "prefix": "CM_"}]
    main["resources"] = {"requests": {"cpu": "50m"}}
    bench.apply(pod("environment", main, labels={"tier": "front"}, restartPolicy="Never"))
    status = bench.phase("environment", "Succeeded")["status"]
    seen = json.loads(bench.logs("environment"))
    expected = {
        "NAME": "environment",
        "LABEL": "front",
        "NODE": "w1",
        "IP": status["podIP"],
        "HOST": status["hostIP"],
        "ACCOUNT": "default",
        "CPU": "50",
        "COLOR": "red",
        "SECRET": "s3cret",
        "BOTH": "red-environment-$(NAME)-$(NOBODY)",
        "CM_color": "red",
        "HOSTNAME": "environment",
    }
    assert expected.items() <= seen.items()
    assert "NONE" not in seen


def test_the_token_in_a_pod_is_its_service_account(bench: Bench) -> None:
    bench.apply(pod("token", python("main", ASK_API), restartPolicy="Never"))
    bench.phase("token", "Succeeded")
    namespace, _, answer = bench.logs("token").partition(" ")
    user = json.loads(answer)["status"]["userInfo"]
    assert namespace == "default"
    assert user["username"] == "system:serviceaccount:default:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["token"]


def test_what_is_not_enforced_is_told_once(bench: Bench) -> None:
    main = echo(resources={"limits": {"cpu": "1", "memory": "64Mi"}})
    main["securityContext"] = {"capabilities": {"drop": ["ALL"]}}
    bench.apply(pod("limited", main))
    fields = "resources.limits.cpu (main), securityContext.capabilities (main)"
    event = bench.event("limited", "NotEnforced", fields)
    assert event.get("count", 1) == 1


def test_a_container_over_its_memory_limit_is_killed(bench: Bench) -> None:
    hog = python("main", "x = bytearray(200 << 20); import time; time.sleep(60)")
    hog["resources"] = {"limits": {"memory": "64Mi"}}
    bench.apply(pod("hog", hog, restartPolicy="Never"))
    bench.phase("hog", "Failed")
    ended = bench.container("hog")["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


# --- services


def service(name: str, *ports: Object, **spec: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "served"}, "ports": list(ports), **spec},
    }


def test_services_of_every_kind(bench: Bench) -> None:
    http: Object = {"name": "http", "port": 8080}
    bench.apply(
        *(pod(f"served-{number}", echo(), labels={"app": "served"}) for number in (1, 2)),
        service("two-ports", http, {"name": "raw", "port": 9000, "targetPort": 8081}),
        service("udp", {"port": 5353, "targetPort": 8082, "protocol": "UDP"}),
        service("sticky", http, sessionAffinity="ClientIP"),
        service("outside", http, type="NodePort"),
    )
    bench.ready("served-1", "served-2")
    pods = {"served-1", "served-2"}
    ip = {
        name: bench.cluster.get("service", name)["spec"] for name in ("two-ports", "udp", "sticky", "outside")
    }
    both = f"http://{ip['two-ports']['clusterIP']}:8080/"
    eventually(lambda: {asked(both) for _ in range(10)} == pods, "both pods answer")
    with socket.create_connection((ip["two-ports"]["clusterIP"], 9000), 5) as raw:
        raw.sendall(b"hello")
        assert raw.recv(10) == b"hello"
    assert eventually(lambda: udp_echo(ip["udp"]["clusterIP"], 5353), "UDP echo") == b"ping"
    sticky = f"http://{ip['sticky']['clusterIP']}:8080/"
    eventually(lambda: asked(sticky), "the sticky service answers")
    assert len({asked(sticky) for _ in range(10)}) == 1
    node = bench.pod("served-1")["status"]["hostIP"]
    outside = f"http://{node}:{ip['outside']['ports'][0]['nodePort']}/"
    eventually(lambda: {asked(outside) for _ in range(10)} == pods, "both pods answer at the node port")


def test_a_low_port_is_served_or_the_event_names_the_remedy(bench: Bench) -> None:
    bench.apply(
        pod("low", echo(), labels={"app": "served"}), service("low", {"port": 82, "targetPort": 8080})
    )
    bench.ready("low")
    if may_bind_low_ports():
        url = f"http://{bench.cluster.get('service', 'low')['spec']['clusterIP']}:82/"
        assert eventually(lambda: asked(url), "port 82 answers")
    else:
        event = bench.event("low", "PortNotPermitted")
        assert "sysctl -w net.ipv4.ip_unprivileged_port_start=82" in event["message"]


def test_a_quota_holds_and_gives_back(bench: Bench) -> None:
    """Admission and controller together: what is deleted makes room again."""
    cluster = bench.cluster
    cluster.kubectl("create", "namespace", "counted")
    cluster.kubectl("create", "quota", "few", "--hard=count/configmaps=3,pods=0", "-n", "counted")

    def used() -> str:
        found = cluster.get("quota", "few", "-n", "counted")["status"]
        return str((found.get("used") or {}).get("count/configmaps", ""))

    eventually(lambda: used() == "1", "the CA's config map is counted")
    for name in ("a", "b"):
        cluster.kubectl("create", "configmap", name, "-n", "counted")
    refused = cluster.run_kubectl("create", "configmap", "c", "-n", "counted")
    assert "exceeded quota: few, requested: count/configmaps=1, used: count/configmaps=3" in refused.stderr
    cluster.kubectl("delete", "configmap", "a", "-n", "counted")
    eventually(lambda: used() == "2", "what was deleted is given back")
    cluster.kubectl("create", "configmap", "c", "-n", "counted")


def test_nothing_went_wrong_unseen(bench: Bench) -> None:
    for file in (bench.cluster.dir / "logs").glob("*.log"):
        assert "Traceback" not in file.read_text(), file


def asked(url: str) -> str:
    """The pod that answered; empty while the service is not served yet."""
    try:
        return str(ask(url)["pod"])
    except OSError:
        return ""


def udp_echo(address: str, port: int) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((address, port))
        try:
            sock.send(b"ping")
            return sock.recv(10)
        except OSError:
            return b""


def may_bind_low_ports() -> bool:
    start = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    return os.geteuid() == 0 or start <= 82
