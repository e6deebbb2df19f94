"""(P) Regular expressions of expressions: RE2, in time linear in the text."""

from __future__ import annotations

from apiserver.api import patterns
from apiserver.cel.syntax import EvaluationError


def matches(text: str, pattern: str) -> bool:
    """Whether the pattern is found anywhere. Raises EvaluationError."""
    return _compiled(pattern).search(text) is not None


def find(text: str, pattern: str) -> str:
    found = _compiled(pattern).search(text)
    return str(found[0]) if found is not None else ""


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [str(match[0]) for match in _compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _compiled(pattern: str) -> patterns.Pattern:
    try:
        return patterns.compiled(pattern)
    except patterns.BadPattern as exc:
        raise EvaluationError(f"error parsing regexp: {exc}") from None
