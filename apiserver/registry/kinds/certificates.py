"""Certificate signing requests: what is asked for never changes; who asks is the server's to say."""

from __future__ import annotations

import copy

from apiserver.registry.strategy import Object, Strategy, desired


class CertificateSigningRequestStrategy(Strategy):
    has_status = True

    def prepare_for_update(self, new: Object, old: Object) -> None:
        super().prepare_for_update(new, old)
        new.update(copy.deepcopy(desired(old)))

    def select_fields(self, obj: Object) -> dict[str, str]:
        return {**super().select_fields(obj), "spec.signerName": obj["spec"].get("signerName") or ""}
