"""Fills the rules of aggregated ClusterRoles from those that their selectors choose."""
