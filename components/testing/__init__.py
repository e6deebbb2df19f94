"""Clusters for tests: a pytest plugin, and what it is made of (docs/testing.md).

    plugin ──▶ pool ──▶ cluster (one `kuberaft up`, reset to a baseline after each test)
                          │
                        handle (what a test gets): objects, waiting, clients, faults

`plugin` is the only module of the project that imports pytest; nothing else imports `plugin`. Everything here is
synchronous on the outside and works from asynchronous tests, too: `portal` runs the project's own client in a thread.
"""
