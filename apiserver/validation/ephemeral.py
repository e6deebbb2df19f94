"""Ephemeral containers of a pod (``validateEphemeralContainers``). Pure."""

from __future__ import annotations

from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, duplicate, forbidden, not_found
from apiserver.validation.containers import validate_any_container
from apiserver.validation.diff import diff

Object = dict[str, Any]
_PATH: Final = Path("spec").child("ephemeralContainers")
_REFUSED: Final = "cannot be set for an Ephemeral Container"
_NOT_THERE: Final = (
    *("ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe"),
    *("readinessProbe", "startupProbe", "lifecycle"),
)


def validate_ephemeral(spec: Object) -> list[FieldError]:
    volumes = {volume.get("name") or "" for volume in spec.get("volumes") or ()}
    others = {c.get("name") for kind in ("containers", "initContainers") for c in spec.get(kind) or ()}
    found, seen = [], set(others)
    for at, container in enumerate(spec.get("ephemeralContainers") or ()):
        path, name = _PATH.index(at), container.get("name") or ""
        found += validate_any_container(container, volumes, path)
        if name in seen:
            found.append(duplicate(path.child("name"), name))
        seen.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            found.append(not_found(path.child("targetContainerName"), target))
        found += _refused(container, path)
    return found


def _refused(container: Object, path: Path) -> list[FieldError]:
    found = [forbidden(path.child(field), _REFUSED) for field in _NOT_THERE if container.get(field)]
    for at, mount in enumerate(container.get("volumeMounts") or ()):
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                found.append(forbidden(path.child("volumeMounts").index(at).child(field), _REFUSED))
    return found


def validate_kept(new: Object, old: Object) -> list[FieldError]:
    """Those that are there stay as they are."""
    found = []
    wanted = {c.get("name"): c for c in new.get("ephemeralContainers") or ()}
    for container in old.get("ephemeralContainers") or ():
        name = container["name"]
        if name not in wanted:
            found.append(forbidden(_PATH, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif wanted[name] != container:
            text = f'existing ephemeral containers "{name}" may not be changed\n'
            found.append(forbidden(_PATH, text + diff(container, wanted[name])))
    return found
