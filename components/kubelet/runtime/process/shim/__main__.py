"""Start of a shim: `python -I -S <this directory>/__main__.py <sandbox directory>`, run by
`runtime.process.shims`.

Detaches from the kubelet (its own session, its parent gone) and returns to the caller only when the socket
listens, so that the exit of the first process means "ready". Prints the pid of the shim.
With `--probe DIR NAMESPACES` it only finds out whether this machine grants a container those namespaces.
"""

from __future__ import annotations

import os
import socket
import sys

sys.path.insert(0, os.path.abspath(__file__).rsplit(os.sep, 6)[0])

from components.kubelet.runtime.process.shim import spawn, syscalls
from components.kubelet.runtime.process.shim.server import Shim


def serve(directory: str) -> None:
    os.chdir(directory)
    errors = os.open("shim.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    listener = socket.socket(socket.AF_UNIX)
    if os.path.lexists("shim.sock"):
        os.unlink("shim.sock")
    listener.bind("shim.sock")
    listener.listen(8)
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        os._exit(0)
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for source, target in ((null, 0), (null, 1), (errors, 2)):
        os.dup2(source, target)
    _close_inherited(keep=listener.fileno())
    syscalls.set_process_name("kuberaft-shim")
    syscalls.become_subreaper()
    Shim(listener).run()


def _close_inherited(keep: int) -> None:
    """Whatever the kubelet had open must not live on here, least of all the pipe it waits for the end of."""
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    os.closerange(3, keep)
    os.closerange(keep + 1, highest + 1)


def probe(root: str, namespaces: list[str]) -> int:
    spec = {
        "namespaces": namespaces,
        "root": root,
        "mounts": [{"host_path": root, "container_path": "/run/kuberaft-probe/volume", "readonly": True}],
        "readonly": False,
        "hostname": "probe",
        "create_cwd": "",
        "cwd": "/run/kuberaft-probe/volume",
        "argv": ["true"],
        "env": {"PATH": "/usr/local/bin:/usr/bin:/bin"},
        "uid": None,
        "gid": None,
        "oom_score_adj": 0,
        "stdin": False,
        "tty": False,
    }
    try:
        child = spawn.start(spec)
    except (spawn.StartError, OSError) as error:
        print(error)
        return 1
    return spawn.exit_code(os.waitpid(child.pid, 0)[1])


if __name__ == "__main__":
    if sys.argv[1] == "--probe":
        sys.exit(probe(sys.argv[2], sys.argv[3].split(",") if sys.argv[3] else []))
    serve(sys.argv[1])
