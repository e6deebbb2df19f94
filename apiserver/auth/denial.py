"""(P) The words in which a request is refused (``responsewriters.ForbiddenStatusError``)."""

from __future__ import annotations

from apiserver.api import errors
from apiserver.api.errors import StatusError
from apiserver.api.gvk import GroupResource
from apiserver.auth.rbac import Attributes


def forbidden(asked: Attributes, reason: str = "") -> StatusError:
    """``reason`` is the authorizer's, if it gave any."""
    text = f'User "{asked.user.name}" {asked.describe()}' + (f": {reason}" if reason else "")
    if asked.path:
        failure = errors.forbidden(GroupResource("", ""), "", text)
        failure.details = {}
        return failure
    return errors.forbidden(GroupResource(asked.group, asked.resource), asked.name, text)
