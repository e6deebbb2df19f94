"""Node health: conditions, taints, and the eviction of pods from dead nodes."""
