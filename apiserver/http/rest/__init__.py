"""The write and read paths of a resource, one operation per file, independent of HTTP.

Handlers decode a request and call these; the server's own bootstrap and subresources call them too. Order of
steps as in the original's ``registry/rest`` and ``registry/generic/registry/store.go``.
"""
