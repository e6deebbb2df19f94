"""The process from outside: exit codes, one-line errors, what it says, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from kvstore.__main__ import COMMANDS, main
from tests.support.kvstore_cluster import KVSTORE, Cluster, free_ports

SECONDS = 20.0


def kvstore(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")} | environ
    return subprocess.run(
        [*KVSTORE, *arguments], capture_output=True, text=True, timeout=SECONDS, env=environment
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed start says; a log before it is fine, a traceback is not."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert done.returncode == 1, done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("kvstore Version: 3.")
    assert main(["-h"]) == 0
    assert "--listen-client-urls 'http://localhost:2379'" in capsys.readouterr().out


def test_what_cannot_be_parsed_ends_with_2_and_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bogus=1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["flag provided but not defined: -bogus", "Usage:"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wal-dir=/x"], "--wal-dir is not supported by kvstore (the log is always in the data directory)"),
        (["--config-file=/nowhere.yaml"], "open /nowhere.yaml: No such file or directory"),
        (["--heartbeat-interval=1000"], "should be at least as 5 times as"),
        (["--log-outputs=/nowhere/x.log"], "/nowhere/x.log: No such file or directory"),
    ],
)
def test_a_configuration_that_does_not_work(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("kvstore: ")
    assert message in lines[0]


def flags(directory: Path, client: int, peer: int, **more: str) -> list[str]:
    found = {
        "data-dir": str(directory),
        "listen-client-urls": f"http://127.0.0.1:{client}",
        "advertise-client-urls": f"http://127.0.0.1:{client}",
        "listen-peer-urls": f"http://127.0.0.1:{peer}",
        "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    return [f"--{name}={value}" for name, value in found.items()]


@pytest.mark.parametrize("taken", [0, 1])
def test_a_port_that_is_taken(tmp_path: Path, taken: int) -> None:
    ports = free_ports(2)
    with socket.create_server(("127.0.0.1", ports[taken])):
        done = kvstore(*flags(tmp_path / "data", ports[0], ports[1]))
    assert f"127.0.0.1:{ports[taken]}" in one_line(done).replace("', ", ":").replace("('", "")
    assert "in use" in done.stderr


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    client, peer = free_ports(2)
    assert str(tmp_path / "file") in one_line(kvstore(*flags(tmp_path / "file" / "data", client, peer)))


def test_certificates_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    client, peer = free_ports(2)
    more = {name: str(tmp_path / "x.pem") for name in ("cert_file", "key_file")}
    url = f"https://127.0.0.1:{client}"
    done = kvstore(
        *flags(tmp_path / "d", client, peer, listen_client_urls=url, advertise_client_urls=url, **more)
    )
    assert "are no certificate and its key" in one_line(done)


def test_a_member_from_start_to_end(tmp_path: Path) -> None:
    """Says where it is, works, lets nobody else into its directory, ends at a signal."""
    with Cluster(KVSTORE, tmp_path, size=1, flags=("--unsafe-no-fsync",)) as cluster:
        process = cluster.processes[0]
        assert process is not None
        url = f"http://{cluster.endpoints[0]}"
        with urllib.request.urlopen(f"{url}/version", timeout=5) as answer:
            assert json.load(answer)["etcdserver"].startswith("3.")
        with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
            assert b"\netcd_server_has_leader 1\n" in answer.read()
        second = kvstore(*flags(tmp_path / "m0", *free_ports(2), name="m0"))
        assert "in use by another process" in one_line(second)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        messages = [json.loads(line)["msg"] for line in cluster.log(0).splitlines()]
        assert messages[0].startswith("starting member m0: data in ")
        assert any(m.startswith(f"ready to serve client requests at {url}") for m in messages)
        assert messages[-1] == "stopped"


def test_a_signal_while_a_member_waits_for_others_ends_it(tmp_path: Path) -> None:
    client, peer, missing = free_ports(3)
    cluster = f"default=http://127.0.0.1:{peer},other=http://127.0.0.1:{missing}"
    command = [*KVSTORE, *flags(tmp_path / "d", client, peer, initial_cluster=cluster)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(3) == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_subcommands_are_modules_with_a_main() -> None:
    for module in COMMANDS.values():
        path = Path(__file__).parents[4] / (module.replace(".", "/") + ".py")
        assert path.exists(), module


def test_a_member_starts_without_what_only_commands_need() -> None:
    """Start-up time: a tool's libraries are not the server's."""
    code = (
        "import sys, kvstore.server.app;"
        "print(sorted({'typer', 'rich', 'croniter', 'grpc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS)
    assert done.stdout.strip() == "[]", done.stderr
