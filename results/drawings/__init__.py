"""Pictures of one run, drawn from its folder alone: its curve, and what it made of some test examples."""
