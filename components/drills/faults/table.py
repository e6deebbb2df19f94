"""Which function does which step."""

from __future__ import annotations

from components.drills.faults import clock, disaster, disk, links, nodes, processes, store
from components.drills.faults.field import Inject
from components.drills.spec import (
    ClockJump,
    ColdStart,
    Compact,
    Drain,
    Flap,
    FullDisk,
    Kill,
    LoseData,
    MoveLeader,
    Partition,
    Pause,
    PowerLoss,
    QuorumLoss,
    RestartEach,
    Restore,
    SlowDisk,
    Step,
)

KINDS: dict[type[Step], Inject] = {
    Kill: processes.kill,
    Pause: processes.pause,
    ColdStart: processes.cold_start,
    LoseData: processes.lose_data,
    RestartEach: processes.restart_each,
    Partition: links.partition,
    Flap: links.flap,
    FullDisk: disk.full,
    SlowDisk: disk.slow,
    PowerLoss: disk.power_loss,
    Restore: disaster.restore,
    QuorumLoss: disaster.quorum_loss,
    Drain: nodes.drain,
    ClockJump: clock.jump,
    MoveLeader: store.move_leader,
    Compact: store.compact,
}
