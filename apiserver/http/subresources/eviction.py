"""pods/eviction: delete a pod if its disruption budgets allow it (``registry/core/pod/storage/eviction.go``)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from apiserver.api import errors, meta, pods
from apiserver.api.gvk import GroupVersionKind
from apiserver.api.labels import selector_from_label_selector
from apiserver.http import body, options, responders
from apiserver.http.rest.call import Call
from apiserver.http.rest.delete import DeleteOptions, delete
from apiserver.http.scope import Exchange, Object
from apiserver.storage.interface import RevisionMismatch

_GVK: Final = GroupVersionKind("policy", "v1", "Eviction")
_REFUSED: Final = "Cannot evict pod as it would violate the pod's disruption budget."
_DONE_PHASES: Final = ("Succeeded", "Failed")


async def handle(exchange: Exchange) -> web.StreamResponse:
    info, resource = exchange.info, exchange.resource
    chosen = options.write_options(exchange.query, "CreateOptions")
    wanted = await body.read_object(exchange, _GVK, chosen.field_validation)
    if meta.name(wanted) != info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    asked = wanted.get("deleteOptions") or {}
    dry_run = chosen.dry_run or bool(asked.get("dryRun"))
    call = Call(exchange.services, resource, exchange.user, dry_run)
    pod = call.decode(await call.read(info.namespace, info.name))
    if not _ignores_budgets(pod):
        await _take_disruption(exchange, pod, dry_run)
    preconditions = asked.get("preconditions") or {}
    how = DeleteOptions(
        asked.get("gracePeriodSeconds"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
    )
    await delete(call, info.namespace, info.name, how)
    return await responders.obj(exchange, responders.success(code=201), 201)


def _ignores_budgets(pod: Object) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase in (*_DONE_PHASES, "Pending") or meta.is_deleting(pod)


async def _take_disruption(exchange: Exchange, pod: Object, dry_run: bool) -> None:
    """Uses up one allowed disruption of the pod's budget. Raises 429, and 500 for several budgets."""
    budgets = exchange.services.registry.lookup("policy", "v1", "poddisruptionbudgets")
    assert budgets is not None
    cache = exchange.services.cache(budgets)
    await cache.wait_current()
    prefix = f"{budgets.storage_prefix}/{meta.namespace(pod)}/"
    matching = [entry.object() for entry in cache.select(prefix) if _selects(entry.object(), pod)]
    if len(matching) > 1:
        raise errors.unknown(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    if not matching:
        return
    call = Call(exchange.services, budgets, dry_run=dry_run)
    await _decrement(call, meta.namespace(pod), meta.name(matching[0]), pod)


def _selects(budget: Object, pod: Object) -> bool:
    selector = (budget.get("spec") or {}).get("selector")
    return selector is not None and selector_from_label_selector(selector).matches(meta.labels(pod))


async def _decrement(call: Call, namespace: str, name: str, pod: Object) -> None:
    stored = await call.read(namespace, name)
    while True:
        budget = call.decode(stored)
        status = budget.setdefault("status", {})
        if (
            not pods.is_pod_ready(pod)
            and status.get("currentHealthy", 0) >= status.get("desiredHealthy", 1) > 0
        ):
            return
        _check(budget, name)
        status["disruptionsAllowed"] -= 1
        status.setdefault("disruptedPods", {})[meta.name(pod)] = meta.format_time(call.services.now())
        if call.dry_run:
            return
        try:
            await call.services.storage.update(stored.key, call.encode(budget), stored.revision)
            return
        except RevisionMismatch as exc:
            if exc.current is None:
                return
            stored = exc.current


def _check(budget: Object, name: str) -> None:
    status = budget["status"]
    if status.get("observedGeneration", 0) < meta.generation(budget):
        raise _refuse(f"The disruption budget {name} is still being processed by the server.", 10)
    if status.get("disruptionsAllowed", 0) <= 0:
        raise _refuse(
            f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
            f"{status.get('currentHealthy', 0)} currently",
            0,
        )


def _refuse(reason: str, retry_after: int) -> errors.StatusError:
    cause = {"reason": "DisruptionBudget", "message": reason}
    return errors.too_many_requests(_REFUSED, retry_after, [cause])
