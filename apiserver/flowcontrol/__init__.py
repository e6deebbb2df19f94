"""API Priority and Fairness: which requests may run now, which wait, and which are refused.

    matching (P)   which FlowSchema a request belongs to, and to which flow in it
    shares (P)     how many seats each priority level has
    shuffle (P)    which queues a flow may use
    queueset (P)   one level's seats and queues: who is next
    objects (P)    FlowSchema and PriorityLevelConfiguration objects as what the four above work with
    controller     keeps the levels in step with the stored objects and wakes who may go on

As the original's ``apiserver/pkg/util/flowcontrol``, without borrowing of seats between levels, and with one seat a
request whatever it costs. Asked by ``http.filters.priority``; knows nothing of HTTP.
"""
