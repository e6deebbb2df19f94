"""API errors: an exception that carries a ``metav1.Status`` with the original's texts.

Raised anywhere below the HTTP layer, translated to a response exactly once there. Constructors are
named as those of apimachinery's ``api/errors`` and produce the same code, reason, message and details.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from apiserver.api.field_errors import FieldError, aggregate, quote
from apiserver.api.gvk import GroupKind, GroupResource

_GENERIC: Final = {
    # code: (reason, message) for answers of the HTTP layer that know no object
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", "the server does not allow access to the requested resource"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", "the server was unable to respond with a content type that the client supports"),
    409: ("Conflict", "the server reported a conflict"),
    415: ("UnsupportedMediaType", "the body of the request was in an unknown format"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, "
        "but may still be processing the request",
    ),
}


class StatusError(Exception):
    """``reason`` is empty where the original sends none. ``details`` is None or a StatusDetails object."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    @property
    def retry_after(self) -> int | None:
        """Seconds for the Retry-After header, if the error names any."""
        seconds = (self.details or {}).get("retryAfterSeconds")
        return int(seconds) if seconds else None

    def status(self) -> dict[str, Any]:
        """The Status object to send."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _details(
    name: str = "",
    group: str = "",
    kind: str = "",
    causes: Iterable[dict[str, str]] = (),
    retry_after: int = 0,
) -> dict[str, Any]:
    fields = {
        "name": name,
        "group": group,
        "kind": kind,
        "causes": list(causes),
        "retryAfterSeconds": retry_after,
    }
    return {key: value for key, value in fields.items() if value}


def not_found(resource: GroupResource, name: str) -> StatusError:
    message = f"{resource} {quote(name)} not found"
    return StatusError(404, "NotFound", message, _details(name, resource.group, resource.resource))


def already_exists(resource: GroupResource, name: str) -> StatusError:
    message = f"{resource} {quote(name)} already exists"
    return StatusError(409, "AlreadyExists", message, _details(name, resource.group, resource.resource))


_NOT_UNIQUE: Final = "the server was not able to generate a unique name for the object"


def generate_name_conflict(resource: GroupResource, name: str) -> StatusError:
    """A generated name that was already taken; clients may simply try again."""
    message = f"{resource} {quote(name)} already exists, {_NOT_UNIQUE}"
    return StatusError(
        409, "AlreadyExists", message, _details(name, resource.group, resource.resource, (), 1)
    )


def conflict(resource: GroupResource, name: str, reason: str) -> StatusError:
    message = f"Operation cannot be fulfilled on {resource} {quote(name)}: {reason}"
    return StatusError(409, "Conflict", message, _details(name, resource.group, resource.resource))


MODIFIED: Final = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def forbidden(
    resource: GroupResource, name: str, reason: str, causes: Sequence[dict[str, str]] = ()
) -> StatusError:
    if not name and resource == ("", ""):
        message = f"forbidden: {reason}"
    elif not name:
        message = f"{resource} is forbidden: {reason}"
    else:
        message = f"{resource} {quote(name)} is forbidden: {reason}"
    return StatusError(403, "Forbidden", message, _details(name, resource.group, resource.resource, causes))


def invalid(kind: GroupKind | GroupResource, name: str, errors: Sequence[FieldError]) -> StatusError:
    message = (
        f"{kind} {quote(name)} is invalid: {aggregate(errors)}"
        if errors
        else f"{kind} {quote(name)} is invalid"
    )
    details = _details(name, kind[0], kind[1], [error.cause() for error in errors])
    return StatusError(422, "Invalid", message, details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> StatusError:
    return StatusError(401, "Unauthorized", message)


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def gone(message: str) -> StatusError:
    return StatusError(410, "Gone", message)


def method_not_supported(resource: GroupResource, action: str) -> StatusError:
    message = f"{action} is not supported on resources of kind {quote(str(resource))}"
    return StatusError(405, "MethodNotAllowed", message, _details("", resource.group, resource.resource))


def not_acceptable(message: str) -> StatusError:
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    message = "the body of the request was in an unknown format - accepted media types include: "
    return StatusError(415, "UnsupportedMediaType", message + ", ".join(accepted))


def timeout(message: str, retry_after: int = 0, causes: Sequence[dict[str, str]] = ()) -> StatusError:
    details = _details(causes=causes, retry_after=retry_after)
    return StatusError(504, "Timeout", f"Timeout: {message}", details)


def too_large_resource_version(current: int, asked: int) -> StatusError:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return timeout(f"Too large resource version: {asked}, current: {current}", 1, causes)


def too_many_requests(
    message: str, retry_after: int = 0, causes: Sequence[dict[str, str]] = ()
) -> StatusError:
    return StatusError(429, "TooManyRequests", message, _details(causes=causes, retry_after=retry_after))


def internal(reason: str) -> StatusError:
    causes = [{"message": reason}]
    return StatusError(500, "InternalError", f"Internal error occurred: {reason}", _details(causes=causes))


def service_unavailable(reason: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", reason)


def request_entity_too_large(message: str) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def unknown(message: str) -> StatusError:
    """A plain Go error that reached the client: code 500 and no reason."""
    return StatusError(500, "", message)


def generic(code: int, message: str = "") -> StatusError:
    """An answer of the HTTP layer that knows only the code; details are present and empty."""
    reason, text = _GENERIC.get(code, ("", "unknown"))
    return StatusError(code, reason, message or text, {})
