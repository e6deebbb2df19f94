"""What every test of the store has around it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def garbage_is_its_makers_fault() -> Iterator[None]:
    """A socket or a task that a test forgets is reported when it is collected, in whatever test runs then: often a
    pure one, with a warning that is an error. So it is collected before the next file begins."""
    yield
    gc.collect()
