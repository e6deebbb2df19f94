"""The scheduler: assigns pods to nodes through the API server, like kube-scheduler.

Flow: informers -> `handlers` -> `cache` and `queue` -> `scheduler` (one decision at a time, by
`algorithm` and `plugins`) -> `binder`. `app` runs it as a replica with leader election.
"""

from components.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
