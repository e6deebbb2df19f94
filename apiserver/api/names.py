"""Formats of names, label keys and values: apimachinery's ``util/validation`` checks and texts.

Each ``check_*`` returns the list of complaints in the original's words, empty when the value is fine.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

QUALIFIED_NAME_MAX: Final = 63
DNS1123_LABEL_MAX: Final = 63
DNS1123_SUBDOMAIN_MAX: Final = 253
DNS1035_LABEL_MAX: Final = 63
_LONGEST_KNOWN: Final = DNS1123_SUBDOMAIN_MAX + 1 + QUALIFIED_NAME_MAX

_QUALIFIED_FMT: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE_FMT: Final = rf"({_QUALIFIED_FMT})?"
_DNS1123_FMT: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_FMT: Final = rf"{_DNS1123_FMT}(\.{_DNS1123_FMT})*"
_DNS1035_FMT: Final = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_ENV_FMT: Final = r"[-._a-zA-Z][-._a-zA-Z0-9]*"
_C_IDENTIFIER_FMT: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_CONFIG_KEY_FMT: Final = r"[-._a-zA-Z0-9]+"
_HTTP_HEADER_FMT: Final = r"[-A-Za-z0-9]+"
_WILDCARD_FMT: Final = rf"\*\.{_SUBDOMAIN_FMT}"

_QUALIFIED: Final = re.compile(_QUALIFIED_FMT)
_LABEL_VALUE: Final = re.compile(_LABEL_VALUE_FMT)
_DNS1123: Final = re.compile(_DNS1123_FMT)
_SUBDOMAIN: Final = re.compile(_SUBDOMAIN_FMT)
_DNS1035: Final = re.compile(_DNS1035_FMT)
_C_IDENTIFIER: Final = re.compile(_C_IDENTIFIER_FMT)
_CONFIG_KEY: Final = re.compile(_CONFIG_KEY_FMT)
_HTTP_HEADER: Final = re.compile(_HTTP_HEADER_FMT)
_WILDCARD: Final = re.compile(_WILDCARD_FMT)
_PORT_CHARS: Final = re.compile(r"[-a-z0-9]+")
_PORT_LETTER: Final = re.compile(r"[a-z]")
_PERCENT: Final = re.compile(r"[0-9]+%")

_QUALIFIED_TEXT: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    + "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)


def max_characters(limit: int) -> str:
    """Of what is told in characters: labels and subdomains of DNS."""
    return f"must be no more than {limit} characters"


def max_length(limit: int) -> str:
    return f"must be no more than {limit} {'byte' if limit == 1 else 'bytes'}"


def regex_text(text: str, pattern: str, *examples: str) -> str:
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    quoted = "".join(f"{' or ' if at else ''}'{example}', " for at, example in enumerate(examples))
    return f"{text} (e.g. {quoted}regex used for validation is '{pattern}')"


def check_dns1123_label(value: str) -> list[str]:
    errors = [max_characters(DNS1123_LABEL_MAX)] if len(value) > DNS1123_LABEL_MAX else []
    if not _DNS1123.fullmatch(value):
        if _SUBDOMAIN.fullmatch(value):
            errors.append("must not contain dots")
        else:
            text = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character"
            )
            errors.append(regex_text(text, _DNS1123_FMT, "my-name", "123-abc"))
    return errors


def check_dns1123_subdomain(value: str) -> list[str]:
    errors = [max_characters(DNS1123_SUBDOMAIN_MAX)] if len(value) > DNS1123_SUBDOMAIN_MAX else []
    if not _SUBDOMAIN.fullmatch(value):
        errors.append(regex_text(_SUBDOMAIN_TEXT, _SUBDOMAIN_FMT, "example.com"))
    return errors


def check_wildcard_subdomain(value: str) -> list[str]:
    errors = [max_characters(DNS1123_SUBDOMAIN_MAX)] if len(value) > DNS1123_SUBDOMAIN_MAX else []
    if not _WILDCARD.fullmatch(value):
        text = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
            "must consist of lower case alphanumeric characters, '-' or '.' "
            "and end with an alphanumeric character"
        )
        errors.append(regex_text(text, _WILDCARD_FMT, "*.example.com"))
    return errors


def check_dns1035_label(value: str) -> list[str]:
    errors = [max_characters(DNS1035_LABEL_MAX)] if len(value) > DNS1035_LABEL_MAX else []
    if not _DNS1035.fullmatch(value):
        text = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
            "start with an alphabetic character, and end with an alphanumeric character"
        )
        errors.append(regex_text(text, _DNS1035_FMT, "my-name", "abc-123"))
    return errors


def check_path_segment(value: str) -> list[str]:
    """The weakest rule for names: what fits into one segment of a URL path."""
    for illegal in (".", ".."):
        if value == illegal:
            return [f"may not be '{illegal}'"]
    return [f"may not contain '{illegal}'" for illegal in ("/", "%") if illegal in value]


def _check_name_part(name: str) -> list[str]:
    errors = []
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > QUALIFIED_NAME_MAX:
        errors.append("name part " + max_length(QUALIFIED_NAME_MAX))
    if not _QUALIFIED.fullmatch(name):
        text = regex_text(_QUALIFIED_TEXT, _QUALIFIED_FMT, "MyName", "my.name", "123-abc")
        errors.append("name part " + text)
    return errors


def check_qualified_name(value: str) -> list[str]:
    """Label and annotation keys: ``[prefix/]name``. The same few come again and again."""
    return list(_known_qualified(value) if len(value) <= _LONGEST_KNOWN else _check_qualified(value))


@lru_cache(maxsize=1024)
def _known_qualified(value: str) -> tuple[str, ...]:
    return tuple(_check_qualified(value))


def _check_qualified(value: str) -> list[str]:
    prefix, slash, name = value.rpartition("/")
    if not slash:
        return _check_name_part(value)
    if "/" in prefix:
        text = "a valid label key " + regex_text(
            _QUALIFIED_TEXT, _QUALIFIED_FMT, "MyName", "my.name", "123-abc"
        )
        return [text + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    if not prefix:
        errors = ["prefix part must be non-empty"]
    else:
        errors = [f"prefix part {error}" for error in check_dns1123_subdomain(prefix)]
    return errors + _check_name_part(name)


def check_label_value(value: str) -> list[str]:
    errors = [max_length(63)] if len(value) > 63 else []
    if not _LABEL_VALUE.fullmatch(value):
        text = "a valid label must be an empty string or" + _QUALIFIED_TEXT.removeprefix("must")
        errors.append(regex_text(text, _LABEL_VALUE_FMT, "MyValue", "my_value", "12345"))
    return errors


def check_env_name(value: str) -> list[str]:
    """Relaxed rule (since 1.34): any printable ASCII character except ``=``."""
    if not value:
        return ["environment variable name " + "must be non-empty"]
    if any(not 0x20 <= ord(char) <= 0x7E or char == "=" for char in value):
        return [
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        ]
    return []


def check_c_identifier(value: str) -> list[str]:
    if _C_IDENTIFIER.fullmatch(value):
        return []
    text = (
        "a valid C identifier must start with alphabetic character or '_', "
        "followed by a string of alphanumeric characters or '_'"
    )
    return [regex_text(text, _C_IDENTIFIER_FMT, "my_name", "MY_NAME", "MyName")]


def check_config_key(value: str) -> list[str]:
    errors = [max_characters(DNS1123_SUBDOMAIN_MAX)] if len(value) > DNS1123_SUBDOMAIN_MAX else []
    if not _CONFIG_KEY.fullmatch(value):
        text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errors.append(regex_text(text, _CONFIG_KEY_FMT, "key.name", "KEY_NAME", "key-name"))
    if value == ".":
        errors.append("must not be '.'")
    elif value == "..":
        errors.append("must not be '..'")
    elif value.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def check_http_header_name(value: str) -> list[str]:
    if _HTTP_HEADER.fullmatch(value):
        return []
    text = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [regex_text(text, _HTTP_HEADER_FMT, "X-Header-Name")]


def check_port_number(port: int) -> list[str]:
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def check_port_name(value: str) -> list[str]:
    errors = ["must be no more than 15 characters"] if len(value) > 15 else []
    if not _PORT_CHARS.fullmatch(value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _PORT_LETTER.search(value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def check_percent(value: str) -> list[str]:
    if _PERCENT.fullmatch(value):
        return []
    text = "a valid percent string must be a numeric string followed by an ending '%'"
    return [regex_text(text, "[0-9]+%", "1%", "93%")]


def check_ip(value: str) -> list[str]:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []
