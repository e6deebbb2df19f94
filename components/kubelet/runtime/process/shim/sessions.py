"""What a client of the kubelet is connected to: a command with streams of its own, or a container attached to.

Operations `open` and `attach` of `server`. The kubelet sends the ends of its pipes (or of a terminal) with the
request, so the bytes never pass through this process, except the copies for attached clients. A session
lives as long as the connection that asked for it: when that closes, a command is killed with all its children.
"""

from __future__ import annotations

import os

from components.kubelet.runtime.process.shim import proctree, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from components.kubelet.runtime.process.shim.containers import Container


class LiveCommand:
    """A running command. `tell(code)` reports its end; `close` ends it."""

    def __init__(self, child: spawn.Child, tell: Callable[[int], None]) -> None:
        self.pid = child.pid
        self._tell = tell
        self.running = True

    def exited(self, code: int) -> None:
        self.running = False
        self._tell(code)

    def close(self) -> None:
        if self.running:
            # The tree is listed before anything is killed: orphans would be children of somebody else.
            proctree.kill_all(proctree.tree(self.pid))


class Attachment:
    """A client attached to a container's output, and to its input if it asked for that."""

    def __init__(self, container: Container, sinks: dict[str, int], *, uses_input: bool) -> None:
        self.container = container
        self._sinks, self._uses_input = sinks, uses_input
        for name, fd in sinks.items():
            if name in container.outputs:
                container.outputs[name].attach(fd)
            else:
                os.close(fd)

    def close(self) -> None:
        for name, fd in self._sinks.items():
            if name in self.container.outputs:
                self.container.outputs[name].detach(fd)
        self.end_input()

    def end_input(self) -> None:
        """The client's input is at its end: so is the container's, if it is for one client only."""
        if self._uses_input and self.container.spec["stdin_once"]:
            self.container.close_stdin()


def stdio(message: dict[str, object], fds: list[int]) -> spawn.Stdio:
    """The descriptors of an `open` request, in the order of its `streams`."""
    names = message["streams"]
    assert isinstance(names, list)
    if len(names) != len(fds):
        raise spawn.StartError(f"{len(names)} streams named, {len(fds)} received")
    given = dict(zip(names, fds, strict=True))
    if message["tty"]:
        return spawn.Stdio(given["terminal"], given["terminal"], given["terminal"], terminal=True)
    return spawn.Stdio(given.get("stdin"), given.get("stdout"), given.get("stderr"))
