"""Which function does which step."""

from __future__ import annotations

from components.drills.faults import (
    certificates,
    clock,
    disaster,
    disk,
    links,
    nodes,
    processes,
    store,
    upgrade,
)
from components.drills.faults.field import Inject
from components.drills.spec import (
    ClockJump,
    ColdStart,
    Compact,
    Drain,
    ExpireCertificates,
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
    UpgradeEach,
)

KINDS: dict[type[Step], Inject] = {
    Kill: processes.kill,
    Pause: processes.pause,
    ColdStart: processes.cold_start,
    LoseData: processes.lose_data,
    RestartEach: processes.restart_each,
    UpgradeEach: upgrade.upgrade_each,
    ExpireCertificates: certificates.expire,
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
