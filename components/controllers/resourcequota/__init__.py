"""The books of ResourceQuotas: counts what is stored, and gives back what was freed."""
