"""One explanation method per file."""
