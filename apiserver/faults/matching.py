"""Whether a request is meant by a fault (P)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apiserver.faults.rule import Action, Match, verbs_of


@dataclass(frozen=True, slots=True)
class Facts:
    """A request for a resource. ``name`` is empty where the path has none: on create, list, deletecollection."""

    user: str
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def meets(match: Match, action: Action, facts: Facts) -> bool:
    """Whether the action can be done to such a request, and is asked for."""
    able = verbs_of(action)
    if able and (facts.verb not in able or facts.subresource):
        return False
    resource = f"{facts.resource}/{facts.subresource}" if facts.subresource else facts.resource
    return (
        _any(match.verbs, facts.verb)
        and _any(match.resources, resource)
        and _any(match.api_groups, facts.group)
        and _any(match.users, facts.user)
        and _any(match.namespaces, facts.namespace)
        and _any(match.names, facts.name)
    )


def _any(words: Sequence[str], value: str) -> bool:
    return not words or any(_is(word, value) for word in words)


def _is(word: str, value: str) -> bool:
    return value.startswith(word[:-1]) if word.endswith("*") else word == value
