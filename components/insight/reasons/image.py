"""A container's image cannot be had."""

from __future__ import annotations

from typing import Final

from components.insight.situation import (
    Container,
    Fact,
    Finding,
    Situation,
    containers,
    event_text,
    event_time,
)

_REASONS: Final = {
    "ErrImagePull": "cannot be pulled",
    "ImagePullBackOff": "cannot be pulled",
    "InvalidImageName": "has a name that is none",
    "ErrImageNeverPull": "is not on the node, and may not be pulled (imagePullPolicy Never)",
    "ImageInspectError": "cannot be read",
    "RegistryUnavailable": "cannot be pulled: its registry does not answer",
}


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Pod"):
        return []
    return [
        _finding(situation, one) for one in containers(situation.obj) if one.waiting.get("reason") in _REASONS
    ]


def _finding(situation: Situation, container: Container) -> Finding:
    reason, image = str(container.waiting["reason"]), container.spec.get("image", "")
    headline = (
        f'{situation.title} cannot start container {container.name}: image "{image}" {_REASONS[reason]}.'
    )
    message = container.waiting.get("message") or reason
    remedy = "Correct the image's name and tag, or see that the node can get it."
    facts = [Fact(f"{reason}: {message}", "status of the container", None, remedy)]
    event = situation.last_event("Failed", "BackOff", "InspectFailed")
    if event is not None:
        facts.append(Fact(str(event.get("message")), event_text(event), event_time(event)))
    return Finding(facts, headline, 82)
