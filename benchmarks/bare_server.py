"""`python -m benchmarks.bare_server FLAGS`: an API server that admits everything unseen, with kube-apiserver's flags.

What `access` compares a real one with. Nobody but a benchmark runs it.
"""

from __future__ import annotations

import sys
from typing import Any

import apiserver.server
from apiserver.__main__ import main
from apiserver.admission.chain import Chain


def no_admission(reader: Any, *_: Any) -> Chain:
    return Chain([], reader)


if __name__ == "__main__":
    apiserver.server.default_chain = no_admission
    sys.exit(main())
