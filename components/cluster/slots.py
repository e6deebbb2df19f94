"""Takes an address slot for as long as a cluster runs.

The claim is a listening socket: the kernel releases it with the process, however that ends, so a claim is
never stale. Used by `prepare` before anything of a cluster is written.
"""

from __future__ import annotations

import errno
import socket

from components.cluster.addresses import Addresses
from components.cluster.errors import ClusterError
from components.cluster.topology import MAX_SLOT


class SlotGuard:
    """Owns one slot until `close`."""

    def __init__(self, slot: int, sock: socket.socket) -> None:
        self.slot = slot
        self._socket = sock

    def close(self) -> None:
        """Give the slot back."""
        self._socket.close()


def claim(slot: int) -> SlotGuard:
    """Take exactly this slot. Raises ClusterError when another cluster runs in it."""
    guard = _try(slot)
    if guard is None:
        host, port = Addresses(slot).guard
        raise ClusterError(
            f"address slot {slot} is taken by another cluster on this machine ({host}:{port} is in use)",
            "stop that cluster (kuberaft down --dir ...), or set network.slot in this one's topology",
        )
    return guard


def claim_any() -> SlotGuard:
    """Take the first free slot."""
    for slot in range(MAX_SLOT + 1):
        guard = _try(slot)
        if guard is not None:
            return guard
    raise ClusterError(
        f"all {MAX_SLOT + 1} address slots of this machine are taken", "stop a cluster: kuberaft down"
    )


def _try(slot: int) -> SlotGuard | None:
    host, port = Addresses(slot).guard
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.bind((host, port))
        sock.listen(1)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise ClusterError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            "kuberaft needs all of 127.0.0.0/8 on loopback",
        ) from error
    return SlotGuard(slot, sock)
