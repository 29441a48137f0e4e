"""Networks that a family is made of, where its own file would grow too long with them; none trains by itself."""
