"""Starts one container process, or one more process inside a running container.

Called by the shim's server; runs `rootfs` in the child. Between fork and exec any failure is written to a
pipe that closes by itself on a successful exec, so the caller knows at once whether the program runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket

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


class Child:
    """A started process and the read ends of its output."""

    def __init__(self, pid: int, stdout: int, stderr: int) -> None:
        self.pid, self.stdout, self.stderr = pid, stdout, stderr


def start(spec: Spec) -> Child:
    flags = 0
    for name in spec["namespaces"]:
        flags |= _FLAGS[name]
    outside = (os.geteuid(), os.getegid())
    return _fork(flags, lambda: _become_container(spec, outside))


def execute(spec: Spec, pid: int, argv: list[str]) -> Child:
    """Run `argv` inside the namespaces of the container whose first process is `pid`."""
    return _fork(0, lambda: _join_container(spec, pid, argv))


def _fork(flags: int, body: Callable[[], None]) -> Child:
    out_r, out_w = os.pipe()
    err_r, err_w = os.pipe()
    told_r, told_w = os.pipe()
    pid = sc.clone(flags) if flags else os.fork()
    if pid == 0:
        _run_child(body, out_w, err_w, told_w)
    for fd in (out_w, err_w, told_w):
        os.close(fd)
    with open(told_r, "rb") as told:
        failure = told.read()
    if failure:
        os.waitpid(pid, 0)
        os.close(out_r)
        os.close(err_r)
        raise StartError(failure.decode("utf-8", "replace"))
    return Child(pid, out_r, err_r)


def _run_child(body: Callable[[], None], out_w: int, err_w: int, told_w: int) -> NoReturn:
    """Never returns: the child ends in exec, or says on `told_w` why not."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (out_w, 1), (err_w, 2)):
            os.dup2(source, target)
        body()
    except BaseException as error:  # the child must not run the parent's code, whatever happened
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        with contextlib.suppress(OSError):
            os.write(told_w, (text or type(error).__name__).encode())
    os._exit(128)


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


def _join_container(spec: Spec, pid: int, argv: list[str]) -> None:
    sc.die_with_parent()
    handles = [
        (os.open(f"/proc/{pid}/ns/{file}", os.O_RDONLY), _FLAGS[name])
        for name, file in _NS_FILES
        if name in spec["namespaces"]
    ]
    for fd, kind in handles:
        sc.setns(fd, kind)
    if "pid" not in spec["namespaces"]:
        _finish(spec, argv)
    inner = os.fork()  # only a child is really inside the PID namespace
    if inner == 0:
        _finish(spec, argv)
    # The pipe that tells about failures must close when the inner program runs, not when it ends.
    os.closerange(3, 1024)
    os.close(1)
    os.close(2)
    _, status = os.waitpid(inner, 0)
    os._exit(exit_code(status))


def exit_code(status: int) -> int:
    """As shells and Kubernetes count: the code, or 128 + the signal that ended it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
