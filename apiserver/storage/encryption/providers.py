"""From the content of a configuration file to the transformer of each resource.

Called by ``server`` at the start and by ``config_files.following`` when the file has changed. All or nothing: a content
with any mistake gives no providers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from apiserver.api import field_errors
from apiserver.api.field_errors import quote
from apiserver.config_files import reading
from apiserver.config_files.reading import ConfigFileError
from apiserver.storage.encryption import configuration
from apiserver.storage.encryption.ciphers import AesCbc, AesGcm, Identity, Random, Secretbox, Transformer
from apiserver.storage.encryption.configuration import EVERYTHING, GroupResource
from apiserver.storage.encryption.transformers import Prefixed, PrefixTransformers

Object = dict[str, Any]
_CIPHERS: Final[Mapping[str, tuple[Callable[[bytes, Random], Transformer], str]]] = {
    "aesgcm": (AesGcm, "AES"),
    "aescbc": (AesCbc, "AES"),
    "secretbox": (Secretbox, "Secretbox"),
}
"""Provider → its cipher and what the original calls it in errors."""


class Providers:
    """Which transformer a resource has; the most specific rule counts, the order of equal ones in the file."""

    def __init__(self, rules: Mapping[GroupResource, Transformer]) -> None:
        self._rules = rules

    def of(self, resource: GroupResource) -> Transformer | None:
        """None: nothing is said of this resource."""
        for wanted in (resource, GroupResource(resource.group, "*"), EVERYTHING):
            found = self._rules.get(wanted)
            if found is not None:
                return found
        return None


def load(content: bytes, random: Random = os.urandom) -> Providers:
    """Raises ConfigFileError."""
    try:
        config = reading.decode(content, configuration.KIND)
        faults = configuration.validate(config)
        if faults:
            raise ConfigFileError(field_errors.aggregate(faults))
    except ConfigFileError as exc:
        raise ConfigFileError(f"error while parsing file: {exc}") from exc
    return Providers(_rules(config, random))


def _rules(config: Object, random: Random) -> dict[GroupResource, Transformer]:
    members: dict[GroupResource, list[Prefixed]] = {}
    for rule in config["resources"]:
        providers = [_provider(provider, random) for provider in rule["providers"]]
        for name in rule["resources"]:
            resource = GroupResource.parse(name)
            _refuse_masked(resource, members)
            members.setdefault(resource, []).extend(providers)
    return {
        resource: PrefixTransformers("no matching prefix found", found) for resource, found in members.items()
    }


def _refuse_masked(resource: GroupResource, earlier: Mapping[GroupResource, object]) -> None:
    for mask in (GroupResource(resource.group, "*"), EVERYTHING):
        if mask in earlier:
            text = f"resource {quote(str(resource))} is masked by earlier rule {quote(str(mask))}"
            raise ConfigFileError(f"error while building transformers: {text}")


def _provider(provider: Object, random: Random) -> Prefixed:
    (kind,) = provider
    if kind not in _CIPHERS:
        return Prefixed(b"", Identity())
    cipher, family = _CIPHERS[kind]
    keys = [
        Prefixed(f"{key['name']}:".encode(), cipher(configuration.decoded(key["secret"]), random))
        for key in provider[kind]["keys"]
    ]
    unmatched = f"no matching key was found for the provided {family} transformer"
    return Prefixed(f"k8s:enc:{kind}:v1:".encode(), PrefixTransformers(unmatched, keys))
