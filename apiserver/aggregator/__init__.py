"""API aggregation: group versions that other servers serve, registered by APIService objects.

Flow: ``controller`` follows the APIServices and keeps the table of those that are served elsewhere (``service`` reads
them). The router asks that table first; ``proxying`` sends a request on, with the identity of its user in front-proxy
headers. For each remote APIService a ``monitor`` finds out whether it can be reached (``availability`` decides,
``routes`` says where it is) and writes that into its status; what it serves is fetched by ``discovery`` and ``openapi``
and merged into this server's own documents. ``registration`` keeps an APIService for every version of a custom
resource; ``trust`` tells extension servers, in a ConfigMap, whom to believe.

Runs in every API server; nobody leads: what several write they write by compare-and-swap. Source: kube-aggregator.
"""
