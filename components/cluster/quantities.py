"""Durations and byte sizes as topology files spell them (P). The spellings are Kubernetes'.

Go's `time.ParseDuration` without the fraction-of-second units nobody writes, and the binary and decimal
suffixes of a Kubernetes quantity for whole byte counts.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
SIZE_PATTERN = r"^[0-9]+(Ki|Mi|Gi|Ti|k|M|G|T)?$"

Duration = Annotated[
    str,
    msgspec.Meta(pattern=DURATION_PATTERN, description="A duration such as 500ms, 4s or 1m30s."),
]
Size = Annotated[
    str,
    msgspec.Meta(pattern=SIZE_PATTERN, description="A number of bytes such as 512Mi or 2Gi."),
]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {
    "": 1,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


def seconds(text: str) -> float:
    """`"1m30s"` -> 90.0. Raises ValueError for anything that is not a duration."""
    if not re.match(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration")
    parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def size_in_bytes(text: str) -> int:
    """`"2Gi"` -> 2147483648. Raises ValueError for anything that is not a size."""
    match = re.match(r"^([0-9]+)(Ki|Mi|Gi|Ti|k|M|G|T)?$", text)
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(match[1]) * _BYTES[match[2] or ""]
