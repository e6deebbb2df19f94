"""Starts one container process, or one more process inside a running container.

Called by the shim's server; runs `rootfs` in the child. Between fork and exec any failure is written to a
pipe that closes by itself on a successful exec, so the caller knows at once whether the program runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import termios

from components.kubelet.runtime.process.shim import syscalls as sc
from components.kubelet.runtime.process.shim.rootfs import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeAlias

    Spec: TypeAlias = dict[str, Any]  # the JSON object that runtime/process/spec.py wrote

_FLAGS = {"user": sc.CLONE_NEWUSER, "mount": sc.CLONE_NEWNS, "pid": sc.CLONE_NEWPID, "uts": sc.CLONE_NEWUTS}
_NS_FILES = (("user", "user"), ("mount", "mnt"), ("uts", "uts"), ("pid", "pid"))


class StartError(Exception):
    """The program could not be started; the text is for the user."""


class Stdio:
    """The descriptors a new process gets as its own 0, 1 and 2; None is /dev/null."""

    def __init__(
        self, stdin: int | None, stdout: int | None, stderr: int | None, *, terminal: bool = False
    ) -> None:
        self.fds = (stdin, stdout, stderr)
        self.terminal = terminal


class Child:
    """A started process and our ends of its streams: `outputs` to read, `stdin` or `terminal` to write."""

    def __init__(
        self, pid: int, outputs: dict[str, int], stdin: int | None = None, terminal: int | None = None
    ) -> None:
        self.pid, self.outputs, self.stdin, self.terminal = pid, outputs, stdin, terminal


def start(spec: Spec) -> Child:
    flags = 0
    for name in spec["namespaces"]:
        flags |= _FLAGS[name]
    outside = (os.geteuid(), os.getegid())

    def body() -> None:
        if spec["tty"]:
            _take_terminal()
        _become_container(spec, outside)

    if spec["tty"]:
        return _on_terminal(flags, body, spec)
    return _on_pipes(flags, body, with_stdin=spec["stdin"])


def execute(spec: Spec, pid: int, argv: list[str], given: Stdio | None = None) -> Child:
    """Run `argv` inside the namespaces of the container whose first process is `pid`, its output to be
    collected, or its streams those that were `given` (which stay the caller's to close)."""
    if given is None:
        return _on_pipes(0, lambda: _join_container(spec, pid, argv, terminal=False), with_stdin=False)
    started = _fork(0, lambda: _join_container(spec, pid, argv, terminal=given.terminal), given)
    return Child(started, {})


def _on_pipes(flags: int, body: Callable[[], None], *, with_stdin: bool) -> Child:
    pipes = [os.pipe(), os.pipe(), *([os.pipe()] if with_stdin else [])]
    (out_r, out_w), (err_r, err_w), *more = pipes
    in_r, in_w = more[0] if more else (None, None)
    ours, theirs = [out_r, err_r, in_w], [out_w, err_w, in_r]
    try:
        pid = _fork(flags, body, Stdio(in_r, out_w, err_w))
    except BaseException:
        _close(ours)
        raise
    finally:
        _close(theirs)
    return Child(pid, {"stdout": out_r, "stderr": err_r}, stdin=in_w)


def _on_terminal(flags: int, body: Callable[[], None], spec: Spec) -> Child:
    ours, theirs = os.openpty()
    try:
        if spec["uid"] is not None and os.geteuid() == 0:
            os.fchown(theirs, spec["uid"], -1)
        pid = _fork(flags, body, Stdio(theirs, theirs, theirs, terminal=True))
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return Child(pid, {"stdout": ours}, terminal=ours)


def _close(fds: list[int | None]) -> None:
    for fd in fds:
        if fd is not None:
            os.close(fd)


def _fork(flags: int, body: Callable[[], None], stdio: Stdio) -> int:
    told_r, told_w = os.pipe()
    pid = sc.clone(flags) if flags else os.fork()
    if pid == 0:
        _run_child(body, stdio, told_w)
    os.close(told_w)
    with open(told_r, "rb") as told:
        failure = told.read()
    if failure:
        os.waitpid(pid, 0)
        raise StartError(failure.decode("utf-8", "replace"))
    return pid


def _run_child(body: Callable[[], None], stdio: Stdio, told_w: int) -> NoReturn:
    """Never returns: the child ends in exec, or says on `told_w` why not."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for target, source in enumerate(stdio.fds):
            os.dup2(null if source is None else source, target)
        body()
    except BaseException as error:  # the child must not run the parent's code, whatever happened
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        with contextlib.suppress(OSError):
            os.write(told_w, (text or type(error).__name__).encode())
    os._exit(128)


def _take_terminal() -> None:
    """Standard input is a terminal: make it the one that controls this session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _become_container(spec: Spec, outside: tuple[int, int]) -> None:
    namespaces = spec["namespaces"]
    if "user" in namespaces:
        _map_ids(spec, outside)
    _raise_oom_score(spec)
    if "mount" in namespaces:
        tree = Tree(spec["root"])
        tree.build(
            spec["mounts"], own_proc="pid" in namespaces, readonly=spec["readonly"], cwd=spec["create_cwd"]
        )
        tree.enter()
    if "uts" in namespaces:
        socket.sethostname(spec["hostname"])
    _finish(spec, spec["argv"])


def _map_ids(spec: Spec, outside: tuple[int, int]) -> None:
    """One id is all that an unprivileged user may map: the wanted inside id onto the user's own."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{spec['uid'] or 0} {outside[0]} 1"),
        ("gid_map", f"{spec['gid'] or 0} {outside[1]} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _raise_oom_score(spec: Spec) -> None:
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(max(spec["oom_score_adj"], 0)))


def _finish(spec: Spec, argv: list[str]) -> None:
    """The last steps in the final root: directory, identity, exec. As runc, the directory is entered with the
    rights of before, because the new user may not reach it, and only then with those of the new user."""
    failure = _enter(spec["cwd"])
    if "user" not in spec["namespaces"] and os.geteuid() == 0:
        if spec["gid"] is not None or spec["uid"] is not None:
            os.setgroups([])
            os.setgid(spec["gid"] or 0)
        if spec["uid"] is not None:
            os.setuid(spec["uid"])
    sc.die_with_parent()
    failure = failure and _enter(spec["cwd"])
    if failure:
        raise StartError(f"chdir to cwd ({spec['cwd']!r}) set in config: {failure.strerror}") from failure
    os.umask(0o022)
    try:
        _exec(argv, spec["env"])
    except FileNotFoundError as error:
        where = "no such file or directory" if "/" in argv[0] else "executable file not found in $PATH"
        raise StartError(f'exec: "{argv[0]}": {where}') from error
    except OSError as error:
        raise StartError(f'exec: "{argv[0]}": {str(error.strerror).lower()}') from error


def _exec(argv: list[str], env: dict[str, str]) -> None:
    """As os.execvpe, which imports a module: the new user may not read this interpreter's library."""
    if "/" in argv[0]:
        os.execve(argv[0], argv, env)
    denied: OSError | None = None
    for directory in env.get("PATH", os.defpath).split(":"):
        try:
            os.execve(os.path.join(directory, argv[0]), argv, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            denied = error
    raise denied or FileNotFoundError(argv[0])


def _enter(directory: str) -> OSError | None:
    try:
        os.chdir(directory)
    except OSError as error:
        return error
    return None


def _join_container(spec: Spec, pid: int, argv: list[str], *, terminal: bool) -> None:
    sc.die_with_parent()
    handles = [
        (os.open(f"/proc/{pid}/ns/{file}", os.O_RDONLY), _FLAGS[name])
        for name, file in _NS_FILES
        if name in spec["namespaces"]
    ]
    for fd, kind in handles:
        sc.setns(fd, kind)
    if "pid" not in spec["namespaces"]:
        _run_inside(spec, argv, terminal=terminal)
    inner = os.fork()  # only a child is really inside the PID namespace
    if inner == 0:
        if terminal:
            os.setsid()  # shells look for a session and a process group that they can see
        _run_inside(spec, argv, terminal=terminal)
    # The pipe that tells about failures must close when the inner program runs, not when it ends; nor may
    # the streams stay open here after it closed them.
    os.closerange(3, 1024)
    for fd in (0, 1, 2):
        os.close(fd)
    _, status = os.waitpid(inner, 0)
    os._exit(exit_code(status))


def _run_inside(spec: Spec, argv: list[str], *, terminal: bool) -> None:
    if terminal:
        _take_terminal()
    env = {**spec["env"], "TERM": spec["env"].get("TERM", "xterm")} if terminal else spec["env"]
    _finish({**spec, "env": env}, argv)


def exit_code(status: int) -> int:
    """As shells and Kubernetes count: the code, or 128 + the signal that ended it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
