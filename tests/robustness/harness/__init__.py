"""Real processes under faults, with everything clients did and saw written down and judged afterwards.

wire.py        etcd's messages <-> what a history holds
recorder.py    the history as it grows, and one client that calls and records
traffic.py     what clients ask for
watcher.py     one observer, resumed over endpoints
proxy.py       every connection between two members goes through here, to be cut or slowed down
disks.py       a file system per member that can be full, or lose power
cluster.py     the members' processes
faults.py      what is done to them; `disk_faults.py`, `member_faults.py`
run.py         one seeded run from start to verdict
"""
