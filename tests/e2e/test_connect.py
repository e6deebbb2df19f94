"""exec, attach, port-forward, cp, logs and the proxies with real kubectl and the Python SDK, on one small cluster."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import aiohttp
import pytest
import yaml

from components.kubelet.server.spdy.frames import Data
from tests.clients import programs, with_streams
from tests.e2e.podkit import FOREVER, Bench, echo, pod, python, shell
from tests.support.local_cluster import LocalCluster, eventually
from tests.support.streams import over_websocket

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

OLD = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
CHATTY = "echo begin; for n in 1 2 3; do echo line $n; done; "
WEB = """
import base64, hashlib, http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/ws?x=1":
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "websocket")
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            self.send_header("Sec-WebSocket-Accept", accept)
            self.end_headers()
            self.wfile.write(bytes([0x81, 5]) + b"hello")
            self.close_connection = True
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/elsewhere/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/page":
            self.answer(b'<a href="/next">on</a><a href="near">', "text/html")
        else:
            self.answer(f"{self.command} {self.path}|{self.headers}".encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.command.encode() + b" " + str(len(body)).encode(), code=201)
    do_PUT = do_PATCH = do_DELETE = do_POST
    def answer(self, data, kind="text/plain", code=200):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 9000), Handler).serve_forever()
"""
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "main", "port": 80, "targetPort": 9000}]},
}
READY = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}


@pytest.fixture(scope="module")
def bench(small_cluster: LocalCluster) -> Iterator[Bench]:
    made = Bench(small_cluster)
    once = {"stdin": True, "stdinOnce": True}
    made.apply(
        SERVICE,
        pod("sh", shell("main", CHATTY + FOREVER, env=[{"name": "COLOUR", "value": "blue"}]), shell("two", FOREVER)),
        pod("echo", echo(ports=[{"containerPort": 8080}])),
        pod("web", python("main", WEB, readinessProbe=READY, ports=[{"containerPort": 9000}]), labels={"app": "web"}),
        pod("reader", shell("main", "echo up; while read x; do echo got $x; done; echo end", **once),
            restartPolicy="Never"),
        pod("restarts", shell("main", "test -e /data/once && exec sleep 1000; touch /data/once; echo first; exit 1",
                              volumeMounts=[{"name": "data", "mountPath": "/data"}]),
            volumes=[{"name": "data", "emptyDir": {}}]),
    )  # fmt: skip
    made.ready("sh", "echo", "web", "reader")
    yield made
    for file in (small_cluster.dir / "logs").glob("*.log"):
        assert "Traceback" not in file.read_text(), file


def environment(bench: Bench, old: bool) -> dict[str, str]:
    """`old`: kubectl does as before WebSockets. Its caches belong to the cluster's folder."""
    found = {"PATH": os.environ["PATH"], "HOME": str(bench.cluster.dir), "TERM": "xterm"}
    return {**found, **(OLD if old else {})}


def kubectl(
    bench: Bench, *args: str, stdin: bytes | None = None, old: bool = False
) -> tuple[int, bytes, str]:
    """(exit code, output, errors); `old`: as the kubectl of before WebSockets."""
    command = ["kubectl", "--kubeconfig", str(bench.cluster.kubeconfig), *args]
    env = environment(bench, old)
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=30, env=env, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


BOTH = pytest.mark.parametrize("old", [False, True], ids=["websocket", "spdy"])


@BOTH
def test_exec(bench: Bench, old: bool) -> None:
    code, out, err = kubectl(
        bench, "exec", "sh", "-c", "main", "--", "sh", "-c", "echo $COLOUR; echo no >&2; exit 7", old=old
    )
    assert (code, out, err) == (7, b"blue\n", "no\ncommand terminated with exit code 7\n")
    blob = bytes(range(256)) * 8000
    code, out, _ = kubectl(bench, "exec", "-i", "sh", "-c", "main", "--", "cat", stdin=blob, old=old)
    assert (code, out == blob) == (0, True)
    code, _, err = kubectl(bench, "exec", "sh", "-c", "main", "--", "no-such-program", old=old)
    assert code == 1
    assert 'exec: "no-such-program": executable file not found in $PATH' in err


