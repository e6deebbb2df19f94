"""Programs that use the store through clients of others. Each runs in a process of its own, because these clients
register the same protobuf names as the store: `python -m tests.support.clients.NAME HOST PORT`."""
