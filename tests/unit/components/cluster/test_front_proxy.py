"""What a master's API server is told of front proxies, and that the files are there."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from components.cluster import pki, plan
from components.cluster.addresses import Addresses
from components.cluster.layout import Layout
from components.cluster.topology import Topology
from components.master import api_config


def test_masters_show_a_certificate_of_an_authority_of_its_own(tmp_path: Path) -> None:
    layout, topology, addresses = Layout(tmp_path), Topology(), Addresses(1)
    pki.ensure(layout.pki, plan.identities(topology, addresses))
    config = api_config(plan.master(topology, addresses, layout, "token", "m1"))
    config.check()
    assert config.requestheader_client_ca_file is not None
    assert config.proxy_client_cert_file is not None
    assert config.proxy_client_key_file is not None
    authority = x509.load_pem_x509_certificate(config.requestheader_client_ca_file.read_bytes())
    certificate = x509.load_pem_x509_certificate(config.proxy_client_cert_file.read_bytes())
    certificate.verify_directly_issued_by(authority)
    [name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert config.requestheader_allowed_names == (name.value,)
    assert config.enable_aggregator_routing
    assert config.client_ca_file is not None
    users = x509.load_pem_x509_certificate(config.client_ca_file.read_bytes())
    assert users.public_key() != authority.public_key()
    assert config.proxy_client_key_file.stat().st_mode & 0o077 == 0
