"""Which rules an update through a subresource follows. Asked by the handlers of PUT and PATCH.

Most kinds have only ``status``, with the strategy that their own strategy brings; those that need more are here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from apiserver.api.field_errors import FieldError
from apiserver.registry.strategy import Object, Strategy
from apiserver.registry.subresources.certificates import Approval, SigningStatus
from apiserver.registry.subresources.pods import EphemeralContainers, PodStatus, Resize


class UpdateStrategy(Protocol):
    """The part of a strategy that an update needs."""

    def prepare_for_update(self, new: Object, old: Object) -> None: ...
    def validate_update(self, new: Object, old: Object) -> list[FieldError]: ...


_OWN: Final[dict[tuple[str, str, str], Callable[[Strategy], UpdateStrategy]]] = {
    ("", "Pod", "status"): PodStatus,
    ("", "Pod", "ephemeralcontainers"): EphemeralContainers,
    ("", "Pod", "resize"): Resize,
    ("certificates.k8s.io", "CertificateSigningRequest", "status"): SigningStatus,
    ("certificates.k8s.io", "CertificateSigningRequest", "approval"): Approval,
}


def has_own(group: str, kind: str, subresource: str) -> bool:
    """Whether the ordinary verbs serve the subresource with rules from here."""
    return (group, kind, subresource) in _OWN


def strategy_for(main: Strategy, subresource: str) -> UpdateStrategy | None:
    """None: the kind has no such subresource that is updated as the object itself."""
    own = _OWN.get((main.gvk.group, main.gvk.kind, subresource))
    if own is not None:
        return own(main)
    return main.status if subresource == "status" else None
