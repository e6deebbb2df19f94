"""kube-proxy: makes Service addresses answer.

Flow: Services and EndpointSlices (informers) -> `rules.plan` (pure: which address forwards where) ->
`proxier.Proxier` (opens, retargets and closes sockets) -> `tcp` and `udp` (move the bytes), each asking a
`balancer.Balancer` (pure: which endpoint gets this client). The userspace backend needs no privilege.
"""
