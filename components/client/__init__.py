"""A small client-go: how every component talks to an API server.

Flow: `kubeconfig` -> `transport.ApiClient` (requests and watch streams) -> `informer` (a local, indexed
copy of a resource) -> `workqueue` (keys to reconcile) -> `run.run_workers`. Beside it: `leaderelection`,
`events`, `expectations`. `testing.FakeApi` stands in for the transport in unit tests.
"""
