"""Opens the listening sockets of the userspace proxy and says what to do when that is refused.

Several nodes of a local cluster share one machine and one set of cluster IPs, so the sockets are opened
with SO_REUSEPORT: the kernel spreads new connections over the proxies that are alive.
"""

from __future__ import annotations

import errno
import socket

from components.proxy.rules import Frontend

BACKLOG = 1024


class ListenError(Exception):
    """A frontend cannot be served; `reason` and the message become the Event on its Service."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def listen(frontend: Frontend) -> socket.socket:
    """A bound, non-blocking socket for the frontend. Raises `ListenError` with the remedy."""
    kind = socket.SOCK_STREAM if frontend.protocol == "TCP" else socket.SOCK_DGRAM
    sock = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((frontend.ip, frontend.port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _explain(frontend, error) from error
    return sock


def may_listen(port: int) -> bool:
    """Whether this process may serve the port at all, whoever has it now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except PermissionError:
            return False
        except OSError:
            return True
    return True


def _explain(frontend: Frontend, error: OSError) -> ListenError:
    address = f"{frontend.ip}:{frontend.port}/{frontend.protocol}"
    if error.errno == errno.EACCES:
        return ListenError(
            "PortNotPermitted",
            f"cannot serve {address}: ports below 1024 need a privilege that the proxy does not have. Use a "
            f"port of 1024 or above, or allow it once, as root: "
            f"sysctl -w net.ipv4.ip_unprivileged_port_start={frontend.port}",
        )
    if error.errno == errno.EADDRINUSE:
        return ListenError(
            "PortInUse",
            f"cannot serve {address}: another program has it open. End that program (`ss -lntup` names it) "
            f"or choose another port",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ListenError(
            "AddressNotAvailable",
            f"cannot serve {address}: this machine does not have the address; is the service range of the "
            f"API server inside 127.0.0.0/8 or assigned to an interface?",
        )
    return ListenError("ListenFailed", f"cannot serve {address}: {error.strerror}")
