"""Functions of expressions, a file for each family. ``ALL`` is what every environment knows."""

from __future__ import annotations

from typing import Final

from apiserver.cel.library import (
    formats,
    lists,
    networks,
    numbers,
    optionals,
    quantities,
    semvers,
    standard,
    strings,
    times,
    urls,
)
from apiserver.cel.library.function import Function

ALL: Final[tuple[Function, ...]] = (
    *standard.FUNCTIONS,
    *numbers.FUNCTIONS,
    *strings.FUNCTIONS,
    *times.FUNCTIONS,
    *lists.FUNCTIONS,
    *optionals.FUNCTIONS,
    *urls.FUNCTIONS,
    *quantities.FUNCTIONS,
    *networks.FUNCTIONS,
    *formats.FUNCTIONS,
    *semvers.FUNCTIONS,
)
