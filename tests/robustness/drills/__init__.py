"""Drills in their short form, against real processes: each passes, and fails when the cluster is broken on purpose."""
