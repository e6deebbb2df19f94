"""What an API server is told at start: one field per flag of kube-apiserver that it knows.

Filled by ``__main__`` from the command line or by a composition root; checked by :meth:`ApiServerConfig.check`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from pathlib import Path

from apiserver.auth.authorizer import MODES

FEATURE_GATES = frozenset({"CBORServingAndStorage"})
"""Features that are off unless asked for. What Kubernetes has on by default cannot be switched off here."""


_OIDC_ALGORITHMS = frozenset(f"{kind}{bits}" for kind in ("RS", "ES", "PS") for bits in (256, 384, 512))


class ConfigError(ValueError):
    """A flag has a value that cannot be used; the text names flag and remedy."""


@dataclass(slots=True)
class ApiServerConfig:
    bind_address: str = "0.0.0.0"
    secure_port: int = 6443
    advertise_address: str = ""
    cert_dir: Path = Path("/var/run/kubernetes")
    tls_cert_file: Path | None = None
    tls_private_key_file: Path | None = None
    client_ca_file: Path | None = None
    token_auth_file: Path | None = None
    authorization_mode: tuple[str, ...] = ("AlwaysAllow",)
    anonymous_auth: bool | None = None
    """None: on, unless the authentication configuration says otherwise."""
    authentication_config: Path | None = None
    authorization_config: Path | None = None
    enable_bootstrap_token_auth: bool = False
    requestheader_client_ca_file: Path | None = None
    requestheader_allowed_names: tuple[str, ...] = ()
    requestheader_username_headers: tuple[str, ...] = ("X-Remote-User",)
    requestheader_uid_headers: tuple[str, ...] = ()
    requestheader_group_headers: tuple[str, ...] = ("X-Remote-Group",)
    requestheader_extra_headers_prefix: tuple[str, ...] = ("X-Remote-Extra-",)
    proxy_client_cert_file: Path | None = None
    proxy_client_key_file: Path | None = None
    enable_aggregator_routing: bool = False
    oidc_issuer_url: str = ""
    oidc_client_id: str = ""
    oidc_ca_file: Path | None = None
    oidc_username_claim: str = "sub"
    oidc_username_prefix: str | None = None
    oidc_groups_claim: str = ""
    oidc_groups_prefix: str = ""
    oidc_required_claim: tuple[str, ...] = ()
    oidc_signing_algs: tuple[str, ...] = ("RS256",)
    service_cluster_ip_range: str = "10.96.0.0/16"
    kubernetes_service_port: int = 443
    service_node_port_range: tuple[int, int] = (30000, 32767)
    service_account_issuer: tuple[str, ...] = ("https://kubernetes.default.svc",)
    service_account_key_file: tuple[Path, ...] = ()
    service_account_signing_key_file: Path | None = None
    api_audiences: tuple[str, ...] = ()
    kubelet_client_certificate: Path | None = None
    kubelet_client_key: Path | None = None
    kubelet_certificate_authority: Path | None = None
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    enable_priority_and_fairness: bool = True
    request_timeout: float = 60.0
    min_request_timeout: int = 1800
    disable_http2_serving: bool = False
    http2_max_streams_per_connection: int = 0
    shutdown_delay_duration: float = 0.0
    encryption_provider_config: Path | None = None
    encryption_provider_config_automatic_reload: bool = False
    audit_policy_file: Path | None = None
    audit_log_path: str = ""
    audit_log_maxsize: int = 100
    audit_log_maxbackup: int = 0
    audit_log_maxage: int = 0
    verbosity: int = 2
    event_ttl: int = 3600
    feature_gates: frozenset[str] = frozenset()
    allow_loopback_endpoints: bool = False
    enable_fault_injection: bool = False
    default_not_ready_toleration_seconds: int = 300
    default_unreachable_toleration_seconds: int = 300

    def check(self) -> None:
        """Raises ConfigError."""
        for gate in self.feature_gates - FEATURE_GATES:
            raise ConfigError(
                f"--feature-gates {gate}: unrecognized feature gate, known are {', '.join(FEATURE_GATES)}"
            )
        if not 0 <= self.secure_port <= 65535:
            raise ConfigError(f"--secure-port {self.secure_port} must be between 0 and 65535")
        if not 1 <= self.kubernetes_service_port <= 65535:
            raise ConfigError(
                f"--kubernetes-service-port {self.kubernetes_service_port} must be between 1 and 65535"
            )
        for mode in self.authorization_mode:
            if mode not in MODES:
                raise ConfigError(
                    f"--authorization-mode {mode}: not supported, use one of {', '.join(MODES)}"
                )
        if bool(self.tls_cert_file) != bool(self.tls_private_key_file):
            raise ConfigError("--tls-cert-file and --tls-private-key-file must be given together")
        if bool(self.proxy_client_cert_file) != bool(self.proxy_client_key_file):
            raise ConfigError("--proxy-client-cert-file and --proxy-client-key-file must be given together")
        for name in ("maxsize", "maxbackup", "maxage"):
            if getattr(self, f"audit_log_{name}") < 0:
                raise ConfigError(
                    f"--audit-log-{name} {getattr(self, f'audit_log_{name}')}: must not be negative"
                )
        if self.shutdown_delay_duration < 0:
            raise ConfigError(
                f"--shutdown-delay-duration {self.shutdown_delay_duration}: must not be negative"
            )
        low, high = self.service_node_port_range
        if not 0 < low <= high <= 65535:
            raise ConfigError(f"--service-node-port-range {low}-{high}: not a range of ports")
        if self.encryption_provider_config_automatic_reload and self.encryption_provider_config is None:
            raise ConfigError(
                "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config"
            )
        if not 0 <= self.http2_max_streams_per_connection < 1 << 31:
            raise ConfigError(
                f"--http2-max-streams-per-connection {self.http2_max_streams_per_connection}: "
                "must be between 0 and 2147483647"
            )
        self._check_oidc()
        if self.authentication_config is not None and self.oidc_issuer_url:
            raise ConfigError("authentication-config file and oidc-* flags are mutually exclusive")
        self._check_addresses()

    def _check_oidc(self) -> None:
        if bool(self.oidc_issuer_url) != bool(self.oidc_client_id):
            raise ConfigError("--oidc-issuer-url and --oidc-client-id must be specified together")
        if self.oidc_issuer_url and not self.oidc_issuer_url.startswith("https://"):
            raise ConfigError(f"--oidc-issuer-url {self.oidc_issuer_url}: URL scheme must be https")
        if any("=" not in pair for pair in self.oidc_required_claim):
            raise ConfigError("--oidc-required-claim: give it as KEY=VALUE")
        unsafe = sorted(set(self.oidc_signing_algs) - _OIDC_ALGORITHMS)
        if unsafe:
            raise ConfigError(
                f"--oidc-signing-algs {','.join(unsafe)}: supported are {', '.join(sorted(_OIDC_ALGORITHMS))}"
            )

    def _check_addresses(self) -> None:
        try:
            network = ip_network(self.service_cluster_ip_range)
        except ValueError as exc:
            raise ConfigError(f"--service-cluster-ip-range {self.service_cluster_ip_range}: {exc}") from exc
        if network.version != 4 or network.prefixlen > 30:
            raise ConfigError(
                f"--service-cluster-ip-range {network}: must be an IPv4 network of at least 4 addresses"
            )
        for flag, address in (("bind", self.bind_address), ("advertise", self.advertise_address)):
            try:
                _ = address and ip_address(address)
            except ValueError as exc:
                raise ConfigError(f"--{flag}-address {address}: not an IP address") from exc

    @property
    def service_network(self) -> IPv4Network:
        return IPv4Network(self.service_cluster_ip_range)

    @property
    def kubernetes_service_ip(self) -> str:
        return str(IPv4Address(int(self.service_network.network_address) + 1))
