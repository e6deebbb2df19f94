"""Guided fuzzing with atheris, for `python -m tests.NAME TARGET --seconds 60`: exit status 0 if nothing broke; else the
input and how to repeat it.

An input that takes longer than `HANG_SECONDS` or more memory than `MEMORY_MIB` is a failure, too. It must be started in
a process of its own: the modules under test are instrumented as they are imported, and libFuzzer ends the process.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

HANG_SECONDS, MEMORY_MIB = 10, 2048
Target = Callable[[bytes], None]


class Fuzzed(NamedTuple):
    """`seeds` are valid inputs to begin with; none is longer than `longest`."""

    target: Callable[[], Target]
    seeds: Callable[[], list[bytes]]
    longest: int = 4096


def main(package: str, names: Sequence[str], under_test: list[str]) -> None:
    """``package`` has a module `targets` with `TARGETS`, which is imported after atheris is ready."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=__doc__)
    parser.add_argument("name", choices=names)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of libFuzzer; 0: random")
    parser.add_argument("--again", type=Path, help="only the input in this file")
    options = parser.parse_args()
    import atheris

    with atheris.instrument_imports(include=under_test, enable_loader_override=False):
        targets = importlib.import_module(f"{package}.targets")
    fuzzed: Fuzzed = targets.TARGETS[options.name]
    target = fuzzed.target()
    if options.again is not None:
        target(options.again.read_bytes())
        return
    corpus = Path(tempfile.mkdtemp(prefix=f"{package.rpartition('.')[2]}-{options.name}-"))
    (corpus / "inputs").mkdir()
    for number, content in enumerate(fuzzed.seeds()):
        (corpus / "inputs" / f"seed-{number}").write_bytes(content)
    print(f"a failing input is kept in {corpus}; repeat it with --again FILE", file=sys.stderr)
    flags = {
        "max_total_time": options.seconds,
        "timeout": HANG_SECONDS,
        "rss_limit_mb": MEMORY_MIB,
        "max_len": fuzzed.longest,
        "artifact_prefix": f"{corpus}/",
        "print_final_stats": 1,
        "verbosity": 1,
        "seed": options.seed,
    }
    arguments = [f"-{name}={value}" for name, value in flags.items()]
    atheris.Setup([sys.argv[0], *arguments, str(corpus / "inputs")], target)
    atheris.Fuzz()
