"""(P) The webhooks of stored configurations, compiled, and whether a write is to be sent to one of them.

Order: configurations by name, webhooks as they are written there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.admission.expressions import Conditions, declared
from apiserver.admission.matching import Criteria

Object = Mapping[str, Any]
_SECONDS: Final = 10
_HARMLESS: Final = frozenset({"None", "NoneOnDryRun"})
_KNOWN: Final = declared(params=False)


@dataclass(frozen=True, slots=True)
class Hook:
    """``identity``: of all webhooks there are. ``ignore``: failures of the call do not matter. ``again``: it wants to
    see what later webhooks make of the object. ``dry``: it may be called in a dry run.
    """

    configuration: str
    name: str
    identity: str
    client: Object
    criteria: Criteria
    conditions: Conditions
    seconds: int
    ignore: bool
    again: bool
    dry: bool


def hooks_of(configuration: Object) -> Sequence[Hook]:
    """``configuration``: a Validating- or MutatingWebhookConfiguration."""
    owner, seen, found = configuration["metadata"]["name"], dict[str, int](), list[Hook]()
    for hook in configuration.get("webhooks") or ():
        name = hook.get("name") or ""
        seen[name] = seen.get(name, -1) + 1
        found.append(_hook(owner, f"{owner}/{name}/{seen[name]}", name, hook))
    return found


def _hook(owner: str, identity: str, name: str, hook: Object) -> Hook:
    ignore = hook.get("failurePolicy") == "Ignore"
    return Hook(
        owner,
        name,
        identity,
        hook.get("clientConfig") or {},
        Criteria.of_webhook(hook),
        Conditions(hook.get("matchConditions") or (), _KNOWN, fail=not ignore),
        hook.get("timeoutSeconds") or _SECONDS,
        ignore,
        hook.get("reinvocationPolicy") == "IfNeeded",
        hook.get("sideEffects") in _HARMLESS,
    )
