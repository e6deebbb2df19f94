"""Runs expressions for a server that has other requests too: short ones at once, long ones in a thread.

Expressions are plain calls; what they ask of the rest of the server, such as the authorizer, may have to wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from apiserver.admission.authorizing import Authorizer, Decide
from apiserver.admission.expressions import TooLong, patience
from apiserver.admission.interface import Access, Attributes
from apiserver.auth import rbac
from apiserver.cel.evaluator import Check

T = TypeVar("T")
_SECONDS: Final = 10.0


async def in_time(evaluate: Callable[[Check | None], T]) -> T:
    """``evaluate(check)``, which is pure: what takes long is begun again, where the event loop need not wait for it."""
    try:
        return evaluate(patience())
    except TooLong:
        return await asyncio.to_thread(evaluate, None)


def authorizer_of(write: Attributes, access: Access) -> Authorizer:
    """The value of ``authorizer`` for a write; to be made in the event loop."""
    return Authorizer(write.user, _decider(access), write)


def _decider(access: Access) -> Decide:
    loop, home = asyncio.get_running_loop(), threading.get_ident()

    def decide(asked: rbac.Attributes) -> tuple[bool, str]:
        work = _coroutine(access, asked)
        if threading.get_ident() == home:
            return _at_once(work)
        return asyncio.run_coroutine_threadsafe(work, loop).result(_SECONDS)

    return decide


async def _coroutine(access: Access, asked: rbac.Attributes) -> tuple[bool, str]:
    return await access.decide(asked)


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of what does not have to wait. Raises TooLong for what does."""
    try:
        work.send(None)
    except StopIteration as exc:
        result: T = exc.value
        return result
    work.close()
    raise TooLong
