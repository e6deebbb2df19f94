"""How flags are written, and that each one that the configuration knows reaches it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from apiserver.__main__ import config_of
from apiserver.config import ConfigError
from apiserver.flags import duration, parser


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("5", 5), ("1.5", 1.5), ("5s", 5), ("500ms", 0.5), ("1m30s", 90), ("2h", 7200), ("1.5m", 90)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5x", "5 s", "-5s", "5s3"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration"):
        duration(text)


def test_flags_reach_the_configuration() -> None:
    flags = ["--shutdown-delay-duration", "70s", "--enable-priority-and-fairness", "false", "-v", "3"]
    flags += ["--audit-policy-file", "p", "--audit-log-path", "-", "--audit-log-maxsize", "1"]
    flags += ["--audit-log-maxbackup", "2", "--audit-log-maxage", "3"]
    config = config_of(parser().parse_args(flags))
    assert (config.shutdown_delay_duration, config.enable_priority_and_fairness, config.verbosity) == (
        70,
        False,
        3,
    )
    assert (config.audit_policy_file, config.audit_log_path) == (Path("p"), "-")
    assert (config.audit_log_maxsize, config.audit_log_maxbackup, config.audit_log_maxage) == (1, 2, 3)


def test_a_negative_number_of_files_is_refused() -> None:
    with pytest.raises(ConfigError, match="--audit-log-maxage -1: must not be negative"):
        config_of(parser().parse_args(["--audit-log-maxage", "-1"]))
