"""Compression methods, one per file: how a finished run's model is made smaller, trained on and written."""
