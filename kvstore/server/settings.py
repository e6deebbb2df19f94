"""(P) What the flags mean: checked against one another as `embed.Config.Validate` does, ready for `app`.

Fed by `flags`. Times are seconds here, sizes bytes. Errors are `ConfigError`s with etcd's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from kvstore.server.compaction import PERIODIC, REVISION, Retention, parse_retention
from kvstore.server.flags import SEE_HELP, ConfigError, Parsed
from kvstore.server.urls import Url, check_bind, parse_cluster

MAX_ELECTION_MS = 50_000
DEFAULT_QUOTA = 2 << 30
DEFAULT_PROGRESS_INTERVAL = 600.0
LOG_LEVELS = ("debug", "info", "warn", "error", "dpanic", "panic", "fatal")
TLS_VERSIONS = ("", "TLS1.2", "TLS1.3")
T = TypeVar("T")


@dataclass(frozen=True)
class TlsSettings:
    """PEM files of one side. `auto`: a self-signed certificate is made if `cert` is empty."""

    cert: str = ""
    key: str = ""
    ca: str = ""
    client_auth: bool = False
    auto: bool = False

    @property
    def wanted(self) -> bool:
        return bool(self.cert) or self.auto


@dataclass(frozen=True)
class Backups:
    directory: str
    schedule: str
    keep: int


@dataclass(frozen=True)
class Settings:
    name: str
    data_dir: Path
    initial_cluster: dict[str, tuple[Url, ...]]
    existing: bool
    token: str
    listen_peer: tuple[Url, ...]
    advertise_peer: tuple[Url, ...]
    listen_client: tuple[Url, ...]
    listen_http: tuple[Url, ...]
    listen_metrics: tuple[Url, ...]
    advertise_client: tuple[Url, ...]
    client_tls: TlsSettings
    peer_tls: TlsSettings
    retention: Retention | None
    backups: Backups | None
    heartbeat: float
    election: float
    quota: int
    progress_interval: float
    initial_corrupt_check: bool
    values: Values
    """The rest, which stands for itself."""


class Values:
    """Typed access to the flags' values by name."""

    def __init__(self, parsed: Parsed) -> None:
        self._parsed = parsed

    def given(self, name: str) -> bool:
        return name in self._parsed.given

    def text(self, name: str) -> str:
        return cast(str, self._parsed.values[name])

    def number(self, name: str) -> int:
        return cast(int, self._parsed.values[name])

    def seconds(self, name: str) -> float:
        return cast(float, self._parsed.values[name])

    def flag(self, name: str) -> bool:
        return cast(bool, self._parsed.values[name])

    def urls(self, name: str) -> tuple[Url, ...]:
        return cast("tuple[Url, ...]", self._parsed.values[name])

    def strings(self, name: str) -> tuple[str, ...]:
        return cast("tuple[str, ...]", self._parsed.values[name])


def _refuse(message: str) -> ConfigError:
    return ConfigError(f"error verifying flags, {message}.{SEE_HELP}")


def build(parsed: Parsed) -> Settings:
    values = Values(parsed)
    _check_addresses(values)
    _check_times(values)
    _check_words(values)
    name = values.text("name")
    backups = None
    if values.text("backup-dir") or values.text("backup-schedule"):
        backups = _backups(values)
    return Settings(
        name=name,
        data_dir=Path(values.text("data-dir").replace("${name}", name) or f"{name}.etcd"),
        initial_cluster=_cluster(values, name),
        existing=values.text("initial-cluster-state") == "existing",
        token=values.text("initial-cluster-token"),
        listen_peer=values.urls("listen-peer-urls"),
        advertise_peer=values.urls("initial-advertise-peer-urls"),
        listen_client=values.urls("listen-client-urls"),
        listen_http=values.urls("listen-client-http-urls"),
        listen_metrics=values.urls("listen-metrics-urls"),
        advertise_client=values.urls("advertise-client-urls"),
        client_tls=_client_tls(values),
        peer_tls=_peer_tls(values),
        retention=_retention(values),
        backups=backups,
        heartbeat=values.number("heartbeat-interval") / 1000,
        election=values.number("election-timeout") / 1000,
        quota=values.number("quota-backend-bytes") or DEFAULT_QUOTA,
        progress_interval=values.seconds("watch-progress-notify-interval") or DEFAULT_PROGRESS_INTERVAL,
        initial_corrupt_check=values.flag("experimental-initial-corrupt-check") or _gate(values),
        values=values,
    )


def _check_addresses(values: Values) -> None:
    try:
        for name in ("peer", "client", "client-http", "metrics"):
            check_bind(values.urls(f"listen-{name}-urls"))
    except ValueError as error:
        raise _refuse(str(error)) from error
    if len(values.urls("listen-peer-urls")) != 1:
        raise _refuse("--listen-peer-urls takes exactly one URL in kvstore")
    if values.given("listen-client-urls") and not values.given("advertise-client-urls"):
        raise _refuse("--advertise-client-urls is required when --listen-client-urls is set explicitly")


def _check_times(values: Values) -> None:
    heartbeat, election = values.number("heartbeat-interval"), values.number("election-timeout")
    if heartbeat <= 0:
        raise _refuse(f"--heartbeat-interval must be >0 (set to {heartbeat}ms)")
    if election <= 0:
        raise _refuse(f"--election-timeout must be >0 (set to {election}ms)")
    if 5 * heartbeat > election:
        raise _refuse(
            f"--election-timeout[{election}ms] should be at least as 5 times as "
            f"--heartbeat-interval[{heartbeat}ms]"
        )
    if election > MAX_ELECTION_MS:
        raise _refuse(
            f"--election-timeout[{election}ms] is too long, and should be set less than {MAX_ELECTION_MS}ms"
        )


