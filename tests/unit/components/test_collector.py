"""What lives on is looked at once; cycles among it are still found, now and then."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from components.collector import Collector


class Node:
    def __init__(self) -> None:
        self.other: Node | None = None


@pytest.fixture
def collecting_whole_every_third() -> Iterator[None]:
    collector = Collector(whole_every=3)
    gc.disable()
    collector.install()
    yield
    collector.uninstall()
    gc.enable()


def cycle() -> Node:
    first, second = Node(), Node()
    first.other, second.other = second, first
    return first


@pytest.mark.usefixtures("collecting_whole_every_third")
def test_what_survived_a_full_collection_is_not_looked_at_again() -> None:
    kept = cycle()
    assert any(tracked is kept for tracked in gc.get_objects())
    gc.collect()
    assert not any(tracked is kept for tracked in gc.get_objects())


@pytest.mark.usefixtures("collecting_whole_every_third")
def test_a_new_cycle_is_freed_by_the_next_full_collection_an_old_one_by_a_whole_one() -> None:
    old = cycle()
    gc.collect()
    seen_old, seen_new = weakref.ref(old), weakref.ref(cycle())
    del old
    gc.collect()
    assert seen_new() is None
    assert seen_old() is not None
    gc.collect()
    assert seen_old() is None


@pytest.mark.usefixtures("collecting_whole_every_third")
def test_younger_generations_are_left_alone() -> None:
    kept = cycle()
    gc.collect(1)
    assert any(tracked is kept for tracked in gc.get_objects())
