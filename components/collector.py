"""Keeps the garbage collector's pauses short in a process that holds very many objects.

A full collection of CPython looks at every container there is: a master that had parsed 20,000 pods stood still for
0.4 s every other second while more came. But what has survived one full collection mostly lives on, and parsed objects
hold no cycles, so reference counts free them. So survivors are set aside (`gc.freeze`), and the next full collection
looks only at what is new. Cycles among what was set aside wait for one in `WHOLE_EVERY`, which looks at everything.

Nearly all that a request allocates is freed by its end. With Python's own thresholds a young collection comes every 30
creates of a pod and mostly finds what is still in use; so it comes a third as often, and a full one as often as before.

Used by `processes.run`, for masters and workers.
"""

from __future__ import annotations

import gc
from typing import Literal

WHOLE_EVERY = 100
OLDEST = 2
THRESHOLDS = (2_000, 5, 7)
"""New containers before a young collection, young ones before a middle one, middle ones before a full one."""


class Collector:
    """One for each process; `install` begins, `uninstall` ends it."""

    def __init__(self, whole_every: int = WHOLE_EVERY) -> None:
        self._whole_every = whole_every
        self._full = 0
        self._before = gc.get_threshold()

    def install(self) -> None:
        """Set aside all that lives now."""
        self._before = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        gc.freeze()
        gc.callbacks.append(self._called)

    def uninstall(self) -> None:
        gc.callbacks.remove(self._called)
        gc.unfreeze()
        gc.set_threshold(*self._before)

    def _called(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        if info["generation"] != OLDEST:
            return
        if phase == "start":
            self._full += 1
            if self._full % self._whole_every == 0:
                gc.unfreeze()
        else:
            gc.freeze()
