"""Who makes a request. Pure; produced by the authenticators, read by authorization and admission."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

ANONYMOUS: Final = "system:anonymous"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
MASTERS: Final = "system:masters"
SERVICE_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """``name``, ``groups`` and the rest as in ``authentication.k8s.io/v1 UserInfo``."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict)

    def info(self) -> dict[str, Any]:
        """The UserInfo object of reviews."""
        fields = {"username": self.name, "uid": self.uid, "groups": list(self.groups), "extra": self.extra}
        return {key: value for key, value in fields.items() if value}

    def with_group(self, group: str) -> User:
        if group in self.groups:
            return self
        return User(self.name, (*self.groups, group), self.uid, self.extra)


ANONYMOUS_USER: Final = User(ANONYMOUS, (UNAUTHENTICATED,))
LOOPBACK_USER: Final = User("system:apiserver", (MASTERS, AUTHENTICATED))


def service_account_user(
    namespace: str, name: str, uid: str, extra: dict[str, list[str]] | None = None
) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}", groups, uid, extra or {})


def split_service_account(user_name: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name."""
    if not user_name.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    namespace, _, name = user_name[len(SERVICE_ACCOUNT_PREFIX) :].partition(":")
    return (namespace, name) if namespace and name else None
