"""The shim: one small process per pod that is the parent of the pod's containers.

It outlives the kubelet. It keeps the containers' logs, enforces memory limits, runs commands inside
containers and records each exit in `containers/<id>/status.json`, so that a kubelet that comes back finds out
what happened meanwhile. One shim per pod, not per container: it is the pod's sandbox (as containerd's shim v2
is), costs one interpreter per pod, and starting a further container or a probe is only a fork.

Protocol: JSON lines on a Unix socket in the sandbox directory. Requests carry `id` and `op` (start,
kill, exec, list, shutdown), answers repeat the `id` with `ok` or `error`; `{"event": "exit", "status":
{...}}` comes unasked. One thread, one epoll; it sleeps unless something happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time

from components.kubelet.runtime.process.shim import proctree, spawn
from components.kubelet.runtime.process.shim.logfile import LogFile, StreamWriter

_READ = 64 * 1024
_EXEC_OUTPUT_LIMIT = 1 << 20
_MEMORY_INTERVAL = 1.0
_DRAIN_SECONDS = 2.0  # how long output that a container's children still hold open is waited for


class Container:
    def __init__(self, spec: spawn.Spec, child: spawn.Child, log: LogFile) -> None:
        self.spec, self.pid, self.log = spec, child.pid, log
        self.streams = {
            child.stdout: StreamWriter("stdout", log),
            child.stderr: StreamWriter("stderr", log),
        }
        self.oom_killed = False
        self.exited_at = 0.0  # monotonic; 0 while it runs
        self.status = {
            "id": spec["id"],
            "state": "RUNNING",
            "pid": child.pid,
            "start_ticks": proctree.start_time(child.pid),
            "started_at": time.time(),
            "finished_at": 0.0,
            "exit_code": 0,
            "reason": "",
        }


class Exec:
    def __init__(self, client: Client, request: int, child: spawn.Child, deadline: float) -> None:
        self.client, self.request, self.pid, self.deadline = client, request, child.pid, deadline
        self.output = {child.stdout: bytearray(), child.stderr: bytearray()}
        self.order = (child.stdout, child.stderr)
        self.open = {child.stdout, child.stderr}
        self.code: int | None = None
        self.timed_out = False


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""

    def send(self, message: dict[str, object]) -> None:
        """A kubelet that is gone or stuck misses messages; it asks for the whole list when it comes back."""
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")


class Shim:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._containers: dict[str, Container] = {}
        self._execs: dict[int, Exec] = {}
        self._owners: dict[int, Container | Exec] = {}
        self._wake_r, self._wake_w = os.pipe()
        self._running = True

    def run(self) -> None:
        os.set_blocking(self._wake_w, False)
        os.set_blocking(self._wake_r, False)
        signal.set_wakeup_fd(self._wake_w)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._epoll.register(self._wake_r, select.EPOLLIN)
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        while self._running:
            for fd, _ in self._epoll.poll(self._timeout()):
                self._ready(fd)
            self._tick()

    def _timeout(self) -> float:
        now = time.monotonic()
        waits = [run.deadline - now for run in self._execs.values() if not run.timed_out]
        for container in self._containers.values():
            if container.exited_at and container.streams:
                waits.append(container.exited_at + _DRAIN_SECONDS - now)
            elif not container.exited_at and container.spec["memory_limit"]:
                waits.append(_MEMORY_INTERVAL)
        return max(min(waits), 0.0) if waits else -1

    def _ready(self, fd: int) -> None:
        if fd == self._wake_r:
            with contextlib.suppress(BlockingIOError):
                os.read(fd, _READ)
            self._reap()
        elif fd == self._listener.fileno():
            self._accept()
        elif fd in self._clients:
            self._receive(self._clients[fd])
        elif fd in self._owners:
            self._output(fd, self._owners[fd])

    def _tick(self) -> None:
        now = time.monotonic()
        for run in list(self._execs.values()):
            if now >= run.deadline and not run.timed_out:
                run.timed_out = True
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGKILL)
        for container in list(self._containers.values()):
            if container.exited_at and container.streams and now >= container.exited_at + _DRAIN_SECONDS:
                for fd in list(container.streams):
                    self._end_stream(fd, container)
            elif not container.exited_at and container.spec["memory_limit"]:
                self._check_memory(container)

    # --- clients

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(5.0)
        self._clients[connection.fileno()] = Client(connection)
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _receive(self, client: Client) -> None:
        try:
            data = client.connection.recv(_READ)
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        *lines, client.buffer = (client.buffer + data).split(b"\n")
        for line in lines:
            self._request(client, json.loads(line))

    def _drop(self, client: Client) -> None:
        fd = client.connection.fileno()
        self._epoll.unregister(fd)
        del self._clients[fd]
        client.connection.close()

    def _request(self, client: Client, message: dict[str, object]) -> None:
        answer: dict[str, object] = {"id": message["id"]}
        try:
            result = getattr(self, f"_op_{message['op']}")(client, message)
        except (spawn.StartError, OSError, KeyError) as error:
            answer["error"] = str(error)
        else:
            if result is None:
                return  # answered later
            answer["ok"] = result
        client.send(answer)

    def _op_start(self, _client: Client, message: dict[str, object]) -> object:
        with open(os.path.join("containers", str(message["container"]), "spec.json"), "rb") as file:
            spec = json.load(file)
        log = LogFile(spec["log_path"], spec["log_max_bytes"], spec["log_max_files"])
        try:
            child = spawn.start(spec)
        except (spawn.StartError, OSError):
            log.close()
            raise
        container = Container(spec, child, log)
        self._containers[spec["id"]] = container
        self._watch_output(container, list(container.streams))
        self._record(container)
        return container.status

    def _op_kill(self, _client: Client, message: dict[str, object]) -> object:
        container = self._containers.get(str(message["container"]))
        if container is not None and not container.exited_at:
            number = int(str(message["signal"]))
            if number == signal.SIGKILL:
                self._kill_hard(container)
            else:
                os.kill(container.pid, number)
        return True

    def _op_exec(self, client: Client, message: dict[str, object]) -> object:
        container = self._containers[str(message["container"])]
        if container.exited_at:
            raise spawn.StartError("container is not running")
        argv = message["argv"]
        assert isinstance(argv, list)
        child = spawn.execute(container.spec, container.pid, argv)
        deadline = time.monotonic() + float(str(message["limit"]))
        run = Exec(client, int(str(message["id"])), child, deadline)
        self._execs[child.pid] = run
        self._watch_output(run, list(run.output))
        return None

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
                self._kill_hard(container)
        # What left its container's tree has come back to this process, the pod's subreaper.
        proctree.kill_all(proctree.tree(os.getpid())[1:])
        self._running = False
        return True

    # --- processes

    def _watch_output(self, owner: Container | Exec, fds: list[int]) -> None:
        for fd in fds:
            os.set_blocking(fd, False)
            self._owners[fd] = owner
            self._epoll.register(fd, select.EPOLLIN)

    def _output(self, fd: int, owner: Container | Exec) -> None:
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return
        if not data:
            self._end_stream(fd, owner)
        elif isinstance(owner, Container):
            owner.streams[fd].feed(data, time.time_ns())
        elif len(owner.output[fd]) < _EXEC_OUTPUT_LIMIT:
            owner.output[fd] += data

    def _end_stream(self, fd: int, owner: Container | Exec) -> None:
        self._epoll.unregister(fd)
        del self._owners[fd]
        os.close(fd)
        if isinstance(owner, Container):
            owner.streams.pop(fd).finish(time.time_ns())
            self._finish_container(owner)
        else:
            owner.open.discard(fd)
            self._finish_exec(owner)

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
        if pid in self._execs:
            self._execs[pid].code = code
            self._finish_exec(self._execs[pid])
            return
        for container in self._containers.values():
            if container.pid == pid and not container.exited_at:
                container.exited_at = time.monotonic()
                reason = "OOMKilled" if container.oom_killed else ("Error" if code else "Completed")
                container.status.update(finished_at=time.time(), exit_code=code, reason=reason)
                if "pid" not in container.spec["namespaces"]:
                    proctree.kill_all(proctree.session_members(pid))
                self._finish_container(container)

    def _finish_container(self, container: Container) -> None:
        """Exited and its output is complete: only now is the exit told, so that its logs are all there."""
        if container.exited_at and not container.streams and container.status["state"] == "RUNNING":
            container.status["state"] = "EXITED"
            container.log.close()
            self._record(container)
            for client in self._clients.values():
                client.send({"event": "exit", "status": container.status})

    def _finish_exec(self, run: Exec) -> None:
        if run.code is None or (run.open and not run.timed_out):
            return
        for fd in list(run.open):
            self._epoll.unregister(fd)
            del self._owners[fd]
            os.close(fd)
        del self._execs[run.pid]
        out, err = (bytes(run.output[fd]).decode("utf-8", "surrogateescape") for fd in run.order)
        result = {"code": run.code, "stdout": out, "stderr": err, "timed_out": run.timed_out}
        run.client.send({"id": run.request, "ok": result})

    def _kill_hard(self, container: Container) -> None:
        if "pid" in container.spec["namespaces"]:
            os.kill(container.pid, signal.SIGKILL)  # the kernel ends the whole namespace with it
            return
        for _ in range(5):  # a process may fork while it is being killed
            members = [*proctree.tree(container.pid), *proctree.session_members(container.pid)]
            proctree.kill_all(members)
            if len(members) <= 1:
                return

    def _check_memory(self, container: Container) -> None:
        used = sum(proctree.anonymous_bytes(pid) for pid in proctree.tree(container.pid))
        if used > container.spec["memory_limit"]:
            container.oom_killed = True
            self._kill_hard(container)

    def _record(self, container: Container) -> None:
        """Write the status where the next kubelet looks for it; replaced whole or not at all."""
        path = os.path.join("containers", container.spec["id"], "status.json")
        with contextlib.suppress(OSError):
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump(container.status, file)
            os.replace(path + ".new", path)
