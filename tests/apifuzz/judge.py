"""(P) What may be answered to whatever a client sends: any success or refusal, and of 5xx what is declared here."""

from __future__ import annotations

import json
import re
from typing import Final

from tests.apifuzz.wire import Answer

DECLARED: Final = {
    # The original answers these with 5xx as well.
    r"resourceVersion: Invalid value": "a plain Go error of strconv reaches the client",
    r"strconv.ParseUint: parsing ": "a plain Go error, recorded",
    r"resourceVersion should not be set on objects to be created": "a plain Go error",
    r"unknown patch type: ": "a directive of a strategic patch that there is none of",
    r"merging lists cannot yet be specified in the patch": "the same",
    r"map: .* does not contain declared merge key": "a strategic patch that misses the merge key",
    r"expected a \S+ (\S+, )?but received a ": "a strategic patch of a list that is none",
    r"lists of lists are not supported": "a strategic patch",
    r"list elements are of different types": "a strategic patch",
    r"The order in patch list:": "a strategic patch that contradicts itself",
    r"failed to create typed (patch|live) object": "an applied configuration that does not fit its type, recorded",
    r"Timeout: Too large resource version": "a version of the future",
    r"\[?target\.(kind|name): ": "a Binding of nothing, recorded",
    r"no endpoints available for service": "nobody serves it",
    r"no preferred addresses found": "a node without an address",
    r"error trying to reach service": "nobody listens there",
    r'Get "https?://': "no kubelet listens there",
    r"error dialing backend": "no kubelet listens there",
    r"Internal error occurred: failed to allocate a (serviceIP|nodePort): range is full": "used up",
    # What this server says that it does not do.
    r".* is not supported by this server": "a declared gap, 501",
}
_DECLARED: Final = re.compile("|".join(f"(?:{pattern})" for pattern in DECLARED), re.DOTALL)


def fault(answer: Answer, method: str = "") -> str | None:
    """Why this answer is a bug; None: it is none."""
    if answer.code < 500 or method == "HEAD":
        return None
    message = _message(answer)
    if message is None:
        return f"{answer.code} without a Status: {answer.body[:300]!r}"
    return None if _DECLARED.match(message) else f"{answer.code}: {message[:1000]}"


def _message(answer: Answer) -> str | None:
    """Of the Status; found in other forms than JSON too, since texts stand in them as they are."""
    try:
        return str(json.loads(answer.body)["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.body.decode("utf-8", "replace")
    found = _IN_OTHER_FORMS.search(text)
    return found[1] if found else None


_IN_OTHER_FORMS: Final = re.compile(
    "((?:" + "|".join(f"(?:{pattern})" for pattern in DECLARED if not pattern.startswith(".*")) + ").*)",
    re.DOTALL,
)
