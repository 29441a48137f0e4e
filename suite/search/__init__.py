"""What a search asks of this suite: the space of a pair, the work of a trial, and the runs that follow."""
