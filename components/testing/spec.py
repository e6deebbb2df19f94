"""Which cluster a test asks for (P): the plugin's options, with what the test's marker says over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from components.cluster.topology import Masters, Store, Topology, Workers

MARKER_WORDS = ("masters", "workers", "faults")


class BadRequest(ValueError):
    """An option or a marker that cannot be used; the text says which."""


@dataclass(frozen=True)
class ClusterSpec:
    """Equal specs share a cluster. ``topology``: a file that the rest comes from; "" for small defaults."""

    masters: int = 1
    workers: int = 0
    topology: str = ""

    def marked(self, words: Mapping[str, Any]) -> ClusterSpec:
        """Raises BadRequest."""
        for word in words:
            if word not in MARKER_WORDS:
                known = ", ".join(MARKER_WORDS)
                raise BadRequest(f"@pytest.mark.kuberaft: there is no {word!r}: it takes {known}")
        found = replace(
            self, masters=words.get("masters", self.masters), workers=words.get("workers", self.workers)
        )
        return found.checked()

    def checked(self) -> ClusterSpec:
        """Raises BadRequest."""
        for name, value, least in (("masters", self.masters, 1), ("workers", self.workers, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise BadRequest(f"kuberaft: {name}={value!r}: a number from {least} on is expected")
        if self.masters % 2 == 0:
            raise BadRequest(
                f"kuberaft: masters={self.masters}: an odd number is expected: "
                f"{self.masters} survive no more failures than {self.masters - 1}"
            )
        return self

    def over(self, base: Topology | None) -> Topology:
        """The topology to start: on any free port, with faults enabled. Without a base nothing is synced to disk."""
        base = base or Topology(name="test", store=Store(fsync=False))
        masters: Masters = msgspec.structs.replace(
            base.masters, count=self.masters, api_port=0, fault_injection=True
        )
        names = {f"w{n}" for n in range(1, self.workers + 1)}
        kept = {name: spec for name, spec in base.workers.overrides.items() if name in names}
        workers: Workers = msgspec.structs.replace(base.workers, count=self.workers, overrides=kept)
        return msgspec.structs.replace(base, masters=masters, workers=workers)
