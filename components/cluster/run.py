"""From `kuberaft up` to a running supervisor: in the foreground with a view, or as a process of its own.

A detached cluster is the same command started again in its own session, with a pipe over which it tells how
far it is; the pipe ends with `READY` or with the error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence

from components.cluster import control
from components.cluster.drilling import DrillRuns
from components.cluster.errors import ClusterError
from components.cluster.launcher import Launcher
from components.cluster.layout import Layout
from components.cluster.prepare import Prepared, prepare
from components.cluster.supervisor import Supervisor
from components.cluster.topology import Topology

READY = "READY"
Watcher = Callable[[Supervisor], Awaitable[None]]
PRELOAD = ("components.master",)


def in_foreground(layout: Layout, topology: Topology | None) -> None:
    """Run the cluster in this process until Ctrl-C or `kuberaft down`."""
    from components.cluster.view import watch

    _supervise(layout, topology, watch)
    print("stopped")


def as_daemon(layout: Layout, topology: Topology | None, notify: int, lifeline: int | None = None) -> None:
    """Run the cluster in this process; tell the one who started it over the pipe `notify`. `lifeline` is the reading
    end of a pipe: when nobody holds the other end any more, the cluster ends in order.
    """
    os.set_inheritable(notify, False)
    pipe = os.fdopen(notify, "w", buffering=1)

    async def tell(supervisor: Supervisor) -> None:
        async for line in supervisor.progress():
            _write(pipe.fileno(), line)
        if supervisor.ready.is_set():
            _write(pipe.fileno(), READY)
            pipe.close()

    try:
        _supervise(layout, topology, tell, lifeline)
    except ClusterError as error:
        if not pipe.closed:
            _write(pipe.fileno(), f"error: {error}")
        sys.exit(1)


def _print(line: str) -> None:
    print(line, flush=True)


def in_background(
    layout: Layout,
    config: str | None,
    workers: int | None,
    api_port: int | None,
    more: Sequence[str] = (),
    say: Callable[[str], None] = _print,
) -> None:
    """Start a supervisor in its own session, and return when all nodes are Ready. Raises ClusterError."""
    read, write = os.pipe()
    arguments = ["up", "--dir", str(layout.root), "--notify-fd", str(write)]
    arguments += ["--config", config] if config is not None else []
    arguments += ["--workers", str(workers)] if workers is not None else []
    arguments += ["--api-port", str(api_port)] if api_port is not None else []
    arguments += more
    process = subprocess.Popen(
        [sys.executable, "-m", "components.cluster", *arguments],
        pass_fds=(write,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(write)
    failure = _relay(read, process, say)
    if failure is not None:
        process.wait(timeout=30)
        raise failure
    process.returncode = 0  # it lives on, on purpose: nobody is to wait for it, or to warn that nobody does
    say(f"kubeconfig: {layout.kubeconfig}")


def _relay(read: int, process: subprocess.Popen[bytes], say: Callable[[str], None]) -> ClusterError | None:
    """Pass the daemon's lines on; its error, or None when it is ready."""
    failed: list[str] = []
    try:
        with os.fdopen(read) as lines:
            for line in map(str.rstrip, lines):
                if line == READY:
                    return None
                if failed or line.startswith("error: "):
                    failed.append(line.removeprefix("error: "))
                else:
                    say(line)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        raise
    text = "\n".join(failed) or "the supervisor ended while starting"
    message, _, remedy = text.rpartition("\n  ")
    return ClusterError(message or text, remedy if message else "start it without --detach to see why")


def _supervise(
    layout: Layout, topology: Topology | None, watch: Watcher, lifeline: int | None = None
) -> None:
    launcher = Launcher.open(PRELOAD)  # imports while we prepare
    prepared: Prepared | None = None
    try:
        prepared = prepare(layout, topology)
        _log_to(layout)
        _run(_main(prepared, launcher, watch, lifeline))
    finally:
        launcher.kill()
        if prepared is not None:
            prepared.close()


async def _main(prepared: Prepared, launcher: Launcher, watch: Watcher, lifeline: int | None) -> None:
    supervisor = Supervisor(prepared, launcher)
    loop = asyncio.get_running_loop()
    if lifeline is not None:
        os.set_inheritable(lifeline, False)
        loop.add_reader(lifeline, _cut_off, lifeline, supervisor)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.request_stop)
    drills = DrillRuns(prepared.layout.root, prepared.layout.drills)
    server = control.server(supervisor, prepared.layout.socket, drills)
    await server.start()
    watching = asyncio.ensure_future(watch(supervisor))
    try:
        await supervisor.run()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await drills.close()
        await server.stop()


def _cut_off(lifeline: int, supervisor: Supervisor) -> None:
    """Nothing is ever written to a lifeline: readable means that it has no other end."""
    asyncio.get_running_loop().remove_reader(lifeline)
    supervisor.request_stop()


def _run(coroutine: Awaitable[None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(coroutine)  # type: ignore[arg-type]


def _log_to(layout: Layout) -> None:
    handler = logging.FileHandler(layout.log("supervisor"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _write(descriptor: int, line: str) -> None:
    with contextlib.suppress(OSError):  # the one who started us may have gone; the cluster runs on
        os.write(descriptor, line.encode() + b"\n")
