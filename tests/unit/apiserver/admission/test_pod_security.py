"""Pod Security Standards: each check by level and version, in the original's words, and what namespaces are told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apiserver.admission.interface import CREATE, UPDATE
from apiserver.admission.podsecurity.plugin import PodSecurity, PodSecurityOptions
from apiserver.admission.podsecurity.policy import LATEST, Policy, Standard, detail, policy_of, violations
from apiserver.api.errors import StatusError
from apiserver.api.meta import Object
from apiserver.auth.user import User
from tests.unit.apiserver.admission.test_node_restriction import write
from tests.unit.apiserver.admission.test_plugins import FakeReader

HARD: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
ROOTLESS: Object = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def spec(container: Object | None = None, **more: Any) -> Object:
    return {"containers": [{"name": "c", "image": "x", **(container or {})}], **more}


def secured(context: Object, **more: Any) -> Object:
    return spec({"securityContext": context}, **more)


def found(level: str, pod: Object, minor: int = LATEST, **metadata: Any) -> str:
    return detail(violations(Standard(level, minor), metadata, pod))


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (spec(), ""),
        (spec(hostNetwork=True, hostIPC=True), "host namespaces (hostNetwork=true, hostIPC=true)"),
        (spec(volumes=[{"name": "v", "hostPath": {}}]), 'hostPath volumes (volume "v")'),
        (spec({"ports": [{"hostPort": 80}, {"hostPort": 8080}]}), 'hostPort (container "c" uses hostPorts 80, 8080)'),
        (secured({"privileged": True}), 'privileged (container "c" must not set securityContext.privileged=true)'),
        (secured({"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}), 'non-default capabilities (container "c" must not '
         'include "NET_ADMIN" in securityContext.capabilities.add)'),
        (secured({"procMount": "Unmasked"}),
         'procMount (container "c" must not set securityContext.procMount to "Unmasked")'),
        (secured({"seLinuxOptions": {"type": "spc_t", "user": "u"}}, securityContext={"seLinuxOptions": {"role": "r"}}),
         'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: type "spc_t"; '
         "user may not be set; role may not be set)"),
        (spec(securityContext={"seccompProfile": {"type": "Unconfined"}}),
         'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'),
        (spec(securityContext={"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}),
         "forbidden sysctls (kernel.msgmax)"),
        (secured({"windowsOptions": {"hostProcess": True}}),
         'hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true)'),
        (secured({"appArmorProfile": {"type": "Unconfined"}}),
         'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")'),
        (spec({"livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}),
         'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")'),
        ({"containers": [{"name": n, "securityContext": {"privileged": True}} for n in "ab"]},
         'privileged (containers "a", "b" must not set securityContext.privileged=true)'),
    ],
)  # fmt: skip
def test_baseline(pod: Object, text: str) -> None:
    assert found("baseline", pod) == text
    assert found("privileged", pod) == ""


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (secured({**HARD, **ROOTLESS}), ""),
        (secured(HARD, securityContext=ROOTLESS), ""),
        (spec(),
         'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
         'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
         'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
         'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
         '"Localhost")'),
        (secured({**HARD, **ROOTLESS, "runAsNonRoot": False, "runAsUser": 0}),
         'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false), '
         'runAsUser=0 (container "c" must not set runAsUser=0)'),
        (secured({**HARD, **ROOTLESS, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "CHOWN"]}}),
         'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add)'),
        (secured({**HARD, **ROOTLESS}, volumes=[{"name": "v", "hostPath": {}}, {"name": "w", "emptyDir": {}}]),
         'restricted volume types (volume "v" uses restricted volume type "hostPath")'),
        (secured({**HARD, **ROOTLESS}, hostPID=True), "host namespaces (hostPID=true)"),
    ],
)  # fmt: skip
def test_restricted(pod: Object, text: str) -> None:
    assert found("restricted", pod) == text


def test_versions_have_the_checks_of_their_time() -> None:
    assert "capabilities" not in found("restricted", spec(), 21)
    assert "seccompProfile" not in found("restricted", spec(), 18)
    old = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    assert found("baseline", spec(), 18, annotations=old) == (
        'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    )
    rmem = spec(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]})
    assert (found("baseline", rmem, 31), found("baseline", rmem, 32)) == (
        "forbidden sysctls (net.ipv4.tcp_rmem)",
        "",
    )
    probe = spec({"livenessProbe": {"tcpSocket": {"host": "h"}}})
    assert (found("baseline", probe, 33), found("baseline", probe, 34) != "") == ("", True)
    root = secured({**HARD, "seccompProfile": {"type": "Localhost"}, "runAsUser": 0}, hostUsers=False)
    assert (found("restricted", root, 34) != "", found("restricted", root)) == (True, "")
    windows = secured(ROOTLESS, os={"name": "windows"})
    assert (found("restricted", windows, 24) != "", found("restricted", windows)) == (True, "")


def labels(**values: str) -> dict[str, str]:
    return {f"pod-security.kubernetes.io/{key.replace('_', '-')}": value for key, value in values.items()}


def test_labels() -> None:
    policy, faults = policy_of(
        labels(enforce="baseline", enforce_version="v1.30", warn="restricted"), Policy()
    )
    assert [str(policy.enforce), str(policy.warn), str(policy.audit)] == [
        "baseline:v1.30",
        "restricted:latest",
        "privileged:latest",
    ]
    assert faults == []
    policy, faults = policy_of(labels(enforce="x", warn="y", audit_version="1"), Policy())
    assert (str(policy.enforce), str(policy.warn)) == ("restricted:latest", "privileged:latest")
    assert len(faults) == 3


def namespace(**values: str) -> Object:
    return {"metadata": {"name": "ns", "labels": labels(**values)}}


def run(attributes: Any, options: PodSecurityOptions | None = None, **objects: list[Object]) -> list[str]:
    """The warnings."""
    warned: list[str] = []
    attributes.warn = warned.append
    plugin = PodSecurity(options or PodSecurityOptions())
    asyncio.run(plugin.validate(attributes, FakeReader(**objects)))
    return warned


ROOT = {"metadata": {"name": "p", "namespace": "ns"}, "spec": secured({"privileged": True})}


def test_pods_are_refused_or_warned_of_as_their_namespace_says() -> None:
    with pytest.raises(StatusError) as info:
        run(
            write(CREATE, "pods", ROOT, user=User("a")),
            namespaces=[namespace(enforce="baseline", warn="restricted")],
        )
    assert info.value.message == (
        'pods "p" is forbidden: violates PodSecurity "baseline:latest": '
        'privileged (container "c" must not set securityContext.privileged=true)'
    )
    warned = run(write(CREATE, "pods", ROOT, user=User("a")), namespaces=[namespace(warn="baseline")])
    assert warned[0].startswith('would violate PodSecurity "baseline:latest": privileged')
    assert run(write(CREATE, "pods", ROOT, user=User("a")), namespaces=[namespace()]) == []


def test_templates_are_warned_of_and_never_refused() -> None:
    deployment = {"metadata": {"name": "d"}, "spec": {"template": {"metadata": {}, "spec": ROOT["spec"]}}}
    attributes = write(CREATE, "deployments", deployment, group="apps", user=User("a"))
    strict = namespace(enforce="baseline", warn="baseline")
    assert len(run(attributes, namespaces=[strict])) == 1
    cron = {"metadata": {"name": "d"}, "spec": {"jobTemplate": {"spec": deployment["spec"]}}}
    assert len(run(write(CREATE, "cronjobs", cron, group="batch"), namespaces=[strict])) == 1


def test_an_update_that_changes_no_container_is_let_through() -> None:
    strict = [namespace(enforce="baseline")]
    labelled = {**ROOT, "metadata": {**ROOT["metadata"], "labels": {"a": "b"}}}
    assert run(write(UPDATE, "pods", labelled, ROOT, user=User("a")), namespaces=strict) == []
    more = {**ROOT["spec"], "ephemeralContainers": [{"name": "debug", "image": "y"}]}
    update = write(UPDATE, "pods/ephemeralcontainers", {**ROOT, "spec": more}, ROOT, user=User("a"))
    with pytest.raises(StatusError):
        run(update, namespaces=strict)


def noted(attributes: Any) -> dict[str, str]:
    """What goes to the audit log."""
    found: dict[str, str] = {}
    attributes.annotate = lambda key, value: found.setdefault(
        key.removeprefix("pod-security.kubernetes.io/"), value
    )
    return found


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (PodSecurityOptions(usernames=frozenset({"a"})), "user"),
        (PodSecurityOptions(namespaces=frozenset({"ns"})), "namespace"),
        (PodSecurityOptions(runtime_classes=frozenset({"sandbox"})), "runtimeClass"),
    ],
)
def test_exemptions(options: PodSecurityOptions, why: str) -> None:
    pod = {**ROOT, "spec": {**ROOT["spec"], "runtimeClassName": "sandbox"}}
    attributes = write(CREATE, "pods", pod, user=User("a"))
    audited = noted(attributes)
    assert run(attributes, options, namespaces=[namespace(enforce="restricted")]) == []
    assert audited == {"exempt": why}


def test_the_audit_log_is_told_of_what_was_enforced_and_of_what_would_be_violated() -> None:
    attributes = write(CREATE, "pods", ROOT, user=User("a"))
    audited = noted(attributes)
    assert run(attributes, namespaces=[namespace(audit="baseline")]) == []
    assert audited == {
        "enforce-policy": "privileged:latest",
        "audit-violations": 'would violate PodSecurity "baseline:latest": privileged (container "c" must not set '
        "securityContext.privileged=true)",
    }
    deployment = {"metadata": {"name": "d"}, "spec": {"template": {"metadata": {}, "spec": ROOT["spec"]}}}
    attributes = write(CREATE, "deployments", deployment, group="apps", user=User("a"))
    audited = noted(attributes)
    run(attributes, namespaces=[namespace(enforce="restricted", audit="baseline")])
    assert list(audited) == ["audit-violations"]


def test_a_stricter_namespace_is_told_of_its_pods() -> None:
    pods = [{**ROOT, "metadata": {"name": name, "namespace": "ns"}} for name in "ab"]
    host = {"metadata": {"name": "c", "namespace": "ns"}, "spec": spec(hostNetwork=True)}
    update = write(UPDATE, "namespaces", namespace(enforce="baseline"), namespace())
    assert run(update, pods=[*pods, host]) == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 1 other pod): privileged",
        "c: host namespaces",
    ]
    relaxed = write(UPDATE, "namespaces", namespace(enforce="baseline"), namespace(enforce="restricted"))
    assert run(relaxed, pods=pods) == []


def test_labels_that_mean_nothing_are_refused_once() -> None:
    with pytest.raises(StatusError) as info:
        run(write(CREATE, "namespaces", namespace(enforce="strict")))
    assert info.value.code == 422
    assert (
        'metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict"' in info.value.message
    )
    assert run(write(UPDATE, "namespaces", namespace(enforce="strict"), namespace(enforce="strict"))) == []
