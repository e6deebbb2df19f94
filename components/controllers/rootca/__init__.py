"""The cluster's CA certificate as a ConfigMap in every namespace."""
