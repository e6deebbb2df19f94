"""One good object of every kind that is stored, with little more than what is needed. Bodies as a client sends them."""

from __future__ import annotations

import base64
import functools
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml

from apiserver.api.gvk import GroupVersion
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry, Resource
from apiserver.schema.schemas import Schemas

Object = dict[str, Any]
REGISTRY: Final = Registry.default(RegistryOptions())
_TEMPLATE: Final = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "x"}]},
}
_JOB: Final = {
    "template": {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]},
    }
}
_WORKLOAD: Final = {"selector": {"matchLabels": {"a": "b"}}, "template": _TEMPLATE}
_ROLE_REF: Final = {"kind": "ClusterRole", "name": "r"}
_RULE: Final = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
_HOOK: Final = {
    "name": "a.example.com",
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "clientConfig": {"service": {"name": "s", "namespace": "n"}},
    "rules": [_RULE],
}
_REQUEST: Final = {"name": "r", "exactly": {"deviceClassName": "class"}}
_CLAIM: Final = {"devices": {"requests": [_REQUEST]}}


@functools.cache
def _signing_request() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


BODIES: Final[dict[str, Object]] = {
    "v1/ConfigMap": {"data": {"a": "b"}},
    "v1/Endpoints": {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    "v1/Event": {"involvedObject": {"namespace": "n", "kind": "Pod", "name": "p"}},
    "v1/LimitRange": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}},
    "v1/Namespace": {},
    "v1/Node": {"status": {"capacity": {"cpu": "1"}}},
    "v1/PersistentVolumeClaim": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "v1/PersistentVolume": {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2015-02.example.com:a", "lun": 0},
        }
    },
    "v1/Pod": {"spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]}},
    "v1/PodTemplate": {"template": _TEMPLATE},
    "v1/ReplicationController": {"spec": {"template": _TEMPLATE}},
    "v1/ResourceQuota": {"spec": {"hard": {"pods": "1"}}},
    "v1/Secret": {"stringData": {"a": "b"}},
    "v1/ServiceAccount": {"secrets": [{"name": "s", "namespace": "other"}]},
    "v1/Service": {"spec": {"ports": [{"port": 80}]}},
    "apiregistration.k8s.io/v1/APIService": {
        "metadata": {"name": "v1.example.com"},
        "spec": {
            "group": "example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "service": {"namespace": "n", "name": "s"},
        },
    },
    "apps/v1/ControllerRevision": {"data": {"a": 1}, "revision": 1},
    "apps/v1/DaemonSet": {"spec": _WORKLOAD},
    "apps/v1/Deployment": {"spec": _WORKLOAD},
    "apps/v1/ReplicaSet": {"spec": _WORKLOAD},
    "apps/v1/StatefulSet": {"spec": {**_WORKLOAD, "serviceName": "s"}},
    "events.k8s.io/v1/Event": {
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "type": "Normal",
        "reason": "R",
        "action": "A",
        "reportingController": "example.com/c",
        "reportingInstance": "i",
        "regarding": {"namespace": "n", "kind": "Pod", "name": "p"},
    },
    "autoscaling/v2/HorizontalPodAutoscaler": {
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
            "behavior": {"scaleUp": {}},
        }
    },
    "autoscaling/v1/HorizontalPodAutoscaler": {
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        }
    },
    "batch/v1/CronJob": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": _JOB}}},
    "batch/v1/Job": {"spec": _JOB},
    "certificates.k8s.io/v1/CertificateSigningRequest": {
        "spec": {"signerName": "example.com/s", "usages": ["client auth"]}
    },
    "networking.k8s.io/v1/IngressClass": {
        "spec": {"controller": "example.com/c", "parameters": {"kind": "K", "name": "p"}}
    },
    "networking.k8s.io/v1/Ingress": {
        "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
    },
    "networking.k8s.io/v1/IPAddress": {
        "metadata": {"name": "10.0.0.1"},
        "spec": {"parentRef": {"resource": "services", "name": "s", "namespace": "n"}},
    },
    "networking.k8s.io/v1/NetworkPolicy": {
        "spec": {"ingress": [{"ports": [{"port": 80}]}], "egress": [{"to": [{"podSelector": {}}]}]}
    },
    "networking.k8s.io/v1/ServiceCIDR": {"spec": {"cidrs": ["10.0.0.0/16"]}},
    "policy/v1/PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}},
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": {
        "roleRef": _ROLE_REF,
        "subjects": [{"kind": "Group", "name": "g"}],
    },
    "rbac.authorization.k8s.io/v1/ClusterRole": {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]},
    "rbac.authorization.k8s.io/v1/RoleBinding": {
        "roleRef": _ROLE_REF,
        "subjects": [{"kind": "ServiceAccount", "name": "s"}],
    },
    "rbac.authorization.k8s.io/v1/Role": {
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    },
    "storage.k8s.io/v1/CSIDriver": {"spec": {}},
    "storage.k8s.io/v1/CSINode": {
        "spec": {"drivers": [{"name": "d.example.com", "nodeID": "i", "topologyKeys": ["a"]}]}
    },
    "storage.k8s.io/v1/CSIStorageCapacity": {"storageClassName": "c", "capacity": "1Gi"},
    "storage.k8s.io/v1/StorageClass": {"provisioner": "example.com/p", "parameters": {"a": "b"}},
    "storage.k8s.io/v1/VolumeAttachment": {
        "spec": {"attacher": "d.example.com", "nodeName": "n", "source": {"persistentVolumeName": "p"}}
    },
    "storage.k8s.io/v1/VolumeAttributesClass": {"driverName": "d.example.com", "parameters": {"a": "b"}},
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy": {
        "spec": {
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [_RULE]},
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}],
        }
    },
    "admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding": {
        "spec": {"policyName": "p", "matchResources": {}}
    },
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": {"webhooks": [_HOOK]},
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": {
        "spec": {
            "matchConstraints": {"resourceRules": [_RULE]},
            "validations": [{"expression": "true"}],
        }
    },
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": {
        "spec": {"policyName": "p", "validationActions": ["Deny"]}
    },
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": {"webhooks": [_HOOK]},
    "scheduling.k8s.io/v1/PriorityClass": {"value": 5},
    "coordination.k8s.io/v1/Lease": {"spec": {"leaseDurationSeconds": 10}},
    "node.k8s.io/v1/RuntimeClass": {"handler": "h"},
    "discovery.k8s.io/v1/EndpointSlice": {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}],
        "ports": [{"port": 80}],
    },
    "resource.k8s.io/v1/DeviceClass": {"spec": {"selectors": [{"cel": {"expression": "true"}}]}},
    "resource.k8s.io/v1/ResourceClaim": {"spec": _CLAIM},
    "resource.k8s.io/v1/ResourceClaimTemplate": {"spec": {"spec": _CLAIM}},
    "resource.k8s.io/v1/ResourceSlice": {
        "spec": {
            "driver": "d.example.com",
            "nodeName": "n",
            "pool": {"name": "p", "resourceSliceCount": 1, "generation": 1},
            "devices": [{"name": "d", "attributes": {"a": {"string": "x"}}}],
        }
    },
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": {
        "spec": {
            "priorityLevelConfiguration": {"name": "p"},
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "u"}}],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["/x"]}],
                }
            ],
        }
    },
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": {
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}
    },
}


