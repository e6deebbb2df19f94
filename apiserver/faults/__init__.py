"""Faults that an API server injects when it is told to, for those who test clients (docs/faults.md).

`rule` is what can be asked for, `matching` whether a request is meant, `share` whether this one of many, `table` all of
them together; these decide and do nothing. `store` keeps what was asked for where every API server sees it;
`http.filters.faults` does it, `http.handlers.faulty_watch` to watches, `http.fault_api` lets it be asked for.
"""
