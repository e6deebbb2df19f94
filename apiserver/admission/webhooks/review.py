"""(P) AdmissionReview v1: the question to a webhook, and its answer checked and read.

Source: apiserver ``pkg/admission/plugin/webhook/request`` and ``webhook/errors``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apiserver.admission.interface import Attributes
from apiserver.admission.matching import Match
from apiserver.admission.request import admission_request
from apiserver.api.errors import StatusError
from apiserver.api.field_errors import quote

Object = dict[str, Any]
API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
_JSON_PATCH: Final = "JSONPatch"


class BadResponse(Exception):
    """The text says what is wrong with the answer."""


_INVALID: Final = "received invalid webhook response: "
_UNDECODABLE: Final = "received undecodable patch in webhook response: "


def _invalid(reason: str) -> BadResponse:
    return BadResponse(_INVALID + reason)


@dataclass(frozen=True, slots=True)
class Answer:
    """``result``: a Status, or what a webhook took for one. ``patch``: operations of a JSON patch."""

    allowed: bool
    result: Object
    warnings: Sequence[str] = ()
    annotations: Mapping[str, str] | None = None
    patch: Sequence[Any] = ()


def review(write: Attributes, match: Match, uid: str, obj: Object | None, old: Object | None) -> Object:
    """``obj``, ``old``: in the version that the webhook wants."""
    request = {"uid": uid, **admission_request(write, match)}
    options = request.pop("options", None)
    request |= {"object": obj, "oldObject": old, "options": options}
    return {"kind": KIND, "apiVersion": API_VERSION, "request": request}


def read(answer: Object, uid: str, *, mutating: bool) -> Answer:
    """Raises BadResponse."""
    response = answer.get("response")
    if not isinstance(response, dict):
        raise _invalid("webhook response was absent")
    if response.get("uid") != uid:
        raise _invalid(f'expected response.uid="{uid}", got {quote(str(response.get("uid") or ""))}')
    given = _kind(answer.get("apiVersion"), answer.get("kind"))
    if given != _kind(API_VERSION, KIND):
        raise _invalid(f"expected webhook response of {_kind(API_VERSION, KIND)}, got {given}")
    if not isinstance(response.get("allowed"), bool | None):
        raise _invalid("response.allowed is not a boolean")
    result = response.get("status")
    return Answer(
        bool(response.get("allowed")),
        dict(result) if isinstance(result, dict) else {},
        [str(text) for text in response.get("warnings") or ()],
        _texts(response.get("auditAnnotations")),
        _patch(response, mutating=mutating),
    )


def _texts(given: Any) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}


def _kind(api_version: Any, kind: Any) -> str:
    group, _, version = str(api_version or "").rpartition("/")
    return f"{group}/{version}, Kind={kind or ''}"


def _patch(response: Object, *, mutating: bool) -> Sequence[Any]:
    patch, patch_type = response.get("patch"), response.get("patchType")
    if not mutating:
        for name, value in (("patch", patch), ("patchType", patch_type)):
            if value or (name == "patchType" and value is not None):
                raise _invalid(f"validating webhook may not return response.{name}")
        return ()
    if patch and patch_type is None:
        raise _invalid("webhook returned response.patch but not response.patchType")
    if not patch and patch_type is not None:
        raise _invalid("webhook returned response.patchType but not response.patch")
    if not patch:
        return ()
    if patch_type != _JSON_PATCH:
        raise _invalid(f"webhook returned invalid response.patchType of {quote(str(patch_type))}")
    return _operations(patch)


def _operations(patch: Any) -> Sequence[Any]:
    try:
        operations = json.loads(base64.b64decode(patch, validate=True))
    except (TypeError, ValueError, binascii.Error, RecursionError) as exc:
        raise BadResponse(f"{_UNDECODABLE}{exc}") from exc
    if not isinstance(operations, list):
        raise BadResponse(f"{_UNDECODABLE}not a list of operations")
    return operations


def denial(webhook: str, result: Object) -> StatusError:
    """What the client is told; a refusal never looks like a success, whatever the webhook says."""
    said = f'admission webhook "{webhook}" denied the request'
    reason = str(result.get("reason") or "")
    explanation = str(result.get("message") or "") or reason
    code = result.get("code")
    details = result.get("details")
    return StatusError(
        max(code, 400) if isinstance(code, int) else 400,
        reason,
        f"{said}: {explanation}" if explanation else f"{said} without explanation",
        details if isinstance(details, dict) else None,
    )
