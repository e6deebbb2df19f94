"""Flags, environment and configuration file: etcd's forms, precedence and messages."""

from __future__ import annotations

import pytest
import yaml

from kvstore.server import flags
from kvstore.server.flags import ConfigError, UsageError
from kvstore.server.golang import parse_bool, parse_duration, parse_int, parse_uint
from kvstore.server.urls import parse_url


def values(*arguments: str, **environ: str) -> dict[str, flags.Value]:
    return flags.parse(arguments, environ)[0].values


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "m1", "--client-cert-auth"],
        ["-name", "m1", "-client-cert-auth"],
        ["--name=m1", "--client-cert-auth=true"],
        ["-name=m1", "-client-cert-auth=T"],
        ["--name=m0", "--name=m1", "--client-cert-auth=1"],
        ["--name=m1", "--client-cert-auth", "--"],
    ],
)
def test_every_form_of_a_flag(arguments: list[str]) -> None:
    found = values(*arguments)
    assert (found["name"], found["client-cert-auth"]) == ("m1", True)


def test_a_boolean_takes_no_separate_value() -> None:
    with pytest.raises(ConfigError, match='"false" is not a valid flag'):
        values("--client-cert-auth", "false")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bogus=1"], "flag provided but not defined: -bogus"),
        (["--name"], "flag needs an argument: -name"),
        (["--max-txn-ops=x"], 'invalid value "x" for flag -max-txn-ops: parse error'),
        (["--max-txn-ops=-1"], 'invalid value "-1" for flag -max-txn-ops: parse error'),
        (["--client-cert-auth=maybe"], 'invalid boolean value "maybe" for -client-cert-auth: parse error'),
        (
            ["--initial-cluster-state=foo"],
            'invalid value "foo" for flag -initial-cluster-state: invalid value',
        ),
        (["---name=x"], "bad flag syntax: ---name=x"),
        (["--=x"], "bad flag syntax: --=x"),
        (
            ["--listen-client-urls=ftp://127.0.0.1:1"],
            'invalid value "ftp://127.0.0.1:1" for flag -listen-client-urls: '
            "URL scheme must be http, https, unix, or unixs: ftp://127.0.0.1:1",
        ),
    ],
)
def test_what_cannot_be_parsed_is_told_as_etcd_tells_it(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        values(*arguments)
    assert str(raised.value) == message


def test_an_argument_that_is_no_flag() -> None:
    with pytest.raises(ConfigError) as raised:
        values("--name=x", "extra")
    assert str(raised.value).startswith('error verifying flags, "extra" is not a valid flag.')


def test_the_environment_sets_what_the_command_line_does_not() -> None:
    found = values("--name=a", ETCD_MAX_TXN_OPS="7", ETCD_DATA_DIR="", HOME="/x")
    assert (found["name"], found["max-txn-ops"], found["data-dir"]) == ("a", 7, "${name}.etcd")


def test_a_flag_and_its_variable_are_a_conflict() -> None:
    with pytest.raises(ConfigError, match='conflicting environment variable "ETCD_NAME" is shadowed'):
        values("--name=a", ETCD_NAME="b")


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(ConfigError, match='invalid value "zz" for ETCD_MAX_TXN_OPS: parse error'):
        values(ETCD_MAX_TXN_OPS="zz")


def test_an_unknown_variable_is_worth_a_note() -> None:
    parsed, _ = flags.parse([], {"ETCD_FOO": "1"})
    assert parsed.notes == ["unrecognized environment variable ETCD_FOO=1"]


def test_every_known_flag_is_supported_refused_or_another_name() -> None:
    for flag in flags.table().values():
        assert sum([bool(flag.help), bool(flag.alias), flag.refused is not None]) == 1, flag.name
        if flag.alias:
            assert flags.table()[flag.alias].help
        else:
            assert flag.same_as_default(flag.default), flag.name


@pytest.mark.parametrize(
    "flag", [f for f in flags.table().values() if f.refused is not None], ids=lambda f: f.name
)
def test_a_flag_that_is_not_supported_is_refused_by_name(flag: flags.Flag) -> None:
    other = {"bool": "false" if flag.default == "true" else "true", "duration": "77h"}.get(flag.kind, "77")
    with pytest.raises(ConfigError, match=f"--{flag.name} is not supported by kvstore"):
        values(f"--{flag.name}={other}")
    assert values(f"--{flag.name}={flag.default}") == flags.defaults()


def test_other_names_of_a_flag() -> None:
    parsed, _ = flags.parse(["--experimental-corrupt-check-time=5m"], {})
    assert parsed.values["corrupt-check-time"] == 300
    assert parsed.notes == ["--experimental-corrupt-check-time is deprecated: use --corrupt-check-time"]


def test_a_configuration_file_makes_flags_and_environment_void() -> None:
    _, path = flags.parse(["--config-file=/c.yaml", "--name=a"], {"ETCD_NAME": "b"})
    assert path == "/c.yaml"
    assert flags.parse([], {"ETCD_CONFIG_FILE": "/d.yaml"})[1] == "/d.yaml"


DOCUMENT = """
name: m1
listen-client-urls: http://127.0.0.1:2379,http://127.0.0.1:2479
quota-backend-bytes: 1000000
corrupt-check-time: 4000000000
enable-grpc-gateway: false
proxy: 'off'
discovery:
what-is-this: 5
client-transport-security:
  cert-file: c.pem
  client-cert-auth: true
peer-transport-security:
  trusted-ca-file: ca.pem
log-outputs: [stderr, /tmp/x]
"""


def test_a_configuration_file() -> None:
    parsed = flags.from_document(yaml.safe_load(DOCUMENT))
    expected = {
        "name": "m1",
        "listen-client-urls": (parse_url("http://127.0.0.1:2379"), parse_url("http://127.0.0.1:2479")),
        "quota-backend-bytes": 1000000,
        "corrupt-check-time": 4.0,
        "enable-grpc-gateway": False,
        "cert-file": "c.pem",
        "client-cert-auth": True,
        "peer-trusted-ca-file": "ca.pem",
        "log-outputs": ("stderr", "/tmp/x"),
    }
    assert {name: parsed.values[name] for name in expected} == expected
    assert parsed.notes == ["unrecognized key in the configuration file: what-is-this"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"max-txn-ops": "many"}, 'invalid value "many" for max-txn-ops: parse error'),
        ({"wal-dir": "/wal"}, "--wal-dir is not supported by kvstore"),
        (["name"], "must be a mapping"),
    ],
)
def test_a_configuration_file_that_does_not_fit(document: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        flags.from_document(document)


def test_help_shows_every_supported_flag() -> None:
    text = flags.usage()
    missing = [flag.name for flag in flags.table().values() if flag.help and f"--{flag.name} " not in text]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10), ("0x1F", 31), ("0b11", 3), ("0o17", 15), ("017", 15), ("1_000", 1000), ("0", 0)],
)
def test_numbers_as_go_reads_them(text: str, value: int) -> None:
    assert parse_uint(text) == value
    assert parse_int(f"-{text}") == -value


@pytest.mark.parametrize("text", ["", "x", "1.5", " 1", "0x", "09", "18446744073709551616", "-1"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"parse error|value out of range"):
        parse_uint(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("-2ms", -0.002),
        ("100µs", 0.0001),
        ("2h0m0s", 7200),
        (".5m", 30),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "1 s", "1s1", "--1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="parse error"):
        parse_duration(text)


def test_booleans() -> None:
    assert [parse_bool(text) for text in ("1", "t", "TRUE", "0", "f", "False")] == [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match="parse error"):
        parse_bool("yes")
