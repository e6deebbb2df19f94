"""`kuberaft restore --preview`: what a restore would do to the objects of the cluster there, running or stopped.

Reads both states (`contents`), compares them (`compare`) and shows the result; nothing is changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from components.cluster import backup, compare, contents
from components.cluster.backup import Manifest
from components.cluster.compare import KINDS, Change
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from kvstore.commands.tables import table
from kvstore.errors import Compacted, FutureRevision

SHOWN = 40  # objects named in the text; `-o json` has all


class Preview(NamedTuple):
    """`age` in seconds since the backup was taken; revisions of the backup (as restored) and of the cluster."""

    manifest: Manifest
    age: float
    backup_revision: int
    cluster_revision: int
    changes: list[Change]


def preview(file: Path, layout: Layout, to_revision: int, now: datetime) -> Preview:
    """Raises ClusterError."""
    if not layout.exists():
        raise ClusterError(
            f"{layout.root}: there is no cluster to compare with", "name its directory: --dir DIR"
        )
    with backup.opened(file) as (manifest, unpacked):
        try:
            theirs = contents.of_snapshot(unpacked / backup.SNAPSHOT, unpacked, to_revision)
        except (Compacted, FutureRevision) as error:
            raise contents.not_retained(to_revision, error, str(file)) from error
        contents.snapshot_of(layout, unpacked / "cluster.snapshot")
        ours = contents.of_snapshot(unpacked / "cluster.snapshot", unpacked)
    taken = datetime.strptime(manifest.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    changes = compare.compare(theirs.digests, ours.digests)
    return Preview(manifest, (now - taken).total_seconds(), theirs.revision, ours.revision, changes)


def as_json(found: Preview) -> dict[str, Any]:
    return {
        "cluster": found.manifest.name,
        "taken": found.manifest.created,
        "ageSeconds": int(found.age),
        "backupRevision": found.backup_revision,
        "clusterRevision": found.cluster_revision,
        "changes": [change._asdict() for change in found.changes],
    }


def as_text(found: Preview) -> str:
    lines = [
        f"backup:  cluster {found.manifest.name}, revision {found.backup_revision}, "
        f"taken {found.manifest.created} ({_ago(found.age)} ago)",
        f"cluster: revision {found.cluster_revision} ({found.cluster_revision - found.backup_revision:+d})",
    ]
    if not found.changes:
        return "\n".join([*lines, "no object would change"])
    counts = sorted(compare.counts(found.changes).items())
    rows = [[resource, *(str(count[kind]) for kind in KINDS)] for resource, count in counts]
    lines.append(table(["resource", *KINDS], rows))
    lines += [f"{change.kind:<7}  {change.resource}  {change.name}" for change in found.changes[:SHOWN]]
    if len(found.changes) > SHOWN:
        lines.append(f"and {len(found.changes) - SHOWN} more: -o json names all")
    return "\n".join(lines)


def _ago(age: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if age >= 2 * size:
            return f"{age / size:.0f} {unit}"
    return f"{age:.0f} seconds"
