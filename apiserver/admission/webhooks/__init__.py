"""Admission webhooks: others' servers, named by stored configurations, that judge or change writes.

Flow: ``mutating`` and ``validating`` are the plugins; ``hooks`` says which webhooks a write meets, ``calling``
asks one of them (through ``apiserver.webhook_client``), ``review`` makes the question and reads the answer.
"""