@BOTH
def test_a_terminal(bench: Bench, old: bool) -> None:
    # The size comes when the command runs already.
    inside = 'while [ "$(stty size)" != "33 99" ]; do sleep 0.05; done; test -t 0 && echo tty; exit 4'
    inner = f"kubectl --kubeconfig {bench.cluster.kubeconfig} exec -it sh -c main -- sh -c '{inside}'"
    command = f"stty rows 33 cols 99; {inner}"
    env = environment(bench, old)
    script = ["script", "-qec", command, "/dev/null"]
    done = subprocess.run(
        script, capture_output=True, stdin=subprocess.DEVNULL, timeout=30, env=env, check=False
    )
    assert done.returncode == 4
    assert b"tty\r\n" in done.stdout


def test_what_cannot_be_connected_to(bench: Bench) -> None:
    for args, text in (
        (("exec", "sh", "-c", "x", "--", "ls"), "container x is not valid for pod sh"),
        (("exec", "nobody", "--", "ls"), 'pods "nobody" not found'),
        (("logs", "sh", "-c", "x"), "container x is not valid for pod sh"),
        (("get", "--raw", "/api/v1/namespaces/default/pods/sh/exec?command=ls"), "choose one of: [main two]"),
        (("get", "--raw", "/api/v1/namespaces/default/pods/echo/exec?command=ls"), "Upgrade request required"),
        (("get", "--raw", "/api/v1/namespaces/default/pods/echo/portforward?ports=x"), "cannot convert to []int32"),
        (("get", "--raw", "/api/v1/namespaces/default/pods/a:b:c:d/proxy/"), 'invalid pod request "a:b:c:d"'),
        (("get", "--raw", "/api/v1/namespaces/default/pods/echo:9/proxy/"), "error trying to reach service: dial tcp"),
        (("get", "--raw", "/api/v1/namespaces/default/services/web:8/proxy/"), "no service port 8 found for service"),
        (("get", "--raw", "/api/v1/namespaces/default/services/web/proxy/"), "no endpoints available for service"),
    ):  # fmt: skip
        code, _, err = kubectl(bench, *args)
        assert (code, text in err) == (1, True), err
    bench.apply(pod("nowhere", echo(), nodeSelector={"no": "node"}))
    assert "pod nowhere does not have a host assigned" in kubectl(bench, "exec", "nowhere", "--", "ls")[2]
    assert kubectl(bench, "logs", "nowhere")[:2] == (0, b"")


def test_attach_with_input_for_one_client(bench: Bench) -> None:
    code, out, _ = kubectl(bench, "attach", "-i", "reader", stdin=b"one\ntwo\n")
    assert (code, out) == (0, b"got one\ngot two\nend\n")
    assert bench.phase("reader", "Succeeded")
    assert bench.logs("reader") == "up\ngot one\ngot two\nend\n"


def test_copy_both_ways(bench: Bench, tmp_path: Path) -> None:
    source, inside, back = tmp_path / "source", tmp_path / "inside", tmp_path / "back"
    (source / "deep").mkdir(parents=True)
    inside.mkdir()
    (source / "deep" / "file").write_bytes(bytes(range(256)) * 5000)
    assert kubectl(bench, "cp", str(source), f"sh:{inside}/copy", "-c", "main")[0] == 0
    assert kubectl(bench, "cp", f"sh:{inside}/copy", str(back), "-c", "main")[0] == 0
    assert (back / "deep" / "file").read_bytes() == (source / "deep" / "file").read_bytes()


@contextlib.contextmanager
def forwarding(bench: Bench, what: str, port: int, *, old: bool) -> Iterator[int]:
    """`kubectl port-forward`; gives the local port."""
    command = ["kubectl", "--kubeconfig", str(bench.cluster.kubeconfig), "port-forward", what, f":{port}"]
    env = environment(bench, old)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found is not None
            yield int(found[1])
        finally:
            process.kill()


@BOTH
def test_port_forward(bench: Bench, old: bool) -> None:
    with forwarding(bench, "pod/echo", 8080, old=old) as port:
        for path in ("/a", "/b"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
                assert json.load(response)["path"] == path
    with forwarding(bench, "service/web", 80, old=old) as port:
        blob = b"x" * 3_000_000
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=blob, timeout=10) as response:
            assert response.read() == b"POST 3000000"


