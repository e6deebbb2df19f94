"""Takes an address slot for as long as a cluster runs.

The claim is a listening socket: the kernel releases it with the process, however that ends, so a claim is
never stale. Used by `prepare` before anything of a cluster is written.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import zlib

from components.cluster.addresses import Addresses
from components.cluster.errors import ClusterError
from components.cluster.topology import MAX_SLOT

VARIABLE = "KUBERAFT_SLOTS"


class SlotGuard:
    """Owns one slot until `close`."""

    def __init__(self, slot: int, sock: socket.socket) -> None:
        self.slot = slot
        self._socket = sock

    def close(self) -> None:
        """Give the slot back."""
        self._socket.close()


def claim(slot: int, remedy: str) -> SlotGuard:
    """Take exactly this slot. Raises ClusterError with that remedy when another cluster runs in it."""
    guard = _try(slot)
    if guard is None:
        host, port = Addresses(slot).guard
        raise ClusterError(
            f"address slot {slot} is taken by another cluster on this machine ({host}:{port} is in use)",
            remedy,
        )
    return guard


def claim_any(owner: str) -> SlotGuard:
    """Take a free slot: for each owner (a directory) another one first, so that a cluster that is stopped
    seldom finds its slot taken when it comes back. Where several users of a machine must never meet, each is given a
    range of its own (`KUBERAFT_SLOTS=0-15`).
    """
    slots = _choice()
    first = zlib.crc32(owner.encode())
    for number in range(len(slots)):
        guard = _try(slots[(first + number) % len(slots)])
        if guard is not None:
            return guard
    raise ClusterError(
        f"all address slots from {slots[0]} to {slots[-1]} are taken", "stop a cluster: kuberaft down"
    )


def _choice() -> range:
    text = os.environ.get(VARIABLE) or f"0-{MAX_SLOT}"
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text)
    first, last = map(int, found.groups()) if found else (1, 0)
    if not first <= last <= MAX_SLOT:
        raise ClusterError(
            f"{VARIABLE}={text}: is no range of address slots",
            f"name the first and the last of 0-{MAX_SLOT}, as 0-15",
        )
    return range(first, last + 1)


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
