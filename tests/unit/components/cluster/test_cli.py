"""The command line: light to start, clear when it cannot do what is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.cluster import kubeconfigs, pki, stopping
from components.cluster.cli import main
from components.cluster.commands.kill import parse_signal
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.logtail import Follower, last_lines
from components.cluster.pki import Identity


def kuberaft(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "components.cluster", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status",), "error: no cluster is running in {dir}\n  start it: kuberaft up"),
        (("up", "--config", "{dir}/bad.yaml"), "bad.yaml:1: masters.count = 2: 2 masters survive"),
        (
            ("up", "--config", "huge"),
            "no topology is named 'huge'\n  use one of encrypted, ha, large, single",
        ),
        (("kill", "m1", "--signal", "LOUD"), "there is no signal 'LOUD'"),
        (("logs", "m1"), "there is no log of 'm1'"),
        (("down",), "{dir}: there is no cluster"),
        (("kubeconfig",), "{dir}/kubeconfig: No such file"),
    ],
)
def test_errors_name_what_and_remedy_and_leave_nothing(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("masters: {count: 2}\n")
    words = [word.replace("{dir}", str(tmp_path)) for word in arguments]
    result = kuberaft(*words, "--dir", str(tmp_path))
    assert result.returncode == 1
    assert message.replace("{dir}", str(tmp_path)) in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [bad]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("up", "--backup-keep", "3"), "where are the backups to go?\n  name a directory: --backup-dir DIR"),
        (
            ("up", "--backup-dir", "/b", "--backup-schedule", "soon"),
            "backup.schedule = 'soon': it is neither",
        ),
        (("backup", "list"), "no cluster there has scheduled backups"),
        (("restore",), "which backup?"),
        (("restore", "--to-revision", "5"), "{dir}: there is no cluster"),
        (("certs", "check"), "{dir}: there is no cluster"),
        (("certs", "renew", "--all"), "{dir}: there is no cluster"),
        (("certs", "renew", "--all", "--ca"), "what is to be renewed?"),
    ],
)
def test_more_errors_in_this_process(
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["kuberaft", *arguments, "--dir", str(tmp_path)])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == 1
    assert message.replace("{dir}", str(tmp_path)) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_imports_nothing_heavy() -> None:
    code = "import sys, components.cluster.cli; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"aiohttp", "uvloop", "cryptography", "lmdb", "components.master", "rich.live"} & set(modules)


@pytest.mark.parametrize(("text", "number"), [("KILL", 9), ("SIGKILL", 9), ("term", 15), ("19", 19)])
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


def test_merging_a_kubeconfig_keeps_what_is_there_and_replaces_its_own(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [Identity("cluster/admin", "admin")])
    target = tmp_path / ".kube" / "config"
    target.parent.mkdir()
    other = {
        "clusters": [{"name": "work", "cluster": {}}],
        "users": [],
        "contexts": [],
        "current-context": "work",
    }
    target.write_text(yaml.safe_dump(other))
    for port in (1, 2):
        content = kubeconfigs.render(tmp_path, "cluster/admin", f"https://127.0.0.1:{port}", cluster="ha")
        assert kubeconfigs.merge_into(target, content) == "ha"
    merged = yaml.safe_load(target.read_text())
    servers = {entry["name"]: entry["cluster"].get("server") for entry in merged["clusters"]}
    assert servers == {"work": None, "ha": "https://127.0.0.1:2"}
    assert merged["current-context"] == "ha"


def test_a_file_that_is_no_kubeconfig_is_left_alone(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [Identity("cluster/admin", "admin")])
    target = tmp_path / "config"
    target.write_text("- shopping list\n")
    with pytest.raises(ClusterError, match="is no kubeconfig"):
        kubeconfigs.merge_into(target, kubeconfigs.render(tmp_path, "cluster/admin", "https://x"))
    assert target.read_text() == "- shopping list\n"


def test_purge_deletes_the_clusters_files_and_nothing_else(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    layout.make()
    layout.state.write_text("")
    (layout.root / "notes").write_text("mine")
    stopping.purge(layout)
    assert [path.name for path in layout.root.iterdir()] == ["notes"]


def test_the_end_of_a_log_and_what_is_added(tmp_path: Path) -> None:
    log = tmp_path / "l"
    assert last_lines(log, 3) == []
    log.write_text("".join(f"line {n}\n" for n in range(10)))
    assert last_lines(log, 2) == ["line 8", "line 9"]
    follower = Follower(log)
    assert follower.read() == ""
    with log.open("a") as file:
        file.write("more\n")
    assert follower.read() == "more\n"
    log.write_text("new\n")
    assert follower.read() == "new\n"
