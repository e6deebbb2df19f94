"""What flags mean together: checks and texts of etcd's."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvstore.server import flags, settings
from kvstore.server.flags import ConfigError
from kvstore.server.urls import parse_url

PEERS = [
    "--listen-peer-urls=http://127.0.0.1:2380",
    "--initial-advertise-peer-urls=http://127.0.0.1:2380",
]


def build(*arguments: str) -> settings.Settings:
    return settings.build(flags.parse(arguments, {})[0])


def test_defaults_are_etcds() -> None:
    found = build()
    assert found.name == "default"
    assert found.data_dir == Path("default.etcd")
    assert found.initial_cluster == {"default": (parse_url("http://localhost:2380"),)}
    assert (found.heartbeat, found.election, found.quota) == (0.1, 1.0, 2 << 30)
    assert found.retention is None
    assert found.backups is None


def test_the_cluster_follows_from_the_name() -> None:
    found = build("--name=m1", *PEERS)
    assert found.initial_cluster == {"m1": (parse_url("http://127.0.0.1:2380"),)}
    assert found.data_dir == Path("m1.etcd")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--heartbeat-interval=1000"],
            "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[1000ms]",
        ),
        (["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"),
        (
            ["--election-timeout=50001"],
            "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
        ),
        (["--listen-metrics-urls=http://foo:1"], "expected IP in URL for binding (http://foo:1)"),
        (
            ["--listen-client-urls=http://127.0.0.1:1"],
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (["--auto-compaction-mode=x"], 'unknown auto-compaction-mode "x"'),
        (
            ["--auto-compaction-mode=revision", "--auto-compaction-retention=5m"],
            "is not a number of revisions",
        ),
        (
            ["--initial-cluster=a=http://127.0.0.1:9"],
            'couldn\'t find local name "default" in the initial cluster',
        ),
        (
            [*PEERS, "--initial-cluster=default=http://127.0.0.1:9"],
            "--initial-cluster has default=http://127.0.0.1:9 but missing from "
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        ),
        (["--initial-cluster=a=http://127.0.0.1:9,b=http://127.0.0.1:9"], "duplicate URL http://127.0.0.1:9"),
        (["--cert-file=x"], "KeyFile and CertFile must both be present[key: , cert: x]"),
        (
            ["--listen-client-urls=https://127.0.0.1:1", "--advertise-client-urls=https://127.0.0.1:1"],
            "TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS",
        ),
        (
            ["--listen-peer-urls=https://127.0.0.1:1", "--initial-advertise-peer-urls=https://127.0.0.1:1"],
            "must be provided for peer url https://127.0.0.1:1",
        ),
        (["--listen-peer-urls=https://127.0.0.1:1"], "peer URLs mix http and https"),
        (["--auth-token=jwt,sign-method=RS256"], "is not supported by kvstore (only simple)"),
        (["--log-level=loud"], 'unrecognized level: "loud"'),
        (["--bcrypt-cost=3"], "--bcrypt-cost must be between 4 and 31"),
        (["--backup-dir=/b"], "--backup-dir and --backup-schedule belong together"),
        (["--feature-gates=Other=true"], "--feature-gates Other=true is not supported"),
        (["--client-cert-auth"], "--client-cert-auth needs --trusted-ca-file"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(*arguments)
    assert message in str(raised.value)


def test_three_members_with_tls() -> None:
    cluster = ",".join(f"m{n}=https://127.0.0.{n}:2380" for n in (1, 2, 3))
    found = build(
        "--name=m2",
        f"--initial-cluster={cluster}",
        "--listen-peer-urls=https://127.0.0.2:2380",
        "--initial-advertise-peer-urls=https://127.0.0.2:2380",
        "--peer-cert-file=c",
        "--peer-key-file=k",
        "--peer-trusted-ca-file=a",
        "--peer-client-cert-auth",
        "--feature-gates=InitialCorruptCheck=true",
        "--auto-compaction-retention=8",
        "--backup-dir=/b",
        "--backup-schedule=6h",
    )
    assert sorted(found.initial_cluster) == ["m1", "m2", "m3"]
    assert found.peer_tls == settings.TlsSettings("c", "k", "a", client_auth=True)
    assert found.initial_corrupt_check
    assert found.retention == ("periodic", 8 * 3600.0)
    assert found.backups == settings.Backups("/b", "6h", 7)


def test_flags_that_kubeadm_sets_are_all_taken() -> None:
    build(
        "--advertise-client-urls=https://10.0.0.1:2379",
        "--cert-file=/pki/server.crt",
        "--client-cert-auth=true",
        "--data-dir=/var/lib/etcd",
        "--experimental-initial-corrupt-check=true",
        "--experimental-watch-progress-notify-interval=5s",
        "--initial-advertise-peer-urls=https://10.0.0.1:2380",
        "--initial-cluster=node=https://10.0.0.1:2380",
        "--key-file=/pki/server.key",
        "--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379",
        "--listen-metrics-urls=http://127.0.0.1:2381",
        "--listen-peer-urls=https://10.0.0.1:2380",
        "--name=node",
        "--peer-cert-file=/pki/peer.crt",
        "--peer-client-cert-auth=true",
        "--peer-key-file=/pki/peer.key",
        "--peer-trusted-ca-file=/pki/ca.crt",
        "--snapshot-count=10000",
        "--trusted-ca-file=/pki/ca.crt",
    )
