"""What a kubelet does with pods, on a real cluster of one master and one worker.

The pods that need time are applied together at the start; each test looks at its own.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.podkit import FOREVER, Bench, Object, echo, pod, shell
from tests.support.local_cluster import LocalCluster, is_running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FOLLOW_SECONDS = 20.0
FAST: Object = {"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}
FILE_PROBE: Object = {"exec": {"command": ["sh", "-c", "test ! -e /data/bad"]}, **FAST}
DATA: Object = {"volumes": [{"name": "data", "emptyDir": {}}]}
MOUNT: Object = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


def early_pods() -> list[Object]:
    """Everything that passes through several states by itself."""
    return [
        pod(
            "init",
            shell("main", "cat /data/steps; " + FOREVER, **MOUNT),
            initContainers=[
                shell("one", "echo one >>/data/steps", **MOUNT),
                shell("two", "echo two >>/data/steps", **MOUNT),
            ],
            **DATA,
        ),
        pod("init-fails", echo(), restartPolicy="Never", initContainers=[shell("bad", "exit 7")]),
        pod(
            "sidecar",
            shell("main", "cat /data/log; exit 0", **MOUNT),
            restartPolicy="Never",
            initContainers=[
                shell(
                    "helper",
                    "echo up >/data/log; " + FOREVER,
                    restartPolicy="Always",
                    startupProbe={"exec": {"command": ["test", "-e", "/data/log"]}, **FAST},
                    **MOUNT,
                )
            ],
            **DATA,
        ),
        pod("never", shell("main", "exit 3"), restartPolicy="Never"),
        pod(
            "on-failure",
            shell("main", "test -e /data/once && exit 0; touch /data/once; exit 4", **MOUNT),
            restartPolicy="OnFailure",
            **DATA,
        ),
        pod("always", shell("main", "echo attempt; exit 5")),
        pod("live-exec", shell("main", FOREVER, livenessProbe=FILE_PROBE, **MOUNT), **DATA),
        pod("live-http", echo(livenessProbe={"httpGet": {"path": "/healthz", "port": 8080}, **FAST})),
        pod("live-tcp", echo(livenessProbe={"tcpSocket": {"port": 9}, **FAST, "initialDelaySeconds": 1})),
        pod("readiness", echo(readinessProbe={"httpGet": {"path": "/readyz", "port": 8080}, **FAST})),
        pod(
            "startup",
            shell(
                "main",
                "sleep 2; touch /data/up; " + FOREVER,
                startupProbe={
                    "exec": {"command": ["test", "-e", "/data/up"]},
                    "periodSeconds": 1,
                    "failureThreshold": 20,
                },
                livenessProbe={"exec": {"command": ["test", "-e", "/data/up"]}, **FAST},
                **MOUNT,
            ),
            **DATA,
        ),
        pod("deadline", shell("main", FOREVER), activeDeadlineSeconds=2),
        pod("message", shell("main", "echo -n the end >/dev/termination-log; exit 1"), restartPolicy="Never"),
        pod(
            "fallback",
            shell("main", "echo last words; exit 1", terminationMessagePolicy="FallbackToLogsOnError"),
            restartPolicy="Never",
        ),
        pod("unknown-image", {"name": "main", "image": "nginx:1.27"}),
        pod(
            "unknown-volume",
            echo(),
            volumes=[{"name": "net", "nfs": {"server": "10.0.0.1", "path": "/"}}],
        ),
        pod(
            "post-start",
            shell(
                "main",
                FOREVER,
                lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo hook >/data/hook"]}}},
                **MOUNT,
            ),
            **DATA,
        ),
        pod(
            "post-start-fails",
            shell("main", FOREVER, lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "exit 1"]}}}),
        ),
    ]


@pytest.fixture(scope="module")
def bench(small_cluster: LocalCluster) -> Bench:
    made = Bench(small_cluster)
    made.apply(*early_pods())
    return made


def test_init_containers_run_one_after_the_other(bench: Bench) -> None:
    bench.ready("init")
    assert bench.logged("init", "two") == "one\ntwo\n"
    conditions = {c["type"]: c["status"] for c in bench.pod("init")["status"]["conditions"]}
    assert conditions["Initialized"] == "True"


def test_a_failed_init_container_fails_a_pod_that_never_restarts(bench: Bench) -> None:
    failed = bench.phase("init-fails", "Failed")
    assert bench.container("init-fails", "bad")["state"]["terminated"]["exitCode"] == 7
    assert "waiting" in failed["status"]["containerStatuses"][0]["state"]


def test_a_sidecar_starts_first_and_ends_after_the_main_container(bench: Bench) -> None:
    done = bench.phase("sidecar", "Succeeded")
    assert bench.logs("sidecar", "-c", "main") == "up\n"
    helper = done["status"]["initContainerStatuses"][0]["state"]["terminated"]
    main = done["status"]["containerStatuses"][0]["state"]["terminated"]
    assert helper["finishedAt"] >= main["finishedAt"]


def test_restart_policies(bench: Bench) -> None:
    bench.phase("never", "Failed")
    assert bench.container("never")["state"]["terminated"]["exitCode"] == 3
    assert bench.container("never")["restartCount"] == 0
    assert bench.phase("on-failure", "Succeeded", 30)["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_crashing_container_backs_off(bench: Bench) -> None:
    def waiting() -> Object | None:
        state = bench.container("always").get("state", {}).get("waiting", {})
        return state if state.get("reason") == "CrashLoopBackOff" else None

    state = bench.until(waiting, "CrashLoopBackOff", 30)
    uid = bench.pod("always")["metadata"]["uid"]
    assert state["message"].startswith("back-off ")
    assert state["message"].endswith(f"restarting failed container=main pod=always_default({uid})")
    last = bench.container("always")["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (5, "Error")
    bench.event("always", "BackOff", "Back-off restarting failed container main in pod always_default(")
    assert bench.logs("always", "-p") == "attempt\n"
    assert "CrashLoopBackOff" in bench.cluster.kubectl("get", "pod", "always")


def test_liveness_probes_restart(bench: Bench) -> None:
    bench.ready("live-exec", "live-http")
    assert bench.container("live-exec")["restartCount"] == 0
    touch(bench, "live-exec", "bad")
    post(f"http://{bench.pod('live-http')['status']['podIP']}:8080/healthz?ok=false")
    for name in ("live-exec", "live-http", "live-tcp"):
        bench.event(name, "Unhealthy", "Liveness probe failed: ")
        bench.event(name, "Killing", "Container main failed liveness probe, will be restarted")
        bench.restarted(name)
    http = bench.event("live-http", "Unhealthy")
    assert http["message"] == "Liveness probe failed: HTTP probe failed with statuscode: 503"


def test_readiness_probe_takes_the_pod_out(bench: Bench) -> None:
    bench.ready("readiness")
    url = f"http://{bench.pod('readiness')['status']['podIP']}:8080/readyz"
    post(url + "?ok=false")
    bench.until(lambda: not bench.container("readiness")["ready"], "not ready")
    bench.event("readiness", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    post(url + "?ok=true")
    bench.ready("readiness")
    assert bench.container("readiness")["restartCount"] == 0


def test_startup_probe_holds_the_others_back(bench: Bench) -> None:
    bench.ready("startup")
    assert bench.container("startup")["started"] is True
    assert bench.container("startup")["restartCount"] == 0


def test_post_start_hooks(bench: Bench) -> None:
    bench.ready("post-start")
    assert (volume(bench, "post-start") / "hook").read_text() == "hook\n"
    bench.event("post-start-fails", "FailedPostStartHook")
    assert bench.container("post-start-fails").get("ready") is False


def test_pre_stop_hooks_run_before_the_signal(bench: Bench) -> None:
    """exec writes to the container's log, http asks a server that outlives the pod, sleep takes its time."""
    show = "trap 'echo term; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    exec_hook = {"exec": {"command": ["sh", "-c", "echo hook >/data/hook"]}}
    server = bench.pod("readiness")["status"]["podIP"]
    http_hook = {"httpGet": {"host": server, "port": 8080, "path": "/healthz"}}
    hooks = {"stop-exec": exec_hook, "stop-http": http_hook, "stop-sleep": {"sleep": {"seconds": 1}}}
    for name, hook in hooks.items():
        host: Object = {"volumes": [{"name": "data", "hostPath": {"path": str(bench.cluster.dir)}}]}
        bench.apply(pod(name, shell("main", show, lifecycle={"preStop": hook}, **MOUNT), grace=10, **host))
    bench.ready(*hooks)
    followers = [follow(bench, name) for name in hooks]
    began = time.monotonic()
    bench.delete(*hooks)
    assert time.monotonic() - began >= 1.0
    assert [follower.communicate(timeout=20)[0] for follower in followers] == ["up\nterm\n"] * 3
    assert (bench.cluster.dir / "hook").read_text() == "hook\n"
    assert not [e for name in hooks for e in bench.events(name) if e["reason"] == "FailedPreStopHook"]


