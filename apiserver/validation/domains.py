"""Names that are domains: of services, webhooks, drivers, signers, controllers (``util/validation``). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, invalid, required, too_long

_HTTP_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_HTTP_PATH_RE: Final = re.compile(_HTTP_PATH)
_DRIVER_MAX: Final = 63


def complaints(texts: Iterable[str], value: str, path: Path) -> list[FieldError]:
    """What a check of `names` says, bound to the field."""
    return [invalid(path, value, text) for text in texts]


def subdomain(value: str, path: Path) -> list[FieldError]:
    return complaints(names.check_dns1123_subdomain(value), value, path)


def label(value: str, path: Path) -> list[FieldError]:
    return complaints(names.check_dns1123_label(value), value, path)


def qualified(value: str, path: Path) -> list[FieldError]:
    return complaints(names.check_qualified_name(value), value, path)


def path_segment(value: str, path: Path) -> list[FieldError]:
    return complaints(names.check_path_segment(value), value, path)


def needed_path_segment(value: str, path: Path) -> list[FieldError]:
    return path_segment(value, path) if value else [required(path)]


def fully_qualified(value: str, path: Path) -> list[FieldError]:
    """``IsFullyQualifiedName``: at least three labels."""
    if not value:
        return [required(path)]
    wrong = names.check_dns1123_subdomain(value)
    if wrong:
        return [invalid(path, value, ",".join(wrong))]
    if value.count(".") < 2:
        return [invalid(path, value, "should be a domain with at least three segments separated by dots")]
    return []


def fully_qualified_domain(value: str, path: Path) -> list[FieldError]:
    """``IsFullyQualifiedDomainName``: at least two labels, a dot at the end allowed."""
    if not value:
        return [required(path)]
    name = value.removesuffix(".")
    wrong = names.check_dns1123_subdomain(name)
    if wrong:
        return [invalid(path, name, ",".join(wrong))]
    if "." not in name:
        return [invalid(path, name, "should be a domain with at least two segments separated by dots")]
    for part in name.split("."):
        wrong = names.check_dns1123_label(part)
        if wrong:
            return [invalid(path, part, ",".join(wrong))]
    return []


def domain_prefixed_path(value: str, path: Path) -> list[FieldError]:
    """``IsDomainPrefixedPath``: ``example.com/anything``."""
    if not value:
        return [required(path)]
    domain, _, rest = value.partition("/")
    if not domain or not rest:
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    found = subdomain(domain, path)
    if not _HTTP_PATH_RE.fullmatch(rest):
        found.append(invalid(path, rest, names.regex_text("Invalid path", _HTTP_PATH)))
    return found


def driver(value: str, path: Path) -> list[FieldError]:
    """``ValidateCSIDriverName``."""
    if not value:
        return [required(path)]
    found = [too_long(path, _DRIVER_MAX)] if len(value) > _DRIVER_MAX else []
    return found + complaints(names.check_dns1123_subdomain(value.lower()), value, path)
