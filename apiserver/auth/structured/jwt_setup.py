"""From the content of an AuthenticationConfiguration to the sources of tokens that it names.

Called by ``http.authentication``, at the start and when the file has changed; all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from apiserver.api import field_errors
from apiserver.auth.authenticator import Anonymous, TokenSource
from apiserver.auth.oidc import Fetch, Issuer, Oidc
from apiserver.auth.structured import jwt_rules
from apiserver.auth.structured.claim_mapping import ClaimMapping
from apiserver.config_files import reading
from apiserver.config_files.reading import ConfigFileError

Object = dict[str, Any]
Fetcher = Callable[[str], Fetch]
"""Authority (PEM, empty for the machine's) → how documents of its issuer are fetched."""
_ALGORITHMS: Final = tuple(f"{kind}{bits}" for kind in ("RS", "ES", "PS") for bits in (256, 384, 512))


class Structured(NamedTuple):
    """``anonymous``: None if the file says nothing of it."""

    sources: Sequence[TokenSource]
    anonymous: Anonymous | None


def load(
    content: bytes,
    disallowed: Sequence[str],
    audiences: Sequence[str],
    fetcher: Fetcher,
    clock: Callable[[], float],
) -> Structured:
    """``disallowed``: issuers of service account tokens. ``audiences``: of this API. Raises ConfigFileError."""
    config = reading.decode(content, jwt_rules.KIND, jwt_rules.VERSIONS)
    faults = jwt_rules.validate(config, disallowed)
    if faults:
        raise ConfigFileError(field_errors.aggregate(faults))
    sources = [_source(item, audiences, fetcher, clock) for item in config.get("jwt") or ()]
    return Structured(sources, _anonymous(config.get("anonymous")))


def _source(
    authenticator: Object, audiences: Sequence[str], fetcher: Fetcher, clock: Callable[[], float]
) -> Oidc:
    said = authenticator["issuer"]
    issuer = Issuer(said["url"], said["audiences"], _ALGORITHMS, said.get("discoveryURL") or "")
    fetch = fetcher(said.get("certificateAuthority") or "")
    return Oidc(issuer, ClaimMapping(authenticator).user, audiences, fetch, clock)


def _anonymous(said: Object | None) -> Anonymous | None:
    if said is None:
        return None
    paths = frozenset(condition.get("path") or "" for condition in said.get("conditions") or ())
    return Anonymous(bool(said.get("enabled")), paths)
