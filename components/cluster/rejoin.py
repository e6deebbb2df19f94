"""When a master whose data directory is gone may start again and copy the others' state.

A member that has forgotten what it acknowledged and voted for must not help to form a quorum before the others
have formed one without it. It may once they have committed an entry that was proposed while it was down:
whatever it had acknowledged is then on a majority of the others, and all of that majority have reached its last
term, so neither its log nor its votes are missed. Used by `supervisor`; the counterpart of Raft's rule that
nothing may be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.status import MemberAnswer

PROOF = 3
"""Entries applied since it was seen to be down: at most two were on their way before that."""


def forgetful(layout: Layout, masters: Iterable[str], formed: bool) -> set[str]:
    """Masters of a cluster that has served before which have no data. Raises ClusterError when too few have."""
    names = list(masters)
    empty = {name for name in names if not (layout.masters / name / "member").is_dir()}
    if not formed or not empty:
        return set()
    if len(names) - len(empty) <= len(names) // 2:
        raise ClusterError(
            f"{layout.masters}: the data of {', '.join(sorted(empty))} is missing: the other masters are no majority",
            "put it back, or restore a backup: kuberaft restore FILE",
        )
    return empty


def furthest(answers: Mapping[str, MemberAnswer]) -> int:
    """The highest applied index among masters that serve; 0 when none does."""
    return max((answer.applied_index for answer in answers.values() if answer.ready), default=0)
