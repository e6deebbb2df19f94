"""Deleting a collection: after a failure nothing goes on behind the answer."""

from __future__ import annotations

import asyncio

import pytest

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.http.handlers.deletecollection import _all
from tests.support.virtual_time import run_virtual


def test_the_first_failure_ends_the_other_deletions() -> None:
    done: list[str] = []

    async def refused() -> None:
        await asyncio.sleep(1)
        raise errors.generic(403)

    async def slow() -> None:
        await asyncio.sleep(2)
        done.append("slow")

    async def main() -> None:
        with pytest.raises(StatusError):
            await _all([asyncio.create_task(refused()), asyncio.create_task(slow())])
        await asyncio.sleep(5)

    run_virtual(main())
    assert done == []
