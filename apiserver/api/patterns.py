"""(P) Regular expressions as Go understands them: RE2, whose time is linear in the text.

``google-re2`` is the library that Go's syntax comes from; Python's ``re`` differs in syntax and can be made
to run for hours by a short text. Programs are bounded and remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

Pattern = Any
"""Has ``search``, ``fullmatch``, ``finditer``, ``sub``."""
_MEMORY: Final = 8 << 20


class BadPattern(ValueError):
    """The text is the reason, as RE2 gives it."""


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


_OPTIONS: Final = _options()


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Pattern:
    """Raises BadPattern."""
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as exc:
        reason = exc.args[0] if exc.args else "it cannot be parsed"
        raise BadPattern(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text. Raises BadPattern."""
    return compiled(pattern).search(text) is not None
