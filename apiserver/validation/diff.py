"""How two values differ, for messages that refuse a change: a unified diff of both as indented JSON. Pure.

The original prints Go's structs there; which lines differ is what both tell.
"""

from __future__ import annotations

import difflib
import json
from typing import Any


def diff(old: Any, new: Any) -> str:
    before, after = (json.dumps(value, indent=2, ensure_ascii=False).splitlines() for value in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm=""))
    return "".join(f"{line}\n" for line in lines[2:])  # without the names of files
