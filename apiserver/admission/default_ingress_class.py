"""DefaultIngressClass: an Ingress that names no class gets the default one."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, Attributes, Plugin, Reader
from apiserver.api import meta
from apiserver.api.gvk import GroupVersionResource

INGRESS_CLASSES = GroupVersionResource("networking.k8s.io", "v1", "ingressclasses")
IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    """Of several defaults the newest wins, then the first by name."""

    name = "DefaultIngressClass"
    changes = {"ingresses": ("spec/ingressClassName",)}

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        ingress = attributes.obj
        if ingress is None or not attributes.is_on("networking.k8s.io", "ingresses", CREATE):
            return
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or CLASS_ANNOTATION in meta.annotations(ingress):
            return
        classes = sorted(await reader.list(INGRESS_CLASSES), key=meta.name)
        defaults = [c for c in classes if meta.annotations(c).get(IS_DEFAULT) == "true"]
        if defaults:
            latest = max(defaults, key=lambda c: str(meta.metadata(c).get("creationTimestamp", "")))
            spec["ingressClassName"] = meta.name(latest)
