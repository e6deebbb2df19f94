"""Judges a recorded history of a store: is there an order that explains every answer, and did watches keep their word?

    history.py    what was recorded: one JSON object a line
    model.py      what a store of etcd's kind answers, with a way back (undo)
    search.py     the search for an order (linearizability)
    replay.py     the revisions that follow from the order that was found
    watches.py    one function per guarantee of a watch; `stale.py` the same for serializable reads
    verdict.py    all of it on one history
    report.py, html.py, command.py    for people

Everything but `command.py` is pure. The command is `kvstore check HISTORY`.
"""
