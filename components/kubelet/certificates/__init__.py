"""The kubelet renews its own client certificate, by certificate signing requests."""
