"""Puts the encryption in front of a server's storage, as ``--encryption-provider-config`` says.

Without the flag the storage is what it was. Called once by ``server``, which runs what follows the file.
"""

from __future__ import annotations

from pathlib import Path

from apiserver.api.field_errors import quote
from apiserver.api.gvk import GroupVersion
from apiserver.config import ApiServerConfig, ConfigError
from apiserver.config_files.following import FollowedFile
from apiserver.registry.table import Registry
from apiserver.storage.encryption import providers
from apiserver.storage.encryption.storage import EncryptedStorage, Owners
from apiserver.storage.interface import Storage

_FLAG = "--encryption-provider-config"


def encrypted(
    config: ApiServerConfig, storage: Storage, registry: Registry, followed: list[FollowedFile]
) -> Storage:
    """``followed`` gets the file if it is to be read again. Raises ConfigError."""
    path = config.encryption_provider_config
    if path is None:
        return storage
    content = _content(path)
    try:
        known = providers.load(content)
    except ValueError as exc:
        raise ConfigError(f"{_FLAG} {path}: {exc}") from exc
    follows = config.encryption_provider_config_automatic_reload
    opened = EncryptedStorage(storage, owners(registry), known, follows=follows)
    if follows:

        def use(changed: bytes) -> None:
            opened.replace_providers(providers.load(changed))

        followed.append(FollowedFile(_FLAG, path, content, use))
    return opened


def _content(path: Path) -> bytes:
    """Raises ConfigError."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        reason = f"open {path}: {(exc.strerror or str(exc)).lower()}"
        text = f"error reading encryption provider configuration file {quote(str(path))}: {reason}"
        raise ConfigError(f"{_FLAG}: error while parsing file: error while loading file: {text}") from exc
    if not content:
        text = f"encryption provider configuration file {quote(str(path))} is empty"
        raise ConfigError(f"{_FLAG}: error while parsing file: error while loading file: {text}")
    return content


def owners(registry: Registry) -> Owners:
    """Of a kind that several groups serve, the group in which it is stored counts."""
    return Owners(
        {
            resource.storage_prefix: (
                GroupVersion.parse(resource.storage_version).group,
                resource.gvr.resource,
            )
            for resource in registry.resources
        }
    )
