"""One format of exported models per file."""
