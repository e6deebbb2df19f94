"""``--token-auth-file``: bearer tokens in a CSV file, ``token,user,uid,"group1,group2"``."""

from __future__ import annotations

import csv
from pathlib import Path

from apiserver.auth.user import AUTHENTICATED, User


class TokenFileError(ValueError):
    """The file cannot be used; the text names file and line."""


def load(path: Path) -> StaticTokens:
    users: dict[str, User] = {}
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            for number, row in enumerate(csv.reader(lines, skipinitialspace=True), 1):
                if row and not row[0].startswith("#"):
                    users[_token(path, number, row)] = _user(row)
    except OSError as exc:
        raise TokenFileError(f"--token-auth-file {path}: {exc.strerror}") from exc
    return StaticTokens(users)


def _token(path: Path, number: int, row: list[str]) -> str:
    if len(row) < 3:
        raise TokenFileError(
            f"--token-auth-file {path}, line {number}: must have at least 3 columns (token, user name, "
            f"user uid), found {len(row)}"
        )
    if not row[0]:
        raise TokenFileError(f"--token-auth-file {path}, line {number}: empty token")
    return row[0]


def _user(row: list[str]) -> User:
    groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
    return User(row[1], (*groups, AUTHENTICATED), row[2])


class StaticTokens:
    def __init__(self, users: dict[str, User]) -> None:
        self._users = users

    def user(self, token: str) -> User | None:
        return self._users.get(token)
