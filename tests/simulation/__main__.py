"""`python -m tests.simulation --seeds N`: many seeds on all processors.

`--without NAME` finds seeds that need a measure; `--transcript SEED` shows how few steps it takes one seed to fail.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext

from tests.simulation.mutations import MUTATIONS, without
from tests.simulation.scenario import play, shrink

SLICE = 50


def run(first: int, count: int, mutation: str | None) -> list[tuple[int, str]]:
    """(seed, what went wrong) of those that failed."""
    failed = []
    for seed in range(first, first + count):
        with without(mutation) if mutation else nullcontext():
            try:
                play(seed)
            except Exception as error:  # whatever a broken cluster does
                failed.append((seed, f"{type(error).__name__}: {error}"))
    return failed


def transcript(seed: int, mutation: str | None) -> str:
    """The fewest steps found that break a promise, and what happened then."""
    with without(mutation) if mutation else nullcontext():
        try:
            play(seed)
        except Exception:
            steps = shrink(seed)
        else:
            return f"seed {seed} breaks no promise"
        lines = [" ".join([str(name), *(f"{number:.3f}" for number in numbers)]) for name, *numbers in steps]
        try:
            play(seed, steps)
        except Exception as error:
            return "\n".join([*lines, "", *getattr(error, "__notes__", []), "", str(error)])
    raise AssertionError("the same steps do not fail again")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100_000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="N")
    parser.add_argument("--without", metavar="NAME", help="; ".join(MUTATIONS))
    parser.add_argument("--transcript", type=int, metavar="SEED")
    arguments = parser.parse_args()
    names = [name for name in MUTATIONS if arguments.without and name.startswith(arguments.without)]
    if arguments.without and len(names) != 1:
        parser.error(f"--without {arguments.without}: name one of: {'; '.join(MUTATIONS)}")
    mutation = names[0] if names else None
    if arguments.transcript is not None:
        print(transcript(arguments.transcript, mutation))
        return 0
    failures = 0
    for failed in _results(arguments.first, arguments.seeds, mutation):
        for seed, what in failed:
            failures += 1
            print(f"\nseed {seed}: {what}  (--transcript {seed})")
    print(f"\n{arguments.seeds} seeds, {failures} failed")
    return 1 if failures and mutation is None else 0


def _results(first: int, seeds: int, mutation: str | None) -> Iterator[list[tuple[int, str]]]:
    started = time.monotonic()
    slices = [(at, min(SLICE, first + seeds - at), mutation) for at in range(first, first + seeds, SLICE)]
    with ProcessPoolExecutor() as pool:
        for done, failed in enumerate(pool.map(_run_slice, slices), 1):
            rate = done * SLICE / (time.monotonic() - started)
            print(f"\r{min(done * SLICE, seeds)} of {seeds} seeds, {rate:.0f}/s", end="", file=sys.stderr)
            yield failed


def _run_slice(arguments: tuple[int, int, str | None]) -> list[tuple[int, str]]:
    return run(*arguments)


if __name__ == "__main__":
    sys.exit(main())
