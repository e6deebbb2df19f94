"""The FlowSchemas and priority levels that every server starts with, and their upkeep in the store.

As the original's ``registry/flowcontrol/ensurer``: an object that is missing is made (by ``http.bootstrap``, with all
others). The mandatory ones, ``exempt`` and ``catch-all``, are put right whenever their spec differs; the suggested
ones only while their annotation says that nobody has taken them over. Of user-made schemas only the Dangling condition
is kept. Run at start and every minute by ``http.bootstrap``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from apiserver.api import meta
from apiserver.flowcontrol.objects import MANDATORY
from apiserver.http.rest.call import Call
from apiserver.http.scope import Object, Services
from apiserver.storage.interface import RevisionMismatch, Stored

GROUP: Final = "flowcontrol.apiserver.k8s.io"
SCHEMAS: Final = f"{GROUP}/v1/flowschemas"
LEVELS: Final = f"{GROUP}/v1/prioritylevelconfigurations"
AUTO_UPDATE: Final = "apf.kubernetes.io/autoupdate-spec"
_DATA: Final = Path(__file__).parent / "data" / "bootstrap_objects.json"


@cache
def bundled() -> tuple[list[Object], list[Object]]:
    """Schemas and levels; not to be changed."""
    documents: dict[str, list[Object]] = json.loads(_DATA.read_bytes())
    return documents[SCHEMAS], documents[LEVELS]


async def reconcile(services: Services) -> None:
    """Put right what is stored. Raises StorageError."""
    for plural, templates in zip(("flowschemas", "prioritylevelconfigurations"), bundled(), strict=True):
        call = _call(services, plural)
        for template in templates:
            stored, _ = await services.storage.get(call.key("", meta.name(template)))
            if stored is not None:
                await _put_right(call, stored, template)
    await _tell_dangling(services)


async def _put_right(call: Call, stored: Stored, template: Object) -> None:
    obj = call.decode(stored)
    if obj.get("spec") == template["spec"] or not automatic(obj):
        return
    obj["spec"] = template["spec"]
    obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1
    await _update(call, stored, obj)


def automatic(obj: Object) -> bool:
    """Whether servers may change it: the mandatory ones always."""
    annotations = obj["metadata"].get("annotations") or {}
    return meta.name(obj) in MANDATORY or annotations.get(AUTO_UPDATE) == "true"


async def _tell_dangling(services: Services) -> None:
    """Every schema says whether the level that it names is there."""
    schemas, levels = _call(services, "flowschemas"), _call(services, "prioritylevelconfigurations")
    listed = await services.storage.list(levels.resource.storage_prefix + "/")
    names = {stored.key.rpartition("/")[2] for stored in listed.items}
    for stored in (await services.storage.list(schemas.resource.storage_prefix + "/")).items:
        obj = schemas.decode(stored)
        wanted = dangling((obj["spec"].get("priorityLevelConfiguration") or {}).get("name", ""), names)
        status = obj.setdefault("status", {})
        others = [c for c in status.get("conditions") or () if c["type"] != "Dangling"]
        now = [c for c in status.get("conditions") or () if c["type"] == "Dangling"]
        if now and all(now[0].get(key) == value for key, value in wanted.items()):
            continue
        wanted["lastTransitionTime"] = meta.format_time(services.now())
        status["conditions"] = [*others, wanted]
        await _update(schemas, stored, obj)


def dangling(level: str, known: set[str]) -> dict[str, str]:
    """The condition of a schema, without its time."""
    text = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if level in known:
        return {"type": "Dangling", "status": "False", "reason": "Found", "message": f"{text} and it exists"}
    message = f"{text} but there is no such object"
    return {"type": "Dangling", "status": "True", "reason": "NotFound", "message": message}


def _call(services: Services, plural: str) -> Call:
    resource = services.registry.lookup(GROUP, "v1", plural)
    assert resource is not None
    return Call(services, resource)


async def _update(call: Call, stored: Stored, obj: dict[str, Any]) -> None:
    try:
        await call.services.storage.update(stored.key, call.encode(obj), stored.revision)
    except RevisionMismatch:
        return  # somebody else was faster; the next round looks again
