"""(P) Chooses the endpoint for a client: round robin, or the one it had before (session affinity).

One balancer belongs to one frontend; `tcp` and `udp` ask it, `proxier` retargets it. Time is an argument, in
seconds of any monotonic clock.
"""

from __future__ import annotations

from collections import OrderedDict

from components.proxy.rules import Backend, Target

MAX_AFFINITY_CLIENTS = 16_384


class Balancer:
    """Invariant: every remembered client points at a current target."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._next = 0
        self._clients: OrderedDict[str, tuple[Target, float]] = OrderedDict()

    @property
    def backend(self) -> Backend:
        return self._backend

    def retarget(self, backend: Backend) -> set[Target]:
        """Use new targets from now on; the set of those that are gone."""
        gone = set(self._backend.targets) - set(backend.targets)
        self._backend = backend
        if backend.affinity_seconds is None:
            self._clients.clear()
        else:
            kept = ((c, v) for c, v in self._clients.items() if v[0] not in gone)
            self._clients = OrderedDict(kept)
        return gone

    def order(self, client_ip: str, now: float) -> list[Target]:
        """Every target once, in the order to try: the client's own first, then round robin."""
        targets = self._backend.targets
        start = self._next % len(targets)
        self._next = start + 1
        order = [*targets[start:], *targets[:start]]
        remembered = self._remembered(client_ip, now)
        if remembered is not None:
            order.remove(remembered)
            order.insert(0, remembered)
        return order

    def connected(self, client_ip: str, target: Target, now: float) -> None:
        """Remember which target answered, so that the client keeps it for the affinity time."""
        if self._backend.affinity_seconds is None or target not in self._backend.targets:
            return
        self._clients[client_ip] = (target, now)
        self._clients.move_to_end(client_ip)
        if len(self._clients) > MAX_AFFINITY_CLIENTS:
            self._clients.popitem(last=False)

    def _remembered(self, client_ip: str, now: float) -> Target | None:
        entry = self._clients.get(client_ip)
        limit = self._backend.affinity_seconds
        if entry is None or limit is None:
            return None
        target, since = entry
        if now - since > limit:
            del self._clients[client_ip]
            return None
        return target