def test_deadline(bench: Bench) -> None:
    status = bench.phase("deadline", "Failed")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"


def test_termination_messages(bench: Bench) -> None:
    bench.phase("message", "Failed")
    assert bench.container("message")["state"]["terminated"]["message"] == "the end"
    bench.phase("fallback", "Failed")
    assert bench.container("fallback")["state"]["terminated"]["message"] == "last words\n"


def test_an_unknown_image_says_where_it_could_come_from(bench: Bench) -> None:
    failed = bench.event("unknown-image", "Failed", "Failed to pull image")
    assert "containerd" in failed["message"]

    def waiting() -> Object | None:
        state = bench.container("unknown-image")["state"]["waiting"]
        return state if state["reason"] == "ImagePullBackOff" else None

    state = bench.until(waiting, "ImagePullBackOff")
    assert state["message"].startswith('Back-off pulling image "nginx:1.27": ErrImagePull: ')
    assert "containerd" in state["message"]


def test_an_unknown_volume_type_is_an_event(bench: Bench) -> None:
    event = bench.event("unknown-volume", "FailedMount")
    assert 'MountVolume.SetUp failed for volume "net"' in event["message"]
    assert "nfs" in event["message"]
    assert bench.container("unknown-volume")["state"]["waiting"]["reason"] == "ContainerCreating"


