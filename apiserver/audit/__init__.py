"""The audit log: who asked for what, when, and what came of it.

    policy (P)   which requests, at which level, without which stages
    event (P)    one stage of one request as an ``audit.k8s.io/v1`` Event
    log          the file: a queue, a thread, rotation

Used by ``http.filters.audit``.
"""
