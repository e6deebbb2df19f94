"""The shim: one small process per pod that is the parent of the pod's containers.

It outlives the kubelet. It keeps the containers' logs, enforces memory limits, runs commands inside
containers and records each exit in `containers/<id>/status.json`, so that a kubelet that comes back finds out
what happened meanwhile. One shim per pod, not per container: it is the pod's sandbox (as containerd's shim v2
is), costs one interpreter per pod, and starting a further container or a probe is only a fork.

Protocol: JSON lines on a Unix socket in the sandbox directory. Requests carry `id` and `op` (start, kill,
exec, open, attach, end_input, list, forget, shutdown), answers repeat the `id` with `ok` or `error`; `{"event": "exit",
"status": {...}}` comes unasked. `open` and `attach` come on connections of their own with file descriptors
(`sessions`), and end with `{"event": "ended", "code": ...}`. One thread, one epoll; it sleeps unless something
happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time

from components.kubelet.runtime.process.shim import proctree, spawn
from components.kubelet.runtime.process.shim.commands import Command
from components.kubelet.runtime.process.shim.containers import READ, Container
from components.kubelet.runtime.process.shim.logfile import LogFile
from components.kubelet.runtime.process.shim.sessions import Attachment, LiveCommand, stdio
from components.kubelet.runtime.process.shim.watcher import Watcher

_MEMORY_INTERVAL = 1.0
_DRAIN_SECONDS = 2.0  # how long output that a container's children still hold open is waited for
_MAX_FDS = 3


class Client:
    """One connection of the kubelet; `session` is what lives and ends with it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""
        self.fds: list[int] = []
        self.session: LiveCommand | Attachment | None = None

    def receive(self) -> bytes:
        try:
            data, fds, _, _ = socket.recv_fds(self.connection, READ, _MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return b""
        self.fds += fds
        return data

    def take_fds(self) -> list[int]:
        fds, self.fds = self.fds, []
        return fds

    def send(self, message: dict[str, object], fds: list[int] | None = None) -> None:
        """A kubelet that is gone or stuck misses messages; it asks for the whole list when it comes back."""
        with contextlib.suppress(OSError):
            line = json.dumps(message).encode() + b"\n"
            if fds:
                socket.send_fds(self.connection, [line], fds)
            else:
                self.connection.sendall(line)


class Shim:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._watcher = Watcher()
        self._clients: dict[int, Client] = {}
        self._containers: dict[str, Container] = {}
        self._commands: dict[int, Command | LiveCommand] = {}
        self._wake_r, self._wake_w = os.pipe()
        self._running = True

    def run(self) -> None:
        os.set_blocking(self._wake_w, False)
        signal.set_wakeup_fd(self._wake_w)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._watcher.readable(self._wake_r, self._woken)
        self._watcher.readable(self._listener.fileno(), self._accept)
        while self._running:
            self._watcher.run_once(self._timeout())
            self._tick()

    def _timeout(self) -> float:
        now = time.monotonic()
        waits = [
            c.deadline - now for c in self._commands.values() if isinstance(c, Command) and not c.timed_out
        ]
        for container in self._containers.values():
            if container.exited_at and container.outputs:
                waits.append(container.exited_at + _DRAIN_SECONDS - now)
            elif not container.exited_at and container.spec["memory_limit"]:
                waits.append(_MEMORY_INTERVAL)
        return max(min(waits), 0.0) if waits else -1

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_r, READ)
        self._reap()

    def _tick(self) -> None:
        now = time.monotonic()
        for command in list(self._commands.values()):
            if isinstance(command, Command):
                command.check_time(now)
        for container in list(self._containers.values()):
            if container.exited_at and container.outputs and now >= container.exited_at + _DRAIN_SECONDS:
                for name in list(container.outputs):
                    container.end_output(name)
            elif not container.exited_at and container.spec["memory_limit"]:
                container.check_memory()

    # --- clients

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        client = Client(connection)
        self._clients[connection.fileno()] = client
        self._watcher.readable(connection.fileno(), lambda: self._receive(client))
        connection.settimeout(5.0)

    def _receive(self, client: Client) -> None:
        data = client.receive()
        if not data:
            self._drop(client)
            return
        *lines, client.buffer = (client.buffer + data).split(b"\n")
        for line in lines:
            self._request(client, json.loads(line))

    def _drop(self, client: Client) -> None:
        fd = client.connection.fileno()
        self._watcher.forget(fd)
        del self._clients[fd]
        client.connection.close()
        for left in client.take_fds():
            os.close(left)
        if client.session is not None:
            client.session.close()

    def _request(self, client: Client, message: dict[str, object]) -> None:
        answer: dict[str, object] = {"id": message["id"]}
        try:
            result = getattr(self, f"_op_{message['op']}")(client, message)
        except (spawn.StartError, OSError, KeyError) as error:
            answer["error"] = str(error)
        else:
            if result is None:
                return  # answered later, or already
            answer["ok"] = result
        client.send(answer)

    # --- operations

    def _op_start(self, _client: Client, message: dict[str, object]) -> object:
        with open(os.path.join("containers", str(message["container"]), "spec.json"), "rb") as file:
            spec = json.load(file)
        log = LogFile(spec["log_path"], spec["log_max_bytes"], spec["log_max_files"])
        try:
            child = spawn.start(spec)
        except (spawn.StartError, OSError):
            log.close()
            raise
        container = Container(spec, child, log, self._watcher, self._finish_container)
        self._containers[spec["id"]] = container
        self._record(container)
        return container.status

    def _op_kill(self, _client: Client, message: dict[str, object]) -> object:
        container = self._containers.get(str(message["container"]))
        if container is not None and not container.exited_at:
            number = int(str(message["signal"]))
            if number == signal.SIGKILL:
                container.kill()
            else:
                os.kill(container.pid, number)
        return True

    def _op_exec(self, client: Client, message: dict[str, object]) -> object:
        container = self._live(message)
        child = spawn.execute(container.spec, container.pid, _argv(message))
        request = message["id"]
        self._commands[child.pid] = Command(
            self._watcher,
            child,
            float(str(message["limit"])),
            lambda result: client.send({"id": request, "ok": result}),
        )
        return None

    def _op_open(self, client: Client, message: dict[str, object]) -> object:
        fds = client.take_fds()
        try:
            container = self._live(message)
            child = spawn.execute(container.spec, container.pid, _argv(message), stdio(message, fds))
        finally:
            for fd in fds:
                os.close(fd)
        session = LiveCommand(child, lambda code: client.send({"event": "ended", "code": code}))
        self._commands[child.pid] = client.session = session
        return {"pid": child.pid}

    def _op_attach(self, client: Client, message: dict[str, object]) -> object:
        fds = client.take_fds()
        names = message["streams"]
        assert isinstance(names, list)
        try:
            container = self._live(message)
        except spawn.StartError:
            for fd in fds:
                os.close(fd)
            raise
        wants_input = bool(message["stdin"])
        client.session = Attachment(container, dict(zip(names, fds, strict=True)), uses_input=wants_input)
        # A terminal is sent in any case, because its window size is set through it.
        given = container.input() if wants_input else container.terminal
        found = {"tty": container.terminal is not None, "input": given is not None}
        client.send({"id": message["id"], "ok": found}, [given] if given is not None else None)
        return None

    def _op_end_input(self, client: Client, _message: dict[str, object]) -> object:
        if isinstance(client.session, Attachment):
            client.session.end_input()
        return None

    def _live(self, message: dict[str, object]) -> Container:
        container = self._containers[str(message["container"])]
        if container.exited_at:
            raise spawn.StartError("container is not running")
        return container

    def _op_list(self, _client: Client, _message: dict[str, object]) -> object:
        return [container.status for container in self._containers.values()]

    def _op_forget(self, _client: Client, message: dict[str, object]) -> object:
        container = self._containers.get(str(message["container"]))
        if container is not None and container.exited_at:
            del self._containers[str(message["container"])]
        return True

    def _op_shutdown(self, _client: Client, _message: dict[str, object]) -> object:
        for container in self._containers.values():
            if not container.exited_at:
                container.kill()
        # What left its container's tree has come back to this process, the pod's subreaper.
        proctree.kill_all(proctree.tree(os.getpid())[1:])
        self._running = False
        return True

    # --- processes

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, spawn.exit_code(status))

    def _ended(self, pid: int, code: int) -> None:
        command = self._commands.pop(pid, None)
        if command is not None:
            command.exited(code)
            return
        for container in self._containers.values():
            if container.pid == pid and not container.exited_at:
                container.exited(code)
                if "pid" not in container.spec["namespaces"]:
                    proctree.kill_all(proctree.session_members(pid))
                self._finish_container(container)

    def _finish_container(self, container: Container) -> None:
        """Exited and its output is complete: only now is the exit told, so that its logs are all there."""
        if not container.is_complete():
            return
        container.complete()
        self._record(container)
        for client in self._clients.values():
            session = client.session
            if session is None:
                client.send({"event": "exit", "status": container.status})
            elif isinstance(session, Attachment) and session.container is container:
                client.send({"event": "ended", "code": container.status["exit_code"]})

    def _record(self, container: Container) -> None:
        """Write the status where the next kubelet looks for it; replaced whole or not at all."""
        path = os.path.join("containers", container.spec["id"], "status.json")
        with contextlib.suppress(OSError):
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(container.status, file)
            os.replace(path + ".new", path)


def _argv(message: dict[str, object]) -> list[str]:
    argv = message["argv"]
    assert isinstance(argv, list)
    if not argv:
        raise spawn.StartError("no command specified")
    return argv
