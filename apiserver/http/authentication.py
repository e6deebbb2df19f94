"""Puts the authenticator together from the flags; the only place that knows every kind of credential."""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from apiserver.auth import static_tokens
from apiserver.auth.authenticator import Authenticator, TokenSource
from apiserver.auth.client_certificates import ClientCertificates, FrontProxy
from apiserver.auth.oidc import Oidc
from apiserver.auth.oidc_claims import OidcOptions
from apiserver.auth.service_account_tokens import Lookup, ServiceAccountTokens
from apiserver.auth.token_sources import Bootstrap, ServiceAccounts, Static
from apiserver.config import ApiServerConfig, ConfigError

_FETCH_SECONDS: Final = 10


def build(
    config: ApiServerConfig, accounts: ServiceAccountTokens, lookup: Lookup, now: Callable[[], datetime]
) -> Authenticator:
    """Raises ConfigError, TokenFileError."""
    audiences = accounts.audiences
    sources: list[TokenSource] = []
    if config.token_auth_file:
        sources.append(Static(static_tokens.load(config.token_auth_file), audiences))
    if config.enable_bootstrap_token_auth:
        sources.append(Bootstrap(lookup, audiences, now))
    if accounts.keys:
        sources.append(ServiceAccounts(accounts))
    if config.oidc_issuer_url:
        fetch = _fetcher(config.oidc_ca_file)
        sources.append(Oidc(_oidc_options(config), audiences, fetch, time.monotonic))
    return Authenticator(
        _certificates(config, now), sources, audiences, config.anonymous_auth, time.monotonic
    )


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


def _fetcher(ca_file: Path | None) -> Callable[[str], Awaitable[Any]]:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"--oidc-ca-file {ca_file}: {exc}") from exc

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
