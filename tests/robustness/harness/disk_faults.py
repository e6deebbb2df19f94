"""Faults of what lies below a member: its disk, its power, its clock."""

from __future__ import annotations

from components.drills.clock import set_clock
from tests.robustness.harness.faults import Fault, Field


class FullDisk(Fault):
    """No room for the log for a while; a member that ended over it is started again when there is room."""

    name = "full-disk"
    needs_disk = True

    async def inject(self, field: Field) -> None:
        member = await field.anybody()
        if member.disk is None:
            return
        member.may_end = True
        member.disk.fill()
        await field.wait(0.5, 1.5)
        member.disk.empty()
        field.cluster.ensure_running()


class DiskErrors(Fault):
    """Every write and fsync fails with EIO while the process lives; then the machine is replaced around its disk."""

    name = "disk-errors"
    needs_disk = True

    async def inject(self, field: Field) -> None:
        member = await field.anybody()
        if member.disk is None:
            return
        member.may_end = True
        member.disk.cut_power()
        await field.wait(0.2, 1.0)
        field.cluster.kill(member)
        member.disk.restore_power()
        field.cluster.ensure_running()


class PowerLoss(Fault):
    """One machine, or all at once: the process is gone and with it what was not forced to the disk."""

    name = "power-loss"
    needs_disk = True

    async def inject(self, field: Field) -> None:
        members = [m for m in field.cluster.present if m.disk is not None]
        if field.rng.random() < 0.5:
            members = [field.rng.choice(members)]
        for member in members:
            assert member.disk is not None
            member.may_end = True
            member.disk.cut_power()
            field.cluster.kill(member)
        for member in members:
            assert member.disk is not None
            member.disk.restore_power()
        await field.wait(0.0, 0.5)
        field.cluster.ensure_running()


class ClockJump(Fault):
    """One member's clock of the day is wrong by up to an hour, then right again.

    Always the same one: libfaketime makes a member slow.
    """

    name = "clock-jump"
    ours_only = True  # a Go program asks the kernel itself, not the C library

    async def inject(self, field: Field) -> None:
        member = next((m for m in field.cluster.present if m.environment), None)
        if member is None:
            return
        set_clock(member.environment, field.rng.choice((-3600, -60, -2, 2, 60, 3600)))
        await field.wait(1.1, 2.0)
        set_clock(member.environment, 0)
