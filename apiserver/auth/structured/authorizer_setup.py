"""Puts the authorizers of an AuthorizationConfiguration in place, now and whenever the file changes.

Called once by ``server``. What the API server does itself (``Node``, ``RBAC``) cannot come later: the default policy
is stored at the start, and caches are filled for it. It can be taken out as little, as in the original.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, Final

from apiserver.api import field_errors
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.structured import authorizer_rules, durations
from apiserver.auth.structured.authorizer_rules import WEBHOOK
from apiserver.auth.structured.review_client import Connection, ReviewClient, connection
from apiserver.auth.structured.webhook import Settings, WebhookAuthorizer
from apiserver.config import ApiServerConfig
from apiserver.config_files import reading
from apiserver.config_files.following import FollowedFile, opened
from apiserver.config_files.reading import ConfigFileError

Object = dict[str, Any]
_FLAG: Final = "--authorization-config"
_IN_CLUSTER: Final = (
    "connectionInfo.type InClusterConfig is not supported here, as this server is no pod; use KubeConfigFile"
)


def follow(config: ApiServerConfig, authorizer: Authorizer, followed: list[FollowedFile]) -> None:
    """Nothing, without the flag; else ``config.authorization_mode`` becomes what the file says. Raises ConfigError."""
    path = config.authorization_config
    if path is None:
        return
    client, started = ReviewClient(random.SystemRandom()), list[list[str]]()
    authorizer.clients.append(client)

    def use(content: bytes) -> None:
        items = load(content)
        if started:
            _same_modes(started[0], _modes(items))
        authorizer.use([_member(item, client) for item in items])
        started[:] = started or [_modes(items)]

    followed.append(opened(_FLAG, path, use))
    config.authorization_mode = tuple(started[0])


def load(content: bytes) -> list[Object]:
    """The authorizers, in their order. Raises ConfigFileError."""
    read = reading.decode(content, authorizer_rules.KIND, authorizer_rules.VERSIONS)
    config = authorizer_rules.with_defaults(read)
    faults = authorizer_rules.validate(config, _no_file)
    if faults:
        raise ConfigFileError(field_errors.aggregate(faults))
    items: list[Object] = config["authorizers"]
    wrong = [
        f"expected name {item['type'].lower()} for authorizer {item['type']} instead of {item['name']}"
        for item in items
        if item["type"] != WEBHOOK and item["name"] != item["type"].lower()
    ]
    if wrong:
        raise ConfigFileError(wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")
    return items


def _no_file(path: str) -> str:
    try:
        return "" if Path(path).stat() and Path(path).is_file() else "must be a regular file"
    except OSError as exc:
        return f"error loading file: stat {path}: {(exc.strerror or str(exc)).lower()}"


def _modes(items: list[Object]) -> list[str]:
    return [item["type"] for item in items if item["type"] != WEBHOOK]


def _same_modes(started: list[str], now: list[str]) -> None:
    missing, new = sorted(set(started) - set(now)), sorted(set(now) - set(started))
    if missing:
        raise ConfigFileError(f"missing required types: [{' '.join(missing)}]")
    if new:
        raise ConfigFileError(f"types [{' '.join(new)}] were not there at the start; start the server again")


def _member(item: Object, client: ReviewClient) -> str | WebhookAuthorizer:
    if item["type"] != WEBHOOK:
        return str(item["type"])
    said = item["webhook"]
    send = client.sender(_connection(said["connectionInfo"]), durations.seconds(said["timeout"]))
    settings = Settings(
        item["name"],
        said["subjectAccessReviewVersion"],
        said["failurePolicy"] == "Deny",
        durations.seconds(said["authorizedTTL"]) if said.get("cacheAuthorizedRequests", True) else 0.0,
        durations.seconds(said["unauthorizedTTL"]) if said.get("cacheUnauthorizedRequests", True) else 0.0,
        tuple(condition["expression"] for condition in said.get("matchConditions") or ()),
    )
    return WebhookAuthorizer(settings, send, time.monotonic)


def _connection(info: Object) -> Connection:
    if info["type"] != "KubeConfigFile":
        raise ConfigFileError(_IN_CLUSTER)
    return connection(Path(info["kubeConfigFile"]))
