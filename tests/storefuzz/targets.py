"""What takes bytes from outside: it may refuse them by its own errors, and nothing else may happen.

`python -m tests.storefuzz NAME` feeds a target with what atheris makes up, guided by the branches that are taken.
"""

from __future__ import annotations

from tests.storefuzz import clients, files, peers
from tests.support.guided import Fuzzed

TARGETS = {
    "peer": Fuzzed(peers.peer, peers.seeds),
    "wal": Fuzzed(files.wal, files.wal_seeds),
    "snapshot": Fuzzed(files.snapshot, files.snapshot_seeds, 1 << 16),
    "grpc": Fuzzed(clients.grpc, clients.grpc_seeds),
    "request": Fuzzed(clients.request, clients.request_seeds),
    "command": Fuzzed(clients.command, clients.command_seeds),
}
