"""What an EncryptionConfiguration may say, in the original's words, and which resource it means."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.config_files.reading import ConfigFileError
from apiserver.storage.encryption.configuration import GroupResource
from apiserver.storage.encryption.providers import load
from tests.unit.apiserver.storage.encryption.files import IDENTITY, document, key, provider, rule, secrets

GCM = provider("aesgcm", "k")
SHORT = {"name": "k", "secret": "c2hvcnQ="}
MASKED = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed"
TWICE = "the same resource cannot be specified multiple times"
NO_PROVIDER = (
    "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
)

FAULTS: list[tuple[bytes, str]] = [
    (document(), "resources: Required value: at least one resources is required"),
    (
        document(rule([], GCM)),
        "resources[0].resources: Required value: at least one resources[0].resources is",
    ),
    (secrets(), "resources[0].providers: Required value: at least one resources[0].providers is required"),
    (secrets({}), NO_PROVIDER),
    (secrets({**GCM, **IDENTITY}), "more than one provider specified in a single element, should split into"),
    (
        secrets({"aesgcm": {}}),
        "resources[0].providers[0].aesgcm.keys: Required value: at least one keys is required",
    ),
    (
        secrets({"aescbc": {"keys": [{"secret": key("k")["secret"]}]}}),
        "aescbc.keys[0].name: Required value: name is a",
    ),
    (
        secrets({"aescbc": {"keys": [{"name": "k"}]}}),
        "aescbc.keys[0].secret: Required value: secret is a mandatory",
    ),
    (
        secrets({"secretbox": {"keys": [SHORT]}}),
        'secretbox.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 5, expected '
        "one of [32]",
    ),
    (secrets({"aesgcm": {"keys": [SHORT]}}), "got 5, expected one of [16 24 32]"),
    (
        secrets({"aesgcm": {"keys": [{"name": "k", "secret": "geheim!"}]}}),
        'aesgcm.keys[0].secret: Invalid value: "REDACTED": secrets must be base64 encoded',
    ),
    (
        secrets({"kms": {"name": "k"}}),
        "resources[0].providers[0].kms: Forbidden: key management services are not",
    ),
    (
        document(rule(["secrets", "secrets"], GCM)),
        f'resources[0].resources: Invalid value: ["secrets","secrets"]: {TWICE}',
    ),
    (document(rule(["secrets", "*."], GCM)), MASKED),
    (document(rule(["pods", "*.*"], GCM)), MASKED),
    (
        document(rule(["Secrets"], GCM)),
        'resources[0].resources[0]: Invalid value: "Secrets": resource name should not',
    ),
    (
        document(rule(["*"], GCM)),
        "use '*.' to encrypt all the resources from core API group or *.* to encrypt all",
    ),
    (
        document(rule(["serviceipallocations"], GCM)),
        "resources which do not have REST API/s cannot be encrypted",
    ),
    (
        document(rule(["events.events.k8s.io"], GCM)),
        "'*.events.k8s.io' objects are stored using the 'events' API",
    ),
    (document(rule(["ingresses.extensions"], GCM)), "'extensions' group has been removed and cannot be used"),
    (document(rule(["secrets.*"], GCM)), "encrypting the same resource across groups is not supported"),
    (
        document(rule(["*."], GCM), rule(["secrets"], GCM)),
        'resource "secrets" is masked by earlier rule "*."',
    ),
    (
        document(rule(["*.*"], GCM), rule(["*.apps"], GCM)),
        'resource "*.apps" is masked by earlier rule "*.*"',
    ),
    (b"a: [", "error converting YAML to JSON: yaml: "),
    (b"- a", "json: cannot unmarshal array"),
    (b"apiVersion: apiserver.config.k8s.io/v1", "Object 'Kind' is missing"),
    (
        b"{apiVersion: v1, kind: EncryptionConfiguration}",
        'no kind "EncryptionConfiguration" is registered for version',
    ),
    (
        secrets({"aesgcm": {"keyz": []}}),
        'strict decoding error: unknown field "resources[0].providers[0].aesgcm.keyz"',
    ),
    (
        document(rule(["secrets"], GCM)).replace(b'["secrets"]', b'"secrets"'),
        "json: cannot unmarshal string into Go struct field ResourceConfiguration.resources of type []string",
    ),
    (
        document(rule(["secrets"], GCM)).replace(b'"name": "k"', b'"name": 7'),
        "json: cannot unmarshal number into Go struct field Key.name of type string",
    ),
    (
        b"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nkind: EncryptionConfiguration\n",
        'key "kind" already set in map',
    ),
]


@pytest.mark.parametrize(("content", "text"), FAULTS)
def test_faults(content: bytes, text: str) -> None:
    with pytest.raises(ConfigFileError) as refused:
        load(content)
    assert text in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("twice", ["*.apps", "*.*"])
def test_a_wildcard_given_twice_is_both_faults(twice: str) -> None:
    with pytest.raises(
        ConfigFileError, match=r"specified multiple times, .* is not allowed as they will be masked"
    ):
        load(document(rule([twice, twice], GCM)))


def writes_with(content: bytes, resource: str) -> str:
    """The name of the key that writes, "" for none."""
    found = load(content).of(GroupResource.parse(resource))
    stored = b"" if found is None else found.to_storage(b"{}", b"k")
    return stored.split(b":")[4].decode() if stored.startswith(b"k8s:enc:") else ""


def test_the_most_specific_rule_counts() -> None:
    rules: list[Any] = [
        rule(["secrets", "widgets.example.com"], provider("aesgcm", "own")),
        rule(["*.apps"], provider("secretbox", "group")),
        rule(["configmaps"], IDENTITY, provider("aescbc", "read")),
        rule(["*.*"], provider("aescbc", "rest")),
    ]
    content = document(*rules)
    assert writes_with(content, "secrets") == "own"
    assert writes_with(content, "widgets.example.com") == "own"
    assert writes_with(content, "deployments.apps") == "group"
    assert writes_with(content, "configmaps") == ""
    assert writes_with(content, "pods") == "rest"
    assert writes_with(content, "secrets.example.com") == "rest"


def test_nothing_is_said_of_a_resource_without_a_rule() -> None:
    assert load(secrets(GCM)).of(GroupResource("", "pods")) is None
    assert load(document(rule(["*."], GCM))).of(GroupResource("apps", "deployments")) is None


def test_rules_for_one_resource_add_up() -> None:
    both = load(document(rule(["secrets"], GCM), rule(["secrets"], IDENTITY))).of(
        GroupResource("", "secrets")
    )
    assert both is not None
    assert both.from_storage(b"{}", b"k") == (b"{}", True)


def test_yaml_with_comments_and_broken_base64_lines() -> None:
    secret = key("k")["secret"]
    text = f"""
# a comment
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aesgcm:
      keys:
      - name: k
        secret: |
          {secret[:20]}
          {secret[20:]}
  - identity: {{}}
"""
    assert writes_with(text.encode(), "secrets") == "k"