def test_logs(bench: Bench) -> None:
    bench.logged("sh", "line 3", "-c", "main")

    def logs(*flags: str) -> str:
        return kubectl(bench, "logs", "sh", "-c", "main", *flags)[1].decode()

    assert logs() == "begin\nline 1\nline 2\nline 3\n"
    assert logs("--tail=2") == "line 2\nline 3\n"
    assert logs("--limit-bytes=8") == "begin\nli"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line 3\n", logs("--tail=1", "--timestamps"))
    assert logs("--since=1h") == logs()
    assert logs("--since-time=2001-01-01T00:00:00Z") == logs()
    assert logs("--since-time=2999-01-01T00:00:00Z") == ""
    together = kubectl(bench, "logs", "sh", "--all-containers", "--prefix")[1].decode()
    assert "[pod/sh/main] line 3\n" in together
    bench.restarted("restarts")
    assert kubectl(bench, "logs", "restarts", "--previous")[1] == b"first\n"
    assert "previous terminated container" in kubectl(bench, "logs", "echo", "--previous")[2]
    for query, text in (
        ("tailLines=-1", "tailLines: Invalid value: -1"),
        ("limitBytes=x", "strconv.ParseInt"),
    ):
        raw = f"/api/v1/namespaces/default/pods/sh/log?container=main&{query}"
        assert text in kubectl(bench, "get", "--raw", raw)[2]


# A process of its own: the SDK leaves threads and sockets behind.
SDK = """
import sys
from kubernetes import client, config
from kubernetes.stream import portforward, stream

config.load_kube_config(sys.argv[1])
api = client.CoreV1Api()
options = {"stderr": True, "stdout": True, "container": "main"}
execute = api.connect_get_namespaced_pod_exec
print(stream(execute, "sh", "default", command=["sh", "-c", "echo $COLOUR; exit 3"], **options))
command = ["sh", "-c", "read x; echo $x; exit 3"]
live = stream(execute, "sh", "default", command=command, stdin=True, _preload_content=False, **options)
live.write_stdin("spoken\\n")
live.run_forever(timeout=10)
print(repr(live.read_stdout()), live.returncode)

ports = portforward(api.connect_get_namespaced_pod_portforward, "echo", "default", ports="8080")
connection = ports.socket(8080)
connection.setblocking(True)
connection.sendall(b"GET /sdk HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
while piece := connection.recv(4096):
    print(piece.decode())
print(ports.error(8080))
"""


