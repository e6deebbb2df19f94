"""Puts the authenticator together from the flags; the only place that knows every kind of credential."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from apiserver.auth import static_tokens
from apiserver.auth.authenticator import Anonymous, Authenticator, TokenSource
from apiserver.auth.client_certificates import ClientCertificates, FrontProxy
from apiserver.auth.oidc import Fetch, Issuer, Oidc
from apiserver.auth.oidc_claims import OidcOptions, user_of
from apiserver.auth.service_account_tokens import Lookup, ServiceAccountTokens
from apiserver.auth.structured import jwt_setup
from apiserver.auth.token_sources import Bootstrap, ServiceAccounts, Static
from apiserver.config import ApiServerConfig, ConfigError
from apiserver.config_files.following import FollowedFile, opened

_FETCH_SECONDS: Final = 10
_TWICE_ANONYMOUS: Final = (
    "--anonymous-auth flag cannot be set when anonymous field is configured in authentication "
    "configuration file"
)


def build(
    config: ApiServerConfig,
    accounts: ServiceAccountTokens,
    lookup: Lookup,
    now: Callable[[], datetime],
    followed: list[FollowedFile],
) -> Authenticator:
    """``followed`` gets the file that is read again. Raises ConfigError, TokenFileError."""
    audiences = accounts.audiences
    sources: list[TokenSource] = []
    if config.token_auth_file:
        sources.append(Static(static_tokens.load(config.token_auth_file), audiences))
    if config.enable_bootstrap_token_auth:
        sources.append(Bootstrap(lookup, audiences, now))
    if accounts.keys.public:
        sources.append(ServiceAccounts(accounts))
    if config.oidc_issuer_url:
        options = _oidc_options(config)
        issuer = Issuer(options.issuer_url, [options.client_id], options.signing_algorithms)
        fetch = _fetcher(_context(config.oidc_ca_file))
        sources.append(
            Oidc(issuer, lambda claims, _: user_of(options, claims), audiences, fetch, time.monotonic)
        )
    anonymous = Anonymous(config.anonymous_auth is not False)
    authenticator = Authenticator(_certificates(config, now), sources, audiences, anonymous, time.monotonic)
    if config.authentication_config is not None:
        _follow(config, authenticator, accounts.issuers, followed)
    return authenticator


def _follow(
    config: ApiServerConfig,
    authenticator: Authenticator,
    issuers: Sequence[str],
    followed: list[FollowedFile],
) -> None:
    """Puts in place what the file says, now and whenever it changes. Raises ConfigError."""
    assert config.authentication_config is not None
    others, anonymous = tuple(authenticator.sources), authenticator.anonymous

    def use(content: bytes) -> None:
        found = jwt_setup.load(content, issuers, authenticator.audiences, _issuers_fetcher, time.monotonic)
        if found.anonymous is not None and config.anonymous_auth is not None:
            raise ConfigError(_TWICE_ANONYMOUS)
        authenticator.replace((*others, *found.sources), found.anonymous or anonymous)

    followed.append(opened("--authentication-config", config.authentication_config, use))


def _issuers_fetcher(authority: str) -> Fetch:
    """``authority``: PEM; empty for those of the machine."""
    return _fetcher(ssl.create_default_context(cadata=authority or None))


def _certificates(config: ApiServerConfig, now: Callable[[], datetime]) -> ClientCertificates:
    proxy = None
    if config.requestheader_client_ca_file is not None:
        proxy = FrontProxy(
            config.requestheader_client_ca_file,
            config.requestheader_allowed_names,
            config.requestheader_username_headers,
            config.requestheader_uid_headers,
            config.requestheader_group_headers,
            config.requestheader_extra_headers_prefix,
        )
    try:
        return ClientCertificates(config.client_ca_file, proxy, now)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"--requestheader-client-ca-file, --client-ca-file: {exc}") from exc


def _oidc_options(config: ApiServerConfig) -> OidcOptions:
    return OidcOptions(
        issuer_url=config.oidc_issuer_url,
        client_id=config.oidc_client_id,
        username_claim=config.oidc_username_claim,
        username_prefix=config.oidc_username_prefix,
        groups_claim=config.oidc_groups_claim,
        groups_prefix=config.oidc_groups_prefix,
        required_claims=dict(pair.split("=", 1) for pair in config.oidc_required_claim),
        signing_algorithms=config.oidc_signing_algs,
    )


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """Raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"--oidc-ca-file {ca_file}: {exc}") from exc


def _fetcher(context: ssl.SSLContext) -> Fetch:
    async def fetch(url: str) -> Any:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, ssl=context) as answer,
            ):
                if answer.status != 200:
                    raise OSError(f"{url} answered {answer.status}")
                return await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise OSError(f"{url}: {exc or type(exc).__name__}") from exc

    return fetch
