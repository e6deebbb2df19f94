"""Rules for webhook configurations (``pkg/apis/admissionregistration/validation``). Pure.

What stored objects got wrong already stays allowed, part by part, on an update. Expressions of match conditions are
not compiled here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, duplicate, invalid, not_supported, required, too_many
from apiserver.validation.admission_rules import rule_with_operations
from apiserver.validation.common import label_selector
from apiserver.validation.domains import fully_qualified, qualified

Object = dict[str, Any]
Options = Mapping[str, Any]

FAILURE_POLICIES: Final = ("Fail", "Ignore")
MATCH_POLICIES: Final = ("Equivalent", "Exact")
REINVOCATION_POLICIES: Final = ("IfNeeded", "Never")
_NO_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun", "Some", "Unknown")
_REVIEW_VERSIONS: Final = ("v1", "v1beta1")
_MAX_CONDITIONS: Final = 64
_WEBHOOKS: Final = Path("webhooks")
_FORM: Final = "; desired format: https://host[/path]"


def validate_new_webhooks(obj: Object, options: Options) -> list[FieldError]:
    return _webhooks(obj, quiet=True, recognised=True, unique=True)


def validate_webhooks_update(new: Object, old: Object, options: Options) -> list[FieldError]:
    hooks = old.get("webhooks") or ()
    called = [hook.get("name") for hook in hooks]
    return _webhooks(
        new,
        quiet=all(hook.get("sideEffects") in _NO_SIDE_EFFECTS for hook in hooks),
        recognised=all(_is_recognised(hook.get("admissionReviewVersions") or ()) for hook in hooks),
        unique=len(called) == len(set(called)),
    )


def _is_recognised(versions: Iterable[str]) -> bool:
    given = set(versions)
    return not given or not given.isdisjoint(_REVIEW_VERSIONS)


def _webhooks(obj: Object, *, quiet: bool, recognised: bool, unique: bool) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, hook in enumerate(obj.get("webhooks") or ()):
        path, name = _WEBHOOKS.index(at), hook.get("name") or ""
        found += _webhook(hook, path, _NO_SIDE_EFFECTS if quiet else _SIDE_EFFECTS)
        versions = hook.get("admissionReviewVersions") or []
        found += _review_versions(versions, path.child("admissionReviewVersions"), recognised=recognised)
        if unique and name in seen:
            found.append(duplicate(path.child("name"), name))
        if name:
            seen.add(name)
    return found


def _webhook(hook: Object, path: Path, side_effects: tuple[str, ...]) -> list[FieldError]:
    found = fully_qualified(hook.get("name") or "", path.child("name"))
    for at, rule in enumerate(hook.get("rules") or ()):
        found += rule_with_operations(rule, path.child("rules").index(at))
    found += choice(hook.get("failurePolicy"), FAILURE_POLICIES, path.child("failurePolicy"))
    found += choice(hook.get("matchPolicy"), MATCH_POLICIES, path.child("matchPolicy"))
    effects, where = hook.get("sideEffects"), path.child("sideEffects")
    if effects is None:
        found.append(required(where, f"must specify one of {', '.join(side_effects)}"))
    found += choice(effects, side_effects, where)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        found.append(invalid(path.child("timeoutSeconds"), seconds, text))
    for field in ("namespaceSelector", "objectSelector"):
        found += label_selector(hook.get(field), path.child(field))
    found += choice(hook.get("reinvocationPolicy"), REINVOCATION_POLICIES, path.child("reinvocationPolicy"))
    found += _client(hook.get("clientConfig") or {}, path.child("clientConfig"))
    return found + match_conditions(hook.get("matchConditions") or (), path.child("matchConditions"))


def choice(value: str | None, allowed: tuple[str, ...], path: Path) -> list[FieldError]:
    """Absent or one of them."""
    return [] if value is None or value in allowed else [not_supported(path, value, allowed)]


def _review_versions(versions: list[str], path: Path, *, recognised: bool) -> list[FieldError]:
    known = ", ".join(_REVIEW_VERSIONS)
    if not versions:
        return [required(path, f"must specify one of {known}")]
    found: list[FieldError] = []
    for at, version in enumerate(versions):
        if version in versions[:at]:
            found.append(invalid(path.index(at), version, "duplicate version"))
            continue
        found += [invalid(path.index(at), version, text) for text in names.check_dns1035_label(version)]
    if recognised and not _is_recognised(versions):
        found.append(invalid(path, versions, f"must include at least one of {known}"))
    return found


def _client(config: Object, path: Path) -> list[FieldError]:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    return (
        webhook_url(url, path.child("url"))
        if url is not None
        else _service(service or {}, path.child("service"))
    )


def webhook_url(text: str, path: Path) -> list[FieldError]:
    try:
        url = urlsplit(text)
        host = url.netloc.rpartition("@")[2]
    except ValueError as exc:
        return [required(path, f"url must be a valid URL: {exc}{_FORM}")]
    user, at, _ = url.netloc.rpartition("@")
    complaints = (
        (url.scheme != "https", url.scheme, "'https' is the only allowed URL scheme" + _FORM),
        (not host, "", "host must be provided" + _FORM),
        (bool(at), user, "user information is not permitted in the URL"),
        (bool(url.fragment), url.fragment, "fragments are not permitted in the URL"),
        (bool(url.query), url.query, "query parameters are not permitted in the URL"),
    )
    return [invalid(path, shown, reason) for applies, shown, reason in complaints if applies]


def _service(service: Object, path: Path) -> list[FieldError]:
    """The original hands on name and namespace the other way round: the complaints name the other field."""
    found: list[FieldError] = []
    for field, other in (("name", "namespace"), ("namespace", "name")):
        if not service.get(other):
            found.append(required(path.child(field), f"service {field} is required"))
    port, wrong = service.get("port") or 0, names.check_port_number(service.get("port") or 0)
    if wrong:
        found.append(invalid(path.child("port"), port, "port is not valid: " + ", ".join(wrong)))
    return found + _service_path(service.get("path") or "", path.child("path"))


def _service_path(value: str, path: Path) -> list[FieldError]:
    if value in ("", "/"):
        return []
    if value == "//":
        return [invalid(path, value, "segment[0] may not be empty")]
    found = [] if value.startswith("/") else [invalid(path, value, "must start with a '/'")]
    for at, step in enumerate(value[1:].removesuffix("/").split("/")):
        if not step:
            found.append(invalid(path, value, f"segment[{at}] may not be empty"))
            continue
        texts = names.check_dns1123_subdomain(step)
        found += [invalid(path, value, f"segment[{at}]: {text}") for text in texts]
    return found


def match_conditions(conditions: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if len(conditions) > _MAX_CONDITIONS:
        found.append(too_many(path, len(conditions), _MAX_CONDITIONS))
    seen: set[str] = set()
    for at, condition in enumerate(conditions):
        name, where = condition.get("name") or "", path.index(at)
        if not (condition.get("expression") or "").strip():
            found.append(required(where.child("expression")))
        found += qualified(name, where.child("name")) if name else [required(where.child("name"))]
        if name and name in seen:
            found.append(duplicate(where.child("name"), name))
        seen.add(name)
    return found
