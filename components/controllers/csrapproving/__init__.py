"""Approves the certificate requests of kubelets that are allowed to ask for them."""
