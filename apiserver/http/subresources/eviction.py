"""pods/eviction: delete a pod if its disruption budgets allow it (``registry/core/pod/storage/eviction.go``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from apiserver.api import errors, meta, pods
from apiserver.api.conditions import set_condition
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource, GroupVersionKind
from apiserver.api.labels import SelectorError, selector_from_label_selector
from apiserver.http import body, options, responders
from apiserver.http.rest.call import Call
from apiserver.http.rest.delete import DeleteOptions, check_preconditions, delete
from apiserver.http.rest.update import Update, update
from apiserver.http.scope import Exchange, Object
from apiserver.registry.subresources import strategy_for
from apiserver.storage.interface import RevisionMismatch

_GVK: Final = GroupVersionKind("policy", "v1", "Eviction")
_OLDER: Final = "policy/v1beta1"
_BUDGET: Final = GroupResource("policy", "poddisruptionbudget")
_REFUSED: Final = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL: Final = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
)
_CONDITION: Final = {
    "type": "DisruptionTarget",
    "status": "True",
    "lastProbeTime": None,
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}
_MOST_DISRUPTED: Final = 2000
_ATTEMPTS: Final = 20


async def handle(exchange: Exchange) -> web.StreamResponse:
    info, resource = exchange.info, exchange.resource
    chosen = options.write_options(exchange.query, "CreateOptions")
    wanted = await body.read_object(exchange, _GVK, chosen.field_validation, older=_OLDER)
    if meta.name(wanted) != info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    dry_run = _dry_run(exchange, wanted.get("deleteOptions") or {})
    how = _delete_options(wanted.get("deleteOptions") or {})
    call = Call(
        exchange.services, resource, exchange.user, dry_run, warn=exchange.warn, annotate=exchange.annotate
    )
    asked = replace(call, subresource="eviction").attributes(
        "CREATE", info.namespace, info.name, wanted, None
    )
    asked.gvk = _GVK
    await exchange.services.admission.admit(asked)
    await exchange.services.admission.validate(asked)
    refusal = await _evict(call, info.namespace, info.name, how)
    return await responders.obj(exchange, refusal or responders.success(code=201), 201)


def _dry_run(exchange: Exchange, asked: Object) -> bool:
    """From the request or the object; raises 500 if they disagree."""
    query, content = exchange.query.getall("dryRun", []), asked.get("dryRun") or []
    if query and content and query != content:
        shown = [f"[{' '.join(values)}]" for values in (query, content)]
        raise errors.unknown(
            f"Non-matching dry-run options in request and content: {shown[0]} and {shown[1]}"
        )
    return bool(query or content)


def _delete_options(asked: Object) -> DeleteOptions:
    preconditions = asked.get("preconditions") or {}
    return DeleteOptions(
        asked.get("gracePeriodSeconds"),
        asked.get("orphanDependents"),
        asked.get("propagationPolicy"),
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
    )


async def _evict(call: Call, namespace: str, name: str, how: DeleteOptions) -> Object | None:
    """What to answer instead of success, if anything. Raises what deleting raises, and 429."""
    for attempt in range(_ATTEMPTS):
        pod = call.decode(await call.read(namespace, name))
        if not _ignores_budgets(pod):
            return await _evict_within_budget(call, pod, how)
        try:
            await _delete(call, pod, _unchanged(pod, how) if _may_become_ready(pod) else how)
            return None
        except StatusError as exc:
            if exc.reason != "Conflict" or how.resource_version is not None or attempt + 1 == _ATTEMPTS:
                raise
    return None


def _ignores_budgets(pod: Object) -> bool:
    return pods.is_pod_terminal(pod) or pods.phase(pod) == "Pending" or meta.is_deleting(pod)


def _may_become_ready(pod: Object) -> bool:
    """Such a pod is deleted only as it was seen: made ready meanwhile, its budget counts."""
    return not pods.is_pod_terminal(pod) and not meta.is_deleting(pod)


def _unchanged(pod: Object, how: DeleteOptions) -> DeleteOptions:
    if how.resource_version is not None:
        return how
    return replace(how, resource_version=meta.resource_version(pod))


async def _evict_within_budget(call: Call, pod: Object, how: DeleteOptions) -> Object | None:
    budgets = await _budgets(call, pod)
    if len(budgets) > 1:
        status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        return {**status, "message": _SEVERAL, "code": 500}
    unready = bool(budgets) and _spares_budget(budgets[0], pod)
    if budgets and not unready:
        await _decrement(call, meta.name(budgets[0]), pod)
    try:
        chosen = _unchanged(pod, how) if unready else how
        await _delete(call, pod, chosen)
    except StatusError as exc:
        if exc.reason == "Conflict" and unready and how.resource_version is None:
            raise _in_work(meta.name(budgets[0])) from exc
        raise
    return None


async def _delete(call: Call, pod: Object, how: DeleteOptions) -> None:
    """The pod says first why it goes. A version it was to have is then that of this very change."""
    namespace, name = meta.namespace(pod), meta.name(pod)
    if not call.dry_run:
        marked = await _mark(call, namespace, name, how)
        if how.resource_version is not None:
            how = replace(how, resource_version=meta.resource_version(marked))
    await delete(call, namespace, name, how)


async def _mark(call: Call, namespace: str, name: str, how: DeleteOptions) -> Object:
    async def transform(pod: Object | None) -> Object:
        assert pod is not None
        check_preconditions(call, name, pod, how)
        conditions = pod.setdefault("status", {}).setdefault("conditions", [])
        set_condition(conditions, dict(_CONDITION), meta.format_time(call.services.now()))
        return pod

    strategy = strategy_for(call.resource.strategy, "status")
    status = replace(call, subresource="status")
    marked, _ = await update(status, namespace, name, Update(transform, strategy))
    return marked


async def _budgets(call: Call, pod: Object) -> list[Object]:
    budgets = call.services.registry.lookup("policy", "v1", "poddisruptionbudgets")
    assert budgets is not None
    cache = call.services.cache(budgets)
    await cache.wait_current()
    prefix = f"{budgets.storage_prefix}/{meta.namespace(pod)}/"
    return [entry.object() for entry in cache.select(prefix) if _selects(entry.object(), pod)]


def _selects(budget: Object, pod: Object) -> bool:
    """A budget that selects everything is taken to select nothing, as is one whose selector says nothing valid."""
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return False
    try:
        chosen = selector_from_label_selector(selector)
    except SelectorError:
        return False
    return not chosen.empty() and chosen.matches(meta.labels(pod))


def _spares_budget(budget: Object, pod: Object) -> bool:
    """A pod that is not ready is not among the healthy ones that the budget counts."""
    status = budget.get("status") or {}
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    return not pods.is_pod_ready(pod) and healthy >= desired > 0


async def _decrement(call: Call, name: str, pod: Object) -> None:
    """Uses up one allowed disruption."""
    resource = call.services.registry.lookup("policy", "v1", "poddisruptionbudgets")
    assert resource is not None
    budgets = Call(call.services, resource)
    stored = await budgets.read(meta.namespace(pod), name)
    for _ in range(_ATTEMPTS):
        budget = budgets.decode(stored)
        _check(budget)
        _disrupt(budget, meta.name(pod), meta.format_time(call.services.now()))
        if call.dry_run:
            return
        try:
            await call.services.storage.update(stored.key, budgets.encode(budget), stored.revision)
            return
        except RevisionMismatch as exc:
            if exc.current is None:
                raise errors.not_found(resource.gvr.group_resource, name) from None
            stored = exc.current
    raise errors.timeout(f'couldn\'t update PodDisruptionBudget "{name}" due to conflicts', 10)


def _disrupt(budget: Object, pod: str, now: str) -> None:
    status: dict[str, Any] = budget["status"]
    status["disruptionsAllowed"] -= 1
    status.setdefault("disruptedPods", {})[pod] = now
    if status["disruptionsAllowed"] > 0:
        return
    condition = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "observedGeneration": status.get("observedGeneration", 0),
    }
    set_condition(status.setdefault("conditions", []), condition, now)


def _check(budget: Object) -> None:
    """Raises 429, and 403 for a budget that is out of order."""
    name, status = meta.name(budget), budget.setdefault("status", {})
    allowed = status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < meta.generation(budget):
        raise _in_work(name)
    if allowed < 0:
        raise errors.forbidden(_BUDGET, name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > _MOST_DISRUPTED:
        text = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden(_BUDGET, name, text)
    if allowed == 0:
        needs, has = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _refuse(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently", 0)


def _in_work(name: str) -> StatusError:
    return _refuse(f"The disruption budget {name} is still being processed by the server.", 10)


def _refuse(reason: str, retry_after: int) -> StatusError:
    cause = {"reason": "DisruptionBudget", "message": reason}
    return errors.too_many_requests(_REFUSED, retry_after, [cause])
