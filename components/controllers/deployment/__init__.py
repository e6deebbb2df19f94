"""Deployment: moves pods from one pod template to the next through ReplicaSets."""
