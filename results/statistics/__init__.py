"""Statistics of scores: intervals, aggregates across tasks, comparisons over shared seeds, ranks, best of k trials."""
