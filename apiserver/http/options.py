"""Query parameters of the verbs, read and checked as the original's ``*Options`` types. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from apiserver.api import errors, go_int
from apiserver.api.errors import StatusError
from apiserver.api.field_errors import (
    FieldError,
    Path,
    Raw,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from apiserver.api.gvk import GroupKind
from apiserver.http.request_info import boolean

_GROUP: Final = "meta.k8s.io"
_MOST_MANAGER_BYTES: Final = 128
EXACT: Final = "Exact"
NOT_OLDER: Final = "NotOlderThan"
STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"


class Query(Protocol):
    def get(self, key: str, /) -> str | None: ...
    def getall(self, key: str, default: list[str], /) -> list[str]: ...


@dataclass(slots=True)
class ListOptions:
    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    match: str = ""
    limit: int = 0
    continue_: str = ""
    timeout: int = 0
    watch: bool = False
    bookmarks: bool = False
    send_initial_events: bool | None = None


def list_options(query: Query) -> ListOptions:
    """Raises 400 for values of the wrong form, 422 for combinations that are not allowed."""
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        label_selector=query.get("labelSelector") or "",
        field_selector=query.get("fieldSelector") or "",
        resource_version=query.get("resourceVersion") or "",
        match=query.get("resourceVersionMatch") or "",
        limit=integer(query.get("limit")) or 0,
        continue_=query.get("continue") or "",
        timeout=integer(query.get("timeoutSeconds")) or 0,
        watch=boolean(query.get("watch")),
        bookmarks=boolean(query.get("allowWatchBookmarks")),
        send_initial_events=None if initial is None else boolean(initial),
    )
    found = _check_list(options)
    if found:
        raise errors.invalid(GroupKind(_GROUP, "ListOptions"), "", found)
    return options


def integer(text: str | None) -> int | None:
    if not text:
        return None
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    number = go_int.integer(text)
    if not -(2**63) <= number < 2**63:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def _check_list(options: ListOptions) -> list[FieldError]:
    if options.watch:
        return _check_watch(options)
    path = Path("resourceVersionMatch")
    found: list[FieldError] = []
    if options.match:
        if not options.resource_version:
            text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            found.append(forbidden(path, text))
        if options.continue_:
            found.append(forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
        if options.match not in (EXACT, NOT_OLDER):
            found.append(not_supported(path, options.match, [EXACT, NOT_OLDER, ""], ordered=True))
        if options.match == EXACT and options.resource_version == "0":
            text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            found.append(forbidden(path, text))
    if options.send_initial_events is not None:
        found.append(forbidden(Path("sendInitialEvents"), "sendInitialEvents is forbidden for list"))
    return found


def _check_watch(options: ListOptions) -> list[FieldError]:
    path = Path("resourceVersionMatch")
    found: list[FieldError] = []
    if options.send_initial_events is not None and options.match != NOT_OLDER:
        text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        found.append(forbidden(path, text))
    if options.match:
        if options.send_initial_events is None:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            found.append(forbidden(path, text))
        if options.match != NOT_OLDER:
            found.append(not_supported(path, options.match, [NOT_OLDER]))
    if options.continue_:
        found.append(forbidden(path, "resourceVersionMatch is forbidden when continue is provided"))
    return found


def revision(text: str, error: Any = errors.unknown, prefix: str = "") -> int:
    """A resourceVersion parameter; 0 when empty."""
    if not text:
        return 0
    fault = "" if text.isascii() and text.isdigit() else "invalid syntax"
    number = 0 if fault else go_int.integer(text)
    if number >= 2**64:
        fault = "value out of range"
    if fault:
        reason = f'strconv.ParseUint: parsing "{text}": {fault}'
        failure: StatusError = error(f'{prefix}resourceVersion: Invalid value: "{text}": {reason}')
        raise failure
    return number


@dataclass(slots=True)
class WriteOptions:
    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = WARN
    force: bool | None = None


def write_options(query: Query, kind: str, *, applying: bool = False) -> WriteOptions:
    """``kind``: CreateOptions, UpdateOptions or PatchOptions; ``applying``: of a server-side apply."""
    found: list[FieldError] = []
    manager = query.get("fieldManager") or ""
    force = boolean(query.get("force")) if kind == "PatchOptions" and query.get("force") is not None else None
    if force is not None and not applying:
        found.append(forbidden(Path("force"), "may not be specified for non-apply patch"))
    if applying and not manager:
        found.append(required(Path("fieldManager"), "is required for apply patch"))
    found += check_field_manager(manager, Path("fieldManager"))
    dry_run = check_dry_run(query.getall("dryRun", []), found)
    validation = query.get("fieldValidation") or WARN
    if validation not in (STRICT, WARN, IGNORE):
        found.append(not_supported(Path("fieldValidation"), validation, ["", IGNORE, STRICT, WARN]))
    if found:
        raise errors.invalid(GroupKind(_GROUP, kind), "", found)
    return WriteOptions(dry_run, manager, validation, force)


def shown(query: Query) -> dict[str, Any]:
    """The fields of Create- or UpdateOptions as admission sees them: what the request gives."""
    fields = {
        "dryRun": query.getall("dryRun", []),
        "fieldManager": query.get("fieldManager"),
        "fieldValidation": query.get("fieldValidation"),
    }
    return {name: value for name, value in fields.items() if value}


def check_field_manager(name: str, path: Path) -> list[FieldError]:
    found = [too_long(path, _MOST_MANAGER_BYTES)] if len(name.encode()) > _MOST_MANAGER_BYTES else []
    at = 0
    for char in name:
        if not char.isprintable():
            text = f"invalid character U+{ord(char):04X} (at position {at})"
            found.append(invalid(path, name, text))
        at += len(char.encode())
    return found


def check_dry_run(values: list[str], found: list[FieldError]) -> bool:
    if any(value != "All" for value in values):
        text = "[" + ",".join(f'"{value}"' for value in values) + "]"
        found.append(not_supported(Path("dryRun"), Raw(text), ["All"]))
    return bool(values)