def resource_of(key: str) -> Resource:
    """``key``: group/version/Kind, or v1/Kind."""
    group_version, _, kind = key.rpartition("/")
    parsed = GroupVersion.parse(group_version)
    found = [
        r
        for r in REGISTRY.resources
        if (r.gvk.group, r.gvk.version, r.gvk.kind) == (parsed.group, parsed.version, kind)
    ]
    return found[0]


@functools.cache
def schemas() -> Schemas:
    return Schemas.load()


def fresh(key: str) -> Object:
    """The good object of a kind, decoded and defaulted as a create does it, before validation."""
    resource, body = resource_of(key), deepcopy(BODIES[key])
    if key.endswith("/CertificateSigningRequest"):
        body["spec"]["request"] = _signing_request()
    metadata = {"name": "t", "uid": "u-1", **({"namespace": "n"} if resource.namespaced else {})}
    body["metadata"] = {**metadata, **body.get("metadata", {})}
    obj, complaints = schemas().check(resource.gvk, body)
    assert complaints == []
    obj["kind"], obj["apiVersion"] = resource.gvk.kind, resource.gvk.group_version
    resource.strategy.default(obj)
    resource.strategy.prepare_for_create(obj)
    return obj


def put(obj: Object, path: str, value: Any) -> None:
    """Set what is at ``spec.rules.0.host``; None removes it."""
    *way, last = path.split(".")
    current: Any = obj
    for step in way:
        current = current[int(step)] if isinstance(current, list) else current.setdefault(step, {})
    if isinstance(current, list):
        current[int(last)] = value
    elif value is None:
        current.pop(last, None)
    else:
        current[last] = value


def changed(key: str, changes: Object) -> Object:
    """The good object of the kind with other values at some places."""
    obj = fresh(key)
    for path, value in changes.items():
        put(obj, path, value)
    return obj


def table(name: str) -> list[Object]:
    """The rows of a file beside this one."""
    rows: list[Object] = yaml.safe_load(Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8"))
    return rows


def at(obj: Object, path: str) -> Any:
    current: Any = obj
    for step in path.split("."):
        current = current[int(step)] if isinstance(current, list) else current[step]
    return current
