"""(P) What an AuthorizationConfiguration may say, checked in the words of ``pkg/apis/apiserver/validation``.

What a file of a connection holds is looked at by ``authorizer_setup``; ``is_file`` tells here whether it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from apiserver.api.field_errors import FieldError, Path, duplicate, invalid, not_supported, required, too_many
from apiserver.api.names import check_dns1123_subdomain
from apiserver.auth.structured import durations
from apiserver.auth.structured.expressions import fault_of

Object = dict[str, Any]
IsFile = Callable[[str], str]
"""Path → why it is none, empty if it is one."""
KIND: Final = "AuthorizationConfiguration"
VERSIONS: Final = ("v1", "v1beta1", "v1alpha1")
WEBHOOK: Final = "Webhook"
TYPES: Final = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC", WEBHOOK)
_MOST: Final = 64
_LONGEST: Final = 30.0
_DEFAULTS: Final = {"authorizedTTL": "5m", "unauthorizedTTL": "30s"}


def with_defaults(config: Object) -> Object:
    """``SetDefaults_WebhookConfiguration``."""
    authorizers = [
        {**item, "webhook": _defaulted(item["webhook"])} if "webhook" in item else item
        for item in config.get("authorizers") or []
    ]
    return {**config, "authorizers": authorizers}


def _defaulted(webhook: Object) -> Object:
    unset = {
        name: text for name, text in _DEFAULTS.items() if not durations.seconds(webhook.get(name) or "0")
    }
    return {**webhook, **unset}


def validate(config: Object, is_file: IsFile) -> list[FieldError]:
    """Raises ConfigFileError for durations that are none."""
    root, authorizers = Path("authorizers"), config.get("authorizers") or []
    if not authorizers:
        return [required(root, "at least one authorization mode must be defined")]
    found: list[FieldError] = []
    types: set[str] = set()
    names: set[str] = set()
    for at, item in enumerate(authorizers):
        found += _authorizer(item, root.index(at), types, names, is_file)
    return found


def _authorizer(
    item: Object, path: Path, types: set[str], names: set[str], is_file: IsFile
) -> Iterator[FieldError]:
    kind, name = item.get("type") or "", item.get("name") or ""
    if not kind:
        yield required(path.child("type"))
        return
    if kind not in TYPES:
        yield not_supported(path.child("type"), kind, TYPES)
        return
    if kind in types and kind != WEBHOOK:
        yield duplicate(path.child("type"), kind)
        return
    types.add(kind)
    yield from _name(name, path.child("name"), names)
    webhook = item.get("webhook")
    if kind == WEBHOOK and webhook is None:
        yield required(path.child("webhook"), "required when type=Webhook")
    elif kind == WEBHOOK:
        yield from _webhook(webhook or {}, path, is_file)
    elif webhook is not None:
        yield invalid(path.child("webhook"), "non-null", "may only be specified when type=Webhook")


def _name(name: str, path: Path, names: set[str]) -> Iterator[FieldError]:
    if not name:
        yield required(path)
    elif name in names:
        yield duplicate(path, name)
    else:
        wrong = check_dns1123_subdomain(name)
        if wrong:
            yield invalid(path, name, f"authorizer name is invalid: {', '.join(wrong)}")
    names.add(name)


def _webhook(webhook: Object, path: Path, is_file: IsFile) -> Iterator[FieldError]:
    """The path is the authorizer's, as in the original."""
    yield from _durations(webhook, path)
    yield from _one_of(webhook, "subjectAccessReviewVersion", ("v1", "v1beta1"), path, needed=True)
    conditions = webhook.get("matchConditions") or []
    at = "matchConditionSubjectAccessReviewVersion"
    if conditions and not webhook.get(at):
        yield required(path.child(at), "required if match conditions are specified")
    yield from _one_of(webhook, at, ("v1",), path, needed=False)
    yield from _one_of(webhook, "failurePolicy", ("NoOpinion", "Deny"), path, needed=True)
    yield from _connection(webhook.get("connectionInfo") or {}, path.child("connectionInfo"), is_file)
    yield from _conditions(conditions, path.child("matchConditions"))


def _durations(webhook: Object, path: Path) -> Iterator[FieldError]:
    for name, limit in (("timeout", _LONGEST), ("authorizedTTL", 0.0), ("unauthorizedTTL", 0.0)):
        span = durations.seconds(webhook.get(name) or "0")
        if not span:
            yield required(path.child(name))
        elif span < 0 or (limit and span > limit):
            text = "must be > 0s and <= 30s" if limit else "must be > 0s"
            yield invalid(path.child(name), durations.shown(span), text)


def _one_of(
    webhook: Object, name: str, allowed: Sequence[str], path: Path, *, needed: bool
) -> Iterator[FieldError]:
    value = webhook.get(name) or ""
    if not value and needed:
        yield required(path.child(name))
    elif value and value not in allowed:
        yield not_supported(path.child(name), value, allowed)


def _connection(info: Object, path: Path, is_file: IsFile) -> Iterator[FieldError]:
    kind, file = info.get("type") or "", info.get("kubeConfigFile")
    at = path.child("kubeConfigFile")
    if not kind:
        yield required(path.child("type"))
    elif kind == "InClusterConfig":
        if file is not None:
            yield invalid(at, file, "can only be set when type=KubeConfigFile")
    elif kind != "KubeConfigFile":
        yield not_supported(path.child("type"), kind, ("InClusterConfig", "KubeConfigFile"))
    elif not file:
        yield required(at)
    elif not file.startswith("/"):
        yield invalid(at, file, "must be an absolute path")
    elif is_file(file):
        yield invalid(at, file, is_file(file))


def _conditions(conditions: Sequence[Object], path: Path) -> Iterator[FieldError]:
    if len(conditions) > _MOST:
        yield too_many(path, len(conditions), _MOST)
        return
    seen: set[str] = set()
    for number, condition in enumerate(conditions):
        at, text = path.index(number).child("expression"), condition.get("expression") or ""
        if not text.strip():
            yield required(at)
        elif text in seen:
            yield duplicate(at, text)
        else:
            seen.add(text)
            fault = fault_of(text, "request", at, boolean=True, shown=True)
            if fault is not None:
                yield fault
