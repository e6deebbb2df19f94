"""A service that has nobody to send requests to."""

from __future__ import annotations

from apiserver.api import meta
from apiserver.api.pods import is_pod_ready
from components.insight.situation import Fact, Finding, Situation


def find(situation: Situation) -> list[Finding]:
    if not situation.is_a("Service") or situation.spec.get("type") == "ExternalName":
        return []
    ready = sum(
        len(endpoint.get("addresses") or [])
        for part in situation.of("EndpointSlice")
        for endpoint in part.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
    )
    if ready:
        plural = "endpoints" if ready > 1 else "endpoint"
        fact = Fact(f"{ready} {plural} in {len(situation.of('EndpointSlice'))} slices.", "EndpointSlices")
        return [Finding([fact], f"{situation.title} is well: it has {ready} ready {plural}.", 25)]
    return [_nobody(situation)]


def _nobody(situation: Situation) -> Finding:
    selector = situation.spec.get("selector") or {}
    if not selector:
        text = f"{situation.title} has no endpoints: it has no selector, so somebody must write its EndpointSlices."
        return Finding([Fact("spec.selector is empty.", "spec.selector")], text, 60)
    shown = ",".join(f"{key}={value}" for key, value in selector.items())
    pods = [pod for pod in situation.of("Pod") if selector.items() <= meta.labels(pod).items()]
    if not pods:
        text = f"{situation.title} has no endpoints: no pod in {situation.namespace} has the labels {shown}."
        remedy = "Correct the selector or the pods' labels, or start the pods."
        return Finding([Fact("No pod is selected.", "spec.selector", None, remedy)], text, 62)
    unready = [pod for pod in pods if not is_pod_ready(pod)]
    if unready:
        names = ", ".join(meta.name(pod) for pod in unready[:5])
        text = f"{situation.title} has no endpoints: of {len(pods)} pods that it selects none is ready."
        remedy = f"kuberaft why pod/{meta.name(unready[0])} -n {situation.namespace}"
        return Finding([Fact(f"Not ready: {names}.", "condition Ready of the pods", None, remedy)], text, 62)
    text = f"{situation.title} has no endpoints yet, though {len(pods)} pods are ready."
    return Finding([Fact("The endpoint slice controller has not written them.", "EndpointSlices")], text, 58)
