"""How many pods of each PodDisruptionBudget may be evicted now."""