def test_logs_follow_and_previous(bench: Bench) -> None:
    script = "for n in 1 2 3; do echo line $n; sleep 0.3; done; exit 1"
    bench.apply(pod("talks", shell("main", script)))
    bench.logged("talks", "line 1")
    follower = follow(bench, "talks")
    assert follower.communicate(timeout=20)[0] == "line 1\nline 2\nline 3\n"
    bench.restarted("talks")
    assert bench.logs("talks", "-p", "--tail=1") == "line 3\n"


def test_graceful_and_forced_termination(bench: Bench) -> None:
    bench.apply(
        pod("polite", shell("main", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done")),
        pod("stubborn", shell("main", "trap '' TERM; echo up; while :; do sleep 0.1; done"), grace=2),
        pod("forced", shell("main", "trap '' TERM; echo up; while :; do sleep 0.1; done"), grace=60),
    )
    for name in ("polite", "stubborn", "forced"):
        bench.logged(name, "up")
    follower = follow(bench, "polite")
    stubborn, forced = (processes(bench, name) for name in ("stubborn", "forced"))
    assert stubborn
    assert forced
    bench.delete("forced", flags=("--force", "--grace-period=0"))
    bench.delete("polite", "stubborn")
    assert follower.communicate(timeout=20)[0] == "up\nbye\n"
    bench.until(lambda: not any(map(is_running, stubborn | forced)), "the processes are gone")


def test_a_killed_worker_leaves_its_containers_and_only_its_own(bench: Bench) -> None:
    bench.ready("init", "readiness")
    before = {name: processes(bench, name) for name in ("init", "readiness")}
    assert all(before.values())
    environ = {**os.environ, "HOSTNAME": "init", "POD_NAME": "init"}
    command = [
        sys.executable,
        "-c",
        "import time; time.sleep(600)",
        "components.kubelet.runtime.process.shim",
    ]
    with subprocess.Popen(command, env=environ) as stranger:
        try:
            bench.cluster.kuberaft("kill", "w1")
            bench.cluster.kuberaft("start", "w1")
            bench.apply(pod("after", echo()))
            bench.ready("after", "init", "readiness")
            assert all(before[name] <= processes(bench, name) for name in before)
            assert bench.container("init")["restartCount"] == 0
            bench.delete("after")
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_nothing_went_wrong_unseen(bench: Bench) -> None:
    for file in (bench.cluster.dir / "logs").glob("*.log"):
        text = file.read_text()
        assert "Traceback" not in text, f"{file}:\n{text}"


# --- helpers


def post(url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=5):
        pass


def volume(bench: Bench, name: str) -> Path:
    uid = bench.pod(name)["metadata"]["uid"]
    return next((bench.cluster.dir / "workers").glob(f"*/pods/{uid}/volumes/data"))


def touch(bench: Bench, name: str, file: str) -> None:
    (volume(bench, name) / file).touch()


def follow(bench: Bench, name: str) -> subprocess.Popen[str]:
    """`kubectl logs -f` that has begun to print; it ends when the container does."""
    command = ["kubectl", "--kubeconfig", str(bench.cluster.kubeconfig), "logs", "-f", name]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert select.select([follower.stdout], [], [], FOLLOW_SECONDS)[0], f"no log of {name}"
    return follower


def processes(bench: Bench, name: str) -> set[int]:
    """The pids whose environment says that they are of the pod."""
    marker = f"POD_NAME={name}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if marker in environment and not command.startswith(b"sleep"):
            found.add(int(folder.name))
    return found