def test_sdk(bench: Bench) -> None:
    command = [sys.executable, "-c", SDK, str(bench.cluster.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("blue\n\n'spoken\\n' 3\n")
    assert '"path": "/sdk"' in done.stdout
    assert done.stdout.endswith("None\n")


@pytest.fixture(scope="module")
def streams(bench: Bench) -> dict[str, str]:
    return programs.run(with_streams, bench.cluster.kubeconfig)


@pytest.mark.parametrize("name", programs.names(with_streams))
def test_other_clients(streams: dict[str, str], name: str) -> None:
    if streams[name]:
        pytest.fail(streams[name], pytrace=False)


@contextlib.contextmanager
def talking(bench: Bench, *args: str) -> Iterator[IO[str]]:
    """The output of a kubectl that runs until it is ended."""
    command = ["kubectl", "--kubeconfig", str(bench.cluster.kubeconfig), *args]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment(bench, False)
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


def test_a_log_is_followed(bench: Bench) -> None:
    wait = "while [ ! -e /data/go ]; do sleep 0.05; done"
    mounts = [{"name": "data", "mountPath": "/data"}]
    script = f"echo old; echo new; {wait}; echo last"
    bench.apply(pod("ends", shell("main", script, volumeMounts=mounts), restartPolicy="Never",
                    volumes=[{"name": "data", "emptyDir": {}}]))  # fmt: skip
    bench.ready("ends")
    with talking(bench, "logs", "-f", "ends", "--tail=1", "--since=1h", "--timestamps") as out:
        assert out.readline().endswith("Z new\n")
        kubectl(bench, "exec", "ends", "--", "touch", "/data/go")
        assert out.readline().endswith("Z last\n")


def test_a_proxy_of_the_api(bench: Bench) -> None:
    with talking(bench, "proxy", "--port=0") as out:
        found = re.search(r"127\.0\.0\.1:\d+", out.readline())
        assert found is not None
        url = f"http://{found[0]}/api/v1/namespaces/default/pods"
        with urllib.request.urlopen(f"{url}?limit=1", timeout=10) as answer:
            assert json.load(answer)["kind"] == "PodList"
        with urllib.request.urlopen(f"{url}?watch=1&timeoutSeconds=5", timeout=10) as answer:
            assert json.loads(answer.readline())["type"] == "ADDED"


class Api:
    """The API server as a plain HTTP client with the administrator's certificate sees it."""

    def __init__(self, cluster: LocalCluster) -> None:
        parts = yaml.safe_load(cluster.kubeconfig.read_text())
        self.url: str = parts["clusters"][0]["cluster"]["server"]
        user = parts["users"][0]["user"]
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(parts["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        )
        pair = cluster.dir / "admin-for-test.pem"
        pair.write_bytes(
            base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
        )
        self.context.load_cert_chain(pair)

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self.url, connector=aiohttp.TCPConnector(ssl=self.context))


WEB_PROXY = "/api/v1/namespaces/default/pods/web/proxy"


def test_proxy(bench: Bench) -> None:
    async def body() -> None:
        async with Api(bench.cluster).session() as http:
            headers = {"X-Mine": "yes", "Authorization": "Bearer secret", "Host": "outside"}
            async with http.get(f"{WEB_PROXY}/a%20b/c/?q=1&q=%26", headers=headers) as answer:
                line, _, seen = (await answer.text()).partition("|")
                assert line == "GET /a%20b/c/?q=1&q=%26"
                assert "X-Mine: yes" in seen
                assert f"X-Forwarded-Uri: {WEB_PROXY}/a%20b/c/" in seen
                assert "X-Forwarded-For: 127." in seen
                assert "secret" not in seen
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                async with http.request(method, f"{WEB_PROXY}/", data=b"x" * 200_000) as answer:
                    assert (answer.status, await answer.text()) == (201, f"{method} 200000")
            async with http.get(f"{WEB_PROXY}/moved", allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (302, f"{WEB_PROXY}/elsewhere/")
            async with http.get(WEB_PROXY, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (301, f"{WEB_PROXY}/")
            async with http.get(f"{WEB_PROXY}/page") as answer:
                assert await answer.text() == f'<a href="{WEB_PROXY}/next">on</a><a href="near">'
            async with http.ws_connect(f"{WEB_PROXY}/ws?x=1") as ws:
                assert await ws.receive_str() == "hello"
            for name in ("web:main", "web:80", "http:web:main"):
                url = f"/api/v1/namespaces/default/services/{name}/proxy/x"
                async with http.get(url) as answer:
                    assert (await answer.text()).startswith("GET /x|")
            async with http.get("/api/v1/nodes/w1/proxy/healthz") as answer:
                assert await answer.text() == "ok"
            async with http.get("/api/v1/nodes/w1/proxy/containerLogs/default/sh/main?tailLines=1") as answer:
                assert await answer.text() == "line 3\n"

    asyncio.run(body())


def test_newest_protocols_and_a_client_that_vanishes(bench: Bench) -> None:
    """SPDY inside a WebSocket, and what is left of a command whose client is gone."""

    async def body() -> None:
        async with Api(bench.cluster).session() as http:
            url = "/api/v1/namespaces/default/pods/echo/portforward"
            async with http.ws_connect(url, protocols=("SPDY/3.1+portforward.k8s.io",)) as ws:
                client = over_websocket(ws)
                running = asyncio.ensure_future(client.run())
                named = {"port": "8080", "requestid": "0"}
                await client.open({**named, "streamtype": "error"})
                data = await client.open({**named, "streamtype": "data"})
                request = b"GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                await client.send(Data(data, request))
                assert b'"path": "/t"' in await client.whole(data)
                await client.bye()
                await running
            url = "/api/v1/namespaces/default/pods/sh/exec?container=main&stdout=true&command=yes"
            ws = await http.ws_connect(url, protocols=("v5.channel.k8s.io",))
            while len(await ws.receive_bytes()) <= 1:
                pass  # the first message is empty: the connection stands
            assert ws._response.connection is not None
            assert ws._response.connection.transport is not None
            ws._response.connection.transport.abort()

    asyncio.run(body())
    eventually(lambda: not commands_named("yes"), "the command is gone", 15)


def commands_named(name: str) -> list[str]:
    wanted = f"{name}\0".encode()
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if file.read_bytes() == wanted:
                found.append(file.parent.name)
    return found
