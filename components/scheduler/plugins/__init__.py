"""The scheduler's plugins, one a file, pure and independent of each other; `profile` puts them together."""
