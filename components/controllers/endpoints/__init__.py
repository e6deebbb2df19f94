"""Endpoints (the older, single-object form of EndpointSlices) for Services."""
