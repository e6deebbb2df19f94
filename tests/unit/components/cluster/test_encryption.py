"""The file with the keys of a cluster's Secrets: made when asked for, and never lost after that."""

from __future__ import annotations

import stat
from pathlib import Path

from apiserver.storage.encryption.configuration import GroupResource
from apiserver.storage.encryption.providers import load
from components.cluster import encryption, topology_file
from components.cluster.config import MasterConfig
from components.cluster.config import load as load_config
from components.cluster.layout import Layout
from components.cluster.prepare import prepare
from components.cluster.topology import ApiServer, Masters, Topology, Workers
from components.master import api_config

PLAIN = Topology(masters=Masters(count=1, api_port=0), workers=Workers(count=0))
ENCRYPTED = Topology(
    masters=Masters(count=1, api_port=0), workers=Workers(count=0), api_server=ApiServer(encrypt_secrets=True)
)


def told(layout: Layout, topology: Topology | None) -> str:
    """The file that the master of this start is told."""
    prepare(layout, topology).close()
    return load_config(layout.config_file("m1"), MasterConfig).api.encryption_config


def test_nothing_is_made_unless_it_is_asked_for(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    assert told(layout, PLAIN) == ""
    assert not (layout.pki / encryption.FILE).exists()
    assert api_config(load_config(layout.config_file("m1"), MasterConfig)).encryption_provider_config is None


def test_the_file_is_private_and_one_that_the_api_server_takes(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    path = Path(told(layout, ENCRYPTED))
    assert path == layout.pki / encryption.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = load(path.read_bytes()).of(GroupResource("", "secrets"))
    assert found is not None
    assert found.to_storage(b"{}", b"k").startswith(b"k8s:enc:secretbox:v1:key1:")
    assert found.from_storage(b"{}", b"k") == (b"{}", True)
    api = api_config(load_config(layout.config_file("m1"), MasterConfig))
    assert (api.encryption_provider_config, api.encryption_provider_config_automatic_reload) == (path, True)


def test_two_clusters_have_two_keys(tmp_path: Path) -> None:
    texts = [Path(told(Layout.at(tmp_path / name), ENCRYPTED)).read_text() for name in "ab"]
    assert texts[0] != texts[1]


def test_once_made_it_counts_whatever_the_topology_says(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "c")
    path = Path(told(layout, ENCRYPTED))
    edited = path.read_text().replace("key1", "mine")
    path.write_text(edited)
    assert told(layout, None) == told(layout, PLAIN) == str(path)
    assert path.read_text() == edited


def test_the_field_is_written_as_it_is_read() -> None:
    text = topology_file.dump(ENCRYPTED)
    assert "apiServer:\n  encryptSecrets: true" in text
    assert topology_file.parse(text, "copy") == ENCRYPTED
