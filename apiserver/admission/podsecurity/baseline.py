"""(P) The checks of the level ``baseline``: known ways from a pod to its node. Words are the original's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apiserver.admission.podsecurity.check import (
    Check,
    Violation,
    containers,
    inner,
    listed,
    names_where,
    plural,
    quoted,
    relaxed,
    setters,
)
from apiserver.api.meta import Object

_CAPABILITIES: Final = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SELINUX_TYPES: Final = frozenset({"container_t", "container_init_t", "container_kvm_t"})
_SYSCTLS: Final = (
    # each pair: the minor version from which on these are safe
    (0, ("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies")),
    (0, ("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start")),
    (27, ("net.ipv4.ip_local_reserved_ports",)),
    (29, ("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout")),
    (29, ("net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes")),
    (32, ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")),
)
_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER: Final = "container.seccomp.security.alpha.kubernetes.io/"
_OF_RUNTIME: Final = ("RuntimeDefault", "Localhost")
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")


def app_armor(metadata: Object, spec: Object, minor: int) -> Violation | None:
    profile = ("appArmorProfile", "type")
    holders = [spec, *containers(spec)]
    bad = {kind for holder in holders if (kind := inner(holder, *profile)) not in (None, *_OF_RUNTIME)}
    notes = sorted(
        f'{key}="{value}"'
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(_APP_ARMOR)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    values = [*sorted(bad), *notes]
    if not values:
        return None
    names = names_where(spec, lambda c: inner(c, *profile) in bad)
    who = [part for part in (setters(inner(spec, *profile) in bad, names),) if part]
    who += [plural("annotation", notes)] if notes else []
    return Violation(
        plural("forbidden AppArmor profile", values),
        f"{' and '.join(who)} must not set AppArmor profile type to {quoted(values)}",
    )


def capabilities(metadata: Object, spec: Object, minor: int) -> Violation | None:
    added = {c["name"]: set(inner(c, "capabilities", "add") or ()) - _CAPABILITIES for c in containers(spec)}
    names = [name for name, bad in added.items() if bad]
    if not names:
        return None
    bad = sorted(set().union(*added.values()))
    return Violation(
        "non-default capabilities",
        f"{listed(names)} must not include {quoted(bad)} in securityContext.capabilities.add",
    )


def host_namespaces(metadata: Object, spec: Object, minor: int) -> Violation | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def host_path(metadata: Object, spec: Object, minor: int) -> Violation | None:
    names = [v["name"] for v in spec.get("volumes") or () if v.get("hostPath") is not None]
    return Violation("hostPath volumes", f"{plural('volume', names)} {quoted(names)}") if names else None


def host_ports(metadata: Object, spec: Object, minor: int) -> Violation | None:
    used = {
        c["name"]: [p["hostPort"] for p in c.get("ports") or () if p.get("hostPort")]
        for c in containers(spec)
    }
    names = [name for name, ports in used.items() if ports]
    if not names:
        return None
    ports = sorted({str(port) for found in used.values() for port in found})
    verb = "uses" if len(names) == 1 else "use"
    return Violation("hostPort", f"{listed(names)} {verb} {plural('hostPort', ports)} {', '.join(ports)}")


def host_probes(metadata: Object, spec: Object, minor: int) -> Violation | None:
    used = {c["name"]: set(_hosts(c)) for c in containers(spec)}
    names = sorted(name for name, hosts in used.items() if hosts)
    if not names:
        return None
    hosts = sorted(set().union(*used.values()))
    verb = "uses" if len(names) == 1 else "use"
    what = plural("probe or lifecycle host", hosts)
    return Violation("probe or lifecycle host", f"{listed(names)} {verb} {what} {quoted(hosts)}")


def _hosts(container: Object) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(probe) for probe in _PROBES]
    handlers += [lifecycle.get("postStart"), lifecycle.get("preStop")]
    for handler in handlers:
        for kind in ("httpGet", "tcpSocket"):
            host = ((handler or {}).get(kind) or {}).get("host")
            if host:
                yield host


def privileged(metadata: Object, spec: Object, minor: int) -> Violation | None:
    names = names_where(spec, lambda c: bool(inner(c, "privileged")))
    return (
        Violation("privileged", f"{listed(names)} must not set securityContext.privileged=true")
        if names
        else None
    )


def proc_mount(metadata: Object, spec: Object, minor: int) -> Violation | None:
    names = names_where(spec, lambda c: inner(c, "procMount") not in (None, "Default"))
    if not names or relaxed(spec, minor):
        return None
    bad = sorted({kind for c in containers(spec) if (kind := inner(c, "procMount")) not in (None, "Default")})
    return Violation("procMount", f"{listed(names)} must not set securityContext.procMount to {quoted(bad)}")


def selinux(metadata: Object, spec: Object, minor: int) -> Violation | None:
    allowed = {"", None, *_SELINUX_TYPES, *(("container_engine_t",) if minor >= 31 else ())}

    def bad(holder: Object) -> bool:
        chosen = inner(holder, "seLinuxOptions") or {}
        return chosen.get("type") not in allowed or bool(chosen.get("user") or chosen.get("role"))

    names = names_where(spec, bad)
    if not names and not bad(spec):
        return None
    chosen = [inner(holder, "seLinuxOptions") or {} for holder in (spec, *containers(spec))]
    types = sorted({options["type"] for options in chosen if options.get("type") not in allowed})
    data = [f"{plural('type', types)} {quoted(types)}"] if types else []
    data += [f"{part} may not be set" for part in ("user", "role") if any(o.get(part) for o in chosen)]
    who = setters(bad(spec), names)
    return Violation(
        "seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    )


def seccomp(metadata: Object, spec: Object, minor: int) -> Violation | None:
    return explicit_seccomp(spec) if minor >= 19 else _annotated_seccomp(metadata, spec)


def explicit_seccomp(spec: Object) -> Violation | None:
    profile = ("seccompProfile", "type")
    bad = {
        kind for h in (spec, *containers(spec)) if (kind := inner(h, *profile)) not in (None, *_OF_RUNTIME)
    }
    if not bad:
        return None
    who = setters(inner(spec, *profile) in bad, names_where(spec, lambda c: inner(c, *profile) in bad))
    text = f"{who} must not set securityContext.seccompProfile.type to {quoted(sorted(bad))}"
    return Violation("seccompProfile", text)


def _annotated_seccomp(metadata: Object, spec: Object) -> Violation | None:
    notes = metadata.get("annotations") or {}
    keys = [_SECCOMP_POD, *(_SECCOMP_CONTAINER + c["name"] for c in containers(spec))]
    bad = sorted(
        f'{key}="{notes[key]}"'
        for key in keys
        if key in notes
        and notes[key] not in ("runtime/default", "docker/default")
        and not notes[key].startswith("localhost/")
    )
    return (
        Violation("seccompProfile", f"forbidden {plural('annotation', bad)} {', '.join(bad)}")
        if bad
        else None
    )


def sysctls(metadata: Object, spec: Object, minor: int) -> Violation | None:
    allowed = {name for since, names in _SYSCTLS if since <= minor for name in names}
    bad = [item["name"] for item in inner(spec, "sysctls") or () if item["name"] not in allowed]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def windows_host_process(metadata: Object, spec: Object, minor: int) -> Violation | None:
    def bad(holder: Object) -> bool:
        return bool(inner(holder, "windowsOptions", "hostProcess"))

    names = names_where(spec, bad)
    if not names and not bad(spec):
        return None
    who = setters(bad(spec), names)
    return Violation("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true")


BASELINE: Final = (
    Check("appArmorProfile", app_armor),
    Check("capabilities_baseline", capabilities),
    Check("hostNamespaces", host_namespaces),
    Check("hostPathVolumes", host_path),
    Check("hostPorts", host_ports),
    Check("hostProbesAndHostLifecycle", host_probes, since=34),
    Check("privileged", privileged),
    Check("procMount", proc_mount),
    Check("seLinuxOptions", selinux),
    Check("seccompProfile_baseline", seccomp),
    Check("sysctls", sysctls),
    Check("windowsHostProcess", windows_host_process),
)
