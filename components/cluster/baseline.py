"""What a cluster holds at one moment, and the way back to it (P): the decisions behind `kuberaft`'s test fixture.

`baseline_file` reads and writes the store; here two states of it become the changes that lead from one to the other.
Not all that differs is put back: what the cluster's own processes keep up to date all the time is theirs
(`_is_kept_up`), and so is every status (`_computed`). Objects are taken as whole keys, so finalizers hold nothing.

Deletions are in an order that controllers do not work against: namespaces first, then what makes other objects, then
these, definitions last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

ROOT = b"/registry/"

_KEPT_UP = (
    b"/registry/masterleases/",
    b"/registry/leases/kube-node-lease/",
    b"/registry/leases/kube-system/apiserver-",
    b"/registry/services/endpoints/default/kubernetes",
    b"/registry/endpointslices/default/kubernetes",
)
_LEADERS = b"/registry/leases/kube-system/"
_EVENTS = b"/registry/events/"
_FIRST = (
    b"/registry/namespaces/",
    b"/registry/deployments/",
    b"/registry/cronjobs/",
    b"/registry/jobs/",
    b"/registry/statefulsets/",
    b"/registry/daemonsets/",
    b"/registry/replicasets/",
    b"/registry/controllers/",
)
_LAST = b"/registry/apiextensions.k8s.io/customresourcedefinitions/"
_BOOKKEEPING = ("managedFields", "generation", "resourceVersion")


class Kept(NamedTuple):
    """A value and the revision that wrote it."""

    revision: int
    value: bytes


class Change(NamedTuple):
    """``value`` None: delete. ``expected``: the revision that the key has now; 0: it is not there."""

    key: bytes
    value: bytes | None
    expected: int


def differing(baseline: Mapping[bytes, Kept], revisions: Mapping[bytes, int]) -> list[bytes]:
    """Keys of the baseline that were written since, whose value is needed to plan."""
    return [key for key, kept in baseline.items() if revisions.get(key, kept.revision) != kept.revision]


def plan(
    baseline: Mapping[bytes, Kept], revisions: Mapping[bytes, int], values: Mapping[bytes, bytes]
) -> list[Change]:
    """``revisions``: of every key that is there now; ``values``: of those that `differing` names."""
    added = [key for key in revisions if key not in baseline and not _is_kept_up(key, baseline)]
    changes = [Change(key, None, revisions[key]) for key in sorted(added, key=_rank)]
    return [*changes, *_put_back(baseline, revisions, values)]


def _put_back(
    baseline: Mapping[bytes, Kept], revisions: Mapping[bytes, int], values: Mapping[bytes, bytes]
) -> Iterator[Change]:
    for key, kept in baseline.items():
        if _is_kept_up(key, baseline) or key.startswith(_EVENTS):
            continue
        if key not in revisions:
            yield Change(key, kept.value, 0)
        elif revisions[key] != kept.revision and (value := _restored(kept.value, values[key])) is not None:
            yield Change(key, value, revisions[key])


def _is_kept_up(key: bytes, baseline: Mapping[bytes, Kept]) -> bool:
    """Leases of leaders are the cluster's if it had them; others are of a test."""
    return key.startswith(_KEPT_UP) or (key.startswith(_LEADERS) and key in baseline)


def _rank(key: bytes) -> tuple[int, bytes]:
    if key.startswith(_LAST):
        return len(_FIRST) + 1, key
    return next((at for at, prefix in enumerate(_FIRST) if key.startswith(prefix)), len(_FIRST)), key


def _restored(then: bytes, now: bytes) -> bytes | None:
    """The value of then with the status of now; None if nothing else but bookkeeping differs."""
    try:
        before, after = _object(then), _object(now)
    except (msgspec.DecodeError, TypeError):  # not JSON: encrypted, say
        return None if then == now else then
    if _essence(before) == _essence(after):
        return None
    for field in _computed(before):
        if field in after and _uid(before) == _uid(after):
            before[field] = after[field]
    return msgspec.json.encode(before)


def _computed(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Fields that a controller works out from others: of an aggregated role the rules, too."""
    return ("status", "rules") if obj.get("aggregationRule") else ("status",)


def _object(data: bytes) -> dict[str, Any]:
    found = msgspec.json.decode(data)
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise TypeError("no object")
    return found


def _essence(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _BOOKKEEPING}
    computed = _computed(obj)
    return {**{name: value for name, value in obj.items() if name not in computed}, "metadata": metadata}


def _uid(obj: Mapping[str, Any]) -> object:
    return obj["metadata"].get("uid")


_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_NEEDED = (
    *(f"/registry/serviceaccounts/{namespace}/default" for namespace in _NAMESPACES),
    *(f"/registry/configmaps/{namespace}/kube-root-ca.crt" for namespace in _NAMESPACES),
    "/registry/leases/kube-system/kube-controller-manager",
    "/registry/leases/kube-system/kube-scheduler",
)
NODES = b"/registry/minions/"
_NOT_YET = b'"node.kubernetes.io/not-ready"'


def unfinished(baseline: Mapping[bytes, Kept]) -> list[str]:
    """What the components of a new cluster have yet to do before it can be called whole."""
    absent = [key for key in _NEEDED if key.encode() not in baseline]
    tainted = [
        key.decode() for key, kept in baseline.items() if key.startswith(NODES) and _NOT_YET in kept.value
    ]
    return absent + tainted
