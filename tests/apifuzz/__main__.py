"""`python -m tests.apifuzz NAME --seconds 60 --seed 1`: exit status 0 if nothing broke.

`requests` asks a running server (`run`), `openapi` has Schemathesis ask it (`openapi`), the others are decoders
(`targets`), for which see `tests.support.guided`.
"""

from __future__ import annotations

import argparse
import random
import sys

from tests.support import guided

OVER_HTTP = ("requests", "openapi")
DECODERS = ("json", "yaml", "cbor", "protobuf", "jsonpatch", "patch", "text", "http2")


def _over_http(name: str) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.apifuzz", description=__doc__)
    parser.add_argument("name", choices=OVER_HTTP)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    chosen = parser.parse_args()
    if name == "requests":
        from tests.apifuzz import run

        return run.requests(chosen.seed, chosen.seconds)
    from tests.apifuzz import openapi

    return openapi.main(chosen.seed, chosen.seconds)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in OVER_HTTP:
        sys.exit(_over_http(sys.argv[1]))
    guided.main("tests.apifuzz", DECODERS, ["apiserver", "kvstore"])
