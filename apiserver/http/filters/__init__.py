"""Filters of the request path, one a file; `apiserver.http.chain` puts them in their order."""
