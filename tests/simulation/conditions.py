"""Under what conditions a seed plays: how many members, what they keep, how bad the network is.

Some seeds play where rare faults are common; there the measures are needed that ordinary seeds hardly ever need. From
`SPLIT` on, three or five members are split again and again, entries come in small pieces, logs are long, and the
network repeats itself at any time, which is worse than anything the real transport does. From `CHANGING` on, the
members change all the time, and each applies one entry a round.
"""

from __future__ import annotations

from dataclasses import dataclass

SPLIT = 1_000_000_000
CHANGING = 2_000_000_000


@dataclass(frozen=True)
class Conditions:
    """`late`: Raft's messages of an earlier connection may arrive on a later one. `repeats`: how often one arrives
    again within `repeats_within` seconds. `window`: applied entries kept for members that lag; few make snapshots
    common. `batch_bytes`: of entries in one message. `writes`: of one step. `apply_seconds`: of a round (below 0: one
    entry). `splits`: the cluster falls into parts. `changes`: how much more often than usual members come and go.
    `waiting`: what may leave behind the answers to clients does, by so many seconds at most; in the engine it is two
    turns of the event loop.
    """

    size: int = 3
    late: bool = False
    repeats: float = 0.0
    repeats_within: float = 6.0
    window: int = 12
    batch_bytes: int = 1 << 20
    writes: int = 1
    apply_seconds: float = 0.01
    splits: bool = False
    changes: float = 1.0
    waiting: float = 0.0


def of(seed: int) -> Conditions:
    """Every fifth ordinary seed has five members, they and every third a network that repeats itself.

    Every seventh changes its members all the time; in every fourth, word of what is committed is late.
    """
    if seed >= CHANGING:
        return Conditions(window=400, batch_bytes=256, apply_seconds=-1.0, splits=True, changes=6.0)
    if seed >= SPLIT:
        size = 5 if seed % 2 == 0 else 3
        return Conditions(size, late=True, repeats=0.1, window=400, batch_bytes=256, writes=3, splits=True)
    size = 5 if seed % 5 == 4 else 3
    return Conditions(
        size,
        late=size == 5 or seed % 3 == 1,
        changes=6.0 if seed % 7 == 3 else 1.0,
        waiting=0.02 if seed % 4 == 2 else 0.0,
    )
