"""The file that says how a cluster's Secrets are encrypted in its store: made once, with a key of its own.

`prepare` asks for it when a cluster starts and tells the masters where it is. It lies among the certificates, so it
is as private as they are and goes into every backup: without it nobody reads the Secrets again. Once it is there it
counts, whatever the topology says: what is encrypted must stay readable. To replace its key, or to end encryption,
edit it; the masters read it again while they run. What it may say is checked by `apiserver.storage.encryption`.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from components.cluster.files import write_private

FILE = "cluster/encryption.yaml"
_KEY_BYTES = 32
_TEXT = """\
# How Secrets are encrypted in the store. Keep this file: without its keys they cannot be read.
# The first provider and its first key write, all of them read. To replace the key: add the new one as the second,
# wait until every master has read the file (seconds), make it the first, write all Secrets again
# (kubectl get secrets -A -o json | kubectl replace -f -), and remove the old one.
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources:
  - secrets
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: {secret}
  - identity: {{}}
"""


def ensure(pki: Path, *, wanted: bool) -> Path | None:
    """The file, made if it is wanted and not there; None if there is none. Raises ClusterError."""
    file = pki / FILE
    if not file.exists():
        if not wanted:
            return None
        secret = base64.b64encode(os.urandom(_KEY_BYTES)).decode()
        write_private(file, _TEXT.format(secret=secret).encode())
    return file
