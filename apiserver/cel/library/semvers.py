"""(P) Semantic versions, as Kubernetes' library. Source: semver.org 2.0.0."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Any, Final

from apiserver.cel.library.function import Function, function, traversal
from apiserver.cel.syntax import EvaluationError
from apiserver.cel.values import Opaque

_NUMBER: Final = r"0|[1-9]\d*"
_PART: Final = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER: Final = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PART}(?:\.{_PART})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)


@total_ordering
@dataclass(frozen=True, slots=True)
class Semver(Opaque):
    type_name = "kubernetes.Semver"

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    def _order(self) -> tuple[Any, ...]:
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return self.major, self.minor, self.patch, not self.pre, parts

    def __lt__(self, other: Semver) -> bool:
        return self._order() < other._order()


def parse_semver(text: str, normalize: bool = False) -> Semver:
    """``normalize``: a leading v, missing parts and leading zeros are allowed. Raises EvaluationError."""
    found = _SEMVER.fullmatch(_normal(text) if normalize else text)
    if found is None:
        raise EvaluationError(f"Invalid semantic version: {text}")
    major, minor, patch, pre = found.groups()
    return Semver(int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else ())


def _normal(text: str) -> str:
    core, mark, rest = re.fullmatch(r"([^-+]*)([-+]?)(.*)", text.removeprefix("v"), re.DOTALL).groups()  # type: ignore[union-attr]
    numbers = [number.lstrip("0") or "0" for number in core.split(".")]
    return ".".join([*numbers, "0", "0"][: max(3, len(numbers))]) + mark + rest


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        parse_semver(text, normalize)
    except EvaluationError:
        return False
    return True


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("semver(string) -> kubernetes_semver", parse_semver, traversal),
    function("semver(string, bool) -> kubernetes_semver", parse_semver, traversal),
    function("isSemver(string) -> bool", _is_semver, traversal),
    function("isSemver(string, bool) -> bool", _is_semver, traversal),
    function("kubernetes_semver.major() -> int", lambda version: version.major),
    function("kubernetes_semver.minor() -> int", lambda version: version.minor),
    function("kubernetes_semver.patch() -> int", lambda version: version.patch),
    function("kubernetes_semver.isLessThan(kubernetes_semver) -> bool", lambda a, b: a < b),
    function("kubernetes_semver.isGreaterThan(kubernetes_semver) -> bool", lambda a, b: a > b),
    function("kubernetes_semver.compareTo(kubernetes_semver) -> int", lambda a, b: (a > b) - (a < b)),
)
