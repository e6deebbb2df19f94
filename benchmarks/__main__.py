"""`python -m benchmarks [--short] [NAME ...]`: run all benchmarks, or those named."""

from __future__ import annotations

import argparse
import importlib

NAMES = ("cluster", "api", "kv", "rbac", "access", "dashboard")
WITH_SHORT = ("api", "access")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; none: all")
    parser.add_argument(
        "--short", action="store_true", help=f"few rounds, no figures to publish ({WITH_SHORT[0]})"
    )
    arguments = parser.parse_args()
    chosen = arguments.names or list(NAMES)
    if unknown := [name for name in chosen if name not in NAMES]:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    if arguments.short and (long := [name for name in chosen if name not in WITH_SHORT]):
        parser.error(f"--short: {', '.join(long)} has no short run")
    for name in chosen:
        options = {"short": True} if arguments.short else {}
        importlib.import_module(f"benchmarks.{name}").main(**options)


if __name__ == "__main__":
    main()