def _check_words(values: Values) -> None:
    if (level := values.text("log-level")) not in LOG_LEVELS:
        raise _refuse(f'unrecognized level: "{level}"')
    if values.text("logger") != "zap":
        raise _refuse(f'unknown logger option "{values.text("logger")}"')
    kind = values.text("auth-token")
    if kind.partition(",")[0] != "simple":
        raise _refuse(f'--auth-token "{kind}" is not supported by kvstore (only simple)')
    if not 4 <= values.number("bcrypt-cost") <= 31:
        raise _refuse("--bcrypt-cost must be between 4 and 31")
    if (version := values.text("tls-min-version")) not in TLS_VERSIONS:
        raise _refuse(f"unexpected TLS version {version}")
    if values.number("max-txn-ops") == 0:
        raise _refuse("--max-txn-ops must be >0")
    if values.number("max-request-bytes") > 1 << 30:
        raise _refuse("--max-request-bytes must be at most 1073741824 in kvstore")


def _cluster(values: Values, name: str) -> dict[str, tuple[Url, ...]]:
    advertised = values.urls("initial-advertise-peer-urls")
    if not values.given("initial-cluster"):
        return {name: advertised}
    try:
        cluster = parse_cluster(values.text("initial-cluster"))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if name not in cluster:
        raise ConfigError(f'couldn\'t find local name "{name}" in the initial cluster configuration')
    if set(cluster[name]) != set(advertised):
        given, wanted = (",".join(map(str, urls)) for urls in (cluster[name], advertised))
        raise ConfigError(
            f"--initial-cluster has {name}={given} but missing from --initial-advertise-peer-urls={wanted}"
        )
    schemes = {urls[0].scheme for urls in cluster.values()}
    if len(schemes) > 1:
        raise ConfigError("--initial-cluster mixes http and https: peers must all use TLS or none")
    return cluster


def _client_tls(values: Values) -> TlsSettings:
    tls = TlsSettings(
        values.text("cert-file"),
        values.text("key-file"),
        values.text("trusted-ca-file"),
        values.flag("client-cert-auth"),
        values.flag("auto-tls") and not values.text("cert-file"),
    )
    if bool(tls.cert) != bool(tls.key):
        raise ConfigError(f"KeyFile and CertFile must both be present[key: {tls.key}, cert: {tls.cert}]")
    if tls.client_auth and not tls.ca:
        raise _refuse("--client-cert-auth needs --trusted-ca-file")
    for name in ("listen-client-urls", "listen-client-http-urls", "listen-metrics-urls"):
        for url in values.urls(name):
            if url.secure and not tls.wanted:
                raise ConfigError(
                    f"TLS key/cert (--cert-file, --key-file) must be provided for client url {url} with HTTPS scheme"
                )
    return tls


def _peer_tls(values: Values) -> TlsSettings:
    tls = TlsSettings(
        values.text("peer-cert-file"),
        values.text("peer-key-file"),
        values.text("peer-trusted-ca-file"),
        values.flag("peer-client-cert-auth"),
    )
    url = values.urls("listen-peer-urls")[0]
    secure = {u.secure for u in (url, *values.urls("initial-advertise-peer-urls"))}
    if secure == {True, False}:
        raise ConfigError("peer URLs mix http and https: peers must use TLS or not")
    if url.secure and not (tls.cert and tls.key and tls.ca):
        raise ConfigError(
            "TLS key/cert/CA (--peer-cert-file, --peer-key-file, --peer-trusted-ca-file) must be provided for "
            f"peer url {url} with HTTPS scheme: peers verify one another"
        )
    return tls if url.secure else TlsSettings()


def _retention(values: Values) -> Retention | None:
    mode, text = values.text("auto-compaction-mode"), values.text("auto-compaction-retention")
    if mode not in (PERIODIC, REVISION):
        raise _refuse(
            "undefined auto-compaction-mode" if not mode else f'unknown auto-compaction-mode "{mode}"'
        )
    try:
        return parse_retention(mode, text)
    except ValueError as error:
        raise _refuse(f"error parsing auto-compaction-retention: {error}") from error


def _backups(values: Values) -> Backups:
    directory, schedule = values.text("backup-dir"), values.text("backup-schedule")
    if not directory or not schedule:
        raise _refuse("--backup-dir and --backup-schedule belong together")
    if values.number("backup-keep") < 1:
        raise _refuse("--backup-keep must be >0")
    from kvstore.commands import schedule as schedules

    try:
        schedules.parse(schedule)
    except ValueError as error:
        raise _refuse(str(error)) from error
    return Backups(directory, schedule, values.number("backup-keep"))


def _gate(values: Values) -> bool:
    """`--feature-gates`: only the gates whose feature is there; the others may be switched off."""
    on = False
    for part in filter(None, values.text("feature-gates").split(",")):
        name, _, text = part.partition("=")
        if name.strip() == "InitialCorruptCheck" and text in ("true", "false"):
            on = text == "true"
        elif text != "false":
            raise _refuse(f"--feature-gates {part} is not supported by kvstore")
    return on
