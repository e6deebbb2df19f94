"""Pod addresses of one node (P): hands out the addresses of the node's pod CIDR in turn.

Round robin, as the host-local CNI plugin does, so that an address just released is not the next one given
out. The first and the last address of the range are never used. Who holds what is kept with the sandboxes.
"""

from __future__ import annotations

import ipaddress


class Exhausted(Exception):
    """Every address of the range is in use."""


class AddressPool:
    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.ip_network(cidr)
        self._held: set[str] = set()
        self._next = 1

    def claim(self, address: str) -> None:
        """Note an address that a sandbox found on disk already has."""
        self._held.add(address)

    def allocate(self) -> str:
        usable = self._network.num_addresses - 2
        for offset in range(usable):
            index = (self._next - 1 + offset) % usable + 1
            address = str(self._network[index])
            if address not in self._held:
                self._held.add(address)
                self._next = index % usable + 1
                return address
        raise Exhausted(f"no IP addresses available in range set: {self._network}")

    def release(self, address: str) -> None:
        self._held.discard(address)
