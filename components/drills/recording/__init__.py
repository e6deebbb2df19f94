"""What clients did and saw, written down as `kvstore.check.history` has it.

wire.py        etcd's messages <-> what a history holds
recorder.py    the history as it grows, and one client of the store that calls and records
watcher.py     one observer of the store, resumed over endpoints
objects.py     the same two over the Kubernetes API: ConfigMaps as keys
"""
