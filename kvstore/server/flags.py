"""(P) etcd's flags: the command line, the environment and the configuration file become one table of values.

`flags.json` lists every flag of etcd 3.4 and 3.6 and ours: those with a `help` are supported, those with `alias`
are another name of one, those with `refused` are known and not supported (the text says what to do instead).
A refused flag may be set to its own default, for that asks for nothing. `settings` gives the values their meaning.

Precedence is etcd's: a configuration file makes everything else void; a flag beats the environment, and having
both is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

from kvstore.server.golang import parse_bool, parse_duration, parse_int, parse_uint
from kvstore.server.urls import Url, parse_urls

Value: TypeAlias = "str | bool | int | float | tuple[str, ...] | tuple[Url, ...]"
PREFIX = "ETCD_"
SEE_HELP = " See 'kvstore --help'."


class UsageError(Exception):
    """The command line cannot be parsed: exit code 2, followed by the usage, as in etcd."""


class ConfigError(Exception):
    """The flags are understood and do not fit: exit code 1."""


@dataclass(frozen=True)
class Flag:
    name: str
    kind: str = "string"
    default: str = ""
    group: str = ""
    help: str = ""
    alias: str = ""
    refused: str | None = None
    choices: tuple[str, ...] = ()

    @property
    def env(self) -> str:
        return PREFIX + self.name.upper().replace("-", "_")

    def parse(self, text: str) -> Value:
        """Raises `ValueError` with Go's text."""
        if self.choices and text not in self.choices:
            raise ValueError("invalid value")
        value: Value = PARSERS[self.kind](text)
        return value

    def same_as_default(self, text: str) -> bool:
        try:
            return text == self.default or self.parse(text) == self.parse(self.default)
        except ValueError:
            return False


def _strings(text: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in text.split(",")) if part)


PARSERS: dict[str, Any] = {
    "string": str,
    "choice": str,
    "bool": parse_bool,
    "int": parse_int,
    "uint": parse_uint,
    "duration": parse_duration,
    "strings": _strings,
    "urls": parse_urls,
}


@dataclass
class Parsed:
    """`values` by canonical name; `given` are those not left at their default; `notes` are worth a warning."""

    values: dict[str, Value] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    action: str = ""
    """`version` or `help`, instead of a server."""


@cache
def table() -> dict[str, Flag]:
    rows = json.loads(resources.files("kvstore.server").joinpath("flags.json").read_bytes())
    return {row["flag"]: _flag(row) for row in rows}


def _flag(row: dict[str, Any]) -> Flag:
    rest = {key: value for key, value in row.items() if key not in ("flag", "choices")}
    return Flag(name=row["flag"], choices=tuple(row.get("choices", ())), **rest)


def defaults() -> dict[str, Value]:
    flags = (flag for flag in table().values() if not flag.alias and flag.refused is None)
    return {flag.name: flag.parse(flag.default) for flag in flags}


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[Parsed, str]:
    """(values, path of the configuration file or ""): with a path, the values are void."""
    parsed, raw = Parsed(defaults()), dict(_split(arguments))
    for name in ("help", "version"):
        if name in raw:
            parsed.action = name
            return parsed, ""
    path = raw.pop("config-file", "") or environ.get(f"{PREFIX}CONFIG_FILE", "")
    if path:
        return parsed, path
    for name, text in raw.items():
        try:
            _set(parsed, name, text)
        except ValueError as error:
            raise UsageError(_invalid(table()[name], text, str(error))) from error
    _read_environment(parsed, raw, environ)
    return parsed, ""


