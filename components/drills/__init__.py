"""Drills: a cluster is hurt on purpose while clients use it, and what they saw is judged.

    spec.py (P)        a drill file: limits, workload, timeline of faults, checks; `catalogue.py` reads it
    schedule.py (P)    what is done when; `runner.py` does it
    target.py          the cluster that is hurt: one of its own, one in a directory, or one behind addresses
    faults/            one kind of fault a file: does it, and undoes it whatever happens
    workload/          clients: compare-and-swap on keys and on objects, watches, requests to a service
    recording/         what every client asked and saw, as `kvstore.check` reads it
    condense.py (P)    revisions of other clients' writes taken out of a history; `eras.py` splits it at a restore
    refusals.py (P)    who was refused for a certificate that had ended; `program.py` asks what is upgraded to
    measure.py (P)     outages, losses, lags out of a run; `verdict.py` (P) holds them against the limits
    live.py, report/   for people: the view while it runs, the table, report.json, JUnit, one page

The command is `kuberaft drill` (`components.cluster.commands.drill`); docs/drills.md teaches each drill.
"""
