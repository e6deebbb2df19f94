"""What a restore would do to a cluster's objects (P): two states of the store in, changes by resource out.

Fed by `contents`, which reads both states; shown by `kuberaft restore --preview`. Keys are those of the original
(`/registry/RESOURCE/NAMESPACE/NAME`, with the group in between for some); other keys are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

PREFIX = b"/registry/"
Kind = Literal["vanish", "change", "return"]
KINDS: tuple[Kind, ...] = ("vanish", "change", "return")
_STORED_AS = {"minions": "nodes"}
_WITHIN = {("services", "specs"): "services", ("services", "endpoints"): "endpoints"}


class Change(NamedTuple):
    """`name` is `namespace/name`, or the name alone. An object that only the cluster has would *vanish*; one that only
    the backup has would *return*; one that both have with other content would *change* to the backup's.
    """

    kind: Kind
    resource: str
    name: str


def compare(backup: Mapping[bytes, bytes], cluster: Mapping[bytes, bytes]) -> list[Change]:
    """By resource and name. The values may be digests."""
    found: list[Change] = []
    for key in sorted(backup.keys() | cluster.keys()):
        if not key.startswith(PREFIX) or backup.get(key) == cluster.get(key):
            continue
        kind: Kind = "vanish" if key not in backup else "return" if key not in cluster else "change"
        found.append(Change(kind, *object_of(key)))
    return sorted(found, key=lambda change: (change.resource, change.name))


def object_of(key: bytes) -> tuple[str, str]:
    """`/registry/deployments/ns/web` -> deployments, ns/web; `/registry/example.com/widgets/ns/w` ->
    widgets.example.com, ns/w.
    """
    first, *rest = key.removeprefix(PREFIX).decode(errors="backslashreplace").split("/")
    if rest and (first, rest[0]) in _WITHIN:
        return _WITHIN[first, rest[0]], "/".join(rest[1:])
    if "." in first and rest:
        return f"{rest[0]}.{first}", "/".join(rest[1:])
    return _STORED_AS.get(first, first), "/".join(rest)


def counts(changes: Iterable[Change]) -> dict[str, Counter[Kind]]:
    """Resource -> kind of change -> how many objects."""
    found: dict[str, Counter[Kind]] = {}
    for change in changes:
        found.setdefault(change.resource, Counter())[change.kind] += 1
    return found
