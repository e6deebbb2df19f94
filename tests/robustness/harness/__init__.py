"""Real processes under faults, with everything clients did and saw written down and judged afterwards.

traffic.py     what clients ask for
cluster.py     the members' processes
faults.py      what is done to them; `disk_faults.py`, `member_faults.py`
run.py         one seeded run from start to verdict

From the product: `components.drills.recording` (recorder, watcher, wire), `components.drills.disks`,
`components.cluster.peernet` (every connection between two members, to be cut or slowed down).
"""
