"""The process runtime with real processes: output, volumes, limits, ends, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.kubelet.images.catalogue import Catalogue
from components.kubelet.logs.reader import LogOptions, read
from components.kubelet.runtime.interface import (
    ConfigFault,
    ContainerConfig,
    ContainerStatus,
    ExecTimeout,
    ImageFault,
    Mount,
    SandboxConfig,
    StartFault,
)
from components.kubelet.runtime.process import shims
from components.kubelet.runtime.process.runtime import ProcessRuntime
from tests.unit.components.kubelet.builders import eventually

Body = Callable[[ProcessRuntime, str, Path], Awaitable[None]]
POD = SandboxConfig(namespace="ns", name="p", uid="u1", hostname="p")


def make(root: Path, isolation: str | None = None) -> ProcessRuntime:
    return ProcessRuntime(
        root / "rt",
        pod_cidr="127.91.7.0/24",
        node_ip="127.91.250.7",
        catalogue=Catalogue.default(),
        isolation=isolation,
    )


@contextlib.asynccontextmanager
async def sandbox(root: Path, isolation: str | None = None) -> AsyncIterator[tuple[ProcessRuntime, str]]:
    runtime = make(root, isolation)
    await runtime.start()
    try:
        yield runtime, await runtime.run_pod_sandbox(POD)
    finally:
        for entry in runtime.list_pod_sandboxes():
            await runtime.remove_pod_sandbox(entry.id)
        await runtime.close()


def shell(root: Path, script: str, **more: Any) -> ContainerConfig:
    fields: dict[str, Any] = {"name": "c", "attempt": 0, "log_path": str(root / "log" / "0.log"), **more}
    return ContainerConfig(image="host", command=["sh", "-c", script], **fields)


async def ended(runtime: ProcessRuntime, container: str) -> ContainerStatus:
    changed = asyncio.Event()
    runtime.on_change(lambda _: changed.set())
    async with asyncio.timeout(20):
        while True:
            changed.clear()
            status = next(s for s in runtime.list_containers() if s.id == container)
            if status.state == "EXITED":
                return status
            await changed.wait()


async def run(runtime: ProcessRuntime, sandbox_id: str, config: ContainerConfig) -> ContainerStatus:
    container = await runtime.create_container(sandbox_id, config)
    await runtime.start_container(container)
    return await ended(runtime, container)


async def output(root: Path, **options: Any) -> str:
    pieces = [piece async for piece in read(root / "log" / "0.log", LogOptions(**options), lambda: False)]
    return b"".join(pieces).decode()


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def probe() -> str:
        runtime = make(tmp_path_factory.mktemp("probe"))
        await runtime.start()
        return runtime.isolation

    if asyncio.run(probe()) != "full":
        pytest.skip("this machine grants no mount and PID namespaces")


def test_output_exit_code_and_log_options(tmp_path: Path) -> None:
    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            status = await run(runtime, box, shell(tmp_path, "echo one; echo two >&2; printf three; exit 7"))
            assert (status.exit_code, status.reason) == (7, "Error")
        assert await output(tmp_path) == "one\ntwo\nthree"
        assert await output(tmp_path, tail_lines=1) == "three"
        assert await output(tmp_path, limit_bytes=5) == "one\nt"
        assert (await output(tmp_path, timestamps=True)).count("Z ") == 3
        assert await output(tmp_path, since="9999") == ""

    asyncio.run(body())


@pytest.mark.usefixtures("isolated")
def test_volumes_appear_where_the_host_has_nothing(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "key").write_text("value")
    paths = ["/data/deep", "/etc/kuberaft-test/x", "/var/run/secrets/kubernetes.io/serviceaccount"]
    mounts = [Mount(str(volume), path, readonly=index == 0) for index, path in enumerate(paths)]
    script = (
        "; ".join(f"cat {path}/key" for path in paths)
        + "; (echo no > /data/deep/key) 2>/dev/null || echo read-only; ls /etc"
    )

    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            status = await run(runtime, box, shell(tmp_path, script, mounts=mounts))
            assert status.exit_code == 0
        text = await output(tmp_path)
        assert text.startswith("value" * 3)
        assert "read-only" in text
        assert "passwd" in text.split()

    asyncio.run(body())
    assert not Path("/etc/kuberaft-test").exists()
    assert not Path("/data/deep").exists()


@pytest.mark.usefixtures("isolated")
def test_a_container_is_process_1_with_its_own_hostname(tmp_path: Path) -> None:
    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            await run(runtime, box, shell(tmp_path, "echo $$; hostname; pwd"))
        lines = (await output(tmp_path)).split()
        assert lines[:2] == ["1", "p"]
        assert lines[2].startswith(str(tmp_path))

    asyncio.run(body())


@pytest.mark.usefixtures("isolated")
def test_the_read_only_root_is_read_only_but_its_volumes_are_not(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    config = shell(
        tmp_path,
        f"echo x > {tmp_path}/escaped; echo y > /data/file",
        readonly_rootfs=True,
        mounts=[Mount(str(volume), "/data")],
    )

    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            await run(runtime, box, config)

    asyncio.run(body())
    assert not (tmp_path / "escaped").exists()
    assert (volume / "file").read_text() == "y\n"


def test_another_user_has_a_working_directory_too(tmp_path: Path, isolated: None) -> None:
    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, pod):
            config = shell(
                tmp_path, "id -u; id -g; touch here && echo wrote", run_as_user=4321, run_as_group=4322
            )
            status = await run(runtime, pod, config)
            assert status.exit_code == 0
            inside = await runtime.create_container(pod, shell(tmp_path, "sleep 60", run_as_user=4321))
            await runtime.start_container(inside)
            answer = await runtime.exec_sync(inside, ["sh", "-c", "id -u; touch there"], 10)
            assert (answer.exit_code, answer.stdout) == (0, b"4321\n")
        assert (await output(tmp_path)).splitlines()[:3] == ["4321", "4322", "wrote"]

    asyncio.run(body())


def test_stop_terminates_and_then_kills(tmp_path: Path) -> None:
    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            polite = await runtime.create_container(
                box, shell(tmp_path, "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
            )
            await runtime.start_container(polite)
            await eventually(lambda: (tmp_path / "log" / "0.log").stat().st_size > 0)
            await runtime.stop_container(polite, 10)
            assert (await ended(runtime, polite)).exit_code == 5
            stubborn = await runtime.create_container(
                box, shell(tmp_path, "trap '' TERM; sleep 100", attempt=1)
            )
            await runtime.start_container(stubborn)
            await runtime.stop_container(stubborn, 0.2)
            assert (await ended(runtime, stubborn)).exit_code == 137

    asyncio.run(body())


def test_exec_inside_and_its_timeout(tmp_path: Path) -> None:
    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            container = await runtime.create_container(box, shell(tmp_path, "sleep 100", env={"A": "b"}))
            await runtime.start_container(container)
            result = await runtime.exec_sync(container, ["sh", "-c", "echo $A; echo e >&2; exit 3"], 10)
            assert (result.exit_code, result.stdout, result.stderr) == (3, b"b\n", b"e\n")
            with pytest.raises(ExecTimeout):
                await runtime.exec_sync(container, ["sleep", "100"], 0.1)
            with pytest.raises(StartFault, match=r"executable file not found in \$PATH"):
                await runtime.exec_sync(container, ["no-such-program"], 5)

    asyncio.run(body())


def test_what_cannot_run_says_why(tmp_path: Path) -> None:
    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            bad = await runtime.create_container(
                box,
                ContainerConfig(
                    name="c", attempt=0, image="host", command=["nope"], log_path=str(tmp_path / "l")
                ),
            )
            with pytest.raises(StartFault, match='exec: "nope": executable file not found'):
                await runtime.start_container(bad)
            status = next(s for s in runtime.list_containers() if s.id == bad)
            assert (status.state, status.exit_code, status.reason) == ("EXITED", 128, "StartError")
            with pytest.raises(ImageFault, match="containerd"):
                await runtime.pull_image("nginx")

    asyncio.run(body())


def test_more_memory_than_allowed_is_an_oom_kill(tmp_path: Path) -> None:
    config = ContainerConfig(
        name="c",
        attempt=0,
        image="python",
        args=["-c", "x = b'x' * (100 << 20); import time; time.sleep(60)"],
        memory_limit=32 << 20,
        log_path=str(tmp_path / "l"),
    )

    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            status = await run(runtime, box, config)
            assert (status.reason, status.exit_code) == ("OOMKilled", 137)

    asyncio.run(body())


def test_a_new_kubelet_finds_running_and_ended_containers(tmp_path: Path) -> None:
    async def body() -> None:
        first = make(tmp_path)
        await first.start()
        box = await first.run_pod_sandbox(POD)
        runs = await first.create_container(box, shell(tmp_path, "sleep 100"))
        await first.start_container(runs)
        ends = await first.create_container(box, shell(tmp_path, "sleep 0.2; exit 4", name="d"))
        await first.start_container(ends)
        pid = next(s.pid for s in first.list_containers() if s.id == runs)
        await first.close()
        second = make(tmp_path)
        await second.start()
        try:
            known = {s.id: s for s in second.list_containers("u1")}
            assert (known[runs].state, known[runs].pid) == ("RUNNING", pid)
            assert (await ended(second, ends)).exit_code == 4
            assert second.list_pod_sandboxes()[0].ips == ("127.91.7.1",)
            assert second.list_pod_sandboxes()[0].state == "READY"
            other = await second.run_pod_sandbox(SandboxConfig(namespace="ns", name="q", uid="u2"))
            assert [s.ips for s in second.list_pod_sandboxes() if s.id == other] == [("127.91.7.2",)]
        finally:
            for entry in second.list_pod_sandboxes():
                await second.remove_pod_sandbox(entry.id)
            await second.close()
        assert not _runs(pid)

    asyncio.run(body())


def test_the_end_of_the_shim_ends_its_containers_and_is_noticed(tmp_path: Path) -> None:
    async def body() -> None:
        async with sandbox(tmp_path) as (runtime, box):
            container = await runtime.create_container(box, shell(tmp_path, "sleep 100"))
            await runtime.start_container(container)
            record = runtime._sandboxes.by_id[box].record
            os.kill(record.shim_pid, signal.SIGKILL)
            status = await ended(runtime, container)
            assert (status.exit_code, status.reason) == (137, "Error")
            assert runtime.list_pod_sandboxes()[0].state == "NOTREADY"

    asyncio.run(body())


def test_a_process_with_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "100"])
    try:
        assert not shims.is_alive(stranger.pid, start_ticks=1)

        async def body() -> None:
            first = make(tmp_path)
            await first.start()
            box = await first.run_pod_sandbox(POD)
            record = first._sandboxes.by_id[box].record
            os.kill(record.shim_pid, signal.SIGKILL)
            await first.close()
            path = tmp_path / "rt" / "sandboxes" / box / "sandbox.json"
            text = path.read_text().replace(f'"shim_pid":{record.shim_pid}', f'"shim_pid":{stranger.pid}')
            path.write_text(text)
            second = make(tmp_path)
            await second.start()
            assert second.list_pod_sandboxes()[0].state == "NOTREADY"
            await second.remove_pod_sandbox(box)
            await second.close()

        asyncio.run(body())
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_without_namespaces_mounts_are_refused_and_descendants_end(tmp_path: Path) -> None:
    async def body() -> None:
        async with sandbox(tmp_path, isolation="none") as (runtime, box):
            with pytest.raises(ConfigFault, match="cannot mount /data"):
                await runtime.create_container(
                    box, shell(tmp_path, "true", mounts=[Mount(str(tmp_path), "/data")])
                )
            container = await runtime.create_container(box, shell(tmp_path, "sleep 100 & echo $!; wait"))
            await runtime.start_container(container)
            await eventually(lambda: (tmp_path / "log" / "0.log").stat().st_size > 0)
            child = int(await output(tmp_path))
            assert runtime.container_stats()[container].processes == 2
            await runtime.stop_container(container, 0)
            assert not _runs(child)

    asyncio.run(body())


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def shims_in(root: Path) -> list[int]:
    place = str(root / "rt" / "sandboxes")
    found = psutil.process_iter(["cmdline"])
    return [process.pid for process in found if any(place in word for word in process.info["cmdline"] or ())]


def test_a_shim_that_was_not_recorded_yet_is_ended_at_the_next_start(tmp_path: Path) -> None:
    """The kubelet was killed between the start of the shim and its record."""

    async def body() -> None:
        directory = tmp_path / "rt" / "sandboxes" / "torn"
        (directory / "containers").mkdir(parents=True)
        pid, ticks = await shims.start_shim(directory)
        runtime = make(tmp_path)
        await runtime.start()
        await runtime.close()
        await eventually(lambda: not shims.is_alive(pid, ticks))
        assert not directory.exists()

    asyncio.run(body())


@pytest.mark.parametrize("after", [True, False], ids=["after the shim", "before it"])
def test_a_sandbox_that_is_cancelled_on_its_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    start = shims.start_shim

    async def cancelled(directory: Path) -> tuple[int, int]:
        task = asyncio.current_task()
        assert task is not None
        if not after:
            asyncio.get_running_loop().call_soon(task.cancel)
        found = await start(directory)
        task.cancel()
        await asyncio.sleep(0)
        return found

    async def body() -> None:
        runtime = make(tmp_path)
        await runtime.start()
        monkeypatch.setattr(shims, "start_shim", cancelled)
        with pytest.raises(asyncio.CancelledError):
            await runtime.run_pod_sandbox(POD)
        await eventually(lambda: not shims_in(tmp_path))
        assert list((tmp_path / "rt" / "sandboxes").iterdir()) == []
        await runtime.close()

    asyncio.run(body())
