"""Signs approved certificate requests of the four built-in signers."""
