"""The simulation sees what each measure is for: without it, a seed breaks a promise that it keeps with it."""

from __future__ import annotations

import pytest

from kvstore.errors import DataCorrupt
from tests.simulation.mutations import MUTATIONS, SEEDS, without
from tests.simulation.promises import Violation
from tests.simulation.scenario import play


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_seed_needs_it(name: str) -> None:
    """If Raft's code has changed, another seed may: `python -m tests.simulation --seeds 200 --without NAME`."""
    play(SEEDS[name])
    with without(name), pytest.raises((Violation, DataCorrupt, IndexError)):
        play(SEEDS[name])
