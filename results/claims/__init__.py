"""Claims: published numbers that are measured again, and what the runs say about them."""
