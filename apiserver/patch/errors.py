"""Why a patch could not be applied. Translated to a Status once, by the handler of PATCH."""

from __future__ import annotations

from apiserver.api.errors import StatusError

UNPROCESSABLE = "the server rejected our request due to an error in our request"


class PatchError(StatusError):
    """A patch that does not fit the object or is not a patch at all.

    A 500 carries the text of strategicpatch as it is: the original does not translate those errors.
    """

    def __init__(self, message: str, code: int = 500) -> None:
        reason = {400: "BadRequest", 422: "Invalid", 413: "RequestEntityTooLarge"}.get(code, "")
        super().__init__(code, reason, message, {} if code == 422 else None)