def _split(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Go's `flag.Parse`: -name value, --name value, -name=value; a boolean needs no value."""
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            break
        if len(argument) < 2 or argument[0] != "-":
            rest.insert(0, argument)
            break
        name, equals, text = argument.lstrip("-").partition("=")
        if not name or argument.startswith("---"):
            raise UsageError(f"bad flag syntax: {argument}")
        if name in ("h", "help", "version"):
            yield ("help" if name == "h" else name), "true"
            continue
        flag = table().get(name)
        if flag is None and name != "config-file":
            raise UsageError(f"flag provided but not defined: -{name}")
        if not equals:
            if flag is not None and _kind(flag) == "bool":
                text = "true"
            elif not rest:
                raise UsageError(f"flag needs an argument: -{name}")
            else:
                text = rest.pop(0)
        yield name, text
    if rest:
        raise ConfigError(f'error verifying flags, "{rest[0]}" is not a valid flag.{SEE_HELP}')


def _kind(flag: Flag) -> str:
    return table()[flag.alias].kind if flag.alias else flag.kind


def _invalid(flag: Flag, text: str, reason: str) -> str:
    if _kind(flag) == "bool":
        return f'invalid boolean value "{text}" for -{flag.name}: {reason}'
    return f'invalid value "{text}" for flag -{flag.name}: {reason}'


def _set(parsed: Parsed, name: str, text: str) -> None:
    """Raises `ValueError` for a bad value, `ConfigError` for a flag that is not supported."""
    flag = table()[name]
    if flag.refused is not None:
        if not flag.same_as_default(text):
            reason = f" ({flag.refused})" if flag.refused else ""
            raise ConfigError(
                f"error verifying flags, --{name} is not supported by kvstore{reason}.{SEE_HELP}"
            )
        return
    if flag.alias:
        parsed.notes.append(f"--{name} is deprecated: use --{flag.alias}")
        flag = table()[flag.alias]
    parsed.values[flag.name] = flag.parse(text)
    parsed.given.add(flag.name)


def _read_environment(parsed: Parsed, on_command_line: Mapping[str, str], environ: Mapping[str, str]) -> None:
    by_env = {flag.env: flag for flag in table().values()}
    for key in sorted(environ):
        text = environ[key]
        if not key.startswith(PREFIX) or key == f"{PREFIX}CONFIG_FILE":
            continue
        flag = by_env.get(key)
        if flag is None:
            parsed.notes.append(f"unrecognized environment variable {key}={text}")
        elif flag.name in on_command_line:
            raise ConfigError(
                f'conflicting environment variable "{key}" is shadowed by corresponding command-line flag '
                "(either unset environment variable or disable flag)"
            )
        elif text:
            try:
                _set(parsed, flag.name, text)
            except ValueError as error:
                raise ConfigError(
                    f'error verifying flags, invalid value "{text}" for {key}: {error}.{SEE_HELP}'
                ) from error


SECTIONS = {"client-transport-security": "", "peer-transport-security": "peer-"}


def from_document(document: object) -> Parsed:
    """A configuration file's content. Keys are flags' names; the two TLS sections are etcd's."""
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError("error verifying flags, the configuration file must be a mapping of flags.")
    parsed = Parsed(defaults())
    for name, value in _flatten(document):
        if value is None:
            continue
        flag = table().get(name)
        if flag is None:
            parsed.notes.append(f"unrecognized key in the configuration file: {name}")
            continue
        text = _text(_kind(flag), value)
        try:
            _set(parsed, name, text)
        except ValueError as error:
            raise ConfigError(
                f'error verifying flags, invalid value "{text}" for {name}: {error}.'
            ) from error
    return parsed


def _flatten(document: dict[Any, Any]) -> Iterator[tuple[str, object]]:
    for key, value in document.items():
        if key in SECTIONS and isinstance(value, dict):
            for inner, content in value.items():
                yield f"{SECTIONS[key]}{inner}", content
        else:
            yield str(key), value


def _text(kind: str, value: object) -> str:
    """A YAML value as it would stand on the command line. Plain numbers are nanoseconds for Go's durations."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind == "duration" and isinstance(value, int):
        return f"{value}ns"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value)


def usage() -> str:
    """What `kvstore --help` prints."""
    lines = [USAGE]
    group = ""
    for flag in table().values():
        if not flag.help:
            continue
        if flag.group != group:
            group = flag.group
            lines.append(f"\n{group.capitalize()}:")
        lines.append(f"  --{flag.name} '{flag.default}'\n    {flag.help}")
    return "\n".join(lines)


USAGE = """Usage:

  kvstore [flags]
    Start a member of the store. The flags are etcd's; so are the ETCD_* environment variables.

  kvstore --config-file FILE
    Read the flags from a YAML file; other flags and environment variables are then ignored.

  kvstore --version | -h | --help

  kvstore snapshot | check | mirror | replace ...
    Work with backups, recorded histories and members: kvstore COMMAND --help tells more."""
