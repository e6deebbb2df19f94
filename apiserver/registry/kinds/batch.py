"""Jobs and CronJobs: generated selectors, back-off defaults."""

from __future__ import annotations

from typing import Final

from apiserver.api import meta
from apiserver.registry.kinds.pod_spec import default_template
from apiserver.registry.strategy import Object, Strategy, fill

CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
JOB_NAME: Final = "batch.kubernetes.io/job-name"
_NO_LIMIT: Final = 2**31 - 1


class JobStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("completions") is None and spec.get("parallelism") is None:
            spec["completions"] = spec["parallelism"] = 1
        failures = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
        fill(
            spec,
            parallelism=1,
            backoffLimit=6 if spec.get("backoffLimitPerIndex") is None else _NO_LIMIT,
            completionMode="NonIndexed",
            suspend=False,
            manualSelector=False,
            podReplacementPolicy=failures,
        )
        self._default_labels(obj)
        for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
            for pattern in rule.get("onPodConditions") or ():
                fill(pattern, status="True")
        default_template(spec.setdefault("template", {}))

    def _default_labels(self, obj: Object) -> None:
        labels = meta.labels(obj["spec"].get("template") or {})
        if labels and not meta.labels(obj):
            obj["metadata"]["labels"] = dict(labels)

    def prepare_for_create(self, obj: Object) -> None:
        super().prepare_for_create(obj)
        if not obj["spec"].get("manualSelector"):
            self._generate_selector(obj)
        # Reading a stored job applies its defaults again, which by then see the generated labels.
        self._default_labels(obj)

    def _generate_selector(self, obj: Object) -> None:
        """The job's pods are told by its uid, so that no two jobs ever share pods."""
        uid, name = meta.uid(obj), meta.name(obj)
        labels = obj["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
        for key, value in {
            "job-name": name,
            JOB_NAME: name,
            "controller-uid": uid,
            CONTROLLER_UID: uid,
        }.items():
            labels.setdefault(key, value)
        selector = obj["spec"].setdefault("selector", {})
        selector.setdefault("matchLabels", {}).setdefault(CONTROLLER_UID, uid)

    def select_fields(self, obj: Object) -> dict[str, str]:
        successful = (obj.get("status") or {}).get("succeeded", 0)
        return {**super().select_fields(obj), "status.successful": str(successful)}


class CronJobStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        fill(
            spec,
            concurrencyPolicy="Allow",
            suspend=False,
            successfulJobsHistoryLimit=3,
            failedJobsHistoryLimit=1,
        )
        template = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
        default_template(template.setdefault("template", {}))
