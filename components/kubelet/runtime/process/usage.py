"""What containers use, from the kernel: one pass over /proc gives CPU time and memory of every container.

CPU time includes children already reaped, so it does not fall when a worker process of a container ends.
The working set is resident memory that is not shared file pages, as close as /proc comes to the cgroup's
figure.
"""

from __future__ import annotations

import os

from components.kubelet.runtime.interface import ContainerStats
from components.kubelet.runtime.process.shim import proctree

_TICKS = os.sysconf("SC_CLK_TCK")


def container_usage(pid: int, now: float) -> ContainerStats:
    cpu, rss, anonymous, count = 0.0, 0, 0, 0
    for member in proctree.tree(pid):
        sample = _sample(member)
        if sample is None:
            continue
        count += 1
        cpu += sample[0]
        rss += sample[1]
        anonymous += proctree.anonymous_bytes(member)
    return ContainerStats(
        timestamp=now, cpu_seconds=cpu, rss_bytes=rss, working_set_bytes=anonymous, processes=count
    )


def _sample(pid: int) -> tuple[float, int] | None:
    """(CPU seconds with reaped children, resident bytes) of one process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = sum(int(fields[index]) for index in (11, 12, 13, 14))
    return ticks / _TICKS, int(fields[21]) * proctree.PAGE
