"""(P) How versions are converted: ``spec.conversion``, the original's names for its parts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, not_supported, required

Object = Mapping[str, Any]
_PATH: Final = Path("spec").child("conversion")
_CLIENT: Final = _PATH.child("webhookClientConfig")
_REVIEWS: Final = _PATH.child("conversionReviewVersions")
_STRATEGIES: Final = ("None", "Webhook")
_KNOWN_REVIEWS: Final = ("v1", "v1beta1")


def validate_conversion(conversion: Object | None, old: Object | None, established: bool) -> list[FieldError]:
    if conversion is None:
        return []
    strategy, webhook = conversion.get("strategy") or "", conversion.get("webhook") or {}
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    found: list[FieldError] = []
    if not strategy:
        found.append(required(_PATH.child("strategy")))
    elif strategy not in _STRATEGIES:
        found.append(not_supported(_PATH.child("strategy"), strategy, _STRATEGIES))
    if strategy == "Webhook":
        lenient = not established or bool(_bad_bundle(_bundle(old)))
        return found + _client(client, lenient) + _review_versions(reviews, old)
    unset = "should not be set when strategy is not set to Webhook"
    found += [forbidden(_CLIENT, unset)] if client is not None else []
    return found + ([forbidden(_REVIEWS, unset)] if reviews else [])


def _bundle(conversion: Object | None) -> str:
    return str((((conversion or {}).get("webhook") or {}).get("clientConfig") or {}).get("caBundle") or "")


def _client(client: Object | None, lenient: bool) -> list[FieldError]:
    """``lenient``: a bundle that cannot be read is left for later."""
    if client is None:
        return [required(_CLIENT, "required when strategy is set to Webhook")]
    url, service = client.get("url"), client.get("service")
    found: list[FieldError] = []
    if (url is None) == (service is None):
        found.append(required(_CLIENT, "exactly one of url or service is required"))
    elif url is not None:
        found += _url(url, _CLIENT.child("url"))
    elif service is not None:
        found += _service(service, _CLIENT.child("service"))
    bundle = client.get("caBundle") or ""
    if bundle and not lenient and _bad_bundle(bundle):
        text = f"unable to load root certificates: {_bad_bundle(bundle)}"
        found.append(invalid(_CLIENT.child("caBundle"), bundle, text))
    return found


def _bad_bundle(bundle: str) -> str:
    """Why certificates cannot be read from it, empty if they can."""
    if not bundle:
        return ""
    try:
        x509.load_pem_x509_certificates(base64.b64decode(bundle))
    except (ValueError, binascii.Error):
        return "unable to parse bytes as PEM block"
    return ""


def _url(text: str, path: Path) -> list[FieldError]:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(text)
    except ValueError as exc:
        return [required(path, f"url must be a valid URL: {exc}{form}")]
    found = []
    if parts.scheme != "https":
        found.append(invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{form}"))
    if not parts.netloc:
        found.append(invalid(path, parts.netloc, f"host must be specified{form}"))
    if parts.username is not None:
        found.append(invalid(path, parts.username, "user information is not permitted in the URL"))
    if parts.fragment:
        found.append(invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        found.append(invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return found


def _service(service: Object, path: Path) -> list[FieldError]:
    found = []
    if not service.get("name"):
        found.append(required(path.child("name"), "service name is required"))
    if not service.get("namespace"):
        found.append(required(path.child("namespace"), "service namespace is required"))
    port = service.get("port") or 443
    if not 1 <= port <= 65535:
        text = f"port is not valid: {'; '.join(names.check_port_number(port))}"
        found.append(invalid(path.child("port"), port, text))
    where = service.get("path")
    if where and not where.startswith("/"):
        found.append(invalid(path.child("path"), where, "must start with a '/'"))
    return found


def _review_versions(versions: list[str], old: Object | None) -> list[FieldError]:
    if not versions:
        return [required(_REVIEWS)]
    found = []
    for at, version in enumerate(versions):
        if version in versions[:at]:
            found.append(invalid(_REVIEWS.index(at), version, "duplicate version"))
            continue
        texts = names.check_dns1035_label(version)
        found += [invalid(_REVIEWS.index(at), version, text) for text in texts]
    before = ((old or {}).get("webhook") or {}).get("conversionReviewVersions") or []
    recognised = not before or any(version in _KNOWN_REVIEWS for version in before)
    if recognised and not any(version in _KNOWN_REVIEWS for version in versions):
        text = f"must include at least one of {', '.join(_KNOWN_REVIEWS)}"
        found.append(invalid(_REVIEWS, versions, text))
    return found
