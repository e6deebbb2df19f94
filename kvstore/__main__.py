"""`kvstore`: a member of the store with etcd's flags, or a subcommand.

The flags are read by `kvstore.server.flags`, the process is `kvstore.server.process`; subcommands are modules of
`kvstore.commands` and `kvstore.check`. Only what is asked for is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS = {
    "snapshot": "kvstore.commands.snapshot",
    "mirror": "kvstore.commands.mirror",
    "replace": "kvstore.commands.replace",
    "check": "kvstore.check.command",
}
"""Each module has `main(arguments) -> exit code`."""


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS:
        code: int = importlib.import_module(COMMANDS[given[0]]).main(given[1:])
        return code
    from kvstore.server import process

    return process.main(given, os.environ)


if __name__ == "__main__":
    sys.exit(main())
