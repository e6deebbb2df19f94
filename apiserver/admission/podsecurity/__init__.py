"""Pod Security Standards: the three levels by version (`policy`), their checks, and the plugin that applies them."""
