"""`--initial-cluster` and its kin, checked as etcd checks them before it restores."""

from __future__ import annotations


def names_of(name: str, initial_cluster: str, peer_urls: str) -> set[str]:
    """The names of a new cluster in which this member has these URLs. Raises `ValueError`."""
    cluster = urls_by_name(initial_cluster)
    if name not in cluster:
        known = ", ".join(sorted(cluster))
        raise ValueError(f"--name {name} is not in --initial-cluster, which has {known}")
    if cluster[name] != set(_split(peer_urls)):
        wanted = ",".join(sorted(cluster[name]))
        raise ValueError(
            f"--initial-cluster has {name}={wanted} but --initial-advertise-peer-urls is {peer_urls}: make them agree"
        )
    return set(cluster)


def urls_by_name(initial_cluster: str) -> dict[str, set[str]]:
    """ "a=http://x,b=http://y,a=http://z", where a name may come more than once."""
    found: dict[str, set[str]] = {}
    for part in _split(initial_cluster):
        name, equals, url = part.partition("=")
        if not equals or not name or "://" not in url:
            raise ValueError(f"--initial-cluster: {part!r} is not NAME=URL")
        found.setdefault(name, set()).add(url.rstrip("/"))
    return found


def _split(text: str) -> list[str]:
    return [part.strip().rstrip("/") for part in text.split(",") if part.strip()]
