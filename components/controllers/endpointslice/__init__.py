"""EndpointSlices for the pods that Services select."""
