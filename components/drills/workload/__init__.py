"""Clients of the cluster that is hurt. Each records what it saw; none knows what is done to the cluster."""
