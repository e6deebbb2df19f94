"""`--log-level`, `--log-format`, `--log-outputs`: log lines in the form etcd's have (zap: JSON or console)."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "dpanic": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
NAMES = {logging.WARNING: "warn", logging.CRITICAL: "fatal"}
NOISY = ("aiohttp", "asyncio", "grpc")
"""Libraries whose own messages matter from warnings up."""


def set_up(level: str, form: str, outputs: tuple[str, ...]) -> None:
    """Raises OSError for a file that cannot be written."""
    formatter = Json() if form == "json" else Console()
    handlers = [_handler(output) for output in outputs or ("default",)]
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=LEVELS[level], handlers=handlers, force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, LEVELS[level]))


def _handler(output: str) -> logging.Handler:
    if output in ("default", "stderr"):
        return logging.StreamHandler(sys.stderr)
    if output == "stdout":
        return logging.StreamHandler(sys.stdout)
    return logging.FileHandler(output)


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _level(record: logging.LogRecord) -> str:
    return NAMES.get(record.levelno, record.levelname.lower())


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "level": _level(record),
            "ts": _time(record),
            "logger": record.name,
            "caller": f"{record.module}.py:{record.lineno}",
            "msg": record.getMessage(),
        }
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)}  {_level(record).upper():5}  {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
