"""Runs expressions for a server that has other requests too: short ones at once, long ones in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from apiserver.admission.expressions import TooLong, patience
from apiserver.cel.evaluator import Check

T = TypeVar("T")


async def in_time(evaluate: Callable[[Check | None], T]) -> T:
    """``evaluate(check)``, which is pure: what takes long is begun again, where the event loop need not wait for it."""
    try:
        return evaluate(patience())
    except TooLong:
        return await asyncio.to_thread(evaluate, None)
